"""Who made what, and which calls are still to be paid for: bounded, the oldest forgotten first."""

import pytest

from tidegate.core.claims import Bucket, Claims, Window
from tidegate.core.clock import ManualClock
from tidegate.state import debts, makers
from tidegate.state.counters import CounterSet
from tidegate.state.debts import Debts
from tidegate.state.makers import Maker, Makers
from tidegate.state.memory import Grant, MemoryState
from tidegate.state.windows import period_bounds

BUDGET = Bucket(key="b", kind="money", limit=1_000, window=Window(period="month"))
TOKENS = Bucket(key="t", kind="tokens", limit=1_000, window=Window(seconds=60))


def granted(state: MemoryState) -> Grant:
    grant = state.take(Claims((BUDGET, TOKENS), [600, 500]), 60.0)
    assert isinstance(grant, Grant)
    return grant


def test_makers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(makers, "MOST", 3)
    known = Makers()
    for name in ("a", "b", "c", "a", "d"):
        known.note(name, Maker("p", name, "one"))
    assert [known.find(name) for name in "abcd"] == [
        Maker("p", "a", "one"),
        None,
        Maker("p", "c", "one"),
        Maker("p", "d", "one"),
    ]
    assert len(known) == 3
    known.note("a", Maker("p", "new", "one"))
    assert known.find("a") == Maker("p", "new", "one")
    known.note("\ud800", Maker("p", "x", "one"))
    assert known.find("\ud800") is not None


def test_debts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debts, "MOST", 2)
    open_ones, state = Debts(), MemoryState(ManualClock())
    for name in "abc":
        open_ones.put("one", name, Grant(CounterSet((), ()), [], [], 0.0), 9.0)
    grant = granted(state)
    open_ones.put("two", "c", grant, 5.0)
    assert len(open_ones) == 2
    assert (list(open_ones.due(4.9)), [one.key for one in open_ones.due(5.0)]) == ([], [("two", "c")])
    assert open_ones.take("one", "a") is None
    found = open_ones.find("two", "c")
    assert found is not None and found.grant is grant
    found.asking = True
    assert list(open_ones.due(5.0)) == []
    assert open_ones.take("two", "c") is found
    assert open_ones.take("two", "c") is None


def test_a_call_of_before_is_amended_in_its_own_period() -> None:
    clock = ManualClock()
    state = MemoryState(clock)
    state.load_spent(BUDGET, period_bounds("month", "UTC", clock.now_ns())[0], 500)
    state.amend((BUDGET, TOKENS), clock.now_ns(), -200)
    assert [level.used for level in state.levels((BUDGET, TOKENS))] == [300, 0]
    state.amend((BUDGET,), clock.now_ns() - 40 * 86_400 * 10**9, -200)  # of a month that is over
    assert [level.used for level in state.levels((BUDGET,))] == [300]


@pytest.mark.parametrize(("tokens", "money", "used"), [(20, 100, [100, 20]), (900, 800, [800, 900])])
def test_what_was_charged_as_reserved_is_corrected(tokens: int, money: int, used: list[int]) -> None:
    state = MemoryState(ManualClock())
    grant = granted(state)
    state.settle(grant, tokens=None, money_nano=grant.money_nano)
    assert [level.used for level in state.levels((BUDGET, TOKENS))] == [600, 500]
    state.correct(grant, tokens=tokens, money_nano=money)
    assert [level.used for level in state.levels((BUDGET, TOKENS))] == used
    assert state.reserved_total() == 0


def test_a_correction_of_an_earlier_period_is_no_gift_to_this_one() -> None:
    clock = ManualClock()
    state = MemoryState(clock)
    grant = granted(state)
    state.settle(grant, tokens=None, money_nano=grant.money_nano)
    clock.advance(40 * 86_400)
    state.levels((BUDGET, TOKENS))
    state.correct(grant, tokens=20, money_nano=100)
    assert [level.used for level in state.levels((BUDGET, TOKENS))] == [0, 0]
