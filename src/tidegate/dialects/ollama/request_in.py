"""An Ollama client's request to `/api/chat` or `/api/generate`, to the hub.

Source: `ChatRequest`, `GenerateRequest`, `Options` of the official `ollama` SDK; the server's `api/types.go` for the ids of
calls, which that SDK does not have.
"""

import re
from collections.abc import Mapping
from typing import Final, cast

import msgspec
from msgspec import Raw, Struct

from tidegate.dialects.canon import (
    Effort,
    Image,
    Item,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Request,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from tidegate.dialects.fields import NULL, bad_field, field_of, present, unsupported_field
from tidegate.dialects.history import object_text
from tidegate.dialects.media import split_data_url

ORIGIN: Final = "ollama"


class _Function(Struct):
    name: str
    arguments: Raw = NULL


class _Call(Struct):
    function: _Function
    id: str | None = None


class _Message(Struct):
    role: str
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[_Call] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class _ToolFunction(Struct):
    name: str
    description: str | None = None
    parameters: Raw = NULL


class _Tool(Struct):
    function: _ToolFunction
    type: str | None = None


class _Options(Struct):
    seed: int | None = None
    num_predict: int | None = None
    top_k: int | None = None
    top_p: float | None = None
    temperature: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: str | list[str] | None = None


class _Body(Struct):
    messages: list[_Message] = []
    prompt: str | None = None
    system: str | None = None
    images: list[str] | None = None
    tools: list[_Tool] | None = None
    options: Raw = NULL
    format: Raw = NULL
    think: bool | str | None = None
    stream: bool | None = None


_BOTH: Final = frozenset(("model", "options", "format", "think", "stream"))
_MAPPED: Final[Mapping[str, frozenset[str]]] = {
    "": _BOTH | {"messages", "tools"},
    "generate": _BOTH | {"prompt", "system", "images"},
}
_HINTS: Final = frozenset(("keep_alive", "truncate", "shift"))
_NOT_ASKED: Final = frozenset((b"null", b"false", b'""', b"[]", b"0"))
_LEVELS: Final[Mapping[str, Effort]] = {
    "low": "low", "medium": "medium", "high": "high", "max": "max",
}  # fmt: skip
_IS_A_NAME: Final = re.compile(r"[a-z0-9_]{1,32}")
_OPTIONS: Final = frozenset(_Options.__struct_fields__)
_PICTURES: Final = {"iVBORw": "image/png", "/9j/": "image/jpeg", "R0lGOD": "image/gif", "UklGR": "image/webp"}
"""How base64 of these begins: the dialect does not name the format."""
_NAMES: Final = {"max_output_tokens": "options.num_predict", "output_format": "format", "thinking": "think"} | {
    name: f"options.{name}" for name in _OPTIONS - {"num_predict"}
}

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Body).decode
_decode_options = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_known = msgspec.json.Decoder(_Options).decode


def decode_request(fields: Mapping[str, Raw], form: str, *, stream: bool) -> Request:
    """`form`: "" for chat, `generate`. Raises UnreadableRequest."""
    mapped, dropped = _MAPPED[form], list[str]()
    for name, raw in fields.items():
        if name in mapped or bytes(raw) in _NOT_ASKED:
            continue
        if name not in _HINTS:
            raise unsupported_field(name, f"`{name}` cannot be honoured by the upstream of this model. Leave it out.")
        dropped.append(name)
    known = {name: raw for name, raw in fields.items() if name in mapped}
    try:
        body = _decode(_encode(known))
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"The body is not a request of this API: {error}.", field_of(error)) from error
    try:
        options = _options(body.options, dropped)
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"`options` are not those of this API: {error}.", "options") from error
    return Request(
        items=_prompt(body) if form else _History().items(body.messages),
        tools=[_tool(tool, place) for place, tool in enumerate(body.tools or ())],
        max_output_tokens=num_predict(options.num_predict),
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        stop=[options.stop] if isinstance(options.stop, str) else options.stop or [],
        seed=options.seed,
        frequency_penalty=options.frequency_penalty,
        presence_penalty=options.presence_penalty,
        output_format=_format(body.format),
        thinking=_thinking(body.think),
        stream=stream,
        dropped=dropped,
        names=dict(_NAMES),
    )


def num_predict(told: int | None) -> int | None:
    """-1 and -2 are no bound."""
    return told if told is not None and told > 0 else None


