"""Limits and budgets in the worker's memory: take all or nothing, settle the actual, release on failure.

The only mutable truth about amounts. Every method is synchronous and runs on one thread, so a take is atomic.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from tidegate.core.claims import Bucket, Claims, Level, Refusal
from tidegate.core.clock import Clock
from tidegate.state.counters import BudgetCounter, Counter, counter_for


class Grant:
    """What a call has taken: a lease. Settled or released once; later calls do nothing."""

    __slots__ = ("amounts", "counters", "expires_at", "lapsed", "marks", "money_nano", "open", "used")

    def __init__(self, counters: Sequence[Counter], amounts: list[int], used: list[int], expires_at: float) -> None:
        self.counters = counters
        self.amounts = amounts
        self.used = used
        """How full each bucket was before."""
        self.marks: list[int] = []
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
        self._open: dict[int, Grant] = {}

    def take(self, claims: Claims, lease_seconds: float, *, anew: bool = False) -> Grant | Refusal:
        """All claims or none; the first hard one that does not fit is the Refusal.

        `anew`: it was taken before a restart, and is held whether it fits or not.
        """
        now_ns = self._clock.now_ns()
        counters: list[Counter] = []
        amounts = claims.amounts
        used: list[int] = []
        by_key = self._counters
        for bucket, amount in zip(claims.buckets, amounts, strict=True):
            counter = by_key.get(bucket.key)
            if counter is None or counter.bucket is not bucket:
                counter = self._counter(bucket)
            if now_ns >= counter.rolls_at_ns:
                counter.roll(now_ns)
            before = counter.used
            if before + amount > counter.limit and not bucket.soft and not anew:
                return Refusal(bucket, before, amount, counter.fits_at_ns(amount, now_ns), amount > counter.limit)
            counters.append(counter)
            used.append(before)
        grant = Grant(counters, amounts, used, self._clock.monotonic() + lease_seconds)
        marks = grant.marks
        for counter, amount in zip(counters, amounts, strict=True):
            marks.append(counter.take(amount))
            if counter.kind == "money":
                grant.money_nano = amount
        self._open[id(grant)] = grant
        return grant

    def settle(self, grant: Grant, *, tokens: int | None, money_nano: int | None) -> None:
        """Tokens and nano-USD as they were; None keeps what was reserved. Idempotent."""
        if not grant.open:
            return
        grant.open = False
        self._open.pop(id(grant), None)
        for counter, amount, mark in zip(grant.counters, grant.amounts, grant.marks, strict=True):
            kind = counter.kind
            if kind == "money":
                actual = amount if money_nano is None else money_nano
                if grant.lapsed:
                    counter.settle(mark, 0, actual - amount)  # the lease's end has made the reservation spent
                else:
                    counter.settle(mark, amount, actual)
            elif kind == "tokens":
                if tokens is not None:
                    counter.settle(mark, amount, tokens)
            elif kind == "concurrency" and not grant.lapsed:
                counter.settle(mark, amount, 0)

    def correct(self, grant: Grant, *, tokens: int, money_nano: int) -> None:
        """Of a grant that was settled as reserved: what it turned out to be. To be called once."""
        for counter, amount, mark in zip(grant.counters, grant.amounts, grant.marks, strict=True):
            if counter.kind == "money":
                counter.settle(mark, 0, money_nano - amount)
            elif counter.kind == "tokens":
                counter.settle(mark, amount, tokens)

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

    def remaining(self, counters: Iterable[Counter]) -> Remaining:
        """What the caller is told in headers."""
        told = Remaining()
        for counter in counters:
            kind = counter.kind
            if kind == "concurrency":
                continue
            limit = counter.limit
            left = limit - counter.used
            known = told.requests if kind == "requests" else told.tokens if kind == "tokens" else told.money
            if known is None or left < known[1]:
                entry = (limit, left if left > 0 else 0, counter.whole_at_ns)
                if kind == "requests":
                    told.requests = entry
                elif kind == "tokens":
                    told.tokens = entry
                else:
                    told.money = entry
        return told

    def counters(self, buckets: tuple[Bucket, ...]) -> tuple[Counter, ...]:
        """The counters of `buckets`, moved to now."""
        now_ns = self._clock.now_ns()
        found = tuple(self._counter(bucket) for bucket in buckets)
        for counter in found:
            if now_ns >= counter.rolls_at_ns:
                counter.roll(now_ns)
        return found

    def levels(self, buckets: tuple[Bucket, ...]) -> list[Level]:
        """How full each is, reservations included."""
        return [Level(one.bucket, one.used, one.whole_at_ns) for one in self.counters(buckets)]

    def expire(self) -> int:
        """Leases that ran out: concurrency is freed, money and tokens stay spent (the call may have been served).

        A settle that still comes corrects them. Returns how many lapsed.
        """
        now = self._clock.monotonic()
        late = [grant for grant in self._open.values() if grant.expires_at < now]
        for grant in late:
            grant.lapsed = True
            del self._open[id(grant)]
            for counter, amount, mark in zip(grant.counters, grant.amounts, grant.marks, strict=True):
                if counter.kind in ("concurrency", "money"):
                    counter.settle(mark, amount, amount)
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

    def reserved_total(self) -> int:
        """Nano-USD reserved by calls in flight, plus the number of calls that hold concurrency."""
        return sum(counter.reserved for counter in self._counters.values())

    def _counter(self, bucket: Bucket) -> Counter:
        """The counter of `bucket.key`; a changed limit keeps the count, a changed window begins anew."""
        counter = self._counters.get(bucket.key)
        if counter is not None and counter.bucket.window == bucket.window and counter.kind == bucket.kind:
            counter.bucket, counter.limit = bucket, bucket.limit
            return counter
        counter = counter_for(bucket)
        self._counters[bucket.key] = counter
        return counter
