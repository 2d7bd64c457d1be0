"""From the hub to an upstream's Converse request.

Source: `ConverseRequest` of botocore's model of bedrock-runtime; Bedrock's user guide for the models' own fields.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

from tidegate.dialects.bedrock.content_out import ContentEncoder
from tidegate.dialects.bedrock.models import Family, family_of
from tidegate.dialects.canon import Effort, Request, Thinking, Tool
from tidegate.dialects.dialect import UpstreamModel
from tidegate.dialects.fields import bad_field, unsupported_field
from tidegate.dialects.model_rules import effort_of
from tidegate.dialects.pseudonym import pseudonym

Json = dict[str, Any]

_NO_SCHEMA: Final = Raw(b'{"type":"object","properties":{}}')
_TIERS: Final = {
    "auto": None,
    "default": "default",
    "standard": "default",
    "standard_only": "default",
    "flex": "flex",
    "priority": "priority",
    "reserved": "reserved",
}
_HINTS: Final = ("seed", "frequency_penalty", "presence_penalty", "verbosity", "metadata", "prompt_cache_key")
_BUDGETS: Final[dict[Effort, int]] = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 24_576}
_MOST_BUDGET: Final = 32_768
_LEAST_BUDGET: Final = 1_024


def encode_request(request: Request, upstream: UpstreamModel) -> bytes:
    """The body; the model and whether it streams are in the path. Raises UnreadableRequest."""
    family = family_of(upstream.name)
    _check(request)
    encoder = ContentEncoder(request, family)
    system, messages = encoder.content()
    body: Json = {"messages": messages}
    if system:
        body["system"] = system
    additional: Json = {}
    _inference(body, request)
    _tools(body, additional, request, encoder, family)
    _output(body, request)
    _thinking(body, additional, request, family)
    _top_k(additional, request, family)
    _more(body, request)
    if request.stop and family.claude is not None:
        body["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    if additional:
        body["additionalModelRequestFields"] = additional
    for name in _HINTS:
        if getattr(request, name) is not None:
            request.dropped.append(request.called(name))
    return msgspec.json.encode(body)


def _check(request: Request) -> None:
    for name in ("logit_bias", "logprobs"):
        if getattr(request, name) is not None:
            told = request.called(name)
            raise unsupported_field(told, f"`{told}`: the upstream of this model has no such field. Leave it out.")
    for name in ("temperature", "top_p"):
        value = getattr(request, name)
        if value is not None and not 0 <= value <= 1:
            told = request.called(name)
            raise unsupported_field(told, f"`{told}` is {value:g}: the upstream of this model takes 0 to 1.")


def _inference(body: Json, request: Request) -> None:
    wanted: Json = {}
    for name, value in (
        ("maxTokens", request.max_output_tokens),
        ("temperature", request.temperature),
        ("topP", request.top_p),
        ("stopSequences", request.stop or None),
    ):
        if value is not None:
            wanted[name] = value
    if wanted:
        body["inferenceConfig"] = wanted


def _tools(body: Json, additional: Json, request: Request, encoder: ContentEncoder, family: Family) -> None:
    choice = request.tool_choice
    if not request.tools or (choice is not None and choice.mode == "none"):
        if encoder.calls_tools:
            name = request.called("tool_choice" if request.tools else "tools")
            raise unsupported_field(
                name,
                f"`{name}`: the upstream of this model takes a history with tool calls only along with its tools, "
                "and then it may call them. Send the tools without a choice of `none`, or leave the calls out.",
            )
        return
    named = frozenset(choice.names) if choice is not None and choice.mode != "tool" else frozenset[str]()
    tools: list[Json] = []
    for tool in request.tools:
        if not named or tool.name in named:
            tools.append({"toolSpec": _tool(tool, request, encoder)})
            # Nova knows cache points in messages, not among tools.
            tools += encoder.cache_point(tool.cache) if family.nova is None else []
    if not tools:
        name = request.called("tool_choice")
        raise bad_field(f"`{name}` allows none of the tools that there are.", name)
    config: Json = {"tools": tools}
    if choice is not None:
        match choice.mode:
            case "tool":
                config["toolChoice"] = {"tool": {"name": encoder.tool_name(choice.names[0])}}
            case "required":
                config["toolChoice"] = {"any": {}}
            case _:
                config["toolChoice"] = {"auto": {}}
    body["toolConfig"] = config
    if request.parallel_tool_calls is False:
        if family.claude is None:
            name = request.called("parallel_tool_calls")
            raise unsupported_field(name, f"`{name}`: the upstream of this model cannot be kept from parallel calls.")
        additional["tool_choice"] = _claude_choice(config.get("toolChoice"))


def _claude_choice(choice: Json | None) -> Json:
    told: Json = {"type": "auto", "disable_parallel_tool_use": True}
    if choice is not None and "any" in choice:
        told["type"] = "any"
    elif choice is not None and "tool" in choice:
        told |= {"type": "tool", "name": choice["tool"]["name"]}
    return told


def _tool(tool: Tool, request: Request, encoder: ContentEncoder) -> Json:
    if tool.custom:
        name = request.called("tools")
        raise unsupported_field(name, f"`{name}`: `{tool.name}` is a custom tool; this upstream has functions only.")
    spec: Json = {"name": encoder.tool_name(tool.name), "inputSchema": {"json": tool.parameters or _NO_SCHEMA}}
    if tool.description:
        spec["description"] = tool.description
    if tool.strict is not None:
        spec["strict"] = tool.strict
    return spec


def _output(body: Json, request: Request) -> None:
    wanted = request.output_format
    if wanted is None:
        return
    name = request.called("output_format")
    if wanted.kind == "json_object" or wanted.schema is None:
        raise unsupported_field(name, f"`{name}`: the upstream of this model knows JSON only with a schema. Give one.")
    schema: Json = {"schema": bytes(wanted.schema).decode()}
    if wanted.name:
        schema["name"] = wanted.name
    if wanted.description:
        schema["description"] = wanted.description
    body["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}


def _thinking(body: Json, additional: Json, request: Request, family: Family) -> None:
    wanted = request.thinking
    if wanted is None:
        return
    effort = effort_of(wanted)
    if family.thinks:
        told = _claude_thinking(wanted, request.max_output_tokens, family)
        if told is None:
            request.dropped.append(request.called("thinking"))
            return
        additional["thinking"] = told
        if family.adapts and effort not in (None, "none"):
            body.setdefault("outputConfig", {})["effort"] = "low" if effort == "minimal" else effort
    elif family.nova is not None and family.nova >= 2 and effort is not None:
        additional["reasoningConfig"] = _nova_thinking(effort)
    elif family.gpt and effort is not None:
        additional["reasoning_effort"] = effort
    elif effort != "none":
        request.dropped.append(request.called("thinking"))


def _claude_thinking(wanted: Thinking, max_tokens: int | None, family: Family) -> Json | None:
    """None where there is no room to think: a budget must be smaller than the whole answer."""
    if wanted.effort == "none":
        return {"type": "disabled"}
    if family.adapts and (wanted.budget_tokens is None or not family.takes_budget):
        shown = {} if wanted.show is None else {"display": "summarized" if wanted.show else "omitted"}
        return {"type": "adaptive", **shown}
    budget = wanted.budget_tokens
    if budget is None:
        budget = _BUDGETS.get(wanted.effort, _MOST_BUDGET) if wanted.effort is not None else _BUDGETS["medium"]
    if max_tokens is not None:
        budget = min(budget, max_tokens - 1)
    return {"type": "enabled", "budget_tokens": budget} if budget >= _LEAST_BUDGET else None


def _nova_thinking(effort: Effort) -> Json:
    if effort == "none":
        return {"type": "disabled"}
    told = {"minimal": "low", "xhigh": "high", "max": "high"}.get(effort, effort)
    return {"type": "enabled", "maxReasoningEffort": told}


def _top_k(additional: Json, request: Request, family: Family) -> None:
    if request.top_k is None:
        return
    if family.claude is not None:
        additional["top_k"] = request.top_k
    elif family.nova is not None:
        additional["inferenceConfig"] = {"topK": request.top_k}
    else:
        request.dropped.append(request.called("top_k"))


def _more(body: Json, request: Request) -> None:
    tier = request.service_tier
    if tier is not None:
        if tier not in _TIERS:
            name = request.called("service_tier")
            raise unsupported_field(name, f"`{name}`: the upstream has no tier `{tier}`.")
        if _TIERS[tier] is not None:
            body["serviceTier"] = {"type": _TIERS[tier]}
    if request.user is not None:
        body["requestMetadata"] = {"user": pseudonym(request.user)}