def _options(raw: Raw, dropped: list[str]) -> _Options:
    """Those that the hub has; the others are about the model's own machine, or finer points of sampling."""
    if present(raw) is None:
        return _Options()
    options = _decode_options(raw)
    for name, one in options.items():
        if name not in _OPTIONS and bytes(one) != b"null":  # the name is the client's own, and goes into a header
            dropped.append(f"options.{name}" if _IS_A_NAME.fullmatch(name) else "options")
    return _decode_known(_encode({name: one for name, one in options.items() if name in _OPTIONS}))


def _format(raw: Raw) -> OutputFormat | None:
    text = bytes(raw)
    if text in (b"null", b'""'):
        return None
    if text == b'"json"':
        return OutputFormat("json_object")
    if not text.startswith(b"{"):
        raise bad_field("`format` must be `json` or a JSON Schema.", "format")
    return OutputFormat("json_schema", schema=raw)


def _thinking(think: bool | str | None) -> Thinking | None:
    if think is None:
        return None
    if isinstance(think, bool):
        return Thinking(adaptive=True, show=True) if think else Thinking(effort="none")
    if think not in _LEVELS:
        raise bad_field(f"`think` is `{think}`: it can be true, false, low, medium, high or max.", "think")
    return Thinking(effort=_LEVELS[think], show=True)


def _tool(tool: _Tool, place: int) -> Tool:
    if tool.type not in (None, "function"):
        raise unsupported_field("tools", f"`tools[{place}]` of type `{tool.type}`: use function tools.")
    function = tool.function
    return Tool(function.name, function.description or "", present(function.parameters))


# Messages.


def _prompt(body: _Body) -> list[Item]:
    items: list[Item] = []
    if body.system:
        items.append(Message("system", [Text(body.system)]))
    parts: list[Part] = [Text(body.prompt)] if body.prompt else []
    parts += [_image(data, f"images[{place}]", "images") for place, data in enumerate(body.images or ())]
    return [*items, Message("user", parts)]


class _History:
    """Calls often have no id, and results often only a tool's name: they are paired in the order in which they come."""

    def __init__(self) -> None:
        self._waiting: list[ToolCall] = []
        self._nameless: set[str] = set()
        """Ids that stand for none: a client may answer such a call by an id of its own."""
        self._calls = 0

    def items(self, messages: list[_Message]) -> list[Item]:
        return [item for place, message in enumerate(messages) for item in self._said(message, f"messages[{place}]")]

    def _said(self, message: _Message, where: str) -> list[Item]:
        parts: list[Part] = [Text(message.content)] if message.content else []
        parts += [
            _image(data, f"{where}.images[{place}]", "messages") for place, data in enumerate(message.images or ())
        ]
        if message.role == "tool":
            call = self._answered(message, where)
            return [ToolResult(call.id, parts, message.tool_name or call.name)]
        if message.role not in ("system", "user", "assistant"):
            raise bad_field(
                f"`{where}.role` is `{message.role}`: it can be system, user, assistant or tool.", "messages"
            )
        items: list[Item] = []
        if message.thinking:
            items.append(Reasoning(message.thinking, origin=ORIGIN))
        if parts or message.role != "assistant":
            items.append(Message(cast(Role, message.role), parts))
        for index, told in enumerate(message.tool_calls or ()):
            items.append(self._called(told, f"{where}.tool_calls[{index}].function.arguments"))
        return items

    def _called(self, told: _Call, where: str) -> ToolCall:
        raw = bytes(told.function.arguments)
        text = msgspec.json.decode(raw, type=str) if raw.startswith(b'"') else raw.decode()
        call = ToolCall(told.id or f"call_{self._calls}", told.function.name, object_text(text, where))
        if told.id is None:
            self._nameless.add(call.id)
        self._calls += 1
        self._waiting.append(call)
        return call

    def _answered(self, message: _Message, where: str) -> ToolCall:
        name, told = message.tool_call_id, message.tool_name
        fitting = [call for call in self._waiting if told in (None, call.name)]
        meant = [call for call in fitting if call.id == name]
        meant += [call for call in fitting if name is None or call.id in self._nameless]
        if meant:
            self._waiting.remove(meant[0])
            return meant[0]
        raise bad_field(
            f"`{where}` is the result of a tool, but no call before it waits for one. Send the assistant's message with "
            "that call too.",
            "messages",
        )


def _image(data: str, where: str, field: str) -> Image:
    inline = split_data_url(data)
    if inline is not None:
        return Image(data=inline[1], media_type=inline[0])
    for start, media_type in _PICTURES.items():
        if data.startswith(start):
            return Image(data=data, media_type=media_type)
    raise bad_field(f"`{where}` is not base64 of a PNG, JPEG, GIF or WebP picture.", field)
