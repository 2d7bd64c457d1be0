"""A client's messages request, to the hub.

Source: `anthropic.types.message_create_params` and `anthropic.types.beta.message_create_params` of the official SDK.
"""

from collections.abc import Mapping
from typing import Final, cast

import msgspec
from msgspec import Raw, Struct

from tidegate.dialects.anthropic.blocks_in import (
    Block,
    CacheControl,
    MessageObject,
    cache_mark,
    message_items,
    system_items,
)
from tidegate.dialects.canon import (
    CacheMark,
    Effort,
    File,
    Image,
    Item,
    Message,
    OutputFormat,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from tidegate.dialects.fields import NULL, bad_field, present, unsupported_field
from tidegate.dialects.history import check_tool_history


class _Tool(Struct):
    name: str | None = None
    type: str | None = None
    description: str | None = None
    input_schema: Raw = NULL
    strict: bool | None = None
    cache_control: CacheControl | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    input_examples: Raw = NULL
    allowed_callers: list[str] | None = None


class _Choice(Struct):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Thinking(Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _Format(Struct):
    type: str
    schema: Raw = NULL


class _OutputConfig(Struct):
    effort: Effort | None = None
    format: _Format | None = None
    task_budget: Raw = NULL


class _Metadata(Struct):
    user_id: str | None = None


class _Body(Struct):
    messages: list[MessageObject]
    max_tokens: int | None = None
    system: str | list[Block] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _Choice | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None
    """Where older clients write `output_config.format`."""
    metadata: _Metadata | None = None
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None
    cache_control: CacheControl | None = None
    stream: bool | None = None


_MAPPED: Final = frozenset((*_Body.__struct_fields__, "model"))
_HINTS: Final = frozenset(("context_management", "diagnostics", "fallbacks", "fallback_credit_token"))
"""Claude Code sends the first two with every call: what Anthropic clears from old turns, and what it tells of its cache.
The others are about refusals of Anthropic's own models."""
_HARMLESS: Final[Mapping[str, frozenset[bytes]]] = {"mcp_servers": frozenset((b"[]",))}
_TIERS: Final = {"auto": "auto", "standard_only": "default"}
_ANYWHERE: Final = frozenset(("global", "not_available"))
_NAMES: Final = {"max_output_tokens": "max_tokens", "output_format": "output_config", "stop": "stop_sequences"}
_NAMES_MORE: Final = {
    "user": "metadata",
    "parallel_tool_calls": "tool_choice",
    "prompt_cache_breakpoint": "cache_control",
}

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Body).decode


def decode_request(fields: Mapping[str, Raw]) -> Request:
    """`fields` is the body's top level. Raises UnreadableRequest, naming the field that the hub cannot carry."""
    dropped: list[str] = []
    for name, raw in fields.items():
        if name in _MAPPED or bytes(raw) == b"null" or bytes(raw) in _HARMLESS.get(name, ()):
            continue
        if name not in _HINTS:
            raise unsupported_field(name, f"`{name}` cannot be honoured by the upstream of this model. Leave it out.")
        dropped.append(name)
    try:
        body = _decode(_encode({name: raw for name, raw in fields.items() if name in _MAPPED}))
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"The body is not a messages request: {error}.", _field_of(error)) from error
    _check_place_and_price(body)
    items = system_items(body.system)
    for place, message in enumerate(body.messages):
        items += message_items(message, place)
    check_tool_history(items, "messages")
    _mark_end(items, cache_mark(body.cache_control))
    if body.output_config is not None and present(body.output_config.task_budget) is not None:
        dropped.append("output_config.task_budget")
    choice = body.tool_choice
    return Request(
        items=items,
        tools=[_tool(tool, place, dropped) for place, tool in enumerate(body.tools or ())],
        tool_choice=_choice(choice),
        parallel_tool_calls=False if choice is not None and choice.disable_parallel_tool_use else None,
        max_output_tokens=_max_tokens(body.max_tokens),
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        stop=body.stop_sequences or [],
        output_format=_format(body.output_format or (body.output_config and body.output_config.format)),
        thinking=_thinking(body.thinking, body.output_config),
        service_tier=None if body.service_tier is None else _TIERS[body.service_tier],
        user=None if body.metadata is None else body.metadata.user_id,
        stream=body.stream or False,
        dropped=dropped,
        names=_NAMES | _NAMES_MORE,
    )


def _field_of(error: Exception) -> str | None:
    """The top-level field in msgspec's path (`... - at `$.messages[0].role``)."""
    _, found, path = str(error).rpartition("`$.")
    return path.rstrip("`").split(".")[0].split("[")[0] if found else None


def _max_tokens(bound: int | None) -> int | None:
    if bound == 0:
        raise unsupported_field("max_tokens", "`max_tokens: 0` warms Anthropic's cache: no other upstream has that.")
    return bound


