"""Hints that stand within a request's content and tools, for upstreams that have no place for them."""

from collections.abc import Iterator
from typing import Final, Literal

from tidegate.dialects.canon import Image, Message, Part, Request, ToolCall, ToolResult

Hint = Literal["prompt_cache_breakpoint", "name", "detail", "is_error", "strict"]
"""A cache mark; who of several speaks; how closely to look at a picture; that a tool failed (its result says how); that
a tool's schema binds."""

_USUAL: Final = ("", "auto")


def drop_hints(request: Request, *hints: Hint) -> None:
    """Names those of `hints` that the request has as dropped, each once and as the client calls it."""
    found = set(_hints(request))
    request.dropped += [request.called(hint) for hint in hints if hint in found]


def _hints(request: Request) -> Iterator[Hint]:
    if any(tool.cache is not None for tool in request.tools):
        yield "prompt_cache_breakpoint"
    if any(tool.strict for tool in request.tools):
        yield "strict"
    for item in request.items:
        if isinstance(item, Message):
            if item.name:
                yield "name"
            yield from _of_parts(item.parts)
        elif isinstance(item, ToolCall | ToolResult):
            if item.cache is not None:
                yield "prompt_cache_breakpoint"
            if isinstance(item, ToolResult):
                if item.is_error:
                    yield "is_error"
                yield from _of_parts(item.parts)


def _of_parts(parts: list[Part]) -> Iterator[Hint]:
    for part in parts:
        if getattr(part, "cache", None) is not None:
            yield "prompt_cache_breakpoint"
        if isinstance(part, Image) and part.detail not in _USUAL:
            yield "detail"
