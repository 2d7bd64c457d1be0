"""How targets and credentials fare: circuits, cooldowns, load, latency, utilisation, and the budget of retries.

Mutable, in the worker's memory, fed by attempts and read by `decide.route` (as its Readings). Keys come from the
configuration alone, so its size is bounded.
"""

from collections.abc import Iterator
from math import exp
from typing import Final

from tidegate.core.clock import Clock
from tidegate.core.snapshot import BreakerSpec

TargetKey = tuple[str, str]
"""(model, target name)."""
CredentialKey = tuple[str, str]
"""(provider, credential id)."""

_EWMA_SECONDS: Final = 10.0
_UTILISATION_SECONDS: Final = 30.0
_BENCH_SECONDS: Final = 60.0
_COOLDOWN_SECONDS: Final = 5.0
_RETRY_SPAN: Final = 10.0
_RETRY_FLOOR: Final = 10


class TwoHalves:
    """A count over about `span` seconds, in two halves: the older falls away as a whole."""

    __slots__ = ("_half", "_turned", "newer", "older")

    def __init__(self, span: float, fields: int) -> None:
        self._half = span / 2
        self._turned = 0.0
        self.newer = [0] * fields
        self.older = [0] * fields

    def turn(self, now: float) -> None:
        passed = now - self._turned
        if passed < self._half:
            return
        fields = len(self.newer)
        self.older = [0] * fields if passed >= 2 * self._half else self.newer
        self.newer = [0] * fields
        self._turned = now

    def sum(self, field: int) -> int:
        return self.newer[field] + self.older[field]

    def clear(self) -> None:
        self.newer = [0] * len(self.newer)
        self.older = [0] * len(self.older)


class TargetHealth:
    """One target of one model."""

    __slots__ = (
        "counts",
        "first_byte_at",
        "first_byte_seconds",
        "in_flight",
        "in_flight_tokens",
        "open_until",
        "probing",
        "utilisation",
        "utilisation_until",
    )

    def __init__(self, spec: BreakerSpec) -> None:
        self.counts = TwoHalves(spec.window, 2)
        self.open_until = 0.0
        """0: closed. In the future: open. In the past: half-open, one live request may probe."""
        self.probing = False
        self.in_flight = 0
        self.in_flight_tokens = 0
        self.first_byte_seconds = 0.0
        """Peak EWMA: jumps up at once, comes down over time. 0: never measured."""
        self.first_byte_at = 0.0
        self.utilisation = 0.0
        self.utilisation_until = 0.0


class Health:
    """Fed by the gateway; everything takes its time from the clock given."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._targets: dict[TargetKey, TargetHealth] = {}
        self._benched: dict[CredentialKey, float] = {}
        self._cooling: dict[tuple[str, str, str], float] = {}
        self._retries = TwoHalves(_RETRY_SPAN, 2)

    def now(self) -> float:
        return self._clock.monotonic()

    def target(self, key: TargetKey, spec: BreakerSpec) -> TargetHealth:
        health = self._targets.get(key)
        if health is None:
            health = self._targets[key] = TargetHealth(spec)
        return health

    # Attempts.

    def started(self, health: TargetHealth, tokens: int) -> None:
        health.in_flight += 1
        health.in_flight_tokens += tokens
        if health.open_until:
            health.probing = True

    def ended(self, health: TargetHealth, tokens: int) -> None:
        """Once for each `started`, whatever the outcome."""
        health.in_flight -= 1
        health.in_flight_tokens -= tokens
        health.probing = False

    def first_byte(self, health: TargetHealth, seconds: float) -> None:
        now = self._clock.monotonic()
        if seconds >= health.first_byte_seconds:
            health.first_byte_seconds = seconds
        else:
            weight = exp(-(now - health.first_byte_at) / _EWMA_SECONDS)
            health.first_byte_seconds = health.first_byte_seconds * weight + seconds * (1 - weight)
        health.first_byte_at = now

    def succeeded(self, health: TargetHealth) -> None:
        if health.open_until:
            health.open_until = 0.0
            health.counts.clear()
        now = self._clock.monotonic()
        health.counts.turn(now)
        health.counts.newer[0] += 1

    def failed(self, health: TargetHealth, spec: BreakerSpec) -> None:
        """The target's own fault. Opens the circuit when the share of faults is reached, or a probe fails."""
        now = self._clock.monotonic()
        counts = health.counts
        counts.turn(now)
        counts.newer[1] += 1
        bad, all_calls = counts.sum(1), counts.sum(0) + counts.sum(1)
        if health.open_until or (all_calls >= spec.min_requests and bad >= spec.error_rate * all_calls):
            health.open_until = max(health.open_until, now + spec.open_for)

    def bench(self, credential: CredentialKey) -> None:
        """A bad key: this credential alone rests, for every model."""
        self._benched[credential] = self._clock.monotonic() + _BENCH_SECONDS

    def cool_down(self, provider: str, credential: str, upstream_model: str, seconds: float | None) -> None:
        """A 429: that credential and model rest until its reset; a shorter one never shortens a longer."""
        key = (provider, credential, upstream_model)
        until = self._clock.monotonic() + (_COOLDOWN_SECONDS if seconds is None else seconds)
        self._cooling[key] = max(until, self._cooling.get(key, 0.0))

    def utilised(self, health: TargetHealth, share: float) -> None:
        """A provisioned target reported how full it is, 0 to 1."""
        health.utilisation = share
        health.utilisation_until = self._clock.monotonic() + _UTILISATION_SECONDS

    # Readings.

    def benched_for(self, credential: CredentialKey) -> float:
        """Seconds left; 0 when it may be used."""
        until = self._benched.get(credential)
        return 0.0 if until is None else max(0.0, until - self._clock.monotonic())

    def cooling_for(self, provider: str, credential: str, upstream_model: str) -> float:
        if not self._cooling:
            return 0.0
        until = self._cooling.get((provider, credential, upstream_model))
        return 0.0 if until is None else max(0.0, until - self._clock.monotonic())

    def circuit_open_for(self, health: TargetHealth) -> float:
        """Seconds until a probe may go; 0 when calls may. A half-open circuit that is being probed counts as open."""
        if not health.open_until:
            return 0.0
        left = health.open_until - self._clock.monotonic()
        if left > 0:
            return left
        return 1.0 if health.probing else 0.0

    def utilisation(self, health: TargetHealth) -> float:
        return health.utilisation if health.utilisation_until > self._clock.monotonic() else 0.0

    def open_circuits(self) -> Iterator[str]:
        """`model/target` of every circuit that is open or half-open."""
        for (model, target), health in self._targets.items():
            if health.open_until:
                yield f"{model}/{target}"

    # The retry budget.

    def count_call(self) -> None:
        self._retries.turn(self._clock.monotonic())
        self._retries.newer[0] += 1

    def may_retry(self, share: float) -> bool:
        """Takes one retry if retries stay within `share` of recent calls (and a small floor)."""
        retries = self._retries
        retries.turn(self._clock.monotonic())
        if retries.sum(1) >= max(_RETRY_FLOOR, share * retries.sum(0)):
            return False
        retries.newer[1] += 1
        return True

    def retain(self, targets: frozenset[TargetKey]) -> None:
        """Forgets what the configuration no longer has, and what is over."""
        now = self._clock.monotonic()
        self._targets = {key: health for key, health in self._targets.items() if key in targets}
        self._benched = {key: until for key, until in self._benched.items() if until > now}
        self._cooling = {key: until for key, until in self._cooling.items() if until > now}
