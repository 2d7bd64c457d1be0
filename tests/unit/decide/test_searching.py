"""Calls that may search by themselves: what they reserve, what a hard budget bars, and that nothing can cost more."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.snapshots import ONE_CREDENTIAL

from tidegate.core.claims import Bucket, Window
from tidegate.core.problem import Problem
from tidegate.core.snapshot import (
    ConsumerSpec,
    ModelSpec,
    ProviderSpec,
    RoutingSpec,
    ServerSpec,
    Snapshot,
    TargetSpec,
    Timeouts,
)
from tidegate.core.usage import Price, Rates, UnitRates, Units, Usage
from tidegate.core.view import PathTells
from tidegate.decide.admit import Admission, admit
from tidegate.decide.compiled import Compiled
from tidegate.decide.cost import cost_nano
from tidegate.decide.passthrough import admit_passthrough
from tidegate.decide.searching import DEFAULT_MAX_SEARCHES, holds_searches
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.registry import DIALECTS

CENT = 10_000_000
RATES = Rates(input=2_000_000_000, output=8_000_000_000, cache_write_5m=2_500_000_000)
WEB = UnitRates(web_search=CENT)
CONTEXT = 1_000
BUDGET = Bucket(key="consumer/c/money/month", kind="money", limit=10**15, window=Window(period="month"))
CLAUDES: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search"}


def target(provider: str, units: UnitRates | None = WEB, model: str = "up", rates: Rates = RATES) -> TargetSpec:
    price = Price(version="v", rates=rates, units=units)
    return TargetSpec(name=provider, provider=provider, model=model, context_window=CONTEXT, price=price)


def world(*targets: TargetSpec, hard: bool = True, most: int | None = None) -> Compiled:
    providers = tuple(
        ProviderSpec(
            name=name,
            dialect=name,
            base_url="http://127.0.0.1:1",
            credentials=ONE_CREDENTIAL,
            region=None,
            timeouts=Timeouts(),
            quirks=frozenset({"responses"}) if name == "openai" else frozenset(),
        )
        for name in ("openai", "anthropic", "gemini")
    )
    budget = msgspec.structs.replace(BUDGET, soft=not hard)
    return Compiled.of(
        Snapshot(
            version="v",
            providers=providers,
            models=(ModelSpec(name="m", task="chat", targets=targets, routing=RoutingSpec(), max_searches=most),),
            consumers=(
                ConsumerSpec(
                    name="c",
                    team="t",
                    models=frozenset({"m"}),
                    buckets=(budget,),
                    passthrough=frozenset({"anthropic", "openai"}),
                ),
            ),
            keys=((b"k" * 32, 0),),
            server=ServerSpec(),
        )
    )


def admitted(to: Compiled, dialect: str = "anthropic", **fields: Any) -> Admission | Problem:
    asked = {"contents": []} if dialect == "gemini" else {"model": "m", "messages": [], "input": "", "max_tokens": 10}
    view = DIALECTS[dialect].read("chat", msgspec.json.encode(asked | fields), PathTells(model="m"))
    consumer = to.consumer("c")
    assert consumer is not None
    return admit(view, consumer, to, None)


def money(admission: Admission | Problem) -> int:
    assert isinstance(admission, Admission)
    return admission.claims.amounts[0]


def refused(told: Admission | Problem) -> str:
    assert isinstance(told, Problem)
    assert (told.status, told.code, told.field) == (403, "unpriced_model", "tools")
    return told.message


@given(
    st.integers(1, 20),
    st.integers(0, 20),
    st.integers(0, 21 * CONTEXT),
    st.integers(0, 21 * CONTEXT),
    st.integers(0, 10),
)
def test_no_call_within_its_bounds_costs_more_than_it_reserved(
    most: int, searches: int, read: int, written: int, output: int
) -> None:
    reserved = money(admitted(world(target("anthropic")), tools=[CLAUDES | {"max_uses": most}]))
    written = min(written, (most + 1) * CONTEXT)
    usage = Usage(
        input=min(read, (most + 1) * CONTEXT - written),
        cache_write_5m=written,
        output=output,
        units=Units(web_searches=min(searches, most)),
    )
    cost = cost_nano(usage, target("anthropic").price or pytest.fail())
    assert cost is not None and cost <= reserved


def test_a_bound_that_is_no_bound_is_refused() -> None:
    """What it comes to could not be recorded with its decision."""
    with pytest.raises(UnreadableRequest):
        admitted(world(target("anthropic"), hard=False), tools=[CLAUDES | {"max_uses": 10**20}])


def test_a_bound_is_reserved_and_set_where_the_client_set_none() -> None:
    unbounded = admitted(world(target("anthropic")), tools=[CLAUDES])
    assert isinstance(unbounded, Admission) and unbounded.search_cap == DEFAULT_MAX_SEARCHES
    assert money(unbounded) == money(admitted(world(target("anthropic")), tools=[CLAUDES | {"max_uses": 5}]))
    own = admitted(world(target("anthropic"), most=2), tools=[CLAUDES])
    assert isinstance(own, Admission) and own.search_cap == 2
    assert money(own) == money(admitted(world(target("anthropic")), tools=[CLAUDES | {"max_uses": 2}]))
    soft = admitted(world(target("anthropic"), hard=False), tools=[CLAUDES])
    assert isinstance(soft, Admission) and soft.search_cap is None


def test_web_and_file_searches_share_one_bound() -> None:
    to = world(target("openai", UnitRates(web_search=CENT, file_search=3 * CENT)))
    tools = [{"type": "web_search"}, {"type": "file_search"}]
    both = money(admitted(to, "openai-responses", tools=tools, max_tool_calls=4))
    web = money(admitted(to, "openai-responses", tools=tools[:1], max_tool_calls=4))
    assert both - web == 4 * 2 * CENT


def test_searches_without_a_price_are_refused_under_a_hard_budget() -> None:
    assert "`perWebSearch`" in refused(admitted(world(target("anthropic", None)), tools=[CLAUDES]))
    half = world(target("openai"))
    assert "`perFileSearch`" in refused(admitted(half, "openai-responses", tools=[{"type": "file_search"}]))
    assert "`perFileSearch`" in refused(admitted(half, "openai-responses", prompt={"id": "p"}))
    assert isinstance(admitted(world(target("anthropic", None), hard=False), tools=[CLAUDES]), Admission)
    assert isinstance(admitted(world(target("anthropic", None)), tools=[{"name": "f"}]), Admission)
    free = world(target("anthropic", None, rates=Rates(input=0, output=0)))
    assert money(admitted(free, tools=[CLAUDES])) == 0


def test_a_target_that_does_not_search_serves_all_the_same() -> None:
    """Codex offers its search by default: what is translated does without."""
    to = world(target("anthropic", None), target("openai", None))
    route = to.routes["m"]
    told = admitted(to, "openai-responses", tools=[{"type": "web_search"}])
    assert isinstance(told, Admission)
    view = DIALECTS["openai-responses"].read("chat", b'{"model":"m","input":"","tools":[{"type":"web_search"}]}')
    assert [holds_searches(view, one) for one in route.targets] == [True, False]
    translated = world(target("anthropic", None))
    plain = money(admitted(translated, "openai-responses", max_output_tokens=10))
    assert money(admitted(translated, "openai-responses", tools=[{"type": "web_search"}], max_output_tokens=10)) < 2 * (
        plain
    )


def test_gemini_is_billed_by_the_prompt_or_by_the_search() -> None:
    tools = [{"googleSearch": {}}]
    by_prompt = money(admitted(world(target("gemini", model="gemini-2.5-flash")), "gemini", tools=tools))
    plain = money(admitted(world(target("gemini", model="gemini-2.5-flash")), "gemini"))
    assert by_prompt - plain >= CENT
    by_search = target("gemini", model="gemini-3-pro")
    assert "`maxSearches`" in refused(admitted(world(by_search), "gemini", tools=tools))
    bounded = admitted(world(by_search, most=3), "gemini", tools=tools)
    assert isinstance(bounded, Admission) and bounded.search_cap is None
    assert money(bounded) - by_prompt == 2 * CENT + 2 * CONTEXT * 2_500


def test_what_is_passed_through_must_bound_its_searches() -> None:
    to = world(target("anthropic", model="up"))
    consumer = to.consumer("c")
    assert consumer is not None

    def through(tool: dict[str, Any]) -> Admission | Problem:
        body = msgspec.json.encode({"model": "up", "messages": [], "max_tokens": 10, "tools": [tool]})
        view = DIALECTS["anthropic"].read("chat", body)
        view.operation = "passthrough"
        return admit_passthrough(view, consumer, to.accounts["anthropic"], bounded=True, reads=False)

    told = through(CLAUDES)
    assert isinstance(told, Problem) and told.status == 400
    assert money(through(CLAUDES | {"max_uses": 2})) >= 2 * CENT + 3 * CONTEXT * 2_500


def test_an_envelope_of_bedrocks_around_a_message_searches_too() -> None:
    to = world(target("anthropic"))
    view = DIALECTS["bedrock-claude"].read(
        "chat",
        msgspec.json.encode(
            {"anthropic_version": "bedrock-2023-05-31", "messages": [], "max_tokens": 10, "tools": [CLAUDES]}
        ),
        PathTells(model="m"),
    )
    consumer = to.consumer("c")
    assert consumer is not None
    told = admit(view, consumer, to, None)
    assert isinstance(told, Admission) and told.search_cap == DEFAULT_MAX_SEARCHES
