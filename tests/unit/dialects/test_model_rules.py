"""What a model takes, by its name."""

import pytest

from tidegate.dialects.canon import Effort, Thinking
from tidegate.dialects.model_rules import effort_of, nearest_effort


@pytest.mark.parametrize(
    ("model", "asked", "taken"),
    [
        ("o4-mini", "none", "low"),
        ("openai/o3", "max", "high"),
        ("gpt-5", "none", "minimal"),
        ("gpt-5-codex", "minimal", "low"),
        ("gpt-5.1", "minimal", "low"),
        ("gpt-5.1", "none", "none"),
        ("gpt-5.4", "max", "xhigh"),
        ("gpt-6", "max", "max"),
        ("my-model", "minimal", "minimal"),
    ],
)
def test_the_nearest_effort(model: str, asked: Effort, taken: Effort) -> None:
    assert nearest_effort(model, asked) == taken


@pytest.mark.parametrize(("budget", "effort"), [(1024, "low"), (8_192, "medium"), (8_193, "high"), (60_000, "xhigh")])
def test_budgets(budget: int, effort: Effort) -> None:
    assert effort_of(Thinking(budget_tokens=budget)) == effort
    assert effort_of(Thinking(effort="max", budget_tokens=budget)) == "max"
