"""What a target costs: its own price, else its Model's, else the price book's. Resolved once, when compiling."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import asdict, replace

from tidegate.config.model import Model, ModelPrice, Target, TokenPrices
from tidegate.config.provider import Provider
from tidegate.core.money import nano_from_usd
from tidegate.core.usage import Price, Rates, Tariff, UnitRates


class BookEntry(Struct, frozen=True, kw_only=True):
    """What a price book knows of an upstream model. `price` None: it knows the model, not what it costs."""

    price: Price | None
    context_window: int | None


class PriceBook(Protocol):
    """Prices and context windows by provider and upstream model name."""

    def find(self, provider: Provider, model: str) -> BookEntry | None: ...


class NoPrices:
    """An empty price book: only the configuration's own prices hold."""

    def find(self, provider: Provider, model: str) -> BookEntry | None:
        return None


_HALF: Final[Mapping[str, tuple[str, ...]]] = {
    "openai": ("batch", "flex"),
    "azure-openai": ("batch",),
    "anthropic": ("batch",),
    "gemini": ("batch",),
    "mistral": ("batch",),
}
"""Dialect → the service tiers that cost half of the standard one, where no price of their own is written.

Sources: https://platform.openai.com/docs/pricing, https://docs.claude.com/en/docs/build-with-claude/batch-processing,
https://ai.google.dev/gemini-api/docs/batch-api, https://docs.mistral.ai/capabilities/batch.
"""


def target_price(model: Model, target: Target, entry: BookEntry | None, dialect: str) -> Price | None:
    """The target's own price, else the Model's, else the price book's; None: unknown. `dialect`: the provider's."""
    own = target.price or model.spec.price
    if own is not None:
        price = configured_price(own)
    elif entry is not None and entry.price is not None:
        price = entry.price
    else:
        return None
    halved = {tier: _half(price) for tier in _HALF.get(dialect, ()) if tier not in price.service}
    return replace(price, service=price.service | halved) if halved else price


def configured_price(price: ModelPrice) -> Price:
    """A price as written in a configuration."""
    units = UnitRates(
        image=_nano(price.per_image),
        audio_hour=_nano(price.per_audio_hour),
        characters=_nano(price.per_million_characters),
        search=_nano(price.per_search),
        web_search=_nano(price.per_web_search),
        file_search=_nano(price.per_file_search),
    )
    return Price(
        version="config",
        per_request_nano=_nano(price.per_request) or 0,
        rates=_rates(price),
        units=None if units == UnitRates() else units,
        service={tier: Tariff(rates=_rates(one)) for tier, one in price.tiers.items()},
    )


def _rates(price: TokenPrices) -> Rates:
    write = _nano(price.cache_write_per_million)
    write_long = _nano(price.cache_write_long_per_million)
    return Rates(
        input=_nano(price.input_per_million) or 0,
        output=_nano(price.output_per_million) or 0,
        cache_read=_nano(price.cached_input_per_million),
        cache_write_5m=write,
        cache_write_1h=write if write_long is None else write_long,
        input_audio=_nano(price.audio_input_per_million),
        input_image=_nano(price.image_input_per_million),
        reasoning=_nano(price.reasoning_per_million),
        output_audio=_nano(price.audio_output_per_million),
        output_image=_nano(price.image_output_per_million),
        cache_read_audio=_nano(price.cached_audio_input_per_million),
        cache_read_image=_nano(price.cached_image_input_per_million),
    )


def _half(tariff: Tariff) -> Tariff:
    return Tariff(
        rates=_half_rates(tariff.rates), tiers=tuple((above, _half_rates(rates)) for above, rates in tariff.tiers)
    )


def _half_rates(rates: Rates) -> Rates:
    """Rounded up: an odd number of nano-USD is none that a vendor has."""
    halves = {name: -(-rate // 2) for name, rate in asdict(rates).items() if rate is not None}
    return Rates(**halves)


def _nano(usd: Decimal | None) -> int | None:
    return None if usd is None else nano_from_usd(usd)
