"""Service tiers that requests ask for: a hard budget lets through only those whose price is known."""

from random import Random
from typing import Any

import msgspec
import pytest
from tests.support.snapshots import compiled, model, price, target

from tidegate.core.claims import Bucket, Window
from tidegate.core.clock import ManualClock
from tidegate.core.problem import Problem
from tidegate.core.usage import Price, Rates, Tariff, Usage
from tidegate.core.view import PathTells
from tidegate.decide.admit import Admission, admit
from tidegate.decide.compiled import Account, Compiled
from tidegate.decide.cost import cost_nano
from tidegate.decide.passthrough import admit_passthrough
from tidegate.decide.route import Asking, route
from tidegate.dialects.registry import DIALECTS
from tidegate.state.health import Health

BUDGET = Bucket(key="consumer/c/money/month", kind="money", limit=10**15, window=Window(period="month"))
DEARER = Tariff(rates=Rates(input=4 * 10**9, output=16 * 10**9))
WITH_PRIORITY = msgspec.structs.replace(price(2), service={"priority": DEARER})
FREE = Price(version="v", rates=Rates(input=0, output=0), per_request_nano=5)


def world(*prices: Price, hard: bool = True) -> Compiled:
    targets = [
        msgspec.structs.replace(target(f"t{number}", window=1000), price=one) for number, one in enumerate(prices)
    ]
    return compiled(model("m", *targets), buckets=(msgspec.structs.replace(BUDGET, soft=not hard),))


def admitted(to: Compiled, **fields: Any) -> Admission | Problem:
    view = DIALECTS["openai"].read("chat", msgspec.json.encode({"model": "m", "messages": [], **fields}))
    consumer = to.consumer("c")
    assert consumer is not None
    return admit(view, consumer, to, None)


@pytest.mark.parametrize(
    ("dialect", "fields", "tier"),
    [
        ("openai", {"service_tier": "priority"}, "priority"),
        ("openai", {"service_tier": "auto"}, ""),
        ("openai", {"service_tier": None}, ""),
        ("openai", {"service_tier": 7}, ""),
        ("openai-responses", {"service_tier": "flex"}, "flex"),
        ("mistral", {"service_tier": "standard_only"}, ""),
        ("anthropic", {"speed": "fast", "service_tier": "auto"}, "fast"),
        ("anthropic", {"speed": "standard"}, ""),
        ("gemini", {"serviceTier": "PRIORITY"}, "priority"),
        ("gemini", {"service_tier": "unspecified"}, ""),
        ("gemini", {"serviceTier": None}, ""),
        ("gemini", {"serviceTier": 3}, "unknown"),
        ("bedrock", {"serviceTier": {"type": "flex"}}, "flex"),
        ("bedrock", {"serviceTier": {"type": "default"}}, ""),
    ],
)
def test_what_tier_a_request_asks_for(dialect: str, fields: dict[str, Any], tier: str) -> None:
    asked: dict[str, Any] = {"contents": []} if dialect == "gemini" else {"messages": []}
    if not DIALECTS[dialect].matches_paths:
        asked |= {"model": "m", "input": ""}
    assert DIALECTS[dialect].read("chat", msgspec.json.encode(asked | fields), PathTells(model="m")).tier == tier


def test_a_tier_without_a_price_is_refused_under_a_hard_budget() -> None:
    told = admitted(world(price(2), price(3)), service_tier="priority")
    assert isinstance(told, Problem)
    assert (told.status, told.code, told.field) == (400, "unsupported_field", "service_tier")
    assert "`priority`" in told.message
    assert isinstance(admitted(world(price(2), hard=False), service_tier="priority"), Admission)
    assert isinstance(admitted(world(price(2)), service_tier="default"), Admission)
    assert isinstance(admitted(world(price(2), WITH_PRIORITY), service_tier="priority"), Admission)


def test_targets_without_a_price_of_the_tier_are_passed_over() -> None:
    to = world(price(2), WITH_PRIORITY)
    told = admitted(to, service_tier="priority")
    assert isinstance(told, Admission)
    view = DIALECTS["openai"].read("chat", b'{"model":"m","messages":[],"service_tier":"priority"}')
    clock = ManualClock()
    candidates = route(Asking(view, told, "c", 0), to.routes["m"], Health(clock), Random(1))
    assert [(one.target.name, "`priority`" in one.excluded) for one in candidates] == [("t1", False), ("t0", True)]


def test_what_it_reserves_covers_the_tier() -> None:
    told = admitted(world(WITH_PRIORITY), service_tier="priority", max_tokens=100)
    assert isinstance(told, Admission)
    cost = cost_nano(Usage(output=100, tier="priority"), WITH_PRIORITY)
    assert cost is not None and told.claims.amounts[0] >= cost


def test_where_tokens_are_free_every_tier_is() -> None:
    assert cost_nano(Usage(input=9, tier="priority"), FREE) == 5
    assert isinstance(admitted(world(FREE), service_tier="priority"), Admission)


def test_a_tier_that_is_passed_through() -> None:
    to = world(price(2))
    consumer = to.consumer("c")
    assert consumer is not None
    account = Account(to.routes["m"].targets[0].provider, [to.routes["m"].spec])
    body = b'{"model":"t0","messages":[],"max_tokens":9,"service_tier":"priority"}'
    view = DIALECTS["openai"].read("chat", body)
    told = admit_passthrough(view, consumer, account, bounded=True, reads=False)
    assert isinstance(told, Problem) and told.field == "service_tier"
