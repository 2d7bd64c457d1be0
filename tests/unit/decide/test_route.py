"""Where a call goes: priorities, strategies, exclusions with their reasons."""

from collections import Counter
from random import Random

import pytest
from tests.support.snapshots import admitted, compiled, model, target, view

from tidegate.core.clock import ManualClock
from tidegate.core.snapshot import BreakerSpec, CredentialSpec, EndpointRule, HashOn, RoutingSpec
from tidegate.core.view import Pin
from tidegate.decide.compiled import CompiledRoute
from tidegate.decide.route import Asking, Candidate, no_target_problem, pinned_elsewhere_problem, route
from tidegate.state.health import Health


def asking(turn: int = 0, **changes: object) -> Asking:
    told = {"view": view(), "admission": admitted(), "consumer": "c", "turn": turn} | changes
    return Asking(**told)


def names(candidates: list[Candidate]) -> list[str]:
    return [one.target.name for one in candidates if not one.excluded]


def routed(routing: RoutingSpec | None = None, *targets: object) -> CompiledRoute:
    return compiled(model("m", *targets, routing=routing or RoutingSpec())).routes["m"]


def test_priorities_come_first() -> None:
    to = routed(None, target("a", priority=2), target("b", priority=0), target("c", priority=1))
    health = Health(ManualClock())
    assert all(names(route(asking(), to, health, Random(seed))) == ["b", "c", "a"] for seed in range(20))


def test_weights_are_shares() -> None:
    to = routed(None, target("a", weight=9), target("b", weight=1), target("z", weight=0))
    health, rng = Health(ManualClock()), Random(7)
    first = Counter(names(route(asking(), to, health, rng))[0] for _ in range(4000))
    assert 3450 < first["a"] < 3750
    assert "z" not in first


def test_round_robin_takes_turns() -> None:
    to = routed(RoutingSpec(strategy="round-robin"), target("a"), target("b"), target("c"))
    health = Health(ManualClock())
    assert [names(route(asking(turn), to, health, Random(1)))[0] for turn in range(4)] == ["a", "b", "c", "a"]


def test_least_busy_counts_tokens_not_calls() -> None:
    to = routed(RoutingSpec(strategy="least-busy"), target("a"), target("b"))
    health = Health(ManualClock())
    key = BreakerSpec()
    health.started(health.target(("m", "a"), key), 5000)
    for _ in range(3):
        health.started(health.target(("m", "b"), key), 100)
    assert names(route(asking(), to, health, Random(1))) == ["b", "a"]


def test_lowest_latency_tries_what_was_never_measured() -> None:
    clock = ManualClock()
    to = routed(RoutingSpec(strategy="lowest-latency"), target("a"), target("b"))
    health = Health(clock)
    health.first_byte(health.target(("m", "a"), BreakerSpec()), 0.2)
    assert names(route(asking(), to, health, Random(1)))[0] == "b"
    health.first_byte(health.target(("m", "b"), BreakerSpec()), 0.5)
    assert names(route(asking(), to, health, Random(1)))[0] == "a"


def test_lowest_cost_puts_unknown_prices_last() -> None:
    to = routed(
        RoutingSpec(strategy="lowest-cost"), target("x", price=None), target("a", price=9), target("b", price=1)
    )
    assert names(route(asking(), to, Health(ManualClock()), Random(1))) == ["b", "a", "x"]


def test_hash_is_steady_and_bounded() -> None:
    routing = RoutingSpec(strategy="hash", hash_on=HashOn(by="consumer"))
    to = routed(routing, target("a"), target("b"), target("c"))
    health = Health(ManualClock())
    first = {names(route(asking(consumer="k"), to, health, Random(seed)))[0] for seed in range(10)}
    assert len(first) == 1
    favourite = first.pop()
    for _ in range(30):
        health.started(health.target(("m", favourite), BreakerSpec()), 10)
    assert names(route(asking(consumer="k"), to, health, Random(1)))[0] != favourite
    spread = Counter(names(route(asking(consumer=str(n)), to, Health(ManualClock()), Random(1)))[0] for n in range(900))
    assert min(spread.values()) > 200


