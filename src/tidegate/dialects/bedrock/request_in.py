"""A client's Converse request, to the hub.

Source: `ConverseRequest` of botocore's model of bedrock-runtime.
"""

from collections.abc import Mapping
from typing import Final, get_args

import msgspec
from msgspec import Raw, Struct

from tidegate.core.view import View
from tidegate.dialects.bedrock.blocks import Block, CachePoint
from tidegate.dialects.bedrock.content_in import Message, read_message, system_message
from tidegate.dialects.canon import CacheMark, Effort, OutputFormat, Request, Thinking, Tool, ToolChoice
from tidegate.dialects.fields import NULL, bad_field, present, unsupported_field
from tidegate.dialects.history import check_tool_history


class _Inference(Struct, rename="camel"):
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: list[str] | None = None


class _Schema(Struct):
    json: Raw = NULL


class _ToolSpec(Struct, rename="camel"):
    name: str
    input_schema: _Schema
    description: str | None = None
    strict: bool | None = None


class _Tool(Struct, rename="camel"):
    tool_spec: _ToolSpec | None = None
    system_tool: Raw = NULL
    cache_point: CachePoint | None = None


class _Named(Struct):
    name: str


class _Choice(Struct):
    auto: Raw = NULL
    any: Raw = NULL
    tool: _Named | None = None


class _ToolConfig(Struct, rename="camel"):
    tools: list[_Tool]
    tool_choice: _Choice | None = None


class _JsonSchema(Struct):
    schema: str
    name: str | None = None
    description: str | None = None


class _Structure(Struct, rename="camel"):
    json_schema: _JsonSchema


class _TextFormat(Struct):
    type: str
    structure: _Structure


class _OutputConfig(Struct, rename="camel"):
    text_format: _TextFormat | None = None
    effort: str | None = None


class _Tier(Struct):
    type: str


class _Performance(Struct):
    latency: str | None = None


class _Thinking(Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _ClaudeChoice(Struct):
    type: str = "auto"
    disable_parallel_tool_use: bool = False


class _Additional(Struct, forbid_unknown_fields=True):
    """The model's own fields that the hub can carry: Claude's for the most part."""

    thinking: _Thinking | None = None
    reasoning_config: _Thinking | None = None
    reasoning_effort: Effort | None = None
    top_k: int | None = None
    tool_choice: _ClaudeChoice | None = None


class _Body(Struct, rename="camel"):
    messages: list[Message]
    system: list[Block] | None = None
    inference_config: _Inference | None = None
    tool_config: _ToolConfig | None = None
    additional_model_request_fields: _Additional | None = None
    request_metadata: dict[str, str] | None = None
    performance_config: _Performance | None = None
    service_tier: _Tier | None = None
    output_config: _OutputConfig | None = None


_MAPPED: Final = frozenset(_Body.__struct_encode_fields__)
_EMPTY: Final = (b"null", b"{}", b"[]")
_EFFORTS: Final = frozenset(get_args(Effort))
_NAMES: Final = {
    "max_output_tokens": "inferenceConfig.maxTokens",
    "temperature": "inferenceConfig.temperature",
    "top_p": "inferenceConfig.topP",
    "top_k": "additionalModelRequestFields.top_k",
    "stop": "inferenceConfig.stopSequences",
    "tools": "toolConfig.tools",
    "tool_choice": "toolConfig.toolChoice",
    "parallel_tool_calls": "additionalModelRequestFields.tool_choice",
    "output_format": "outputConfig.textFormat",
    "thinking": "additionalModelRequestFields.thinking",
    "service_tier": "serviceTier",
    "metadata": "requestMetadata",
    "prompt_cache_breakpoint": "cachePoint",
    "is_error": "toolResult.status",
}

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Body).decode


def decode_request(view: View) -> Request:
    """Raises UnreadableRequest, naming the field that the hub cannot carry."""
    body = _read(view.fields)
    dropped: list[str] = []
    items = [] if body.system is None else system_message(body.system, "system", dropped)
    for place, message in enumerate(body.messages):
        items += read_message(message, f"messages[{place}]", items, dropped)
    check_tool_history(items, "messages")
    inference = body.inference_config or _Inference()
    additional = body.additional_model_request_fields or _Additional()
    output = body.output_config or _OutputConfig()
    tools = body.tool_config
    parallel = None
    if additional.tool_choice is not None and additional.tool_choice.disable_parallel_tool_use:
        parallel = False
    if body.performance_config is not None and body.performance_config.latency not in (None, "standard"):
        raise unsupported_field("performanceConfig", "The upstream of this model has no `performanceConfig`.")
    return Request(
        items=items,
        tools=[] if tools is None else _tools(tools.tools, dropped),
        tool_choice=None if tools is None else _choice(tools.tool_choice),
        parallel_tool_calls=parallel,
        max_output_tokens=inference.max_tokens,
        temperature=inference.temperature,
        top_p=inference.top_p,
        top_k=additional.top_k,
        stop=inference.stop_sequences or [],
        output_format=None if output.text_format is None else _format(output.text_format),
        thinking=_thinking(additional, output.effort),
        service_tier=None if body.service_tier is None else body.service_tier.type,
        metadata=None if not body.request_metadata else Raw(_encode(body.request_metadata)),
        stream=view.stream,
        dropped=list(dict.fromkeys(dropped)),
        names=dict(_NAMES),
    )


