"""The price book of `genai-prices`: which provider and model of it a target is, in this project's own units.

The package is slow to import and large in memory: it is imported when a GenaiPrices is made, never before, and only
the process that compiles makes one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from importlib import import_module
from typing import Any, Final

from tidegate.compile.prices import BookEntry
from tidegate.config.provider import Provider
from tidegate.core.clock import Clock
from tidegate.core.money import NANO_PER_USD
from tidegate.core.usage import Price, Rates, UnitRates

_BOOK_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("input_mtok",),
    "output": ("output_mtok",),
    "cache_read": ("cache_read_mtok",),
    "cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok", "cache_write_mtok"),
    "input_audio": ("input_audio_mtok",),
    "input_image": ("input_image_mtok",),
    "reasoning": ("output_reasoning_mtok",),
    "output_audio": ("output_audio_mtok",),
    "output_image": ("output_image_mtok",),
    "cache_read_audio": ("cache_audio_read_mtok",),
    "cache_read_image": ("cache_image_read_mtok",),
}
"""Rate → the book's price keys, the first that is there."""
_BOOK_UNITS: Final[Mapping[str, tuple[tuple[str, ...], int]]] = {
    "audio_hour": (("input_audio_hours", "audio_hours"), 1),
    "characters": (("input_mchars",), 1),
    "web_search": (("web_searches_kcount",), 1000),
    "file_search": (("storage_searches_kcount",), 1000),
}
"""Rate of a unit → the book's price keys, the first that is there, and for how many of the unit that is."""


class GenaiPrices:
    """`genai-prices` as bundled; nothing is fetched. Dated prices are those of the clock's now."""

    def __init__(self, clock: Clock) -> None:
        self._now = datetime.fromtimestamp(clock.now_ns() // 1_000_000_000, UTC)
        self._version: str = import_module("genai_prices").__version__
        self._book: Any = import_module("genai_prices.data_snapshot").get_snapshot()
        self._ids = frozenset(provider.id for provider in self._book.providers)

    def find(self, provider: Provider, model: str) -> BookEntry | None:
        found = None
        for provider_id, url in self._ways(provider):
            try:
                found = self._book.find_provider_model(model, None, provider_id, url)
                break
            except LookupError:
                continue
        if found is None:
            return None
        owner, info = found
        version = f"genai-prices/{self._version}/{owner.id}/{info.id}"
        return BookEntry(price=_price(_held_prices(info, self._now), version), context_window=info.context_window)

    def _ways(self, provider: Provider) -> list[tuple[str | None, str | None]]:
        """By which (provider id, URL) to look, in this order. A model's name alone never decides."""
        spec = provider.spec
        if spec.priced_as is not None:
            return [(spec.priced_as, None)]
        ways: list[tuple[str | None, str | None]] = [(None, spec.base_url)]
        if spec.dialect == "azure-openai":
            ways.append(("azure", None))
        if provider.metadata.name in self._ids:
            ways.append((provider.metadata.name, None))
        return ways


def _held_prices(info: Any, now: datetime) -> dict[str, Any]:
    """The standard prices at `now`. Where they vary with the time of day, the dearest hold all day: a hard budget
    must not be overshot at peak hours.
    """
    if not isinstance(info.prices, list):
        return vars(info.prices)
    held: dict[str, Any] = {}
    by_time: list[dict[str, Any]] = []
    for conditional in info.prices:
        constraint = conditional.constraint
        if constraint is not None and hasattr(constraint, "start_time"):
            by_time.append(vars(conditional.prices))
        elif constraint is None or constraint.active(now):
            held = vars(conditional.prices)
    return max([held, *by_time], key=lambda prices: _base(prices.get("output_mtok")) or Decimal(0))


def _base(value: Any) -> Decimal | None:
    return value if value is None or isinstance(value, Decimal) else value.base


def _price(prices: Mapping[str, Any], version: str) -> Price | None:
    """None unless input tokens, sound or characters have a price. Output without a price is free: the book leaves it out
    for embeddings.
    """
    units = _units(prices)
    if _lookup(prices, "input") is None and units.audio_hour is None and units.characters is None:
        return None
    starts = sorted({tier.start for value in prices.values() for tier in getattr(value, "tiers", ())})
    per_thousand = prices.get("requests_kcount")
    return Price(
        version=version,
        rates=_rates(prices, None),
        per_request_nano=0 if per_thousand is None else _nano(per_thousand / 1000),
        tiers=tuple((start, _rates(prices, start)) for start in starts),
        units=None if units == UnitRates() else units,
    )


def _units(prices: Mapping[str, Any]) -> UnitRates:
    nanos: dict[str, int] = {}
    for rate, (keys, of) in _BOOK_UNITS.items():
        value = next((prices[key] for key in keys if prices.get(key) is not None), None)
        if value is not None:
            nanos[rate] = _nano((_base(value) or Decimal(0)) / of)
    return UnitRates(**nanos)


def _lookup(prices: Mapping[str, Any], rate: str) -> Any:
    return next((prices[key] for key in _BOOK_KEYS[rate] if prices.get(key) is not None), None)


def _rates(prices: Mapping[str, Any], above: int | None) -> Rates:
    """The rates of calls with more input tokens than `above`; None: of the smallest calls."""
    nanos: dict[str, int] = {}
    for rate in _BOOK_KEYS:
        value = _lookup(prices, rate)
        if value is not None:
            nanos[rate] = _nano(_at(value, above))
    return Rates(input=nanos.pop("input", 0), output=nanos.pop("output", 0), **nanos)


def _at(value: Any, above: int | None) -> Decimal:
    if isinstance(value, Decimal):
        return value
    price: Decimal = value.base
    for tier in value.tiers:
        if above is not None and tier.start <= above:
            price = tier.price
    return price


def _nano(usd: Decimal) -> int:
    """Some of the book's prices carry the noise of a float; nine decimals of a dollar per million are kept."""
    return int((usd * NANO_PER_USD).to_integral_value(ROUND_HALF_EVEN))
