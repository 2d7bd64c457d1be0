"""A client's chat completions request, to the hub.

Source: `openai.types.chat.completion_create_params` of the official SDK; `reasoning_details` as OpenRouter publishes them.
"""

from collections.abc import Mapping
from typing import Final, cast

import msgspec
from msgspec import Raw, Struct

from tidegate.dialects.canon import (
    Audio,
    CacheMark,
    Effort,
    File,
    Image,
    Item,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Request,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from tidegate.dialects.fields import NULL, bad_field, present, unsupported_field
from tidegate.dialects.history import check_tool_history, object_text
from tidegate.dialects.media import split_data_url


class _Breakpoint(Struct):
    ttl: str | None = None


class _ImageUrl(Struct):
    url: str
    detail: str | None = None


class _InputAudio(Struct):
    data: str
    format: str


class _FileData(Struct):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class _Part(Struct):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: _ImageUrl | None = None
    input_audio: _InputAudio | None = None
    file: _FileData | None = None
    prompt_cache_breakpoint: _Breakpoint | None = None


class _Function(Struct):
    name: str
    arguments: Raw = Raw(b"null")


class _Custom(Struct):
    name: str
    input: str = ""


class _GoogleExtra(Struct):
    thought_signature: str = ""


class _Extra(Struct):
    google: _GoogleExtra | None = None


class _Call(Struct):
    id: str
    type: str = "function"
    function: _Function | None = None
    custom: _Custom | None = None
    extra_content: _Extra | None = None


class _ReasoningDetail(Struct):
    type: str
    text: str | None = None
    summary: str | None = None
    signature: str | None = None
    data: str | None = None
    format: str | None = None
    id: str | None = None
    index: int | None = None


class _Message(Struct):
    role: str
    content: str | list[_Part] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[_ReasoningDetail] | None = None


class _FunctionTool(Struct):
    name: str
    description: str | None = None
    parameters: Raw = NULL
    strict: bool | None = None


class _CustomTool(Struct):
    name: str
    description: str | None = None
    format: Raw = NULL


class _Tool(Struct):
    type: str
    function: _FunctionTool | None = None
    custom: _CustomTool | None = None
    prompt_cache_breakpoint: _Breakpoint | None = None


class _Named(Struct):
    name: str


class _AllowedTool(Struct):
    type: str
    function: _Named | None = None
    custom: _Named | None = None


class _AllowedTools(Struct):
    mode: str
    tools: list[_AllowedTool]


class _Choice(Struct):
    type: str
    function: _Named | None = None
    custom: _Named | None = None
    allowed_tools: _AllowedTools | None = None


class _JsonSchema(Struct):
    name: str
    schema: Raw = NULL
    strict: bool | None = None
    description: str | None = None


class _Format(Struct):
    type: str
    json_schema: _JsonSchema | None = None


class _Body(Struct):
    messages: list[_Message]
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    n: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Raw = NULL
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: _Format | None = None
    verbosity: str | None = None
    reasoning_effort: Effort | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _Choice | None = None
    parallel_tool_calls: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    metadata: Raw = NULL
    prompt_cache_key: str | None = None
    stream: bool | None = None


_MAPPED: Final = frozenset((*_Body.__struct_fields__, "model", "stream_options"))
_HINTS: Final = frozenset(
    ("store", "prediction", "prompt_cache_options", "prompt_cache_retention", "include_reasoning")
)
"""They change neither the answer nor, by more than its cache's part, the price."""
_NAMES: Final = {"max_output_tokens": "max_completion_tokens", "output_format": "response_format"}
_NAMES_MORE: Final = {"thinking": "reasoning_effort", "user": "safety_identifier"}

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Body).decode


