"""Where may this call go, best first, and why not elsewhere?

A function of the call, the compiled route, health as it reads now, and a source of randomness; it changes nothing.
"""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from math import inf, log
from random import Random
from typing import Final

from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.core.snapshot import CredentialSpec
from tidegate.core.usage import Usage
from tidegate.core.view import Pin, View
from tidegate.decide.admit import Admission
from tidegate.decide.compiled import CompiledRoute, CompiledTarget
from tidegate.decide.cost import cost_nano, tier_priced
from tidegate.decide.searching import holds_searches
from tidegate.state.health import Health, TargetHealth, TargetKey

CandidateKey = tuple[str, str, str]
"""(model, target, credential)."""


class Asking(Struct):
    """What of a call routing depends on, beside its route."""

    view: View
    admission: Admission
    consumer: str
    turn: int
    """Counts calls of the model: where round-robin begins."""
    header: bytes = b""
    """The value of the header that the route hashes, if it does."""
    tried: Mapping[CandidateKey, int] = {}
    """Attempts of this call so far."""
    ruled_out: Mapping[TargetKey, str] = {}
    """Targets that have shown that they cannot serve this very call, and why."""
    pin: Pin | None = None
    """The only credential that may serve it."""


class Candidate:
    """One target as the router saw it. `excluded` is "" when it can be called, with `credential`; a target that only
    rests says for how many seconds in `rests_for`."""

    __slots__ = ("credential", "excluded", "health", "rests_for", "score", "target")

    def __init__(self, target: CompiledTarget, health: TargetHealth) -> None:
        self.target = target
        self.health = health
        self.credential = ""
        self.score = 0.0
        self.excluded = ""
        self.rests_for = 0.0

    @property
    def key(self) -> CandidateKey:
        return (*self.target.key, self.credential)


def route(asking: Asking, compiled: CompiledRoute, health: Health, rng: Random) -> list[Candidate]:
    """Every target once: those that can be called, in the order to try them, then the excluded, with reasons."""
    usable: list[Candidate] = []
    excluded: list[Candidate] = []
    for target in compiled.targets:
        candidate = Candidate(target, health.target(target.key, compiled.spec.routing.breaker))
        candidate.excluded = _exclusion(candidate, asking, compiled, health) or _credential(
            candidate, asking, health, rng
        )
        (excluded if candidate.excluded else usable).append(candidate)
    if len(usable) > 1:
        _score(usable, asking, compiled, rng)
        tried = asking.tried
        usable.sort(key=lambda one: (tried.get(one.key, 0), one.target.spec.priority, not _first(one), one.score))
    return usable + excluded


def no_target_problem(model: str, candidates: list[Candidate]) -> Problem:
    """503: every target is out, each with its reason; to be tried again when the first of them has rested."""
    rests = [one.rests_for for one in candidates if one.rests_for]
    reasons = "; ".join(f"{one.target.name}: {one.excluded}" for one in candidates[:8] if one.excluded)
    return Problem(
        status=503,
        code="no_healthy_target",
        message=f"Model `{model}` has no target that can be called now ({reasons or 'none is configured'}).",
        retry_after_seconds=min(rests, default=1.0),
    )


def pinned_elsewhere_problem(model: str, pin: Pin) -> Problem:
    """400: no target of the model goes through the one credential that can serve the call, and none will by waiting."""
    message = (
        f"Model `{model}` has no target at {pin.provider} with credential {pin.credential}, and {pin.because}. "
        "Call a model of that provider, or begin anew without it."
    )
    return Problem(status=400, code="invalid_request", message=message, field=pin.field or None)


def _first(candidate: Candidate) -> bool:
    """Capacity that is paid for already goes first inside its priority."""
    return candidate.target.spec.provisioned


def _exclusion(candidate: Candidate, asking: Asking, compiled: CompiledRoute, health: Health) -> str:
    spec, admission = candidate.target.spec, asking.admission
    ruled_out = asking.ruled_out.get(candidate.target.key)
    if ruled_out is not None:
        return ruled_out
    rule = admission.rule
    if rule is not None and rule.provider is not None and spec.provider != rule.provider:
        return f"rule of policy {rule.policy}: region {rule.region} goes to provider {rule.provider}"
    if asking.pin is not None and not candidate.target.has(asking.pin.provider, asking.pin.credential):
        return f"not {asking.pin.provider} with credential {asking.pin.credential}: {asking.pin.because}"
    if admission.hard_budget and spec.price is None:
        return "its price is unknown and a hard budget is in scope"
    if admission.hard_budget and spec.price is not None and not tier_priced(asking.view.tier, spec.price):
        return f"its price of service tier `{asking.view.tier}` is unknown and a hard budget is in scope"
    if admission.hard_budget and not holds_searches(asking.view, candidate.target):
        return "its price of hosted searches is unknown and a hard budget is in scope"
    if spec.weight == 0 and compiled.spec.routing.strategy == "weighted":
        return "its weight is 0"
    if spec.context_window is not None and admission.needed_tokens > spec.context_window:
        return f"context window {spec.context_window} < about {admission.needed_tokens} tokens"
    wait = health.circuit_open_for(candidate.health)
    if wait:
        candidate.rests_for = wait
        return f"circuit open, a probe in {wait:.0f} s"
    if spec.provisioned and health.utilisation(candidate.health) >= compiled.spec.routing.spill_at:
        return f"provisioned capacity is {health.utilisation(candidate.health):.0%} used"
    return ""


