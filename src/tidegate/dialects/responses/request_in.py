"""A client's Responses request, to the hub.

Source: `openai.types.responses.response_create_params` of the official SDK.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.dialects.canon import (
    CacheMark,
    Effort,
    Grammar,
    Item,
    Message,
    OutputFormat,
    Request,
    Text,
    Thinking,
    Tool,
    ToolChoice,
)
from tidegate.dialects.fields import NULL, bad_field, present, unsupported_field
from tidegate.dialects.responses.additional_tools import offered_tools
from tidegate.dialects.responses.items_in import read_input
from tidegate.dialects.responses.namespaces import flat_name


class _Breakpoint(Struct):
    ttl: str | None = None


class _ToolFormat(Struct):
    type: str = "text"
    syntax: str = ""
    definition: str = ""


class _Tool(Struct):
    type: str
    name: str | None = None
    description: str | None = None
    parameters: Raw = NULL
    strict: bool | None = None
    format: _ToolFormat | None = None
    prompt_cache_breakpoint: _Breakpoint | None = None
    tools: list["_Tool"] | None = None
    """Of a namespace."""


class _Named(Struct):
    type: str = ""
    name: str | None = None


class _Choice(Struct):
    type: str
    name: str | None = None
    mode: str | None = None
    tools: list[_Named] | None = None


class _Reasoning(Struct):
    effort: Effort | None = None
    summary: str | None = None
    generate_summary: str | None = None
    mode: str | None = None
    context: str | None = None


class _Format(Struct):
    type: str
    name: str | None = None
    schema: Raw = NULL
    strict: bool | None = None
    description: str | None = None


class _TextConfig(Struct):
    format: _Format | None = None
    verbosity: str | None = None


class _Body(Struct):
    input: Raw = NULL
    instructions: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    text: _TextConfig | None = None
    reasoning: _Reasoning | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _Choice | None = None
    parallel_tool_calls: bool | None = None
    include: list[str] | None = None
    truncation: str | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    metadata: Raw = NULL
    prompt_cache_key: str | None = None
    store: bool | None = None
    stream: bool | None = None


_MAPPED: Final = frozenset((*_Body.__struct_fields__, "model", "stream_options", "background"))
_HINTS: Final = frozenset(
    ("client_metadata", "max_tool_calls", "image", "prompt_cache_options", "prompt_cache_retention")
)
"""They change neither the answer nor, by more than its cache's part, the price (`max_tool_calls` bounds hosted tools)."""
_STATEFUL: Final = frozenset(("previous_response_id", "conversation", "prompt"))
_NAMES: Final = {
    "items": "input",
    "messages": "input",
    "output_format": "text",
    "verbosity": "text",
    "thinking": "reasoning",
}

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Body).decode


def decode_request(fields: Mapping[str, Raw]) -> Request:
    """`fields` is the body's top level. Raises UnreadableRequest, naming the field that the hub cannot carry."""
    if bytes(fields.get("background", b"")) == b"true":
        message = "`background` cannot be honoured by the upstream of this model. Stream the answer instead."
        raise unsupported_field("background", message)
    dropped: list[str] = []
    for name, raw in fields.items():
        if name in _MAPPED or present(raw) is None:
            continue
        if name in _STATEFUL:
            message = (
                f"`{name}`: the gateway keeps nothing of this name (any more), and the upstream of this model keeps no "
                "state. Send the whole conversation as `input`."
            )
            raise unsupported_field(name, message)
        if name not in _HINTS:
            raise unsupported_field(name, f"`{name}` cannot be honoured by the upstream of this model. Leave it out.")
        dropped.append(name)
    try:
        mapped = {name: raw for name, raw in fields.items() if name in _MAPPED}
        tools = offered_tools(fields)
        body = _decode(_encode(mapped if tools is None else {**mapped, "tools": tools}))
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"The body is not a Responses request: {error}.", _field_of(error)) from error
    _check_include(body.include or [])
    if body.truncation == "auto":
        dropped.append("truncation")
    user = body.safety_identifier or body.user
    tools, choice = _tools(body.tools or [], dropped), _choice(body.tool_choice)
    if choice is not None and choice.mode == "required" and not tools:
        message = (
            "`tool_choice` is required, and the upstream of this model has none of the tools. Offer a function tool."
        )
        raise unsupported_field("tool_choice", message)
    return Request(
        items=_items(body),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=body.parallel_tool_calls,
        max_output_tokens=body.max_output_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        frequency_penalty=body.frequency_penalty,
        presence_penalty=body.presence_penalty,
        output_format=_format(body.text),
        verbosity=None if body.text is None else body.text.verbosity,
        thinking=_thinking(body.reasoning, dropped),
        service_tier=body.service_tier,
        user=user,
        metadata=present(body.metadata),
        prompt_cache_key=body.prompt_cache_key,
        stream=body.stream or False,
        dropped=dropped,
        names=_NAMES | {"user": "safety_identifier" if body.safety_identifier else "user"},
    )


