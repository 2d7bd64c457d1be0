"""Who may call, what it takes, what it costs, and who is to blame."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.snapshots import KEY, compiled, model, price, target, view

from tidegate.core.claims import Bucket, Refusal, Window
from tidegate.core.problem import Problem
from tidegate.core.snapshot import EndpointRule, RoutingSpec
from tidegate.core.usage import Price, Rates, Usage
from tidegate.decide.admit import Admission, admit, refusal_problem
from tidegate.decide.compiled import Compiled
from tidegate.decide.cost import cost_nano, worst_cost_nano
from tidegate.decide.fault import Blame, blame_of, may_have_ended, retryable
from tidegate.dialects.responses import Responses

BUDGET = Bucket(key="team/t/money/month", kind="money", limit=10**9, window=Window(period="month"))
TOKENS = Bucket(key="consumer/c/tokens/60s", kind="tokens", limit=10**6, window=Window(seconds=60))
ASK = b'{"model":"m","messages":[{"role":"user","content":"hi"}]%s}'


def ask(to: Compiled, more: bytes = b"", region: str | None = None) -> Admission | Problem:
    consumer = to.consumer_for(KEY)
    assert consumer is not None
    return admit(view(body=ASK % more), consumer, to, region)


def admitted(to: Compiled, more: bytes = b"", region: str | None = None) -> Admission:
    told = ask(to, more, region)
    assert isinstance(told, Admission)
    return told


def refused(to: Compiled, more: bytes = b"") -> Problem:
    told = ask(to, more)
    assert isinstance(told, Problem)
    return told


def test_the_worst_case_is_reserved_at_the_dearest_price_fallbacks_included() -> None:
    to = compiled(
        model("m", target("a", price=1), routing=RoutingSpec(fallbacks=("dear",))),
        model("dear", target("b", price=5)),
        buckets=(TOKENS, BUDGET),
    )
    body = ASK % b',"max_tokens":100,"n":2'
    asked = admitted(to, b',"max_tokens":100,"n":2').claims
    claims = {bucket.kind: amount for bucket, amount in zip(asked.buckets, asked.amounts, strict=True)}
    assert claims["money"] == len(body) * 5000 + 200 * 20000
    assert claims["tokens"] == len(body) // 4 + 1 + 200


def test_without_a_bound_the_models_own_is_reserved_and_set_upstream() -> None:
    to = compiled(model("m", target("a"), max_output=50), buckets=(BUDGET,))
    assert admitted(to).output_cap == 50
    assert admitted(to, b',"max_tokens":9').output_cap is None
    assert admitted(compiled(model("m", target("a"), max_output=50))).output_cap is None


def test_what_is_reserved_for_want_of_any_bound_is_set_upstream_too() -> None:
    """Else an encoder's own default, room for thoughts, or the model's limit would be spent on top of it."""
    to = compiled(model("m", target("a", price=1)), buckets=(BUDGET,))
    assert admitted(to).output_cap == 4096
    assert admitted(to).claims.amounts == [len(ASK % b"") * 1000 + 4096 * 4000]
    assert admitted(compiled(model("m", target("a", price=1)))).output_cap is None
    assert admitted(compiled(model("m", target("a", price=0)), buckets=(BUDGET,))).output_cap is None


@pytest.mark.parametrize(("window", "tokens"), [(128_000, 128_000), (None, 1_050_000)])
def test_context_that_only_the_upstream_has_may_fill_the_whole_window(window: int | None, tokens: int) -> None:
    to = compiled(model("m", target("a", price=1, window=window), max_output=50), buckets=(BUDGET,))
    consumer = to.consumer_for(KEY)
    assert consumer is not None
    asked = Responses().read("chat", b'{"model":"m","input":"hi","previous_response_id":"resp_1"}')
    told = admit(asked, consumer, to, None)
    assert isinstance(told, Admission)
    assert told.claims.amounts == [tokens * 1000 + 50 * 4000]


def test_a_bound_that_is_set_for_each_of_several_answers_is_reserved_for_all() -> None:
    to = compiled(model("m", target("a", price=1), max_output=50), buckets=(BUDGET,))
    asked = admitted(to, b',"n":3')
    assert asked.output_cap == 50
    assert asked.claims.amounts == [len(ASK % b',"n":3') * 1000 + 3 * 50 * 4000]


@pytest.mark.parametrize(
    ("known", "status", "code"), [(True, 403, "model_not_allowed"), (False, 404, "model_not_found")]
)
def test_models_that_may_not_be_called(known: bool, status: int, code: str) -> None:
    to = compiled(model("m" if known else "other", target("a")), allowed=frozenset())
    problem = refused(to)
    assert (problem.status, problem.code, problem.field) == (status, code, "model")


def test_a_model_of_another_task_is_named() -> None:
    assert "embedding" in refused(compiled(model("m", target("a"), task="embedding"))).message


def test_an_unpriced_model_is_closed_to_a_hard_budget() -> None:
    assert refused(compiled(model("m", target("a", price=None)), buckets=(BUDGET,))).code == "unpriced_model"


def test_a_region_rule_moves_the_call() -> None:
    rules = (EndpointRule(region="EU", model="here", policy="p"),)
    to = compiled(model("m", target("a")), model("here", target("b")), rules=rules)
    assert admitted(to, region="eu").route.name == "here"
    assert admitted(to, region="US").route.name == "m"


def test_a_spent_budget_says_how_much_and_what_to_do() -> None:
    problem = refusal_problem(Refusal(BUDGET, 999_000_000, 2_000_000, 1_800_000_000 * 10**9), 0)
    assert (problem.status, problem.code, problem.should_retry) == (429, "budget_exceeded", False)
    for part in ("1 USD per month", "0.999 USD", "0.002 USD", "2027-01-15T08:00:00Z", "max_completion_tokens"):
        assert part in problem.message


def test_a_full_limit_says_when_to_come_back() -> None:
    problem = refusal_problem(Refusal(TOKENS, 999_999, 2, 7_500_000_000), 0)
    assert (problem.code, problem.retry_after_seconds, problem.should_retry) == ("rate_limit_exceeded", 7.5, None)
    never = refusal_problem(Refusal(TOKENS, 0, 10**7, 1, never_fits=True), 0)
    assert (never.retry_after_seconds, never.should_retry) == (None, False)


FULL = Rates(
    input=2_000_000_000,
    output=8_000_000_000,
    cache_read=500_000_000,
    cache_write_5m=2_500_000_000,
    reasoning=9_000_000_000,
)


def test_each_bucket_at_its_own_rate_or_its_parents() -> None:
    usage = Usage(input=1000, cache_read=200, cache_write_1h=10, output=30, reasoning=4, output_audio=1)
    told = cost_nano(usage, Price(rates=FULL, version="v", per_request_nano=7))
    assert told == 1000 * 2000 + 200 * 500 + 10 * 2000 + 30 * 8000 + 4 * 9000 + 8000 + 7


def test_a_tier_holds_for_the_whole_call() -> None:
    tiered = Price(rates=Rates(input=10**6, output=0), version="v", tiers=((200, Rates(input=3 * 10**6, output=0)),))
    assert cost_nano(Usage(input=200), tiered) == 200
    assert cost_nano(Usage(input=100, cache_read=101), tiered) == 603


COUNT = st.integers(0, 10**7)


@given(COUNT, COUNT, COUNT, st.integers(0, 10**12), st.integers(0, 10**12))
def test_cost_is_exact_and_never_above_the_worst_case(a: int, b: int, c: int, rate_in: int, rate_out: int) -> None:
    told = cost_nano(
        Usage(input=a, output=b, reasoning=c), Price(rates=Rates(input=rate_in, output=rate_out), version="v")
    )
    exact = (Decimal(a) * rate_in + Decimal(b + c) * rate_out) / 10**6
    assert told == int(exact.quantize(Decimal(1), ROUND_HALF_UP))
    assert told <= worst_cost_nano(a, b + c, rate_in, rate_out, 0)


@pytest.mark.parametrize(
    ("kind", "status", "code", "blame", "again"),
    [
        ("status", 400, "", Blame.NOBODY, False),
        ("status", 422, "", Blame.NOBODY, False),
        ("status", 400, "context_length_exceeded", Blame.CONTEXT_LENGTH, True),
        ("status", 401, "", Blame.CREDENTIAL, True),
        ("status", 400, "API_KEY_INVALID", Blame.CREDENTIAL, True),
        ("status", 402, "", Blame.CREDENTIAL, True),
        ("status", 403, "", Blame.CREDENTIAL, True),
        ("status", 429, "insufficient_quota", Blame.CREDENTIAL, True),
        ("status", 429, "enforced_spend_limit_reached", Blame.CREDENTIAL, True),
        ("status", 400, "ServiceQuotaExceededException", Blame.CREDENTIAL, True),
        ("status", 403, "AccessDeniedException", Blame.TARGET, True),
        ("status", 403, "InvalidSignatureException", Blame.CREDENTIAL, True),
        ("status", 429, "", Blame.CREDENTIAL_MODEL, True),
        ("status", 404, "", Blame.TARGET, True),
        ("status", 408, "", Blame.TARGET, True),
        ("status", 500, "", Blame.TARGET, True),
        ("status", 529, "", Blame.TARGET, True),
        ("connect", 0, "", Blame.TARGET, True),
        ("first-byte-timeout", 0, "", Blame.TARGET, True),
        ("total-timeout", 0, "", Blame.TARGET, False),
        ("reset", 0, "", Blame.TARGET, True),
        ("malformed", 200, "", Blame.TARGET, True),
        ("in-band", 0, "context_length_exceeded", Blame.CONTEXT_LENGTH, True),
    ],
)
def test_who_is_to_blame(kind: str, status: int, code: str, blame: Blame, again: bool) -> None:
    assert blame_of(kind, status, code) is blame
    assert retryable(kind, status, blame, frozenset({"connect", "timeout", "429", "5xx"})) is again
    if blame not in (Blame.CREDENTIAL, Blame.CONTEXT_LENGTH):
        assert not retryable(kind, status, blame, frozenset())


def test_what_was_shown_may_have_ended() -> None:
    assert may_have_ended(401, "")
    assert may_have_ended(403, "ExpiredTokenException")
    assert not may_have_ended(403, "AccessDeniedException")


def test_prices_of_the_support_module_are_per_million() -> None:
    assert cost_nano(Usage(input=1), price(2)) == 2000
