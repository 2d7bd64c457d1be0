"""A client's generateContent request, to the hub.

Safety settings are Gemini's alone. Those that ask for no filter ask for what every other provider does, and are dropped as
a hint; any other is refused, for an answer that should have been blocked would not be.

Source: `google.genai.types.GenerateContentConfig`, `Tool`, `ToolConfig` and `ThinkingConfig` of the official SDK.
"""

from typing import Final

from tidegate.core.view import View
from tidegate.dialects.canon import Effort, Item, Message, OutputFormat, Request, Thinking, Tool, ToolChoice
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.fields import bad_field, unsupported_field
from tidegate.dialects.gemini.chat_history_in import read_contents, system_parts
from tidegate.dialects.gemini.members import Members
from tidegate.dialects.gemini.schemas import to_json_schema

_READ: Final = frozenset(
    (
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "safetySettings",
        "serviceTier",
        "model",
    )
)
_HINTS: Final = frozenset(("store", "labels"))
_CONFIG: Final = frozenset(
    (
        *("temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "presencePenalty"),
        *("frequencyPenalty", "seed", "responseMimeType", "responseSchema", "responseJsonSchema"),
        *("responseModalities", "thinkingConfig", "responseLogprobs", "logprobs"),
    )
)
_CONFIG_HINTS: Final = frozenset(("mediaResolution", "enableEnhancedCivicAnswers"))
_NAMES: Final = {
    "items": "contents",
    "messages": "contents",
    "max_output_tokens": "maxOutputTokens",
    "top_p": "topP",
    "top_k": "topK",
    "stop": "stopSequences",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "output_format": "responseSchema",
    "thinking": "thinkingConfig",
    "service_tier": "serviceTier",
    "tool_choice": "toolConfig",
    "is_error": "functionResponse.response",
}
_NO_FILTER: Final = frozenset(("BLOCK_NONE", "OFF", "HARM_BLOCK_THRESHOLD_UNSPECIFIED"))
_TIERS: Final = {"flex": "flex", "standard": "default", "priority": "priority"}
_EFFORTS: Final[dict[str, Effort]] = {
    "MINIMAL": "minimal",
    "LOW": "low",
    "MEDIUM": "medium",
    "HIGH": "high",
    "XHIGH": "xhigh",
}


def decode_request(view: View) -> Request:
    """Raises UnreadableRequest, naming the field that the hub cannot carry."""
    body = Members(view.fields)
    dropped: list[str] = []
    for name in body.names():
        if name in _HINTS:
            dropped.append(body.path(name))
        elif name not in _READ:
            raise _refused(body, name)
    items: list[Item] = []
    instruction = body.object("systemInstruction")
    if instruction is not None:
        items.append(Message("system", system_parts(instruction)))
    items += read_contents(body.objects("contents"))
    request = Request(items=items, stream=view.stream, dropped=dropped, names=dict(_NAMES))
    _safety(body, dropped)
    _tier(body, request)
    for tool in body.objects("tools"):
        request.tools += _tools(tool, dropped)
    config = body.object("toolConfig")
    if config is not None:
        request.tool_choice = _choice(config, dropped)
    generation = body.object("generationConfig")
    if generation is not None:
        _generation(generation, request)
    return request


def _refused(members: Members, name: str) -> UnreadableRequest:
    where = members.path(name)
    return unsupported_field(where, f"`{where}` cannot be honoured by the upstream of this model. Leave it out.")


def _safety(body: Members, dropped: list[str]) -> None:
    settings = body.objects("safetySettings")
    for setting in settings:
        if (setting.string("threshold") or "HARM_BLOCK_THRESHOLD_UNSPECIFIED").upper() not in _NO_FILTER:
            raise _refused(setting, "threshold")
    if settings:
        dropped.append(body.path("safetySettings"))


def _tier(body: Members, request: Request) -> None:
    tier = (body.string("serviceTier") or "").lower()
    if tier in ("", "unspecified"):
        return
    if tier not in _TIERS:
        raise body.bad("serviceTier", f"is `{tier}`: it can be flex, standard or priority")
    request.service_tier = _TIERS[tier]


# Generation.


def _generation(config: Members, request: Request) -> None:
    for name in config.names():
        if name in _CONFIG_HINTS:
            request.dropped.append(config.path(name))
        elif name not in _CONFIG:
            raise _refused(config, name)
    if config.integer("candidateCount") not in (None, 1):
        raise unsupported_field(
            config.path("candidateCount"),
            "The upstream of this model gives one candidate a call. Send several calls instead.",
        )
    if config.boolean("responseLogprobs") or config.integer("logprobs") is not None:
        raise _refused(config, "responseLogprobs" if config.raw("logprobs") is None else "logprobs")
    if any(one.upper() != "TEXT" for one in config.strings("responseModalities")):
        raise _refused(config, "responseModalities")
    bound = config.integer("maxOutputTokens")
    if bound is not None and bound < 1:
        raise config.bad("maxOutputTokens", "must be at least 1")
    request.max_output_tokens = bound
    request.temperature = config.number("temperature")
    request.top_p = config.number("topP")
    request.top_k = config.integer("topK")
    request.stop = config.strings("stopSequences")
    request.seed = config.integer("seed")
    request.frequency_penalty = config.number("frequencyPenalty")
    request.presence_penalty = config.number("presencePenalty")
    request.output_format = _format(config)
    thinking = config.object("thinkingConfig")
    if thinking is not None:
        request.thinking = _thinking(thinking)


def _format(config: Members) -> OutputFormat | None:
    kind = (config.string("responseMimeType") or "text/plain").lower()
    own, standard = config.raw("responseSchema"), config.raw("responseJsonSchema")
    if own is not None and standard is not None:
        raise config.bad("responseSchema", "and `responseJsonSchema` are one too many")
    if kind == "text/plain" and own is None and standard is None:
        return None
    if kind != "application/json":
        if kind == "text/plain":
            raise config.bad("responseMimeType", "must be application/json where there is a schema")
        raise _refused(config, "responseMimeType")
    if own is not None:
        return OutputFormat("json_schema", schema=to_json_schema(own, config.path("responseSchema")))
    return OutputFormat("json_object") if standard is None else OutputFormat("json_schema", schema=standard)


def _thinking(config: Members) -> Thinking:
    thinking = Thinking(show=config.boolean("includeThoughts"))
    level = (config.string("thinkingLevel") or "").upper()
    if level and level != "THINKING_LEVEL_UNSPECIFIED":
        if level not in _EFFORTS:
            raise config.bad("thinkingLevel", f"is `{level}`: it can be {', '.join(_EFFORTS)}")
        thinking.effort = _EFFORTS[level]
    budget = config.integer("thinkingBudget")
    if budget == 0:
        thinking.effort = "none"
    elif budget is not None and budget < 0:
        thinking.adaptive = True
    else:
        thinking.budget_tokens = budget
    return thinking


# Tools.


def _tools(tool: Members, dropped: list[str]) -> list[Tool]:
    for name in tool.names():
        if name != "functionDeclarations":
            where = tool.path(name)
            raise unsupported_field(
                where, f"`{where}` is Google's own tool: the upstream of this model has none. Use functionDeclarations."
            )
    return [_declared(one, dropped) for one in tool.objects("functionDeclarations")]


def _declared(declaration: Members, dropped: list[str]) -> Tool:
    name = declaration.string("name")
    if not name:
        raise bad_field(f"`{declaration.path('name')}` is missing: name the function.", declaration.path("name"))
    if (declaration.string("behavior") or "").upper() == "NON_BLOCKING":
        raise _refused(declaration, "behavior")
    dropped += [
        f"functionDeclarations.{one}" for one in ("response", "responseJsonSchema") if declaration.raw(one) is not None
    ]
    own, standard = declaration.raw("parameters"), declaration.raw("parametersJsonSchema")
    if own is not None and standard is not None:
        raise declaration.bad("parameters", "and `parametersJsonSchema` are one too many")
    if own is not None:
        standard = to_json_schema(own, declaration.path("parameters"))
    elif standard is not None and not isinstance(declaration.value("parametersJsonSchema"), dict):
        raise declaration.bad("parametersJsonSchema", "must be an object")
    return Tool(name, declaration.string("description") or "", standard)


def _choice(config: Members, dropped: list[str]) -> ToolChoice | None:
    if config.boolean("includeServerSideToolInvocations"):
        raise _refused(config, "includeServerSideToolInvocations")
    if config.raw("retrievalConfig") is not None:
        dropped.append(config.path("retrievalConfig"))  # says where the user is, to Google's own tools alone
    calling = config.object("functionCallingConfig")
    if calling is None:
        return None
    if calling.boolean("streamFunctionCallArguments"):
        dropped.append(calling.path("streamFunctionCallArguments"))
    mode = (calling.string("mode") or "MODE_UNSPECIFIED").upper()
    names = calling.strings("allowedFunctionNames")
    match mode:
        case "ANY":
            return ToolChoice("tool", names) if len(names) == 1 else ToolChoice("required", names)
        case "NONE":
            return ToolChoice("none")
        case "AUTO" | "VALIDATED":
            return ToolChoice("auto", names)
        case "MODE_UNSPECIFIED":
            return None
        case _:
            raise calling.bad("mode", f"is `{mode}`: it can be AUTO, ANY, NONE or VALIDATED")
