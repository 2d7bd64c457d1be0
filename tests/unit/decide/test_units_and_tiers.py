"""What is charged by something else than standard tokens: exact, rounded once, and unknown where a price is missing."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tidegate.core.usage import MOST_TOKENS, Price, Rates, Tariff, UnitRates, Units, Usage
from tidegate.decide.cost import cost_nano, dearest_input, dearest_output, worst_units_nano

FREE = Rates(input=0, output=0)
TOKENS = Price(version="v", rates=Rates(input=2_000_000_000, output=8_000_000_000))
ALL = UnitRates(
    image=40_000_000,
    audio_hour=360_000_000,
    characters=15_000_000_000,
    search=2_000_000,
    web_search=10_000_000,
    file_search=2_500_000,
)


def by(**rates: int) -> Price:
    """Charged by these units alone."""
    return Price(version="v", rates=FREE, units=UnitRates(**rates))


def used(tokens: int = 0, **units: int) -> Usage:
    return Usage(input=tokens, units=Units(**units), source="reported")


@pytest.mark.parametrize(
    ("usage", "price", "nano"),
    [
        (used(images=3), by(image=40_000_000), 120_000_000),
        (used(audio_ms=90_500), by(audio_hour=360_000_000), 9_050_000),
        (used(characters=11), by(characters=15_000_000_000), 165_000),
        (used(searches=2), by(search=2_000_000), 4_000_000),
        # Tokens have no price where a unit has one: they are told beside it, and cost nothing.
        (used(1000, images=1), by(image=40_000_000), 40_000_000),
        # Tokens have a price: the images, which are the same work, need none.
        (used(1000, images=1), TOKENS, 2_000_000),
        (used(1000, audio_ms=60_000), replace(TOKENS, units=ALL), 2_000_000 + 6_000_000),
        (used(1000, web_searches=2), replace(TOKENS, units=ALL), 2_000_000 + 20_000_000),
        (used(1000, web_searches=1, file_searches=1), replace(TOKENS, units=ALL), 2_000_000 + 12_500_000),
        (used(web_searches=1), replace(TOKENS, units=ALL), 10_000_000),
        # A reranker that is priced by the request: each search unit is one.
        (used(searches=3), Price(version="v", rates=FREE, per_request_nano=2_000_000), 6_000_000),
        (used(images=1), Price(version="v", rates=FREE, per_request_nano=7), 7),
        (used(images=9), Price(version="v", rates=FREE), 0),
        (used(), TOKENS, 0),
    ],
)
def test_units_are_charged(usage: Usage, price: Price, nano: int) -> None:
    assert cost_nano(usage, price) == nano


@pytest.mark.parametrize(
    ("usage", "price"),
    [
        (used(images=1), TOKENS),
        (used(characters=1), by(image=1)),
        (used(audio_ms=1), by(characters=1)),
        (used(searches=1), TOKENS),
        (used(images=1), replace(TOKENS, units=ALL)),  # the tokens, which have a price too, were not told
        (used(5, web_searches=1), TOKENS),
        (used(5, web_searches=1), replace(TOKENS, units=UnitRates(file_search=1))),
        (used(5, file_searches=1), replace(TOKENS, units=UnitRates(web_search=1))),
        (Usage(input=5, source="reported"), by(audio_hour=1)),
        (used(5, web_searches=1), replace(by(audio_hour=1), units=ALL)),
        (Usage(input=5, tier="priority"), TOKENS),
    ],
)
def test_what_has_no_price_makes_the_cost_unknown(usage: Usage, price: Price) -> None:
    assert cost_nano(usage, price) is None


COUNT = st.integers(0, 10**9)
RATE = st.integers(0, 10**12)


@given(COUNT, COUNT, COUNT, COUNT, RATE, RATE, RATE, RATE)
def test_all_kinds_are_rounded_once(
    a: int, ms: int, chars: int, images: int, ra: int, rm: int, rc: int, ri: int
) -> None:
    price = Price(
        version="v", rates=Rates(input=ra + 1, output=0), units=UnitRates(audio_hour=rm, characters=rc, image=ri)
    )
    usage = used(a + 1, audio_ms=ms, characters=chars, images=images)
    exact = Decimal(a + 1) * (ra + 1) / 10**6 + Decimal(chars) * rc / 10**6 + Decimal(images) * ri
    hours = Decimal(ms) * rm
    told = cost_nano(usage, price)
    assert told is not None
    assert abs(told * 3_600_000 - (exact * 3_600_000 + hours)) <= 1_800_000
    if ms * rm % 3_600_000 == 0:
        assert told == int((exact + hours / 3_600_000).quantize(Decimal(1), ROUND_HALF_UP))
    worst = worst_units_nano(Units(audio_ms=ms, characters=chars, images=images), price)
    assert worst >= told - (-(-(a + 1) * (ra + 1) // 10**6))


def test_the_tier_that_the_answer_names_is_the_one_charged() -> None:
    flex = Tariff(rates=Rates(input=1_000_000_000, output=4_000_000_000), tiers=((100, Rates(input=7, output=7)),))
    price = replace(TOKENS, service={"flex": flex})
    assert cost_nano(Usage(input=100, output=10), price) == 280_000
    assert cost_nano(Usage(input=100, output=10, tier="flex"), price) == 140_000
    assert cost_nano(Usage(input=10**6, tier="flex"), price) == 7


def test_the_dearest_tier_is_what_a_call_may_cost() -> None:
    priority = Tariff(rates=FREE, tiers=((9, Rates(input=3_000_000_000, output=9_000_000_000)),))
    price = replace(TOKENS, service={"priority": priority})
    assert (dearest_input(price), dearest_output(price)) == (3_000_000_000, 9_000_000_000)


def test_sound_and_images_from_the_cache_cost_what_they_cost_or_what_text_does() -> None:
    usage = Usage(cache_read_audio=1_000_000, cache_read_image=1_000_000)
    rates = TOKENS.rates
    assert cost_nano(usage, TOKENS) == 4_000_000_000
    assert cost_nano(usage, replace(TOKENS, rates=replace(rates, cache_read=5))) == 10
    own = replace(rates, cache_read=5, cache_read_audio=7, cache_read_image=9)
    assert cost_nano(usage, replace(TOKENS, rates=own)) == 16


@pytest.mark.parametrize("name", Units.__struct_fields__)
def test_a_unit_beyond_reason_is_seen(name: str) -> None:
    assert used(5, **{name: 1}).plausible
    assert not used(5, **{name: -1}).plausible
    assert not used(5, **{name: MOST_TOKENS}).plausible


def test_tokens_of_cached_media_are_input_and_cached() -> None:
    usage = Usage(input=1, cache_read=2, cache_read_audio=4, cache_read_image=8)
    assert (usage.input_total, usage.cached, usage.total) == (15, 14, 15)
    assert not Usage(cache_read_image=-1).plausible
