"""What a target costs: its own price, else its Model's, else the price book's. Resolved once, when compiling."""

from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from tidegate.config.model import Model, ModelPrice, Target
from tidegate.config.provider import Provider
from tidegate.core.money import nano_from_usd
from tidegate.core.usage import Price, Rates


class BookEntry(Struct, frozen=True, kw_only=True):
    """What a price book knows of an upstream model. `price` None: it knows the model, not what its tokens cost."""

    price: Price | None
    context_window: int | None


class PriceBook(Protocol):
    """Prices and context windows by provider and upstream model name."""

    def find(self, provider: Provider, model: str) -> BookEntry | None: ...


class NoPrices:
    """An empty price book: only the configuration's own prices hold."""

    def find(self, provider: Provider, model: str) -> BookEntry | None:
        return None


def target_price(model: Model, target: Target, entry: BookEntry | None) -> Price | None:
    """The target's own price, else the Model's, else the price book's; None: unknown."""
    own = target.price or model.spec.price
    if own is not None:
        return configured_price(own)
    return entry.price if entry is not None else None


def configured_price(price: ModelPrice) -> Price:
    """A price as written in a configuration."""

    def nano(usd: Decimal | None) -> int | None:
        return None if usd is None else nano_from_usd(usd)

    write = nano(price.cache_write_per_million)
    write_long = nano(price.cache_write_long_per_million)
    return Price(
        version="config",
        per_request_nano=nano(price.per_request) or 0,
        rates=Rates(
            input=nano(price.input_per_million) or 0,
            output=nano(price.output_per_million) or 0,
            cache_read=nano(price.cached_input_per_million),
            cache_write_5m=write,
            cache_write_1h=write if write_long is None else write_long,
            input_audio=nano(price.audio_input_per_million),
            input_image=nano(price.image_input_per_million),
            reasoning=nano(price.reasoning_per_million),
            output_audio=nano(price.audio_output_per_million),
            output_image=nano(price.image_output_per_million),
        ),
    )
