"""Time is injected: everything that asks for the time takes a Clock."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings: `now_ns` is wall time (ns since the epoch), `monotonic` never jumps (seconds)."""

    def now_ns(self) -> int: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's own clocks."""

    now_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)


class ManualClock:
    """A clock that moves only when told: for tests, dry-runs and replays."""

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now_ns = now_ns
        self._monotonic = 1000.0

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Moves both readings forward."""
        self._now_ns += round(seconds * 1e9)
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Moves wall time only, as an operator or NTP does."""
        self._now_ns += round(seconds * 1e9)
