"""Kept answers: each its owner's, no older, larger or more than the bounds say."""

import pytest

from tidegate.core.clock import ManualClock
from tidegate.state import answers
from tidegate.state.answers import KEPT_SECONDS, MAX_ONE, KeptAnswer, KeptAnswers


def answer(size: int = 10) -> KeptAnswer:
    return KeptAnswer(b"b" * size, b"")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def kept(clock: ManualClock) -> KeptAnswers:
    return KeptAnswers(clock)


def test_only_its_owner_sees_it(kept: KeptAnswers) -> None:
    kept.keep("ann", "r1", answer())
    assert kept.find("ann", "r1") == answer()
    assert kept.find("bob", "r1") is None
    assert not kept.drop("bob", "r1")
    assert kept.drop("ann", "r1")
    assert kept.find("ann", "r1") is None
    assert kept.held == (0, 0)


def test_it_is_gone_after_its_time(kept: KeptAnswers, clock: ManualClock) -> None:
    kept.keep("ann", "r1", answer())
    clock.advance(KEPT_SECONDS / 2)
    kept.keep("ann", "r2", answer())
    clock.advance(KEPT_SECONDS / 2)
    assert kept.find("ann", "r1") is None
    assert kept.find("ann", "r2") is not None
    assert kept.held == (1, 10)


def test_the_oldest_go_first(kept: KeptAnswers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MAX_COUNT", 3)
    monkeypatch.setattr(answers, "MAX_BYTES", 100)
    for number in range(5):
        kept.keep("ann", f"r{number}", answer())
    assert [number for number in range(5) if kept.find("ann", f"r{number}")] == [2, 3, 4]
    kept.keep("ann", "large", answer(85))
    assert kept.held == (2, 95)
    assert kept.find("ann", "r4") is not None


def test_one_that_is_too_large_replaces_nothing_else(kept: KeptAnswers) -> None:
    kept.keep("ann", "r1", answer())
    kept.keep("ann", "r2", answer(MAX_ONE + 1))
    assert kept.find("ann", "r2") is None
    assert kept.find("ann", "r1") is not None


def test_the_same_name_again_is_the_later_answer(kept: KeptAnswers) -> None:
    kept.keep("ann", "r1", answer(10))
    kept.keep("ann", "r1", answer(20))
    assert kept.held == (1, 20)


def test_a_part_leads_to_its_whole_as_long_as_that_is_kept(kept: KeptAnswers) -> None:
    first, second = KeptAnswer(b"1", b"", ("a", "b")), KeptAnswer(b"2", b"", ("b",))
    kept.keep("ann", "r1", first)
    kept.keep("ann", "r2", second)
    assert [kept.find_whole("ann", part) for part in ("a", "b", "c")] == [first, second, None]
    assert kept.find_whole("bob", "a") is None
    kept.drop("ann", "r1")
    assert [kept.find_whole("ann", part) for part in ("a", "b")] == [None, second]
    kept.drop("ann", "r2")
    assert kept.find_whole("ann", "b") is None
    assert not kept._whole
