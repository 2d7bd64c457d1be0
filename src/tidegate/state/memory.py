"""Limits and budgets in the worker's memory: take all or nothing, settle the actual, release on failure.

The only mutable truth about amounts. Every method is synchronous and runs on one thread, so a take is atomic.
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import Final

from msgspec import Struct

from tidegate.core.claims import Bucket, Claims, Level, Refusal
from tidegate.core.clock import Clock
from tidegate.state.counters import BudgetCounter, Cell, Counter, CounterSet, counter_for

_MOST_SETS: Final = 4096
_used = attrgetter("used")
_cell = attrgetter("cell")


class Grant:
    """What a call has taken: a lease. Settled or released once; later calls do nothing."""

    __slots__ = ("amounts", "counters", "expires_at", "lapsed", "marks", "money_nano", "open", "used")

    def __init__(self, counters: CounterSet, amounts: list[int], used: list[int], expires_at: float) -> None:
        self.counters = counters
        self.amounts = amounts
        self.used = used
        """How full each bucket was before."""
        self.marks: list[Cell] = []
        self.expires_at = expires_at
        self.open = True
        self.lapsed = False
        self.money_nano = 0
        """The money reserved; the same for every budget that the call claims from."""


class Remaining(Struct):
    """Of a call's buckets, the one of each kind with the least left: (limit, what is left, when it is whole again in ns)."""

    requests: tuple[int, int, int] | None = None
    tokens: tuple[int, int, int] | None = None
    money: tuple[int, int, int] | None = None