def test_provisioned_capacity_first_until_it_is_full() -> None:
    clock = ManualClock()
    to = routed(RoutingSpec(spill_at=0.9), target("ptu", provisioned=True), target("pay", weight=1000))
    health = Health(clock)
    assert names(route(asking(), to, health, Random(3)))[0] == "ptu"
    health.utilised(health.target(("m", "ptu"), BreakerSpec()), 0.95)
    told = route(asking(), to, health, Random(3))
    assert names(told) == ["pay"]
    assert "95%" in told[-1].excluded
    clock.advance(31)
    assert names(route(asking(), to, health, Random(3)))[0] == "ptu"


def test_every_exclusion_says_why() -> None:
    clock = ManualClock()
    to = routed(None, target("small", window=10), target("free", price=None), target("sick"), target("cool"))
    health = Health(clock)
    spec = BreakerSpec(min_requests=1)
    health.failed(health.target(("m", "sick"), spec), spec)
    health.cool_down("p", "0", "cool", 9)
    told = route(asking(admission=admitted(hard_budget=True, needed=50)), to, health, Random(1))
    reasons = {one.target.name: one.excluded for one in told}
    assert "context window" in reasons["small"]
    assert "price is unknown" in reasons["free"]
    assert "circuit open" in reasons["sick"]
    assert "rate limited, resting for 9 s" in reasons["cool"]
    problem = no_target_problem("m", told)
    assert (problem.status, problem.code) == (503, "no_healthy_target")
    assert all(name in problem.message for name in reasons)


def test_a_bad_key_benches_one_credential_alone() -> None:
    pool = (CredentialSpec(id="0", api_key=None), CredentialSpec(id="1", api_key=None))
    to = compiled(model("m", target("a")), credentials=pool).routes["m"]
    health = Health(ManualClock())
    health.bench(("p", "0"))
    assert {route(asking(), to, health, Random(seed))[0].credential for seed in range(20)} == {"1"}


def test_what_was_tried_comes_last() -> None:
    to = routed(None, target("a", priority=0), target("b", priority=1))
    tried = {("m", "a", "0"): 1}
    assert names(route(asking(tried=tried), to, Health(ManualClock()), Random(1))) == ["b", "a"]


def test_a_region_rule_keeps_other_providers_out() -> None:
    rule = EndpointRule(region="EU", provider="other", policy="residency")
    told = route(asking(admission=admitted(rule=rule)), routed(None, target("a")), Health(ManualClock()), Random(1))
    assert names(told) == []
    assert "residency" in told[0].excluded


@pytest.mark.parametrize("strategy", ["weighted", "round-robin", "least-busy", "lowest-latency", "lowest-cost", "hash"])
def test_every_target_is_told_once(strategy: str) -> None:
    to = routed(RoutingSpec(strategy=strategy), target("a"), target("b", weight=3), target("c", priority=1))
    told = route(asking(), to, Health(ManualClock()), Random(5))
    assert sorted(one.target.name for one in told) == ["a", "b", "c"]
    assert told[-1].target.name == "c"


def test_a_pinned_call_goes_to_its_credential_alone() -> None:
    pool = tuple(CredentialSpec(id=name, api_key=None) for name in "abc")
    to = compiled(model("m", target("t")), credentials=pool).routes["m"]
    health, pin = Health(ManualClock()), Pin("p", "b", "`x` names what it keeps", "x")
    assert {route(asking(pin=pin), to, health, Random(seed))[0].credential for seed in range(20)} == {"b"}
    health.bench(("p", "b"))
    told = route(asking(pin=pin), to, health, Random(1))
    assert names(told) == []
    assert "resting for" in told[0].excluded
    assert "`x` names what it keeps" in told[0].excluded
    assert told[0].rests_for > 0


@pytest.mark.parametrize("pin", [Pin("p", "gone", "`x` is there", "x"), Pin("elsewhere", "0", "`x` is there", "x")])
def test_a_pinned_call_goes_nowhere_else(pin: Pin) -> None:
    told = route(asking(pin=pin), routed(None, target("a"), target("b")), Health(ManualClock()), Random(1))
    assert names(told) == []
    assert all("`x` is there" in one.excluded for one in told)
    problem = pinned_elsewhere_problem("m", pin)
    assert (problem.status, problem.field) == (400, "x")
    assert pin.provider in problem.message
