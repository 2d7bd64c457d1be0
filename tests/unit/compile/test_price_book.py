"""genai-prices in our units: against the package's own reckoning, and its corners."""

import subprocess
import sys
from decimal import Decimal
from types import SimpleNamespace

import pytest
from genai_prices import Usage as BookUsage
from genai_prices import calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import TimeOfDateConstraint

from tidegate.compile import GenaiPrices, price_book
from tidegate.compile.prices import BookEntry
from tidegate.config.metadata import Metadata
from tidegate.config.provider import Provider, ProviderSettings
from tidegate.core.clock import ManualClock
from tidegate.core.usage import Price, UnitRates, Usage
from tidegate.decide.cost import cost_nano

NOW_NS = 1_795_000_000_000_000_000
BOOK = GenaiPrices(ManualClock(NOW_NS))


def provider(url: str, name: str = "p", *, dialect: str = "openai", priced_as: str | None = None) -> Provider:
    settings = ProviderSettings(dialect=dialect, base_url=url, priced_as=priced_as)  # type: ignore[arg-type]
    return Provider(metadata=Metadata(name=name), spec=settings)


def price_of(entry: BookEntry | None) -> Price:
    assert entry is not None and entry.price is not None
    return entry.price


OPENAI = provider("https://api.openai.com/v1")


def test_a_known_model() -> None:
    entry = BOOK.find(OPENAI, "gpt-4.1-2025-04-14")
    price = price_of(entry)
    assert entry is not None and entry.context_window == 1_000_000
    assert (price.rates.input, price.rates.output, price.rates.cache_read) == (
        2_000_000_000,
        8_000_000_000,
        500_000_000,
    )
    assert price.version.startswith("genai-prices/") and price.version.endswith("/openai/gpt-4.1")


@pytest.mark.parametrize(
    ("model", "fresh", "cached", "output"),
    [
        ("gpt-4.1", 900, 100, 50),
        ("gpt-5.4", 272_000, 0, 10),
        ("gpt-5.4", 272_001, 0, 10),
        ("gpt-5.4", 1, 300_000, 7),
        ("text-embedding-3-small", 12_345, 0, 0),
    ],
)
def test_costs_equal_the_packages_own(model: str, fresh: int, cached: int, output: int) -> None:
    book_usage = BookUsage(input_tokens=fresh + cached, cache_read_tokens=cached, output_tokens=output)
    usage = Usage(input=fresh, cache_read=cached, output=output)
    theirs = calc_price(book_usage, model, provider_id="openai").total_price
    ours = cost_nano(usage, price_of(BOOK.find(OPENAI, model)))
    assert abs(Decimal(ours) - theirs * 1_000_000_000) <= Decimal("0.5")


def test_by_which_names_a_provider_is_found() -> None:
    assert BOOK.find(provider("http://10.0.0.1:8000/v1"), "gpt-4.1") is None
    assert BOOK.find(provider("http://10.0.0.1:8000/v1", "openai"), "gpt-4.1") is not None
    assert BOOK.find(provider("http://10.0.0.1:8000/v1", priced_as="openai"), "gpt-4.1") is not None
    assert BOOK.find(provider("https://api.openai.com/v1", priced_as="groq"), "gpt-4.1") is None
    azure = provider("https://proxy.example.com", dialect="azure-openai")
    assert price_of(BOOK.find(azure, "gpt-4.1")).rates.output == 8_000_000_000
    assert BOOK.find(OPENAI, "no-such-model") is None


def test_prices_that_vary_with_the_hour_are_the_dearest() -> None:
    def priced(output: str, constraint: object) -> SimpleNamespace:
        prices = SimpleNamespace(input_mtok=Decimal(1), output_mtok=Decimal(output))
        return SimpleNamespace(constraint=constraint, prices=prices)

    night = SimpleNamespace(start_time=None)
    past = SimpleNamespace(active=lambda _: True)
    future = SimpleNamespace(active=lambda _: False)
    info = SimpleNamespace(prices=[priced("5", None), priced("2", past), priced("9", future), priced("3", night)])
    assert price_book._held_prices(info, BOOK._now)["output_mtok"] == Decimal(3)
    assert any(
        isinstance(one.constraint, TimeOfDateConstraint)
        for owner in get_snapshot().providers
        for model in owner.models
        if isinstance(model.prices, list)
        for one in model.prices
    )


def test_every_entry_of_the_book_can_be_read() -> None:
    priced = 0
    for owner in get_snapshot().providers:
        for info in owner.models:
            price = price_book._price(price_book._held_prices(info, BOOK._now), "v")
            if price is not None:
                priced += 1
                assert all(rate is None or rate >= 0 for rate in (price.rates.input, price.rates.output))
                assert [start for start, _ in price.tiers] == sorted({start for start, _ in price.tiers})
    assert priced > 1500


def test_without_an_input_price_the_price_is_unknown() -> None:
    assert price_book._price({"output_mtok": Decimal(1)}, "v") is None
    assert price_book._price({"web_searches_kcount": Decimal(1)}, "v") is None


def test_what_is_priced_by_the_hour_or_the_character_needs_no_price_of_tokens() -> None:
    told = price_book._price({"audio_hours": Decimal("0.36"), "input_audio_hours": Decimal("0.3")}, "v")
    assert told is not None
    assert told.units == UnitRates(audio_hour=300_000_000)
    assert (told.rates.input, told.rates.output) == (0, 0)
    spoken = price_book._price({"input_mchars": Decimal(15)}, "v")
    assert spoken is not None
    assert spoken.units == UnitRates(characters=15_000_000_000)


def test_searches_are_told_by_the_thousand() -> None:
    told = price_book._price(
        {"input_mtok": Decimal(3), "web_searches_kcount": Decimal(10), "storage_searches_kcount": Decimal("2.5")}, "v"
    )
    assert told is not None
    assert told.units == UnitRates(web_search=10_000_000, file_search=2_500_000)


def test_float_noise_of_the_book_is_rounded_to_a_nano_dollar() -> None:
    price = price_book._price({"input_mtok": Decimal("0.18000000000000002"), "requests_kcount": Decimal(5)}, "v")
    assert price is not None and price.rates.input == 180_000_000
    assert price.per_request_nano == 5_000_000


def test_importing_the_compiler_does_not_load_the_book() -> None:
    code = "import sys, tidegate.compile; print('genai_prices' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
