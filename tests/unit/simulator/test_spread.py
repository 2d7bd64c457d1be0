"""Distributions: what is written, what is drawn."""

import random
import statistics

import pytest

from tidegate.simulator.spread import Spread


def draws(text: object, count: int = 4000) -> list[float]:
    rng = random.Random(1)
    spread = Spread.parse(text)
    return [spread.draw(rng) for _ in range(count)]


@pytest.mark.parametrize(("written", "value"), [("250ms", 0.25), ("2s", 2.0), (60, 60.0), ("60", 60.0), ("0s", 0.0)])
def test_a_constant(written: object, value: float) -> None:
    assert set(draws(written, 5)) == {value}
    assert Spread.parse(written).constant == value


def test_a_uniform_distribution_keeps_its_bounds() -> None:
    found = draws("uniform(100ms, 300ms)")
    assert 0.1 <= min(found) < 0.11
    assert 0.29 < max(found) <= 0.3
    assert Spread.parse("uniform(1, 2)").constant is None


def test_a_lognormal_distribution_has_its_median() -> None:
    found = draws("lognormal(300ms, 0.5)")
    assert statistics.median(found) == pytest.approx(0.3, rel=0.05)
    assert min(found) > 0


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("soon", "not a duration"),
        ("uniform(300ms, 100ms)", "lower bound"),
        ("lognormal(0s, 1)", "above 0"),
        ("-1", "negative"),
        ("uniform(1)", "not a number"),
        (None, "not a distribution"),
        (True, "not a distribution"),
    ],
)
def test_what_cannot_be_read(written: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Spread.parse(written)
