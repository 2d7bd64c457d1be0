"""What a Gemini model takes, by its name.

Source: https://ai.google.dev/gemini-api/docs/thinking, https://ai.google.dev/gemini-api/docs/thought-signatures and
https://ai.google.dev/gemini-api/docs/generate-content/speech-generation.
"""

import re
from typing import Any, Final

from tidegate.dialects.canon import Effort, Thinking
from tidegate.dialects.model_rules import effort_of

_NO_THOUGHTS: Final = ("gemini-1", "gemini-2.0", "gemma", "learnlm")
_BY_BUDGET: Final = ("gemini-2.5", "gemini-robotics-er-1")
_LEAST_BUDGET: Final = {"gemini-2.5-pro": 128}
"""They always think; the others can be told not to."""
_MOST_BUDGET: Final = {"gemini-2.5-pro": 32_768}
_MOST_BUDGET_ELSE: Final = 24_576
_BUDGETS: Final[dict[Effort, int]] = {"minimal": 1_024, "low": 1_024, "medium": 8_192, "high": 24_576}
"""As Google's own OpenAI-compatible endpoint has it."""
_LEVELS: Final[dict[Effort, str]] = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "XHIGH",
    "max": "XHIGH",
}

_VERSION: Final = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_STYLES_BESIDE: Final = (3, 8)


def styles_beside_text(model: str) -> bool:
    """Of models that speak: the text is said word for word, and how it shall be said stands beside it."""
    version = _VERSION.match(_bare(model))
    return version is not None and (int(version[1]), int(version[2] or 0)) >= _STYLES_BESIDE


def signs_calls(model: str) -> bool:
    """Refuses a history with tool calls that bear no signature."""
    return not _bare(model).startswith((*_NO_THOUGHTS, *_BY_BUDGET))


def is_imagen(model: str) -> bool:
    """Paints, and is called by `:predict`; Gemini's own models paint by `generateContent`."""
    return _bare(model).startswith("imagen-")


def thinking_config(thinking: Thinking, model: str) -> tuple[dict[str, Any], bool]:
    """(`thinkingConfig`, whether it says all that was asked for)."""
    name = _bare(model)
    wanted = thinking.effort not in (None, "none") or thinking.budget_tokens is not None
    if name.startswith(_NO_THOUGHTS):
        return {}, not wanted
    config: dict[str, Any] = {}
    honoured = True
    if name.startswith(_BY_BUDGET):
        budget = _budget(thinking, name)
        if budget is not None:
            config["thinkingBudget"] = budget
            honoured = not (thinking.effort == "none" and budget)
    else:
        effort = effort_of(thinking)
        if effort is not None:
            config["thinkingLevel"] = _LEVELS[effort]
            honoured = effort != "none"
    if thinking.show is not None and thinking.effort != "none":
        config["includeThoughts"] = thinking.show
    return config, honoured


def _budget(thinking: Thinking, name: str) -> int | None:
    least = next((tokens for prefix, tokens in _LEAST_BUDGET.items() if name.startswith(prefix)), 0)
    most = next((tokens for prefix, tokens in _MOST_BUDGET.items() if name.startswith(prefix)), _MOST_BUDGET_ELSE)
    if thinking.effort == "none":
        return least
    if thinking.budget_tokens is not None:
        return min(most, max(least, thinking.budget_tokens))
    if thinking.effort is not None:
        return min(most, _BUDGETS.get(thinking.effort, most))
    return -1 if thinking.adaptive else None


def _bare(model: str) -> str:
    return model.rpartition("/")[2].lower()
