"""Files and containers at the provider that a messages request names, and the container that an answer leaves there.

What a tool is called with is the client's own: a `file_id` there is no file of Anthropic's. What was said, cited and
answered by server tools in earlier turns makes nothing be read again.
Source: the `…_block_param` types of the official SDK.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.view import Kept, Reference
from tidegate.dialects.fields import NULL, bad_field
from tidegate.dialects.named_files import check_left_out, has_key, named_files


class _Message(Struct):
    content: Raw = NULL


class _Block(Struct):
    type: str = ""


class _Container(Struct):
    id: str | None = None


_TOLD: Final = frozenset(("text", "thinking", "redacted_thinking"))
_encode = msgspec.json.Encoder().encode
_decode_messages = msgspec.json.Decoder(list[_Message]).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_block = msgspec.json.Decoder(_Block).decode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_container = msgspec.json.Decoder(str | _Container | None).decode


def named_container(fields: Mapping[str, Raw]) -> tuple[Reference, ...]:
    """Of a request's `container`; without an `id` it asks for a new one. Raises UnreadableRequest."""
    try:
        name = _container_id(fields.get("container", NULL))
    except msgspec.DecodeError as error:
        message = "`container` must be the id of a container, or an object with its `id`."
        raise bad_field(message, "container") from error
    return (Reference("container", name, "container"),) if name else ()


def left_container(container: Raw) -> tuple[Kept, ...]:
    """Of an answer's `container`. What cannot be read leaves nothing."""
    try:
        name = _container_id(container)
    except msgspec.DecodeError:
        return ()
    return (("container", name),) if name else ()


def _container_id(raw: Raw) -> str | None:
    told = _decode_container(raw)
    return told.id if isinstance(told, _Container) else told


def named_sources(messages: bytes) -> tuple[Reference, ...]:
    """Raises UnreadableRequest."""
    if not has_key("file", messages):
        return ()
    try:
        found = [one for block in _blocks(messages) for one in _of_block(block)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_field(
            f"`messages` must be a list of messages, each with its content: {error}.", "messages"
        ) from error
    named = tuple(Reference("message_file", name, "messages") for name in dict.fromkeys(found))
    check_left_out(("file",), messages, named, "messages")
    return named


def _blocks(messages: bytes) -> Iterator[Raw]:
    for message in _decode_messages(messages):
        content = bytes(message.content)
        if content[:1] == b"[":
            yield from _decode_list(content)


def _of_block(block: Raw) -> list[str]:
    kind = _decode_block(block).type
    if kind in _TOLD or kind.endswith("_tool_result"):
        return []
    text = bytes(block)
    if kind.endswith("tool_use"):
        text = _encode({field: value for field, value in _decode_object(block).items() if field != "input"})
    return [one.name for one in named_files(text, "messages")]