def decode_request(fields: Mapping[str, Raw]) -> Request:
    """`fields` is the body's top level. Raises UnreadableRequest, naming the field that the hub cannot carry."""
    dropped: list[str] = []
    for name, raw in fields.items():
        if name in _MAPPED or bytes(raw) == b"null":
            continue
        if name not in _HINTS:
            raise unsupported_field(name, f"`{name}` cannot be honoured by the upstream of this model. Leave it out.")
        dropped.append(name)
    try:
        body = _decode(_encode({name: raw for name, raw in fields.items() if name in _MAPPED}))
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"The body is not a chat completions request: {error}.", _field_of(error)) from error
    if body.n not in (None, 1):
        raise unsupported_field("n", "The upstream of this model gives one choice a call. Send `n` calls instead.")
    items = [item for place, message in enumerate(body.messages) for item in _items(message, place)]
    check_tool_history(items, "messages")
    return Request(
        items=items,
        tools=[_tool(tool, place) for place, tool in enumerate(body.tools or ())],
        tool_choice=_choice(body.tool_choice),
        parallel_tool_calls=body.parallel_tool_calls,
        max_output_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        stop=[body.stop] if isinstance(body.stop, str) else body.stop or [],
        seed=body.seed,
        frequency_penalty=body.frequency_penalty,
        presence_penalty=body.presence_penalty,
        logit_bias=present(body.logit_bias),
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        output_format=_format(body.response_format),
        verbosity=body.verbosity,
        thinking=None if body.reasoning_effort is None else Thinking(effort=body.reasoning_effort),
        service_tier=body.service_tier,
        user=body.safety_identifier or body.user,
        metadata=present(body.metadata),
        prompt_cache_key=body.prompt_cache_key,
        stream=body.stream or False,
        dropped=dropped,
        names=_NAMES | _NAMES_MORE,
    )


def _field_of(error: Exception) -> str | None:
    """The top-level field in msgspec's path (`... - at `$.messages[0].role``)."""
    _, found, path = str(error).rpartition("`$.")
    return path.rstrip("`").split(".")[0].split("[")[0] if found else None


def _items(message: _Message, place: int) -> list[Item]:
    where = f"messages[{place}]"
    parts = _parts(message.content, where)
    if message.role == "tool":
        if message.tool_call_id is None:
            raise bad_field(f"`{where}.tool_call_id` is missing: say which call this answers.", "messages")
        return [ToolResult(message.tool_call_id, parts, message.name or "")]
    if message.role not in ("system", "developer", "user", "assistant"):
        raise bad_field(
            f"`{where}.role` is `{message.role}`: it can be developer, system, user, assistant or tool.", "messages"
        )
    if message.role != "assistant":
        return [Message(cast(Role, message.role), parts, message.name or "")]
    if message.refusal:
        parts.append(Refusal(message.refusal))
    items: list[Item] = [*_reasoning(message)]
    if parts:
        items.append(Message("assistant", parts, message.name or ""))
    return items + [_call(call, f"{where}.tool_calls[{index}]") for index, call in enumerate(message.tool_calls or ())]


def _reasoning(message: _Message) -> list[Reasoning]:
    """Details of one index are one thought: a client that collected them from a stream has it in pieces."""
    if message.reasoning_details is None:
        text = message.reasoning or message.reasoning_content
        return [Reasoning(text)] if text else []
    thoughts: dict[int, Reasoning] = {}
    for place, one in enumerate(message.reasoning_details):
        index = place if one.index is None else one.index
        thought = thoughts.setdefault(index, Reasoning(origin=one.format or ""))
        thought.text += one.text or one.summary or ""
        thought.signature += one.signature or ""
        thought.encrypted += one.data or ""
        thought.summary = thought.summary or one.type == "reasoning.summary"
        thought.id = thought.id or one.id or ""
    return list(thoughts.values())


