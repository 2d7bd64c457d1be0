"""Every example configuration loads, has no findings at all, and compiles; with the real price book."""

from collections import defaultdict
from pathlib import Path

import pytest

from tidegate.compile import GenaiPrices, compile_snapshot, lint
from tidegate.config import load
from tidegate.core.clock import ManualClock

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))
BOOK = GenaiPrices(ManualClock(1_793_000_000_000_000_000))


class EveryVariable(defaultdict[str, str]):
    """An environment in which every variable is set, each to something else."""

    def __missing__(self, name: str) -> str:
        return f"value-of-{name}-0123456789"

    def get(self, name: str, default: str = "") -> str:
        return self[name]


ENV = EveryVariable()


def test_there_are_examples() -> None:
    names = {path.stem for path in EXAMPLES}
    assert {"minimal", "teams-and-budgets", "azure-failover", "policies"} <= names


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_clean(path: Path) -> None:
    resources = load(path, ENV)
    assert [str(one) for one in lint(resources, env=ENV, price_book=BOOK)] == []
    snapshot = compile_snapshot(resources, env=ENV, price_book=BOOK)
    assert snapshot.models and snapshot.keys
    assert all(target.price is not None for model in snapshot.models for target in model.targets)