def _check_place_and_price(body: _Body) -> None:
    """A call that must be computed in one place, or at another price, is not served as if it had not said so."""
    if body.speed not in (None, "standard"):
        raise unsupported_field("speed", f"`speed: {body.speed}` has no equal at the upstream of this model.")
    if body.inference_geo is not None and body.inference_geo not in _ANYWHERE:
        raise unsupported_field(
            "inference_geo", "`inference_geo` cannot be promised by the upstream of this model. Leave it out."
        )
    if body.service_tier is not None and body.service_tier not in _TIERS:
        raise bad_field(f"`service_tier` is `{body.service_tier}`: it can be auto or standard_only.", "service_tier")


def _mark_end(items: list[Item], mark: CacheMark | None) -> None:
    """The request's own `cache_control` marks the last block that can be marked."""
    if mark is None:
        return
    for item in reversed(items):
        if isinstance(item, ToolCall | ToolResult):
            item.cache = item.cache or mark
            return
        if isinstance(item, Message):
            last = item.parts[-1] if item.parts else None
            if isinstance(last, Text | Image | File):
                last.cache = last.cache or mark
                return


def _tool(tool: _Tool, place: int, dropped: list[str]) -> Tool:
    if tool.type not in (None, "custom"):
        raise unsupported_field(
            "tools",
            f"`tools[{place}]` of type `{tool.type}` cannot be honoured by the upstream: use tools of your own.",
        )
    if not tool.name:
        raise bad_field(f"`tools[{place}].name` is missing: name the tool.", "tools")
    if tool.allowed_callers is not None and "direct" not in tool.allowed_callers:
        raise unsupported_field("tools", f"`tools[{place}].allowed_callers`: the upstream calls tools directly alone.")
    hints = {
        "defer_loading": tool.defer_loading,
        "eager_input_streaming": tool.eager_input_streaming,
        "input_examples": present(tool.input_examples),
    }
    dropped += [f"tools.{name}" for name, value in hints.items() if value]
    return Tool(
        tool.name,
        tool.description or "",
        present(tool.input_schema),
        tool.strict,
        cache=cache_mark(tool.cache_control),
    )


def _choice(choice: _Choice | None) -> ToolChoice | None:
    match choice:
        case None:
            return None
        case _Choice(type="auto"):
            return ToolChoice("auto")
        case _Choice(type="none"):
            return ToolChoice("none")
        case _Choice(type="any"):
            return ToolChoice("required")
        case _Choice(type="tool", name=str(name)):
            return ToolChoice("tool", [name])
        case _:
            raise bad_field(
                f"`tool_choice` of type `{choice.type}` is not one of auto, any, none, or tool with a name.",
                "tool_choice",
            )


def _format(wanted: _Format | None) -> OutputFormat | None:
    if wanted is None:
        return None
    schema = present(wanted.schema)
    if wanted.type != "json_schema" or schema is None:
        raise bad_field("`output_config.format` must be of type json_schema, with a schema.", "output_config")
    # Anthropic holds every answer to its schema; others do so in strict mode, which takes fewer schemas than Anthropic.
    strict = _all_required(msgspec.json.decode(schema)) or None
    return OutputFormat("json_schema", schema=schema, strict=strict)


def _all_required(schema: object) -> bool:
    """Whether every object in it needs all of its properties and takes no others."""
    if isinstance(schema, list):
        return all(_all_required(one) for one in cast(list[object], schema))
    if not isinstance(schema, dict):
        return True
    members = cast(dict[str, object], schema)
    properties = members.get("properties")
    if isinstance(properties, dict):
        required = members.get("required")
        named = set(cast(list[str], required)) if isinstance(required, list) else set[str]()
        if named != set(cast(dict[str, object], properties)) or members.get("additionalProperties") is not False:
            return False
    return all(_all_required(one) for one in members.values())


def _thinking(wanted: _Thinking | None, config: _OutputConfig | None) -> Thinking | None:
    effort = None if config is None else config.effort
    if wanted is None:
        return None if effort is None else Thinking(effort=effort)
    show = None if wanted.display is None else wanted.display != "omitted"
    match wanted.type:
        case "disabled":
            return Thinking(effort="none")
        case "enabled" if wanted.budget_tokens is not None:
            return Thinking(effort=effort, budget_tokens=wanted.budget_tokens, show=show)
        case "adaptive" | "between_tools":
            return Thinking(effort=effort, adaptive=True, show=show)
        case _:
            raise bad_field(
                f"`thinking` of type `{wanted.type}` is not one of adaptive, between_tools, disabled, or enabled with "
                "`budget_tokens`.",
                "thinking",
            )