def _field_of(error: Exception) -> str | None:
    """The top-level field in msgspec's path (`... - at `$.text.format``)."""
    _, found, path = str(error).rpartition("`$.")
    return path.rstrip("`").split(".")[0].split("[")[0] if found else None


def _items(body: _Body) -> list[Item]:
    if present(body.input) is None:
        raise bad_field("`input` is missing: add it to the request body.", "input")
    try:
        items = read_input(body.input)
    except RecursionError as error:
        raise bad_field("`input` is nested too deeply.", "input") from error
    return [Message("system", [Text(body.instructions)]), *items] if body.instructions else items


def _check_include(include: list[str]) -> None:
    """What belongs to hosted tools never comes anyway."""
    if "message.output_text.logprobs" in include:
        message = "`include`: the upstream of this model gives no log probabilities in Responses. Leave them out."
        raise unsupported_field("include", message)


def _thinking(wanted: _Reasoning | None, dropped: list[str]) -> Thinking | None:
    if wanted is None:
        return None
    if wanted.mode not in (None, "standard"):
        message = f"`reasoning.mode` `{wanted.mode[:40]}` cannot be honoured by the upstream of this model."
        raise unsupported_field("reasoning", message)
    if wanted.context not in (None, "auto"):
        dropped.append("reasoning.context")
    summary = wanted.summary or wanted.generate_summary or ""
    if wanted.effort is None and not summary:
        return None
    return Thinking(wanted.effort, show=True if summary else None, summary=summary)


def _format(text: _TextConfig | None) -> OutputFormat | None:
    wanted = None if text is None else text.format
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return OutputFormat("json_object")
    if wanted.type != "json_schema" or wanted.name is None or present(wanted.schema) is None:
        raise bad_field(
            "`text.format` must be of type text, json_object, or json_schema with `name` and `schema`.", "text"
        )
    return OutputFormat("json_schema", wanted.name, wanted.schema, wanted.strict, wanted.description or "")


# Tools.


_OFFERED: Final = frozenset(("web_search", "web_search_preview", "image_generation"))
"""Hosted tools that Codex offers by default and never relies upon: where the upstream has none, the model does without, and
`x-tidegate-dropped` says so. A `tool_choice` that asks for one is refused, and so is every other hosted tool."""


def _tools(told: list[_Tool], dropped: list[str]) -> list[Tool]:
    """Those in namespaces get the namespace into their name."""
    tools: list[Tool] = []
    for place, tool in enumerate(told):
        where = f"tools[{place}]"
        if tool.type in _OFFERED:
            dropped.append(f"tools.{tool.type}")
            continue
        if tool.type != "namespace":
            tools.append(_tool(tool, where))
            continue
        for inner_place, inner in enumerate(tool.tools or ()):
            found = _tool(inner, f"{where}.tools[{inner_place}]")
            found.name = flat_name(tool.name, found.name)
            tools.append(found)
    return tools


def _tool(tool: _Tool, where: str) -> Tool:
    if tool.type not in ("function", "custom"):
        message = f"`{where}` of type `{tool.type[:40]}` cannot be honoured by the upstream: use function tools."
        raise unsupported_field("tools", message)
    if not tool.name:
        raise bad_field(f"`{where}.name` is missing: name the tool.", "tools")
    mark = tool.prompt_cache_breakpoint
    cache = None if mark is None else CacheMark(mark.ttl or "")
    if tool.type == "function":
        return Tool(tool.name, tool.description or "", present(tool.parameters), tool.strict, cache=cache)
    return Tool(tool.name, tool.description or "", custom=True, grammar=_grammar(tool.format, where), cache=cache)


def _grammar(wanted: _ToolFormat | None, where: str) -> Grammar | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type != "grammar" or not wanted.syntax or not wanted.definition:
        raise bad_field(f"`{where}.format` must be text, or a grammar with `syntax` and `definition`.", "tools")
    return Grammar(wanted.syntax, wanted.definition)


def _choice(choice: str | _Choice | None) -> ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            raise bad_field("`tool_choice` can be auto, none, required, or an object.", "tool_choice")
        return ToolChoice(choice)
    if choice.type == "allowed_tools":
        names = [_name(one.type, one.name) for one in choice.tools or ()]
        if not names:
            raise bad_field("`tool_choice.tools` is empty: name the tools that are allowed.", "tool_choice")
        return ToolChoice("required" if choice.mode == "required" else "auto", names)
    return ToolChoice("tool", [_name(choice.type, choice.name)])


def _name(kind: str, name: str | None) -> str:
    if kind not in ("function", "custom"):
        message = f"`tool_choice` of type `{kind[:40]}` cannot be honoured by the upstream of this model."
        raise unsupported_field("tool_choice", message)
    if not name:
        raise bad_field("`tool_choice` names no tool: write `name`.", "tool_choice")
    return name
