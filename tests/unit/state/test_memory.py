"""Limits and budgets: all or nothing, never over, always given back; against a naive model that remembers every call."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tidegate.core.claims import Bucket, Claims, Refusal, Window
from tidegate.core.clock import ManualClock
from tidegate.state.memory import Grant, MemoryState

MINUTE = Window(seconds=60)
REQUESTS = Bucket(key="c/requests/60s", kind="requests", limit=5, window=MINUTE)
TOKENS = Bucket(key="c/tokens/60s", kind="tokens", limit=100, window=MINUTE)
PARALLEL = Bucket(key="c/concurrency", kind="concurrency", limit=3, window=Window())
BUDGET = Bucket(key="team/t/money/hour", kind="money", limit=1000, window=Window(period="hour"))
SOFT = Bucket(key="c/money/day", kind="money", limit=10, window=Window(period="day"), soft=True)


def claims(*asked: tuple[Bucket, int]) -> Claims:
    return Claims(tuple(bucket for bucket, _ in asked), [amount for _, amount in asked])


def granted(taken: Grant | Refusal) -> Grant:
    assert isinstance(taken, Grant)
    return taken


def used(state: MemoryState, bucket: Bucket) -> int:
    return state.levels((bucket,))[0].used


def test_all_or_nothing() -> None:
    state = MemoryState(ManualClock())
    taken = state.take(claims((REQUESTS, 1), (TOKENS, 60)), 60)
    assert isinstance(taken, Grant)
    refused = state.take(claims((REQUESTS, 1), (TOKENS, 60)), 60)
    assert isinstance(refused, Refusal)
    assert (refused.bucket, refused.used, refused.amount, refused.never_fits) == (TOKENS, 60, 60, False)
    assert used(state, REQUESTS) == 1


def test_an_amount_above_the_whole_limit_never_fits() -> None:
    refused = MemoryState(ManualClock()).take(claims((TOKENS, 101)), 60)
    assert isinstance(refused, Refusal)
    assert refused.never_fits


def test_the_reset_of_a_refusal_is_when_it_fits() -> None:
    clock = ManualClock()
    state = MemoryState(clock)
    granted(state.take(claims((TOKENS, 100)), 600))
    refused = state.take(claims((TOKENS, 1)), 600)
    assert isinstance(refused, Refusal)
    clock.advance((refused.resets_at_ns - clock.now_ns()) / 1e9 - 0.01)
    assert isinstance(state.take(claims((TOKENS, 1)), 600), Refusal)
    clock.advance(0.02)
    granted(state.take(claims((TOKENS, 1)), 600))


def test_tokens_are_corrected_in_the_slot_of_the_take() -> None:
    clock = ManualClock()
    state = MemoryState(clock)
    grant = granted(state.take(claims((TOKENS, 40)), 600))
    clock.advance(30)
    state.settle(grant, tokens=90, money_nano=None)
    assert used(state, TOKENS) == 90
    clock.advance(32)
    assert used(state, TOKENS) == 0


def test_a_correction_after_the_span_is_void() -> None:
    clock = ManualClock()
    state = MemoryState(clock)
    grant = granted(state.take(claims((TOKENS, 40)), 600))
    clock.advance(90)
    assert used(state, TOKENS) == 0
    state.settle(grant, tokens=90, money_nano=None)
    assert used(state, TOKENS) == 0


def test_release_gives_back_money_and_tokens_but_not_the_request() -> None:
    state = MemoryState(ManualClock())
    grant = granted(state.take(claims((REQUESTS, 1), (TOKENS, 9), (PARALLEL, 1), (BUDGET, 300)), 60))
    assert state.reserved_total() == 301
    state.release(grant)
    state.release(grant)
    assert [used(state, one) for one in (REQUESTS, TOKENS, PARALLEL, BUDGET)] == [1, 0, 0, 0]
    assert state.reserved_total() == 0


def test_a_soft_budget_counts_and_never_refuses() -> None:
    state = MemoryState(ManualClock())
    state.settle(granted(state.take(claims((SOFT, 50)), 60)), tokens=None, money_nano=70)
    granted(state.take(claims((SOFT, 50)), 60))
    assert used(state, SOFT) == 120


def test_a_lapsed_lease_frees_the_place_and_keeps_the_money() -> None:
    clock = ManualClock()
    state = MemoryState(clock)
    grant = granted(state.take(claims((PARALLEL, 1), (BUDGET, 300)), 60))
    clock.advance(61)
    assert state.expire() == 1
    assert (used(state, PARALLEL), used(state, BUDGET), state.reserved_total()) == (0, 300, 0)
    state.settle(grant, tokens=None, money_nano=120)
    assert (used(state, PARALLEL), used(state, BUDGET)) == (0, 120)


def test_a_call_is_paid_in_the_period_that_admitted_it() -> None:
    clock = ManualClock(now_ns=1_700_002_799_000_000_000)  # one second before an hour is full
    state = MemoryState(clock)
    grant = granted(state.take(claims((BUDGET, 900)), 600))
    clock.advance(2)
    assert used(state, BUDGET) == 0
    granted(state.take(claims((BUDGET, 1000)), 600))
    state.settle(grant, tokens=None, money_nano=850)
    assert used(state, BUDGET) == 1000


def test_a_clock_put_back_opens_nothing_again() -> None:
    clock = ManualClock(now_ns=1_700_002_801_000_000_000)
    state = MemoryState(clock)
    granted(state.take(claims((BUDGET, 1000), (REQUESTS, 5)), 600))
    clock.jump(-4000)
    assert isinstance(state.take(claims((BUDGET, 1)), 600), Refusal)
    assert isinstance(state.take(claims((REQUESTS, 1)), 600), Refusal)


def test_a_reload_keeps_counts_and_takes_the_new_limit() -> None:
    state = MemoryState(ManualClock())
    granted(state.take(claims((REQUESTS, 4)), 60))
    lower = Bucket(key=REQUESTS.key, kind="requests", limit=2, window=MINUTE)
    refused = state.take(claims((lower, 1)), 60)
    assert isinstance(refused, Refusal)
    assert refused.used == 4
    state.retain(frozenset())
    granted(state.take(claims((lower, 1)), 60))


def test_buckets_that_come_again_bring_their_own_limit_back() -> None:
    """As of calls of two snapshots, turn about."""
    state = MemoryState(ManualClock())
    lower = Bucket(key=REQUESTS.key, kind="requests", limit=2, window=MINUTE)
    old, new = claims((REQUESTS, 1)), claims((lower, 1))
    for _ in range(2):
        granted(state.take(old, 60))
    assert isinstance(state.take(new, 60), Refusal)
    granted(state.take(old, 60))
    refused = state.take(new, 60)
    assert isinstance(refused, Refusal)
    assert (refused.bucket, refused.used) == (lower, 3)


def test_a_changed_window_begins_anew_also_for_buckets_that_came_before() -> None:
    state = MemoryState(ManualClock())
    longer = Bucket(key=REQUESTS.key, kind="requests", limit=5, window=Window(seconds=3600))
    old = claims((REQUESTS, 3))
    granted(state.take(old, 60))
    granted(state.take(claims((longer, 5)), 60))
    granted(state.take(old, 60))
    assert used(state, REQUESTS) == 3


def test_a_grant_outlives_its_bucket() -> None:
    state = MemoryState(ManualClock())
    grant = granted(state.take(claims((BUDGET, 5)), 60))
    state.retain(frozenset())
    state.settle(grant, tokens=None, money_nano=5)
    assert state.reserved_total() == 0


def test_what_was_spent_before_a_restart_counts() -> None:
    clock = ManualClock(now_ns=1_700_002_801_000_000_000)
    state = MemoryState(clock)
    state.load_spent(BUDGET, 1_700_002_800_000_000_000, 990)
    assert isinstance(state.take(claims((BUDGET, 11)), 60), Refusal)
    granted(state.take(claims((BUDGET, 10)), 60))


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 4)), max_size=60),
    st.sampled_from([1, 60, 3600]),
    st.integers(1, 12),
)
@settings(max_examples=150, deadline=None)
def test_no_span_ever_holds_more_than_the_limit(calls: list[tuple[float, int]], seconds: int, limit: int) -> None:
    clock = ManualClock()
    state = MemoryState(clock)
    bucket = Bucket(key="b", kind="requests", limit=limit, window=Window(seconds=seconds))
    admitted: list[tuple[int, int]] = []
    for wait, amount in calls:
        clock.advance(wait * seconds / 60)
        if isinstance(state.take(claims((bucket, amount)), 60), Grant):
            admitted.append((clock.now_ns(), amount))
    for start, _ in admitted:
        inside = sum(amount for at, amount in admitted if start <= at < start + seconds * 1_000_000_000)
        assert inside <= limit


@dataclass
class Held:
    grant: Grant
    money: int
    tokens: int
    lapsed: bool = False
    ends: float = field(default=0.0)


class Money(RuleBasedStateMachine):
    """Any interleaving of calls: Σ(settled + reserved) stays within the budget, and all comes back to zero."""

    @initialize()
    def begin(self) -> None:
        self.clock = ManualClock(now_ns=1_700_002_900_000_000_000)
        self.state = MemoryState(self.clock)
        self.held: list[Held] = []

    @rule(money=st.integers(0, 400), tokens=st.integers(0, 40), lease=st.sampled_from([5.0, 5000.0]))
    def take(self, money: int, tokens: int, lease: float) -> None:
        asked = claims((REQUESTS, 1), (TOKENS, tokens), (PARALLEL, 1), (BUDGET, money))
        taken = self.state.take(asked, lease)
        if isinstance(taken, Grant):
            self.held.append(Held(taken, money, tokens))

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 99), share=st.floats(0, 1), twice=st.booleans())
    def settle(self, which: int, share: float, twice: bool) -> None:
        one = self.held.pop(which % len(self.held))
        for _ in range(1 + twice):
            self.state.settle(one.grant, tokens=int(one.tokens * share), money_nano=int(one.money * share))

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 99))
    def release(self, which: int) -> None:
        self.state.release(self.held.pop(which % len(self.held)).grant)

    @rule(seconds=st.sampled_from([0.3, 7.0, 61.0, 3700.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.state.expire()

    @rule(seconds=st.sampled_from([-4000.0, -5.0, 5.0]))
    def jump(self, seconds: float) -> None:
        self.clock.jump(seconds)

    @invariant()
    def within(self) -> None:
        if hasattr(self, "state"):
            levels = {level.bucket.key: level.used for level in self.state.levels((TOKENS, PARALLEL, BUDGET))}
            assert 0 <= levels[BUDGET.key] <= BUDGET.limit
            assert 0 <= levels[PARALLEL.key] <= PARALLEL.limit
            assert 0 <= levels[TOKENS.key] <= TOKENS.limit

    def teardown(self) -> None:
        if hasattr(self, "state"):
            for one in self.held:
                self.state.settle(one.grant, tokens=0, money_nano=0)
            assert self.state.reserved_total() == 0
            assert used(self.state, PARALLEL) == 0


TestMoney = Money.TestCase
TestMoney.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("kind", ["requests", "tokens"])
def test_a_limit_of_zero_admits_nothing(kind: str) -> None:
    bucket = Bucket(key="z", kind=kind, limit=0, window=MINUTE)
    assert isinstance(MemoryState(ManualClock()).take(claims((bucket, 1)), 60), Refusal)
