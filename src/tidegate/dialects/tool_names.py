"""Names and ids of tools that an upstream's grammar forbids: replaced on the way up, restored on the way back.

A legal name is never touched. The others keep what is legal of them, and a digest keeps them apart, so that a conversation's
next request gives the same names (and finds the same cache).
"""

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from tidegate.dialects.canon import Item, OutputItem, Request, ToolCall, ToolResult

_DIGEST: Final = 8
OPENAI_FORBIDDEN: Final = re.compile(r"[^A-Za-z0-9_-]")
"""In the names of tools at OpenAI's APIs, and at those that follow it."""
OPENAI_LONGEST: Final = 64
ANYTHING: Final = re.compile(r"(?!)")
"""Forbids nothing: some models behind OpenAI's form mean something by their ids (`functions.weather:0`)."""


def rename_tools(request: Request, *, forbidden: re.Pattern[str], longest: int) -> Callable[[str], str]:
    """From the client's name of a tool to the upstream's. Notes in `request.renamed` how to restore it.

    `forbidden` matches one character that no name may have.
    """
    names = {tool.name for tool in request.tools} | {name for item in request.items for name in _named(item)}
    if request.tool_choice is not None:
        names.update(request.tool_choice.names)
    taken = {name for name in names if is_legal(name, forbidden, longest)}
    chosen: dict[str, str] = {}
    for name in sorted(names - taken):
        replacement = legal_form(name, forbidden, longest)
        while replacement in taken:
            replacement = legal_form(replacement + "!", forbidden, longest)
        taken.add(replacement)
        chosen[name] = replacement
        request.renamed[replacement] = name
    return lambda name: chosen.get(name, name)


def restore_name(item: OutputItem, renamed: dict[str, str]) -> None:
    """An upstream's call, under the client's name of the tool."""
    if isinstance(item, ToolCall):
        item.name = renamed.get(item.name, item.name)


def legal_id(text: str, forbidden: re.Pattern[str], longest: int) -> str:
    """A call's id for an upstream: the same id gives the same, and nothing need be restored."""
    return text if is_legal(text, forbidden, longest) else legal_form(text, forbidden, longest)


def is_legal(text: str, forbidden: re.Pattern[str], longest: int) -> bool:
    return 0 < len(text) <= longest and forbidden.search(text) is None


def legal_form(text: str, forbidden: re.Pattern[str], longest: int) -> str:
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{forbidden.sub('_', text)[: longest - _DIGEST - 1]}_{digest}"


def _named(item: Item) -> tuple[str, ...]:
    if isinstance(item, ToolCall):
        return (item.name,)
    return (item.name,) if isinstance(item, ToolResult) and item.name else ()