def _credential(candidate: Candidate, asking: Asking, health: Health, rng: Random) -> str:
    """Chooses one by weight among those that rest for no reason and were tried least; else says why there is none."""
    target = candidate.target
    pin, pool = asking.pin, target.provider.credentials
    free: list[CredentialSpec] = []
    shortest, reason = inf, "its provider has no credential"
    for one in pool:
        if pin is not None and one.id != pin.credential:
            continue
        benched = health.benched_for((target.provider.name, one.id))
        cooling = health.cooling_for(target.provider.name, one.id, target.spec.model)
        wait = max(benched, cooling)
        if not wait:
            free.append(one)
        elif wait < shortest:
            shortest = wait
            reason = f"{'key refused by the provider' if benched else 'rate limited'}, resting for {wait:.0f} s"
            if pin is not None:
                reason += f", and no other credential will do: {pin.because}"
    if not free:
        candidate.rests_for = shortest if shortest < inf else 0.0
        return reason
    if len(free) > 1:
        tried = asking.tried
        least = min(tried.get((*target.key, one.id), 0) for one in free)
        free = [one for one in free if tried.get((*target.key, one.id), 0) == least]
        free = rng.choices(free, weights=[one.weight or 1e-9 for one in free])
    candidate.credential = free[0].id
    return ""


def _score(usable: list[Candidate], asking: Asking, compiled: CompiledRoute, rng: Random) -> None:
    """The lower the better."""
    _STRATEGIES[compiled.spec.routing.strategy](usable, asking, compiled, rng)


def _weighted(usable: list[Candidate], asking: Asking, compiled: CompiledRoute, rng: Random) -> None:
    """Exponential races: the first is chosen with probability in proportion to its weight, and so are the next."""
    for one in usable:
        one.score = -log(1.0 - rng.random()) / one.target.spec.weight


def _round_robin(usable: list[Candidate], asking: Asking, compiled: CompiledRoute, rng: Random) -> None:
    places = {target.name: place for place, target in enumerate(compiled.targets)}
    for one in usable:
        one.score = (places[one.target.name] - asking.turn) % len(places)


def _least_busy(usable: list[Candidate], asking: Asking, compiled: CompiledRoute, rng: Random) -> None:
    for one in usable:
        one.score = one.health.in_flight_tokens / max(1, one.target.spec.weight) + rng.random() * 1e-6


def _lowest_latency(usable: list[Candidate], asking: Asking, compiled: CompiledRoute, rng: Random) -> None:
    """Peak EWMA of the time to first byte, times the calls that wait; a target never measured is tried first."""
    for one in usable:
        one.score = one.health.first_byte_seconds * (one.health.in_flight + 1) + rng.random() * 1e-9


def _lowest_cost(usable: list[Candidate], asking: Asking, compiled: CompiledRoute, rng: Random) -> None:
    """This request's estimated cost in USD; an unknown price comes last."""
    view = asking.view
    usage = Usage(input=view.estimated_input_tokens, output=view.max_output_tokens or view.estimated_input_tokens)
    for one in usable:
        price = one.target.spec.price
        cost = None if price is None else cost_nano(usage, price)
        one.score = inf if cost is None else cost / 1e9 + rng.random() * 1e-12


def _hash(usable: list[Candidate], asking: Asking, compiled: CompiledRoute, rng: Random) -> None:
    """Rendezvous hashing, weighted; a target over its bounded share of the load goes behind all that are not.

    Bounded loads: https://research.google/pubs/consistent-hashing-with-bounded-loads/.
    """
    on = compiled.spec.routing.hash_on
    value = {"consumer": asking.consumer.encode(), "prompt": asking.view.affinity, "header": asking.header}[on.by]
    total = sum(one.health.in_flight for one in usable) + 1
    bound = on.load_factor * total / len(usable)
    for one in usable:
        digest = blake2b(value + b"\0" + one.target.name.encode(), digest_size=8).digest()
        share = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)
        one.score = -log(share) / max(1, one.target.spec.weight)
        if one.health.in_flight + 1 > max(1.0, bound):
            one.score += 1e6


_STRATEGIES: Final[Mapping[str, Callable[[list[Candidate], Asking, CompiledRoute, Random], None]]] = {
    "weighted": _weighted,
    "round-robin": _round_robin,
    "least-busy": _least_busy,
    "lowest-latency": _lowest_latency,
    "lowest-cost": _lowest_cost,
    "hash": _hash,
}
