"""What a model takes, by its name: rules that its provider publishes for a whole family of models.

A rule holds for names that begin with its prefix, after any `org/` in front. A line here is all that a new family needs.
"""

import re
from typing import Final

from tidegate.dialects.canon import Effort, Thinking

_EFFORT: Final = (
    "o1", "o3", "o4", "gpt-5", "gpt-6", "gpt-oss", "codex", "grok-3-mini", "grok-4", "mistral-small", "mistral-medium",
)  # fmt: skip
"""Take `reasoning_effort`. Source: OpenAI's reasoning guide; xAI's and Mistral's API references."""
_NO_SAMPLERS: Final = ("o1", "o3", "o4", "gpt-5", "gpt-6", "codex")
"""Reject `temperature`, `top_p` and the penalties. Source: OpenAI's reasoning guide."""
_EFFORTS: Final[tuple[Effort, ...]] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_LOW_TO_HIGH: Final = _EFFORTS[2:5]
_TAKEN: Final[tuple[tuple[str, tuple[Effort, ...]], ...]] = (
    ("gpt-5-codex", _LOW_TO_HIGH),
    ("gpt-5.1-codex-max", ("none", *_EFFORTS[2:6])),
    ("gpt-5.1", ("none", *_LOW_TO_HIGH)),
    ("gpt-5.", ("none", *_EFFORTS[2:6])),
    ("gpt-5", _EFFORTS[1:5]),
    *((prefix, _LOW_TO_HIGH) for prefix in ("o1", "o3", "o4", "gpt-oss", "grok-3-mini")),
)
"""The efforts that a model takes, the longest name first; models that are not here take all. Source: OpenAI's guide."""
_RESPONSES_ALONE: Final = re.compile(
    r"(?:o[13]-pro|gpt-5(?:\.\d+)?-pro|gpt-5(?:\.\d+)?-codex(?:-max|-mini)?|codex-mini-latest"
    r"|o[34](?:-mini)?-deep-research|computer-use-preview)(?:-\d{4}-\d{2}-\d{2})?"
)
_BILLED_BY_PROMPT: Final = ("gemini-1", "gemini-2")
"""However often such a model searches for one prompt, it is charged once. Source: ai.google.dev/gemini-api/docs/pricing."""
_BUDGET_EFFORT: Final[tuple[tuple[int, Effort], ...]] = ((2_048, "low"), (8_192, "medium"), (24_576, "high"))


def takes_effort(model: str) -> bool:
    return _bare(model).startswith(_EFFORT)


def signs_calls(model: str) -> bool:
    """Gemini behind OpenAI's form signs its tool calls and wants the signatures back; others refuse the member."""
    return _bare(model).startswith("gemini")


def searches_by_prompt(model: str) -> bool:
    """Its hosted searches are billed by the prompt, not one by one."""
    return _bare(model).startswith(_BILLED_BY_PROMPT)


def takes_samplers(model: str) -> bool:
    return not _bare(model).startswith(_NO_SAMPLERS)


def effort_of(thinking: Thinking | None) -> Effort | None:
    """For upstreams that know efforts and no budgets; None where the model shall do as it does by itself."""
    if thinking is None:
        return None
    if thinking.effort is not None or thinking.budget_tokens is None:
        return thinking.effort
    for most, effort in _BUDGET_EFFORT:
        if thinking.budget_tokens <= most:
            return effort
    return "xhigh"


def nearest_effort(model: str, effort: Effort) -> Effort:
    """The effort that the model takes which is nearest to what was asked; of two the higher."""
    bare = _bare(model)
    taken = next((efforts for prefix, efforts in _TAKEN if bare.startswith(prefix)), _EFFORTS)
    asked = _EFFORTS.index(effort)
    return min(reversed(taken), key=lambda one: abs(_EFFORTS.index(one) - asked))


def _bare(model: str) -> str:
    return model.rpartition("/")[2].lower()


def answers_responses_alone(model: str) -> bool:
    """OpenAI's models that chat completions refuse: https://platform.openai.com/docs/models, each model's endpoints."""
    return _RESPONSES_ALONE.fullmatch(model) is not None
