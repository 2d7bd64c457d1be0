"""The `input` of a Responses request, to canonical items.

Source: `openai.types.responses.response_input_item_param` of the official SDK.
"""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.dialects.canon import (
    Audio,
    CacheMark,
    File,
    Image,
    Item,
    Message,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from tidegate.dialects.fields import bad_field, unsupported_field
from tidegate.dialects.history import check_tool_history, object_text
from tidegate.dialects.media import split_data_url
from tidegate.dialects.responses.additional_tools import KIND
from tidegate.dialects.responses.namespaces import flat_name
from tidegate.dialects.responses.seal import unsealed


class _Breakpoint(Struct):
    ttl: str | None = None


class _InputAudio(Struct):
    data: str
    format: str


class _Part(Struct):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    file_url: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    filename: str | None = None
    detail: str | None = None
    input_audio: _InputAudio | None = None
    prompt_cache_breakpoint: _Breakpoint | None = None


class _Typed(Struct):
    type: str | None = None
    role: str | None = None


class _Message(Struct):
    role: str
    content: str | list[_Part] | None = None
    id: str | None = None


class _Thought(Struct):
    text: str = ""


class _Reasoning(Struct):
    id: str | None = None
    summary: list[_Thought] | None = None
    content: list[_Thought] | None = None
    encrypted_content: str | None = None


class _FunctionCall(Struct):
    call_id: str
    name: str
    arguments: str | None = None
    namespace: str | None = None


class _CustomCall(Struct):
    call_id: str
    name: str
    input: str = ""
    namespace: str | None = None


class _Output(Struct):
    call_id: str
    output: str | list[_Part]
    name: str | None = None


_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_typed = msgspec.json.Decoder(_Typed).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_decode_reasoning = msgspec.json.Decoder(_Reasoning).decode
_decode_function = msgspec.json.Decoder(_FunctionCall).decode
_decode_custom = msgspec.json.Decoder(_CustomCall).decode
_decode_output = msgspec.json.Decoder(_Output).decode


def read_input(raw: Raw) -> list[Item]:
    """A text is one message of the user. Raises UnreadableRequest."""
    text = bytes(memoryview(raw)[:1])
    if text == b'"':
        return [Message("user", [Text(_decode_str(raw))])]
    if text != b"[":
        raise bad_field("`input` must be a string or a list of items.", "input")
    items: list[Item] = []
    for place, one in enumerate(_decode_list(raw)):
        where = f"input[{place}]"
        try:
            items += _READERS[_kind(one, where)](one, where)
        except msgspec.DecodeError as error:
            raise bad_field(f"`{where}` cannot be read: {error}.", "input") from error
    items = _signed(items)
    check_tool_history(items, "input")
    return items


def _kind(raw: Raw, where: str) -> str:
    told = _decode_typed(raw)
    kind = told.type or ("message" if told.role is not None else "")
    if kind in _READERS:
        return kind
    if not kind:
        raise bad_field(f"`{where}` has neither a `type` nor a `role`.", "input")
    if kind == "item_reference":
        raise unsupported_field("input", f"`{where}` refers to an item that is not kept here: send the item itself.")
    raise unsupported_field("input", f"`{where}` of type `{kind}` cannot be honoured by the upstream of this model.")


def _signed(items: list[Item]) -> list[Item]:
    """Signatures of tool calls go back to their calls."""
    signatures = {item.id: item.signature for item in items if isinstance(item, _CallSignature)}
    if not signatures:
        return items
    kept = [item for item in items if not isinstance(item, _CallSignature)]
    for item in kept:
        if isinstance(item, ToolCall):
            item.signature = signatures.get(item.id, "")
    return kept


class _CallSignature(Reasoning):
    """Stands for a tool call's signature until the call is found; `id` is the call's."""


def _message(raw: Raw, where: str) -> list[Item]:
    told = _decode_message(raw)
    if told.role not in ("system", "developer", "user", "assistant"):
        message = f"`{where}.role` is `{told.role[:40]}`: it can be developer, system, user or assistant."
        raise bad_field(message, "input")
    return [Message(told.role, _parts(told.content, f"{where}.content"), id=told.id or "")]


def _reasoning(raw: Raw, where: str) -> list[Item]:
    told = _decode_reasoning(raw)
    seal = unsealed(told.encrypted_content or "") if told.encrypted_content else None
    if seal is not None and seal.call_id:
        return [_CallSignature(signature=seal.signature, id=seal.call_id)]
    summary = not told.content
    text = (
        "\n\n".join(one.text for one in told.summary or ())
        if summary
        else "".join(one.text for one in told.content or ())
    )
    thought = Reasoning(text, summary=summary and bool(told.summary), id=told.id or "")
    if seal is not None:
        thought.origin, thought.signature, thought.encrypted = seal.origin, seal.signature, seal.encrypted
    return [thought]


def _function_call(raw: Raw, where: str) -> list[Item]:
    told = _decode_function(raw)
    return [
        ToolCall(told.call_id, flat_name(told.namespace, told.name), object_text(told.arguments, f"{where}.arguments"))
    ]


def _custom_call(raw: Raw, where: str) -> list[Item]:
    told = _decode_custom(raw)
    return [ToolCall(told.call_id, flat_name(told.namespace, told.name), told.input, custom=True)]


def _output(raw: Raw, where: str) -> list[Item]:
    told = _decode_output(raw)
    return [ToolResult(told.call_id, _parts(told.output, f"{where}.output"), told.name or "")]


_READERS: Final[dict[str, Callable[[Raw, str], list[Item]]]] = {
    "message": _message,
    KIND: lambda raw, where: [],  # read with the request's own tools
    "reasoning": _reasoning,
    "function_call": _function_call,
    "custom_tool_call": _custom_call,
    "function_call_output": _output,
    "custom_tool_call_output": _output,
}


# Content.


def _parts(content: str | list[_Part] | None, where: str) -> list[Part]:
    if not content:
        return []
    if isinstance(content, str):
        return [Text(content)]
    return [_part(part, f"{where}[{place}]") for place, part in enumerate(content)]


def _part(part: _Part, where: str) -> Part:
    mark = part.prompt_cache_breakpoint
    cache = None if mark is None else CacheMark(mark.ttl or "")
    match part.type:
        case "input_text" | "output_text" | "text" if part.text is not None:
            return Text(part.text, cache)
        case "refusal" if part.refusal is not None:
            return Refusal(part.refusal)
        case "input_image" if part.image_url is not None or part.file_id is not None:
            return _image(part, cache)
        case "input_file":
            return _file(part, cache, where)
        case "input_audio" if part.input_audio is not None:
            return Audio(part.input_audio.data, part.input_audio.format)
        case _:
            raise bad_field(
                f"`{where}` of type `{part.type[:40]}` is not one of input_text, output_text, input_image, input_file, "
                "input_audio, refusal, or lacks what that type needs.",
                "input",
            )


def _image(part: _Part, cache: CacheMark | None) -> Image:
    detail = part.detail or ""
    if part.image_url is None:
        return Image(file_id=part.file_id or "", detail=detail, cache=cache)
    inline = split_data_url(part.image_url)
    if inline is None:
        return Image(url=part.image_url, detail=detail, cache=cache)
    return Image(data=inline[1], media_type=inline[0], detail=detail, cache=cache)


def _file(part: _Part, cache: CacheMark | None, where: str) -> File:
    name = part.filename or ""
    if part.file_id is not None:
        return File(file_id=part.file_id, name=name, cache=cache)
    if part.file_url is not None:
        return File(url=part.file_url, name=name, cache=cache)
    inline = split_data_url(part.file_data or "")
    if inline is None:
        message = f"`{where}.file_data` must be a base64 `data:` URL, or give a `file_url` or a `file_id`."
        raise bad_field(message, "input")
    return File(data=inline[1], media_type=inline[0], name=name, cache=cache)
