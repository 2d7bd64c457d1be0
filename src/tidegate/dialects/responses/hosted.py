"""Files, vector stores, containers and prompts at the provider that a Responses request names.

Schemas and arguments of the client's own tools are read as nothing else than that; so is what earlier turns have cited and
found. A container's own files (`cfile_…`) are reached through it alone.
Source: `openai.types.responses` of the official SDK: `tool_param`, `response_input_item_param`, `response_prompt_param`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.view import Reference
from tidegate.dialects.fields import NULL, bad_field, present
from tidegate.dialects.named_files import Named, check_left_out, may_name, named_things


class _Typed(Struct):
    type: str | None = None
    content: Raw = NULL


class _Prompt(Struct):
    id: str


_FREE: Final = frozenset(("metadata", "text"))
_OWN_TOOLS: Final = frozenset(("function", "custom", "mcp", "namespace"))
_FOUND: Final = frozenset(("file_search_call", "mcp_list_tools"))
_SAID: Final = frozenset(("output_text", "refusal"))
_CONTAINED: Final = "cfile_"
_HOSTED: Final = ("input", "tools")
_KINDS: Final[tuple[Named, ...]] = ("file", "vector_store", "container")
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_typed = msgspec.json.Decoder(_Typed).decode
_decode_prompt = msgspec.json.Decoder(_Prompt).decode


def hosted_references(fields: Mapping[str, Raw], body: bytes) -> tuple[Reference, ...]:
    """`body`: what the fields are of. Raises UnreadableRequest."""
    found: list[Reference] = []
    kinds: list[Named] = [kind for kind in _KINDS if may_name(kind, body)]
    for field, value in fields.items() if kinds else ():
        if field in _FREE:
            continue
        for part in _parts(field, bytes(value)):
            for kind in kinds:
                if kind == "file" or field in _HOSTED:
                    found += named_things(kind, part, "file_id" if kind == "file" else field)
    check_left_out(kinds, body, found, "input")
    prompt = present(fields.get("prompt", NULL))
    if prompt is not None:
        found.append(Reference("prompt", _prompt_id(prompt), "prompt"))
    return tuple(dict.fromkeys(one for one in found if not one.name.startswith(_CONTAINED)))


def _parts(field: str, text: bytes) -> Iterable[bytes]:
    """Of a field's value what may name something."""
    if field not in _HOSTED or text[:1] != b"[":
        return (text,)
    try:
        return list(_of_items(text) if field == "input" else _of_tools(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_field(f"`{field}` must be a list of objects, each with its `type`: {error}.", field) from error


def _of_tools(text: bytes) -> Iterator[bytes]:
    for tool in _decode_list(text):
        if _decode_typed(tool).type not in _OWN_TOOLS:
            yield bytes(tool)


def _of_items(text: bytes) -> Iterator[bytes]:
    for item in _decode_list(text):
        told = _decode_typed(item)
        if told.type in _FOUND:
            continue
        content = bytes(told.content)
        if told.type not in (None, "message") or content[:1] != b"[":
            yield bytes(item)
            continue
        parts = _decode_list(content)
        left = [bytes(part) for part in parts if _decode_typed(part).type not in _SAID]
        if len(left) == len(parts):
            yield bytes(item)
            continue
        before, _, behind = bytes(item).partition(content)  # with whatever stands in it twice
        yield b",".join((before, *left, behind))


def _prompt_id(prompt: Raw) -> str:
    try:
        return _decode_prompt(prompt).id
    except msgspec.DecodeError as error:
        raise bad_field("`prompt` must be an object with the `id` of a prompt.", "prompt") from error
