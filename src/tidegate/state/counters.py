"""One counter for each bucket: what is used of it, and how time frees it again.

All share the fields that the hot path reads, so that taking from several kinds is one loop without calls. `roll` must be
called before use once `rolls_at_ns` is reached. Time that jumps back is taken as standing still.
"""

from typing import Final, Protocol

from tidegate.core.claims import Bucket, ClaimKind
from tidegate.state.windows import SLOTS, period_bounds

_NANO: Final = 1_000_000_000
_NEVER: Final = 2**63


class Counter(Protocol):
    """`used` includes what is reserved; `whole_at_ns`: when all of it is free again, if nothing else comes."""

    bucket: Bucket
    kind: ClaimKind
    limit: int
    used: int
    rolls_at_ns: int

    @property
    def whole_at_ns(self) -> int: ...

    @property
    def reserved(self) -> int: ...

    def roll(self, now_ns: int) -> None: ...

    def take(self, amount: int) -> int:
        """Adds; returns a mark of when, for `settle`."""
        ...

    def settle(self, mark: int, reserved: int, actual: int) -> None: ...

    def fits_at_ns(self, amount: int, now_ns: int) -> int:
        """When `amount` will fit, if nothing else comes."""
        ...


class RateCounter:
    """A Limit: requests or tokens over a sliding span, in a ring of slots; O(1) amortised.

    A slot counts until its last moment has left the span, so no span of that length ever holds more than was admitted.
    """

    __slots__ = ("_ring", "_slot", "_slot_ns", "bucket", "kind", "limit", "rolls_at_ns", "used")

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.kind: ClaimKind = bucket.kind
        self.limit = bucket.limit
        self.used = 0
        self.rolls_at_ns = 0
        self._slot_ns = max(1, (bucket.window.seconds or 60) * _NANO // SLOTS)
        self._ring = [0] * (SLOTS + 1)
        self._slot = 0

    def roll(self, now_ns: int) -> None:
        slot = now_ns // self._slot_ns
        passed = slot - self._slot
        if passed <= 0:
            return
        ring = self._ring
        if passed > SLOTS:
            self._ring = [0] * (SLOTS + 1)
            self.used = 0
        else:
            for gone in range(self._slot + 1, slot + 1):
                index = gone % (SLOTS + 1)
                self.used -= ring[index]
                ring[index] = 0
        self._slot = slot
        self.rolls_at_ns = (slot + 1) * self._slot_ns

    def take(self, amount: int) -> int:
        self._ring[self._slot % (SLOTS + 1)] += amount
        self.used += amount
        return self._slot

    def settle(self, mark: int, reserved: int, actual: int) -> None:
        """A correction belongs to the slot of the take; it is void when that has left the span."""
        change = actual - reserved
        if change and self._slot - mark <= SLOTS:
            self._ring[mark % (SLOTS + 1)] += change
            self.used += change

    def fits_at_ns(self, amount: int, now_ns: int) -> int:
        excess = self.used + amount - self.limit
        for slot in range(self._slot - SLOTS, self._slot + 1):
            excess -= self._ring[slot % (SLOTS + 1)]
            if excess <= 0:
                return max(now_ns, (slot + SLOTS + 1) * self._slot_ns)
        return self.whole_at_ns

    @property
    def whole_at_ns(self) -> int:
        return (self._slot + SLOTS + 1) * self._slot_ns

    @property
    def reserved(self) -> int:
        return 0


class ConcurrencyCounter:
    """Calls in flight."""

    __slots__ = ("bucket", "kind", "limit", "rolls_at_ns", "used")

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.kind: ClaimKind = "concurrency"
        self.limit = bucket.limit
        self.used = 0
        self.rolls_at_ns = _NEVER

    def roll(self, now_ns: int) -> None:
        """Time frees nothing here."""

    def take(self, amount: int) -> int:
        self.used += amount
        return 0

    def settle(self, mark: int, reserved: int, actual: int) -> None:
        self.used -= reserved

    def fits_at_ns(self, amount: int, now_ns: int) -> int:
        return now_ns + _NANO  # nobody knows when a call ends; a second is a fair time to ask again

    @property
    def whole_at_ns(self) -> int:
        return 0

    @property
    def reserved(self) -> int:
        return self.used


class BudgetCounter:
    """A Budget: nano-USD per calendar period. A call is paid for in the period in which it was admitted."""

    __slots__ = ("_periods", "_starts_ns", "bucket", "kind", "limit", "rolls_at_ns", "used")

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.kind: ClaimKind = "money"
        self.limit = bucket.limit
        self.used = 0
        self.rolls_at_ns = 0
        self._starts_ns = 0
        self._periods: dict[int, list[int]] = {}
        """Start of a period (ns) → [spent, reserved]: this one, and earlier ones that still settle."""

    def roll(self, now_ns: int) -> None:
        if now_ns < self.rolls_at_ns:
            return  # never back: a clock that is put back must not open a spent period's past again
        window = self.bucket.window
        self._starts_ns, self.rolls_at_ns = period_bounds(window.period or "month", window.timezone, now_ns)
        self._periods = {start: told for start, told in self._periods.items() if start >= self._starts_ns or told[1]}
        self.used = sum(self._periods.setdefault(self._starts_ns, [0, 0]))

    def take(self, amount: int) -> int:
        self._periods[self._starts_ns][1] += amount
        self.used += amount
        return self._starts_ns

    def settle(self, mark: int, reserved: int, actual: int) -> None:
        told = self._periods.get(mark)
        if told is None:
            return
        told[0] += actual
        told[1] -= reserved
        if mark == self._starts_ns:
            self.used += actual - reserved

    def load(self, period_start_ns: int, nano: int) -> None:
        """Adds what is known to be spent in a period."""
        self._periods.setdefault(period_start_ns, [0, 0])[0] += nano
        if period_start_ns == self._starts_ns:
            self.used += nano

    def period_start(self, time_ns: int) -> int:
        window = self.bucket.window
        return period_bounds(window.period or "month", window.timezone, time_ns)[0]

    def fits_at_ns(self, amount: int, now_ns: int) -> int:
        return self.rolls_at_ns

    @property
    def whole_at_ns(self) -> int:
        return self.rolls_at_ns

    @property
    def reserved(self) -> int:
        return sum(reserved for _, reserved in self._periods.values())


def counter_for(bucket: Bucket) -> Counter:
    if bucket.kind == "money":
        return BudgetCounter(bucket)
    if bucket.kind == "concurrency":
        return ConcurrencyCounter(bucket)
    return RateCounter(bucket)
