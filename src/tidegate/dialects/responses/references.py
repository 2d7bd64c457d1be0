"""What a Responses request names that lies at one upstream, and what an answer leaves there.

Source: `openai.types.responses.response_create_params` and `response_input_item_param` of the official SDK.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.view import Kept, Reference
from tidegate.dialects.fields import NULL, bad_field, present, read_string


class _Item(Struct):
    type: str | None = None
    id: str | None = None
    role: Raw = Raw(b"")
    encrypted_content: str | None = None
    container_id: str | None = None
    environment: Raw = NULL


class _Environment(Struct):
    """Where a shell's call ran."""

    container_id: str | None = None


class _Conversation(Struct):
    id: str


_ABSENT: Final = (b"", b"null")
_decode_items = msgspec.json.Decoder(list[_Item]).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_decode_environment = msgspec.json.Decoder(_Environment).decode
_decode_conversation = msgspec.json.Decoder(str | _Conversation).decode
_TELLING: Final = (b'"id"', b'"encrypted_content"', rb"\u0069", rb"\u0064")
"""The last two: an `id` whose letters are escaped."""


def references(fields: Mapping[str, Raw]) -> tuple[Reference, ...]:
    """The latest sealed thought first among its kind. Raises UnreadableRequest."""
    found: list[Reference] = []
    if _given(fields, "previous_response_id"):
        name = read_string(dict(fields), "previous_response_id")
        found.append(Reference("response", name, "previous_response_id"))
    if _given(fields, "conversation"):
        found.append(Reference("conversation", _conversation(fields["conversation"]), "conversation"))
    items = fields.get("input")
    if items is not None:
        found += _of_items(items)
    return tuple(found)


def left_by_answer(fields: Mapping[str, Raw], *, stored: bool) -> tuple[Kept, ...]:
    """Of a whole response. What cannot be read leaves nothing."""
    try:
        output = _decode_items(fields["output"]) if "output" in fields else []
        own = msgspec.json.decode(fields["id"], type=str) if stored and "id" in fields else ""
    except (msgspec.DecodeError, RecursionError):
        return ()
    left: list[Kept] = [("response", own)] if own else []
    for item in output:
        left += _left_by(item, stored)
    return tuple(left)


def left_by_item(item: Raw, *, stored: bool) -> tuple[Kept, ...]:
    """Of one whole output item, as `left_by_answer`."""
    try:
        return tuple(_left_by(_decode_item(item), stored))
    except (msgspec.DecodeError, RecursionError):
        return ()


def _left_by(item: _Item, stored: bool) -> list[Kept]:
    left: list[Kept] = [("item", item.id)] if stored and item.id else []
    if item.encrypted_content:
        left.append(("sealed", item.encrypted_content))
    container = item.container_id or _container(item.environment)
    if container:
        left.append(("container", container))
    return left


def _container(environment: Raw) -> str | None:
    """Of what cannot be read, none: the rest of the answer is still the consumer's."""
    try:
        told = None if present(environment) is None else _decode_environment(environment)
    except msgspec.DecodeError:
        return None
    return None if told is None else told.container_id


def _given(fields: Mapping[str, Raw], name: str) -> bool:
    return name in fields and present(fields[name]) is not None


def _conversation(raw: Raw) -> str:
    try:
        told = _decode_conversation(raw)
    except msgspec.DecodeError as error:
        message = "`conversation` must be the id of a conversation, or an object with its `id`."
        raise bad_field(message, "conversation") from error
    return told if isinstance(told, str) else told.id


def _of_items(raw: Raw) -> list[Reference]:
    text = bytes(raw)
    if text[:1] != b"[" or not any(word in text for word in _TELLING):
        return []
    try:
        items = _decode_items(text)
    except (msgspec.DecodeError, RecursionError) as error:
        message = "`input`: each item must be an object, and its `type`, `id` and `encrypted_content` strings."
        raise bad_field(message, "input") from error
    found: list[Reference] = []
    for item in reversed(items):
        told = bytes(item.role) not in _ABSENT
        if item.id and (item.type == "item_reference" or (item.type is None and not told)):
            found.append(Reference("item", item.id, "input"))
        elif item.encrypted_content:
            found.append(Reference("sealed", item.encrypted_content, "input"))
        elif item.id and item.type == "reasoning":
            found.append(Reference("thought", item.id, "input"))  # told without its contents: the upstream has them
    return found
