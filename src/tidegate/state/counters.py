"""One counter for each bucket: what is used of it, and how time frees it again.

All share the fields that the hot path reads and writes, so that taking from several kinds is one loop without calls: the
amount is added to `used` and to the counter's `cell`, which is also the mark for `settle`. `roll` must be called before use
once `rolls_at_ns` is reached. Time that jumps back is taken as standing still.
"""

from typing import Final, Protocol

from tidegate.core.claims import Bucket, ClaimKind
from tidegate.state.windows import SLOTS, period_bounds

_NANO: Final = 1_000_000_000
_NEVER: Final = 2**63


class Cell:
    """What is counted of one stretch of time."""

    __slots__ = ("live", "spent", "taken")

    def __init__(self) -> None:
        self.taken = 0
        """Of a budget: reserved, and not settled yet."""
        self.spent = 0
        """Of a budget."""
        self.live = True
        """Its counter's `used` includes it."""


class Counter(Protocol):
    """`used` includes what is reserved; `whole_at_ns`: when all of it is free again, if nothing else comes."""

    bucket: Bucket
    kind: ClaimKind
    limit: int
    used: int
    rolls_at_ns: int
    cell: Cell
    """Of now."""

    @property
    def whole_at_ns(self) -> int: ...

    @property
    def reserved(self) -> int: ...

    def roll(self, now_ns: int) -> None: ...

    def settle(self, cell: Cell, reserved: int, actual: int) -> None:
        """`cell`: the one of the take."""
        ...

    def fits_at_ns(self, amount: int, now_ns: int) -> int:
        """When `amount` will fit, if nothing else comes."""
        ...


class RateCounter:
    """A Limit: requests or tokens over a sliding span, in a ring of slots; O(1) amortised.

    A slot counts until its last moment has left the span, so no span of that length ever holds more than was admitted.
    """

    __slots__ = ("_ring", "_slot", "_slot_ns", "bucket", "cell", "kind", "limit", "rolls_at_ns", "used")

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.kind: ClaimKind = bucket.kind
        self.limit = bucket.limit
        self.used = 0
        self.rolls_at_ns = 0
        self._slot_ns = max(1, (bucket.window.seconds or 60) * _NANO // SLOTS)
        self._ring: list[Cell | None] = [None] * (SLOTS + 1)
        """None for slots in which nothing was asked."""
        self._slot = 0
        self.cell = Cell()

    def roll(self, now_ns: int) -> None:
        slot = now_ns // self._slot_ns
        passed = slot - self._slot
        if passed <= 0:
            return
        ring = self._ring
        for gone in range(max(self._slot, slot - SLOTS - 1) + 1, slot + 1):
            index = gone % (SLOTS + 1)
            cell = ring[index]
            if cell is not None:
                cell.live = False
                self.used -= cell.taken
                ring[index] = None
        self._slot = slot
        self.cell = ring[slot % (SLOTS + 1)] = Cell()
        self.rolls_at_ns = (slot + 1) * self._slot_ns

    def settle(self, cell: Cell, reserved: int, actual: int) -> None:
        """A correction belongs to the slot of the take; it is void when that has left the span."""
        if cell.live:
            cell.taken += actual - reserved
            self.used += actual - reserved

    def fits_at_ns(self, amount: int, now_ns: int) -> int:
        excess = self.used + amount - self.limit
        for slot in range(self._slot - SLOTS, self._slot + 1):
            cell = self._ring[slot % (SLOTS + 1)]
            excess -= 0 if cell is None else cell.taken
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

    __slots__ = ("bucket", "cell", "kind", "limit", "rolls_at_ns", "used")

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.kind: ClaimKind = "concurrency"
        self.limit = bucket.limit
        self.used = 0
        self.rolls_at_ns = _NEVER
        self.cell = Cell()

    def roll(self, now_ns: int) -> None:
        """Time frees nothing here."""

    def settle(self, cell: Cell, reserved: int, actual: int) -> None:
        cell.taken -= reserved
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

    __slots__ = ("_periods", "_starts_ns", "bucket", "cell", "kind", "limit", "rolls_at_ns", "used")

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.kind: ClaimKind = "money"
        self.limit = bucket.limit
        self.used = 0
        self.rolls_at_ns = 0
        self.cell = Cell()
        self._starts_ns = 0
        self._periods: dict[int, Cell] = {}
        """By its start (ns): the period of now, and earlier ones that still settle."""

    def roll(self, now_ns: int) -> None:
        if now_ns < self.rolls_at_ns:
            return  # never back: a clock that is put back must not open a spent period's past again
        window = self.bucket.window
        self._starts_ns, self.rolls_at_ns = period_bounds(window.period or "month", window.timezone, now_ns)
        self.cell.live = False
        self.cell = self._period(self._starts_ns)
        self.cell.live = True
        self._periods = {start: one for start, one in self._periods.items() if start >= self._starts_ns or one.taken}
        self.used = self.cell.taken + self.cell.spent

    def settle(self, cell: Cell, reserved: int, actual: int) -> None:
        cell.taken -= reserved
        cell.spent += actual
        if cell.live:
            self.used += actual - reserved

    def load(self, period_start_ns: int, nano: int) -> None:
        """Adds what is known to be spent in a period."""
        self._period(period_start_ns).spent += nano
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
        return sum(one.taken for one in self._periods.values())

    def _period(self, starts_ns: int) -> Cell:
        cell = self._periods.get(starts_ns)
        if cell is None:
            cell = self._periods[starts_ns] = Cell()
            cell.live = False
        return cell


def counter_for(bucket: Bucket) -> Counter:
    if bucket.kind == "money":
        return BudgetCounter(bucket)
    if bucket.kind == "concurrency":
        return ConcurrencyCounter(bucket)
    return RateCounter(bucket)


class CounterSet:
    """The counters of one tuple of buckets, found once: in its order, and by what each call asks of them."""

    __slots__ = ("buckets", "concurrency", "every", "money", "requests", "tokens")

    def __init__(self, buckets: tuple[Bucket, ...], every: tuple[Counter, ...]) -> None:
        self.buckets = buckets
        self.every = every
        self.requests = _of_kind("requests", every)
        self.tokens = _of_kind("tokens", every)
        self.money = _of_kind("money", every)
        self.concurrency = _of_kind("concurrency", every)


def _of_kind(kind: ClaimKind, every: tuple[Counter, ...]) -> tuple[tuple[int, Counter], ...]:
    """Each with its position."""
    return tuple((position, one) for position, one in enumerate(every) if one.kind == kind)
