"""From the hub to an upstream's messages request.

Source: `anthropic.types.message_create_params` of the official SDK; Anthropic's guides for what excludes what.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

from tidegate.dialects.anthropic.claude_rules import (
    Version,
    takes_both_samplers,
    takes_budget,
    takes_samplers,
    takes_system_turns,
    thinks,
    thinks_adaptively,
    version_of,
)
from tidegate.dialects.anthropic.messages_out import FORBIDDEN, LONGEST, Conversation, cache_control
from tidegate.dialects.anthropic.schemas import for_claude
from tidegate.dialects.canon import Effort, Request, Thinking, Tool
from tidegate.dialects.dialect import UpstreamModel
from tidegate.dialects.fields import bad_field, unsupported_field
from tidegate.dialects.hints import drop_hints
from tidegate.dialects.model_rules import effort_of
from tidegate.dialects.pseudonym import pseudonym
from tidegate.dialects.tool_names import rename_tools

Json = dict[str, Any]

_DEFAULT_OUTPUT: Final = 4_096
_LEAST_BUDGET: Final = 1_024
_BUDGETS: Final[dict[Effort, int]] = {
    "minimal": 1_024,
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 32_768,
}
_EFFORTS: Final[dict[Effort, Effort]] = {"minimal": "low"}
_XHIGH_SINCE: Final = (4, 7)
_TIERS: Final = {"auto": "auto", "default": "standard_only", "standard": "standard_only"}
_LOST: Final = ("seed", "verbosity", "prompt_cache_key", "metadata")
_PENALTIES: Final = ("frequency_penalty", "presence_penalty")
_NO_SCHEMA: Final = Raw(b'{"type":"object","properties":{}}')


def encode_request(request: Request, upstream: UpstreamModel) -> bytes:
    """The body. Raises UnreadableRequest."""
    version = version_of(upstream.name)
    _refuse_what_has_no_equal(request)
    drop_hints(request, "name", "detail")
    tool_name = rename_tools(request, forbidden=FORBIDDEN, longest=LONGEST)
    told = Conversation(request, tool_name, system_turns=takes_system_turns(version))
    messages = told.messages()
    if not messages:
        raise bad_field("`messages` says nothing: send a message with content.", "messages")
    body: Json = {
        "model": upstream.name,
        "max_tokens": request.max_output_tokens or upstream.max_output_tokens or _DEFAULT_OUTPUT,
        "messages": messages,
    }
    if told.system:
        body["system"] = _system(told.system)
    if request.stop:
        body["stop_sequences"] = _stop(request)
    if request.tools:
        body["tools"] = [_tool(tool, tool_name(tool.name), request) for tool in _offered(request)]
        _choice(body, request, tool_name)
    _thinking(body, request, version, goes_on=told.thinks_on())
    _output_format(body, request)
    _samplers(body, request, version)
    _rest(body, request)
    if request.stream:
        body["stream"] = True
    return msgspec.json.encode(body)


def _refuse_what_has_no_equal(request: Request) -> None:
    for name in ("logit_bias", "logprobs"):
        if getattr(request, name) is not None:
            called = request.called(name)
            raise unsupported_field(called, f"`{called}` has no equal at the upstream of this model. Leave it out.")


def _system(blocks: list[Json]) -> str | list[Json]:
    only = blocks[0]
    return only["text"] if len(blocks) == 1 and "cache_control" not in only else blocks


def _stop(request: Request) -> list[str]:
    if not all(one.strip() for one in request.stop):
        called = request.called("stop")
        raise unsupported_field(called, f"`{called}`: the upstream takes no sequence that is whitespace alone.")
    return request.stop


def _samplers(body: Json, request: Request, version: Version) -> None:
    temperature = request.temperature
    if temperature is not None and not 0 <= temperature <= 1:
        raise bad_field(f"`temperature` is {temperature:g}: the upstream of this model takes 0 to 1.", "temperature")
    thinking = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
    for name in ("temperature", "top_p", "top_k"):
        value = getattr(request, name)
        if value is None:
            continue
        if takes_samplers(version) and not (thinking and _excludes_thinking(name, value)):
            body[name] = value
        else:
            request.dropped.append(request.called(name))
    if "temperature" in body and "top_p" in body and not takes_both_samplers(version):
        del body["top_p"]
        request.dropped.append(request.called("top_p"))


def _excludes_thinking(name: str, value: float) -> bool:
    """A model that thinks takes temperature 1, `top_p` from 0.95, and no `top_k`."""
    if name == "temperature":
        return value != 1
    return name == "top_k" or value < 0.95


def _output_format(body: Json, request: Request) -> None:
    wanted = request.output_format
    if wanted is None:
        return
    if wanted.kind != "json_schema" or wanted.schema is None:
        called = request.called("output_format")
        raise unsupported_field(
            called,
            f"`{called}`: the upstream of this model writes JSON by a schema alone. Send a json_schema with one.",
        )
    body.setdefault("output_config", {})["format"] = {
        "type": "json_schema",
        "schema": for_claude(wanted.schema, request.called("output_format")),
    }


def _rest(body: Json, request: Request) -> None:
    if request.service_tier is not None:
        tier = _TIERS.get(request.service_tier)
        if tier is None:
            called = request.called("service_tier")
            raise unsupported_field(called, f"`{called}`: the upstream has no tier `{request.service_tier}`.")
        body["service_tier"] = tier
    if request.user is not None:
        body["metadata"] = {"user_id": pseudonym(request.user)}
    request.dropped += [request.called(name) for name in _LOST if getattr(request, name) is not None]
    request.dropped += [request.called(name) for name in _PENALTIES if getattr(request, name)]


# Tools.


def _offered(request: Request) -> list[Tool]:
    """Where the choice is among some of the tools, those are all that the upstream gets to see."""
    choice = request.tool_choice
    if choice is None or choice.mode == "tool" or not choice.names:
        return request.tools
    return [tool for tool in request.tools if tool.name in choice.names]


def _tool(tool: Tool, name: str, request: Request) -> Json:
    if tool.custom:
        raise unsupported_field("tools", f"Tool `{tool.name}` takes free text: the upstream knows functions alone.")
    told: Json = {"name": name}
    if tool.description:
        told["description"] = tool.description
    told["input_schema"] = tool.parameters or _NO_SCHEMA
    if tool.strict and tool.parameters is not None:
        told["input_schema"] = for_claude(tool.parameters, request.called("tools"))
    if tool.strict is not None:
        told["strict"] = tool.strict
    if tool.cache is not None:
        told["cache_control"] = cache_control(tool.cache, request)
    return told


def _choice(body: Json, request: Request, tool_name: "Any") -> None:
    choice = request.tool_choice
    if choice is None:
        told: Json = {"type": "auto"}
    elif choice.mode == "tool":
        told = {"type": "tool", "name": tool_name(choice.names[0])}
    else:
        told = {"type": "any" if choice.mode == "required" else choice.mode}
    if request.parallel_tool_calls is False and told["type"] != "none":
        told["disable_parallel_tool_use"] = True
    if choice is not None or len(told) > 1:
        body["tool_choice"] = told


# Thinking.


def _thinking(body: Json, request: Request, version: Version, *, goes_on: bool) -> None:
    wanted = request.thinking
    if wanted is None:
        return
    if wanted.effort == "none":
        if thinks(version):
            body["thinking"] = {"type": "disabled"}
        return
    forced = body.get("tool_choice", {}).get("type") in ("any", "tool")
    told = None if forced or not thinks(version) else _adaptive(body, wanted, version)
    if told is None and not forced and takes_budget(version) and goes_on:
        told = _budgeted(body, wanted, chosen_by_client=request.max_output_tokens is not None)
    if told is None:
        request.dropped.append(request.called("thinking"))
        return
    if wanted.show is not None:
        told["display"] = "summarized" if wanted.show else "omitted"
    body["thinking"] = told


def _adaptive(body: Json, wanted: Thinking, version: Version) -> Json | None:
    """None where the model wants a budget, or the client gave one and the model still takes it."""
    if not thinks_adaptively(version) or (wanted.budget_tokens is not None and takes_budget(version)):
        return None
    effort = effort_of(wanted)
    if effort is not None:
        effort = _EFFORTS.get(effort, effort)
        body["output_config"] = {"effort": "high" if effort == "xhigh" and version < _XHIGH_SINCE else effort}
    return {"type": "adaptive"}


def _budgeted(body: Json, wanted: Thinking, *, chosen_by_client: bool) -> Json | None:
    """A budget must be less than `max_tokens`, and at least 1024; None where there is no room for one."""
    budget = wanted.budget_tokens
    if budget is None:
        budget = _BUDGETS[effort_of(wanted) or "high"]
        if not chosen_by_client and body["max_tokens"] == _DEFAULT_OUTPUT:
            body["max_tokens"] += budget  # nobody bounded the answer: the thoughts shall not eat it
        budget = min(budget, body["max_tokens"] * 3 // 4)
    budget = min(max(budget, _LEAST_BUDGET), body["max_tokens"] - 1)
    return {"type": "enabled", "budget_tokens": budget} if budget >= _LEAST_BUDGET else None
