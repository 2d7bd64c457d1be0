"""A Cohere client's chat request, to the hub.

Source: `v2.client.chat` and `types.chat_message_v2` of the official `cohere` SDK.
"""

from collections.abc import Mapping
from typing import Final, cast

import msgspec
from msgspec import Raw, Struct

from tidegate.dialects.canon import (
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
    ToolChoice,
    ToolResult,
)
from tidegate.dialects.fields import NULL, bad_field, field_of, present, unsupported_field
from tidegate.dialects.history import check_tool_history, object_text
from tidegate.dialects.media import split_data_url

ORIGIN: Final = "cohere"


class _ImageUrl(Struct):
    url: str
    detail: str | None = None


class _Document(Struct):
    data: Raw = NULL


class _Block(Struct):
    type: str
    text: str | None = None
    thinking: str | None = None
    image_url: _ImageUrl | None = None
    document: _Document | None = None


class _Function(Struct):
    name: str
    arguments: str | None = None


class _Call(Struct):
    id: str
    function: _Function


class _Message(Struct):
    role: str
    content: str | list[_Block] | None = None
    tool_calls: list[_Call] | None = None
    tool_plan: str | None = None
    tool_call_id: str | None = None


class _ToolFunction(Struct):
    name: str
    description: str | None = None
    parameters: Raw = NULL


class _Tool(Struct):
    function: _ToolFunction
    type: str = "function"


class _Format(Struct):
    type: str
    json_schema: Raw = NULL


class _Thinking(Struct):
    type: str
    token_budget: int | None = None


class _Body(Struct):
    messages: list[_Message]
    tools: list[_Tool] | None = None
    strict_tools: bool | None = None
    tool_choice: str | None = None
    response_format: _Format | None = None
    max_tokens: int | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    k: int | None = None
    p: float | None = None
    thinking: _Thinking | None = None
    safety_mode: str | None = None
    stream: bool | None = None


_MAPPED: Final = frozenset((*_Body.__struct_fields__, "model"))
_HINTS: Final = frozenset(("citation_options", "priority"))
_NOT_ASKED: Final = frozenset((b"null", b"false", b"[]"))
_NAMES: Final = {"max_output_tokens": "max_tokens", "top_k": "k", "top_p": "p", "output_format": "response_format",
                 "stop": "stop_sequences"}  # fmt: skip

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Body).decode


def decode_request(fields: Mapping[str, Raw]) -> Request:
    """`fields` is the body's top level. Raises UnreadableRequest."""
    dropped: list[str] = []
    for name, raw in fields.items():
        if name in _MAPPED or bytes(raw) in _NOT_ASKED:
            continue
        if name not in _HINTS:
            raise unsupported_field(name, f"`{name}` cannot be honoured by the upstream of this model. Leave it out.")
        dropped.append(name)
    try:
        body = _decode(_encode({name: raw for name, raw in fields.items() if name in _MAPPED}))
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"The body is not a chat request: {error}.", field_of(error)) from error
    if body.safety_mode == "STRICT":
        raise unsupported_field("safety_mode", "`safety_mode`: the upstream of this model has no strict one.")
    items = [item for place, message in enumerate(body.messages) for item in _items(message, f"messages[{place}]")]
    check_tool_history(items, "messages")
    return Request(
        items=items,
        tools=[_tool(tool, place, strict=body.strict_tools) for place, tool in enumerate(body.tools or ())],
        tool_choice=_choice(body.tool_choice),
        max_output_tokens=body.max_tokens,
        temperature=body.temperature,
        top_p=body.p,
        top_k=body.k or None,
        stop=body.stop_sequences or [],
        seed=body.seed,
        frequency_penalty=body.frequency_penalty,
        presence_penalty=body.presence_penalty,
        output_format=_format(body.response_format),
        thinking=_thinking(body.thinking),
        stream=body.stream or False,
        dropped=dropped,
        names=dict(_NAMES),
    )


def _items(message: _Message, where: str) -> list[Item]:
    if message.role == "assistant":
        return _assistant(message, where)
    parts = [part for part in _parts(message.content, where) if not isinstance(part, Reasoning)]
    if message.role == "tool":
        if message.tool_call_id is None:
            raise bad_field(f"`{where}.tool_call_id` is missing: say which call this answers.", "messages")
        return [ToolResult(message.tool_call_id, parts)]
    if message.role not in ("system", "user"):
        raise bad_field(f"`{where}.role` is `{message.role}`: it can be system, user, assistant or tool.", "messages")
    return [Message(cast(Role, message.role), parts)]


def _assistant(message: _Message, where: str) -> list[Item]:
    """The plan of the tools' use is what it said before it called them."""
    items: list[Item] = []
    said: Message | None = None
    for part in _parts(message.content, where):
        if isinstance(part, Reasoning):
            items.append(part)
            said = None
        elif said is None:
            said = Message("assistant", [part])
            items.append(said)
        else:
            said.parts.append(part)
    if message.tool_plan:
        items.append(Message("assistant", [Text(message.tool_plan)]))
    for index, call in enumerate(message.tool_calls or ()):
        text = object_text(call.function.arguments, f"{where}.tool_calls[{index}].function.arguments")
        items.append(ToolCall(call.id, call.function.name, text))
    return items


def _parts(content: str | list[_Block] | None, where: str) -> list[Part | Reasoning]:
    if content is None or isinstance(content, str):
        return [Text(content)] if content else []
    return [_part(block, f"{where}.content[{index}]") for index, block in enumerate(content)]


def _part(block: _Block, where: str) -> Part | Reasoning:
    match block.type:
        case "text" if block.text is not None:
            return Text(block.text)
        case "thinking" if block.thinking is not None:
            return Reasoning(block.thinking, origin=ORIGIN)
        case "image_url" if block.image_url is not None:
            detail = block.image_url.detail or ""
            inline = split_data_url(block.image_url.url)
            if inline is None:
                return Image(url=block.image_url.url, detail=detail)
            return Image(data=inline[1], media_type=inline[0], detail=detail)
        case "document" if block.document is not None:
            return Text(bytes(block.document.data).decode())
        case _:
            raise bad_field(
                f"`{where}` of type `{block.type}` is not one of text, thinking, image_url, document, or lacks the member "
                "of that name.",
                "messages",
            )


def _tool(tool: _Tool, place: int, *, strict: bool | None) -> Tool:
    if tool.type != "function":
        raise unsupported_field("tools", f"`tools[{place}]` of type `{tool.type}`: use function tools.")
    function = tool.function
    return Tool(function.name, function.description or "", present(function.parameters), strict)


def _choice(choice: str | None) -> ToolChoice | None:
    if choice is None:
        return None
    if choice not in ("REQUIRED", "NONE"):
        raise bad_field(f"`tool_choice` is `{choice}`: it can be REQUIRED or NONE.", "tool_choice")
    return ToolChoice("required" if choice == "REQUIRED" else "none")


def _format(wanted: _Format | None) -> OutputFormat | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type != "json_object":
        raise bad_field("`response_format` must be of type text or json_object.", "response_format")
    schema = present(wanted.json_schema)
    return OutputFormat("json_object") if schema is None else OutputFormat("json_schema", schema=schema)


def _thinking(told: _Thinking | None) -> Thinking | None:
    if told is None:
        return None
    if told.type not in ("enabled", "disabled"):
        raise bad_field(f"`thinking.type` is `{told.type}`: it can be enabled or disabled.", "thinking")
    if told.type == "disabled":
        return Thinking(effort="none")
    return Thinking(budget_tokens=told.token_budget, adaptive=told.token_budget is None, show=True)
