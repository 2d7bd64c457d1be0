"""What the tiers of a target cost: as written; else half for those whose vendors sell them at half; else unknown."""

import pytest

from tidegate.compile.prices import BookEntry, target_price
from tidegate.config.metadata import ModelMetadata
from tidegate.config.model import Model, ModelPrice, ModelSettings, Target, TierPrice
from tidegate.core.usage import Price, Rates, Tariff, Usage
from tidegate.decide.cost import cost_nano

TARGET = Target(provider="p", model="up")
BOOK = Price(
    version="book",
    rates=Rates(input=3, output=8, cache_read=1),
    tiers=((200, Rates(input=10, output=20)),),
)


def priced(dialect: str, price: ModelPrice | None = None) -> Price:
    model = Model(metadata=ModelMetadata(name="m"), spec=ModelSettings(targets=(TARGET,), price=price))
    found = target_price(model, TARGET, BookEntry(price=BOOK, context_window=None), dialect)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("dialect", "tiers"),
    [
        ("openai", {"batch", "flex"}),
        ("azure-openai", {"batch"}),
        ("anthropic", {"batch"}),
        ("gemini", {"batch"}),
        ("mistral", {"batch"}),
        ("bedrock", set()),
        ("cohere", set()),
    ],
)
def test_whose_tiers_cost_half(dialect: str, tiers: set[str]) -> None:
    price = priced(dialect)
    assert set(price.service) == tiers
    half = Tariff(rates=Rates(input=2, output=4, cache_read=1), tiers=((200, Rates(input=5, output=10)),))
    assert all(tariff == half for tariff in price.service.values())


def test_a_price_that_is_written_holds() -> None:
    own = ModelPrice(input_per_million=2, output_per_million=4, tiers={"batch": TierPrice(input_per_million=2)})  # type: ignore[arg-type]
    price = priced("openai", own)
    assert price.service["batch"].rates == Rates(input=2 * 10**9, output=0)
    assert price.service["flex"].rates == Rates(input=10**9, output=2 * 10**9)
    assert cost_nano(Usage(input=10**6, tier="priority"), price) is None