class MemoryState:
    """Counters by bucket key; they come from the configuration alone, so their number is bounded."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counters: dict[str, Counter] = {}
        self._sets: dict[int, CounterSet] = {}
        """By the identity of a tuple of buckets: nearly all are of the configuration, and come again with each call."""
        self._open: dict[int, Grant] = {}

    def take(self, claims: Claims, lease_seconds: float, *, anew: bool = False) -> Grant | Refusal:
        """All claims or none; the first hard one that does not fit is the Refusal.

        `anew`: it was taken before a restart, and is held whether it fits or not.
        """
        now_ns = self._clock.now_ns()
        counters = self._sets.get(id(claims.buckets)) or self._set(claims.buckets)
        every, amounts = counters.every, claims.amounts
        for counter, amount in zip(every, amounts, strict=True):
            if now_ns >= counter.rolls_at_ns:
                counter.roll(now_ns)
            if counter.used + amount > counter.limit and not counter.bucket.soft and not anew:
                fits_at_ns = counter.fits_at_ns(amount, now_ns)
                return Refusal(counter.bucket, counter.used, amount, fits_at_ns, amount > counter.limit)
        grant = Grant(counters, amounts, list(map(_used, every)), self._clock.monotonic() + lease_seconds)
        grant.marks = list(map(_cell, every))
        for counter, cell, amount in zip(every, grant.marks, amounts, strict=True):
            cell.taken += amount
            counter.used += amount
        if counters.money:
            grant.money_nano = amounts[counters.money[0][0]]
        self._open[id(grant)] = grant
        return grant

    def settle(self, grant: Grant, *, tokens: int | None, money_nano: int | None) -> None:
        """Tokens and nano-USD as they were; None keeps what was reserved. Idempotent."""
        if not grant.open:
            return
        grant.open = False
        self._open.pop(id(grant), None)
        counters, amounts, marks = grant.counters, grant.amounts, grant.marks
        for at, counter in counters.money:
            amount = amounts[at]
            actual = amount if money_nano is None else money_nano
            if grant.lapsed:
                counter.settle(marks[at], 0, actual - amount)  # the lease's end has made the reservation spent
            else:
                counter.settle(marks[at], amount, actual)
        if tokens is not None:
            for at, counter in counters.tokens:
                counter.settle(marks[at], amounts[at], tokens)
        if not grant.lapsed:
            for at, counter in counters.concurrency:
                counter.settle(marks[at], amounts[at], 0)

    def correct(self, grant: Grant, *, tokens: int, money_nano: int) -> None:
        """Of a grant that was settled as reserved: what it turned out to be. To be called once."""
        for at, counter in grant.counters.money:
            counter.settle(grant.marks[at], 0, money_nano - grant.amounts[at])
        for at, counter in grant.counters.tokens:
            counter.settle(grant.marks[at], grant.amounts[at], tokens)

    def amend(self, buckets: Iterable[Bucket], time_ns: int, nano: int) -> None:
        """Of a call that was made at `time_ns`, before this process began: it cost so much more than the ledger said."""
        for bucket in buckets:
            counter = self._counter(bucket)
            if isinstance(counter, BudgetCounter):
                counter.roll(self._clock.now_ns())
                counter.load(counter.period_start(time_ns), nano)

    def release(self, grant: Grant) -> None:
        """No upstream served the call: money and tokens go back. The request stays counted: it was made."""
        self.settle(grant, tokens=0, money_nano=0)

    def remaining(self, counters: CounterSet) -> Remaining:
        """What the caller is told in headers."""
        return Remaining(_tightest(counters.requests), _tightest(counters.tokens), _tightest(counters.money))

    def counters(self, buckets: tuple[Bucket, ...]) -> CounterSet:
        """The counters of `buckets`, moved to now."""
        now_ns = self._clock.now_ns()
        found = self._set(buckets)
        for counter in found.every:
            if now_ns >= counter.rolls_at_ns:
                counter.roll(now_ns)
        return found

    def levels(self, buckets: tuple[Bucket, ...]) -> list[Level]:
        """How full each is, reservations included."""
        return [Level(one.bucket, one.used, one.whole_at_ns) for one in self.counters(buckets).every]

    def expire(self) -> int:
        """Leases that ran out: concurrency is freed, money and tokens stay spent (the call may have been served).

        A settle that still comes corrects them. Returns how many lapsed.
        """
        now = self._clock.monotonic()
        late = [grant for grant in self._open.values() if grant.expires_at < now]
        for grant in late:
            grant.lapsed = True
            del self._open[id(grant)]
            for at, counter in (*grant.counters.concurrency, *grant.counters.money):
                counter.settle(grant.marks[at], grant.amounts[at], grant.amounts[at])
        return len(late)

    def load_spent(self, bucket: Bucket, period_start_ns: int, nano: int) -> None:
        """After a restart: what the ledger says was spent in a period that runs now."""
        counter = self._counter(bucket)
        if isinstance(counter, BudgetCounter):
            counter.roll(self._clock.now_ns())
            counter.load(period_start_ns, nano)

    def retain(self, keys: frozenset[str]) -> None:
        """Forgets buckets that the configuration no longer has; the others go on as they are."""
        self._counters = {key: counter for key, counter in self._counters.items() if key in keys}
        self._sets.clear()

    def reserved_total(self) -> int:
        """Nano-USD reserved by calls in flight, plus the number of calls that hold concurrency."""
        return sum(counter.reserved for counter in self._counters.values())

    def _set(self, buckets: tuple[Bucket, ...]) -> CounterSet:
        every = tuple(self._counter(bucket) for bucket in buckets)
        if len(self._sets) >= _MOST_SETS:
            self._sets.clear()
        found = self._sets[id(buckets)] = CounterSet(
            buckets, every
        )  # it holds the tuple, so the identity stays its own
        return found

    def _counter(self, bucket: Bucket) -> Counter:
        """The counter of `bucket.key`; a changed limit keeps the count, a changed window begins anew."""
        counter = self._counters.get(bucket.key)
        if counter is not None and counter.bucket.window == bucket.window and counter.kind == bucket.kind:
            if counter.bucket is not bucket:
                counter.bucket, counter.limit = bucket, bucket.limit
                self._sets.clear()  # another tuple's bucket: who comes with that again puts its own limit in place
            return counter
        self._sets.clear()
        counter = counter_for(bucket)
        self._counters[bucket.key] = counter
        return counter


def _tightest(counters: tuple[tuple[int, Counter], ...]) -> tuple[int, int, int] | None:
    """As in Remaining; None where there is no counter."""
    tightest, least = None, 0
    for _, counter in counters:
        left = counter.limit - counter.used
        if tightest is None or left < least:
            tightest, least = counter, left
    return None if tightest is None else (tightest.limit, max(0, least), tightest.whole_at_ns)