def _call(call: _Call, where: str) -> ToolCall:
    if call.custom is not None:
        return ToolCall(call.id, call.custom.name, call.custom.input, custom=True)
    if call.function is None:
        raise bad_field(f"`{where}.function` is missing: name the function that was called.", "messages")
    raw = bytes(call.function.arguments)
    text = msgspec.json.decode(raw, type=str) if raw.startswith(b'"') else raw.decode()
    google = call.extra_content.google if call.extra_content is not None else None
    signature = "" if google is None else google.thought_signature
    name = call.function.name
    return ToolCall(call.id, name, object_text(text, f"{where}.function.arguments"), signature=signature)


def _parts(content: str | list[_Part] | None, where: str) -> list[Part]:
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content)] if content else []
    return [_part(part, f"{where}.content[{index}]") for index, part in enumerate(content)]


def _part(part: _Part, where: str) -> Part:
    mark = part.prompt_cache_breakpoint
    cache = None if mark is None else CacheMark(mark.ttl or "")
    match part.type:
        case "text" if part.text is not None:
            return Text(part.text, cache)
        case "refusal" if part.refusal is not None:
            return Refusal(part.refusal)
        case "image_url" if part.image_url is not None:
            inline = split_data_url(part.image_url.url)
            detail = part.image_url.detail or ""
            if inline is None:
                return Image(url=part.image_url.url, detail=detail, cache=cache)
            return Image(data=inline[1], media_type=inline[0], detail=detail, cache=cache)
        case "input_audio" if part.input_audio is not None:
            return Audio(part.input_audio.data, part.input_audio.format)
        case "file" if part.file is not None:
            return _file(part.file, cache, where)
        case _:
            raise bad_field(
                f"`{where}` of type `{part.type}` is not one of text, image_url, input_audio, file, refusal, or lacks "
                "the member of that name.",
                "messages",
            )


def _file(file: _FileData, cache: CacheMark | None, where: str) -> File:
    name = file.filename or ""
    if file.file_id is not None:
        return File(file_id=file.file_id, name=name, cache=cache)
    inline = split_data_url(file.file_data or "")
    if inline is None:
        raise bad_field(f"`{where}.file.file_data` must be a base64 `data:` URL, or give a `file_id`.", "messages")
    return File(data=inline[1], media_type=inline[0], name=name, cache=cache)


def _tool(tool: _Tool, place: int) -> Tool:
    mark = tool.prompt_cache_breakpoint
    cache = None if mark is None else CacheMark(mark.ttl or "")
    if tool.type == "custom" and tool.custom is not None:
        if present(tool.custom.format) is not None:
            raise unsupported_field("tools", f"`tools[{place}].custom.format`: the upstream knows no grammars.")
        return Tool(tool.custom.name, tool.custom.description or "", custom=True, cache=cache)
    if tool.type != "function" or tool.function is None:
        raise unsupported_field(
            "tools", f"`tools[{place}]` of type `{tool.type}` cannot be honoured by the upstream: use function tools."
        )
    function = tool.function
    return Tool(function.name, function.description or "", present(function.parameters), function.strict, cache=cache)


def _choice(choice: str | _Choice | None) -> ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            raise bad_field(
                f"`tool_choice` is `{choice}`: it can be auto, none, required, or an object.", "tool_choice"
            )
        return ToolChoice(choice)
    if choice.allowed_tools is not None:
        names = [named.name for one in choice.allowed_tools.tools if (named := one.function or one.custom) is not None]
        return ToolChoice("required" if choice.allowed_tools.mode == "required" else "auto", names)
    named = choice.function or choice.custom
    if named is None:
        raise bad_field("`tool_choice` names no tool: write `function: {name: ...}`.", "tool_choice")
    return ToolChoice("tool", [named.name])


def _format(wanted: _Format | None) -> OutputFormat | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return OutputFormat("json_object")
    if wanted.type != "json_schema" or wanted.json_schema is None:
        raise bad_field(
            "`response_format` must be of type text, json_object, or json_schema with its schema.", "response_format"
        )
    schema = wanted.json_schema
    return OutputFormat("json_schema", schema.name, present(schema.schema), schema.strict, schema.description or "")
