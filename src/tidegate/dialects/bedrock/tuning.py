"""Thinking and sampling, as each family of models behind Bedrock takes them. Also writes the other bounds of an answer.

Source: as in `models`.
"""

from typing import Any, Final

from tidegate.dialects.anthropic.claude_rules import (
    Version,
    takes_both_samplers,
    takes_budget,
    takes_samplers,
    thinks,
    thinks_adaptively,
)
from tidegate.dialects.bedrock.models import Family
from tidegate.dialects.canon import Effort, Request, Thinking
from tidegate.dialects.model_rules import effort_of

Json = dict[str, Any]

_BUDGETS: Final[dict[Effort, int]] = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 24_576}
_MOST_BUDGET: Final = 32_768
_LEAST_BUDGET: Final = 1_024
_EFFORTS: Final = {"minimal": "low"}
_NOVA_EFFORTS: Final = {"minimal": "low", "xhigh": "high", "max": "high"}


def think(body: Json, additional: Json, request: Request, family: Family) -> bool:
    """Whether Claude will. Reads what `body` has of messages and tools: they may exclude it."""
    wanted = request.thinking
    if wanted is None:
        return False
    effort = effort_of(wanted)
    if family.claude is not None:
        return _claude_thinks(body, additional, request, wanted, family.claude)
    if family.nova is not None and family.nova >= 2 and effort is not None:
        told = {"type": "enabled", "maxReasoningEffort": _NOVA_EFFORTS.get(effort, effort)}
        additional["reasoningConfig"] = {"type": "disabled"} if effort == "none" else told
    elif family.gpt and effort is not None:
        additional["reasoning_effort"] = effort
    elif effort != "none":
        request.dropped.append(request.called("thinking"))
    return False


def sample(body: Json, additional: Json, request: Request, family: Family, *, thinks: bool) -> None:
    samplers = {
        name: value for name in ("temperature", "top_p", "top_k") if (value := getattr(request, name)) is not None
    }
    unwanted: list[str] = []
    if family.claude is not None:
        if not takes_samplers(family.claude):
            unwanted = list(samplers)
        elif thinks:
            unwanted = [name for name, value in samplers.items() if _excludes_thinking(name, value)]
        both = {"temperature", "top_p"} <= samplers.keys() - set(unwanted)
        if both and not takes_both_samplers(family.claude):
            unwanted.append("top_p")
    elif family.nova is None and "top_k" in samplers:
        unwanted = ["top_k"]
    for name in unwanted:
        del samplers[name]
        request.dropped.append(request.called(name))
    inference: Json = {}
    for name, value in (
        ("maxTokens", request.max_output_tokens),
        ("temperature", samplers.get("temperature")),
        ("topP", samplers.get("top_p")),
        ("stopSequences", request.stop or None),
    ):
        if value is not None:
            inference[name] = value
    if inference:
        body["inferenceConfig"] = inference
    if "top_k" in samplers:
        own = {"top_k": samplers["top_k"]} if family.nova is None else {"inferenceConfig": {"topK": samplers["top_k"]}}
        additional.update(own)


def _excludes_thinking(name: str, value: float) -> bool:
    """A Claude that thinks takes temperature 1, `top_p` from 0.95, and no `top_k`."""
    if name == "temperature":
        return value != 1
    return name == "top_k" or value < 0.95


def _claude_thinks(body: Json, additional: Json, request: Request, wanted: Thinking, version: Version) -> bool:
    if wanted.effort == "none":
        if thinks(version):
            additional["thinking"] = {"type": "disabled"}
        return False
    told: Json | None = None
    choice = body.get("toolConfig", {}).get("toolChoice", {})
    if thinks(version) and not choice.keys() & {"any", "tool"}:
        if thinks_adaptively(version) and not (wanted.budget_tokens is not None and takes_budget(version)):
            told = {"type": "adaptive"}
            effort = effort_of(wanted)
            if effort is not None:
                body.setdefault("outputConfig", {})["effort"] = _EFFORTS.get(effort, effort)
        elif takes_budget(version) and _goes_on(body["messages"]):
            told = _budgeted(wanted, request.max_output_tokens)
    if told is None:
        request.dropped.append(request.called("thinking"))
        return False
    if wanted.show is not None:
        told["display"] = "summarized" if wanted.show else "omitted"
    additional["thinking"] = told
    return True


def _budgeted(wanted: Thinking, max_tokens: int | None) -> Json | None:
    """A budget must be less than `maxTokens`, and at least 1024; None where there is no room for one."""
    budget = wanted.budget_tokens
    if budget is None:
        budget = _BUDGETS.get(effort_of(wanted) or "high", _MOST_BUDGET)
        if max_tokens is not None:
            budget = min(budget, max_tokens * 3 // 4)
    budget = max(budget, _LEAST_BUDGET)
    if max_tokens is not None:
        budget = min(budget, max_tokens - 1)
    return {"type": "enabled", "budget_tokens": budget} if budget >= _LEAST_BUDGET else None


def _goes_on(messages: list[Json]) -> bool:
    """Whether the last turn of the model, if it goes on after tools, begins with a thought of its own."""
    if len(messages) < 2 or not any("toolResult" in block for block in messages[-1]["content"]):
        return True
    return "reasoningContent" in messages[-2]["content"][0]