def _read(fields: Mapping[str, Raw]) -> _Body:
    for name, raw in fields.items():
        if name not in _MAPPED and bytes(raw) not in _EMPTY:
            raise unsupported_field(name, f"`{name}` cannot be honoured by the upstream of this model. Leave it out.")
    mapped = {name: raw for name, raw in fields.items() if name in _MAPPED}
    try:
        return _decode(_encode(mapped))
    except (msgspec.DecodeError, RecursionError) as error:
        field = _field_of(error)
        if field == "additionalModelRequestFields" and "unknown field" in str(error):
            message = f"`{field}`: the upstream of this model cannot be given a field that only Bedrock has: {error}."
            raise unsupported_field(field, message) from error
        raise bad_field(f"The body is not a Converse request: {error}.", field) from error


def _field_of(error: Exception) -> str | None:
    """The top-level field in msgspec's path (`... - at `$.messages[0].role``)."""
    _, found, path = str(error).rpartition("`$.")
    return path.rstrip("`").split(".")[0].split("[")[0] if found else None


def _tools(written: list[_Tool], dropped: list[str]) -> list[Tool]:
    tools: list[Tool] = []
    for place, one in enumerate(written):
        if one.cache_point is not None:
            if tools:
                tools[-1].cache = CacheMark(one.cache_point.ttl or "")
            else:
                dropped.append("cachePoint")
        elif one.tool_spec is not None:
            spec = one.tool_spec
            tools.append(Tool(spec.name, spec.description or "", present(spec.input_schema.json), spec.strict))
        elif present(one.system_tool) is not None:
            message = f"`toolConfig.tools[{place}]`: the upstream of this model has no system tools."
            raise unsupported_field("toolConfig", message)
        else:
            message = f"`toolConfig.tools[{place}]` must have one of `toolSpec`, `systemTool`, `cachePoint`."
            raise bad_field(message, "toolConfig")
    return tools


def _choice(choice: _Choice | None) -> ToolChoice | None:
    if choice is None:
        return None
    if choice.tool is not None:
        return ToolChoice("tool", [choice.tool.name])
    if present(choice.any) is not None:
        return ToolChoice("required")
    if present(choice.auto) is not None:
        return ToolChoice("auto")
    raise bad_field("`toolConfig.toolChoice` must have one of `auto`, `any`, `tool`.", "toolConfig")


def _format(wanted: _TextFormat) -> OutputFormat:
    """The schema is the text of one."""
    schema = wanted.structure.json_schema
    try:
        parsed = msgspec.json.decode(schema.schema)
    except (msgspec.DecodeError, RecursionError):
        parsed = None
    if wanted.type != "json_schema" or not isinstance(parsed, dict):
        message = "`outputConfig.textFormat` must be of type json_schema, and its schema the text of a JSON object."
        raise bad_field(message, "outputConfig")
    return OutputFormat("json_schema", schema.name or "", Raw(schema.schema.encode()), None, schema.description or "")


def _thinking(additional: _Additional, effort: str | None) -> Thinking | None:
    wanted = additional.thinking or additional.reasoning_config
    guided = _effort(effort) or additional.reasoning_effort
    if wanted is None:
        return None if guided is None else Thinking(effort=guided)
    show = None if wanted.display is None else wanted.display != "omitted"
    if wanted.type == "disabled":
        return Thinking(effort="none")
    if wanted.type == "enabled" and wanted.budget_tokens is not None:
        return Thinking(guided, wanted.budget_tokens, show=show)
    if wanted.type == "adaptive":
        return Thinking(guided, adaptive=True, show=show)
    message = (
        "`additionalModelRequestFields.thinking` must be of type adaptive, disabled, or enabled with budget_tokens."
    )
    raise bad_field(message, "additionalModelRequestFields")


def _effort(text: str | None) -> Effort | None:
    if not text:
        return None
    if text not in _EFFORTS:
        raise bad_field(f"`outputConfig.effort` is `{text}`: it can be low, medium, high, xhigh, max.", "outputConfig")
    return msgspec.convert(text, Effort)
