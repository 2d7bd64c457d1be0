"""Images, speech and transcriptions under budgets: no request of theirs bounds the answer, few tell what was used."""

from msgspec.structs import replace
from tests.support.snapshots import KEY, compiled, model, target

from tidegate.core.claims import Bucket, Window
from tidegate.core.problem import Problem
from tidegate.core.snapshot import ModelSpec, RoutingSpec
from tidegate.core.usage import Price, Rates, Usage
from tidegate.decide.admit import Admission, admit
from tidegate.decide.cost import by_request_alone, cost_nano
from tidegate.dialects.openai import OpenAI

HARD = Bucket(key="team/t/money/month", kind="money", limit=10**12, window=Window(period="month"))
SOFT = replace(HARD, soft=True)
FLAT = Price(version="config", rates=Rates(input=0, output=0), per_request_nano=40_000_000)
BODY = b'{"model":"m","prompt":"a lighthouse","n":%d}'


def image(*models: ModelSpec, images: int = 1, bucket: Bucket = HARD) -> Admission | Problem:
    to = compiled(*models, buckets=(bucket,))
    consumer = to.consumer_for(KEY)
    assert consumer is not None
    return admit(OpenAI().read("image", BODY % images), consumer, to, None)


def reserved(told: Admission | Problem) -> int:
    assert isinstance(told, Admission)
    assert told.output_cap is None  # there is no field to set it in
    return told.claims.amounts[0]


def flat() -> ModelSpec:
    return model("m", replace(target("a"), price=FLAT), task="image")


def test_nothing_bounds_it_so_a_hard_budget_refuses() -> None:
    told = image(model("m", target("a"), task="image"))
    assert isinstance(told, Problem)
    assert (told.status, told.code, told.field) == (403, "unpriced_model", "model")
    assert reserved(image(model("m", target("a"), task="image"), bucket=SOFT)) > 0


def test_the_operators_bound_is_reserved_for_each_image() -> None:
    body = len(BODY % 3)
    told = image(model("m", target("a", price=2), task="image", max_output=7_000), images=3)
    assert reserved(told) == 3 * (body * 2_000 + 7_000 * 8_000)


def test_a_fallback_without_a_bound_refuses_too_and_a_larger_one_counts() -> None:
    first = model("m", target("a"), task="image", max_output=7_000, routing=RoutingSpec(fallbacks=("next",)))
    assert isinstance(image(first, model("next", target("b"), task="image")), Problem)
    told = image(first, model("next", target("b"), task="image", max_output=9_000))
    assert reserved(told) == len(BODY % 1) * 2_000 + 9_000 * 8_000


def test_a_price_by_the_request_is_reserved_for_each_image() -> None:
    assert reserved(image(flat())) == 40_000_000
    assert reserved(image(flat(), images=5)) == 200_000_000


def test_what_is_known_without_any_usage() -> None:
    assert by_request_alone(FLAT)
    assert cost_nano(Usage(), FLAT, 5) == 200_000_000
    assert not by_request_alone(replace(FLAT, rates=Rates(input=0, output=0, output_image=1)))
    assert not by_request_alone(replace(FLAT, tiers=((1_000, Rates(input=1, output=0)),)))
