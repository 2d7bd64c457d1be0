"""What a call costs, in integer nano-USD, from disjoint buckets and a Price."""

from typing import Final

from tidegate.core.usage import Price, Rates, Tariff, UnitRates, Units, Usage

_PER: Final = 1_000_000
"""Tokens and characters are priced by the million."""
_MS_PER_HOUR: Final = 3_600_000
_SHARED: Final = 36_000_000
"""A multiple of both: sums of both kinds are rounded once."""


def cost_nano(usage: Usage, price: Price, requests: int = 1) -> int | None:
    """Exact; rounded once, half up. None, unknown: something that was consumed has no price. The tier is chosen by the
    call's whole input.

    `requests`: how many times the price of a request is due.
    """
    tariff = price.service.get(usage.tier) if usage.tier else price
    if tariff is None:
        if not by_request_alone(price):
            return None
        tariff = price
    rates = rates_for(tariff, usage.input_total) if tariff.tiers else tariff.rates
    base_in, base_out = rates.input, rates.output
    total = usage.input * base_in + usage.output * base_out
    if usage.cache_read:
        total += usage.cache_read * _or(rates.cache_read, base_in)
    if usage.cache_write_5m:
        total += usage.cache_write_5m * _or(rates.cache_write_5m, base_in)
    if usage.cache_write_1h:
        total += usage.cache_write_1h * _or(rates.cache_write_1h, base_in)
    if usage.reasoning:
        total += usage.reasoning * _or(rates.reasoning, base_out)
    if (
        usage.input_audio
        | usage.input_image
        | usage.output_audio
        | usage.output_image
        | usage.cache_read_audio
        | usage.cache_read_image
    ):
        total += _other_media(usage, rates)
    if usage.units is not None:
        return _with_units(total, usage, usage.units, price, requests)
    if not total and usage.total and _by_units_alone(price):
        return None
    return (total + _PER // 2) // _PER + price.per_request_nano * requests


def _other_media(usage: Usage, rates: Rates) -> int:
    """Tokens of sound and images, in millionths of a nano-USD."""
    base_in, base_out = rates.input, rates.output
    cached = _or(rates.cache_read, base_in)
    return (
        usage.input_audio * _or(rates.input_audio, base_in)
        + usage.input_image * _or(rates.input_image, base_in)
        + usage.output_audio * _or(rates.output_audio, base_out)
        + usage.output_image * _or(rates.output_image, base_out)
        + usage.cache_read_audio * _or(rates.cache_read_audio, cached)
        + usage.cache_read_image * _or(rates.cache_read_image, cached)
    )


def _with_units(tokens: int, usage: Usage, units: Units, price: Price, requests: int) -> int | None:
    """`tokens`: what they come to, in millionths of a nano-USD."""
    rates = price.units or UnitRates()
    if not by_request_alone(price) and not (_priced_tools(units, rates) and _priced_work(usage, units, price, rates)):
        return None
    if units.searches and rates.search is None:
        requests = max(requests, units.searches)  # of rerankers that are priced by the request, each search is one
    parts = tokens * (_SHARED // _PER)
    parts += units.characters * (rates.characters or 0) * (_SHARED // _PER)
    parts += units.audio_ms * (rates.audio_hour or 0) * (_SHARED // _MS_PER_HOUR)
    whole = units.images * (rates.image or 0) + units.searches * (rates.search or 0)
    whole += units.web_searches * (rates.web_search or 0) + units.file_searches * (rates.file_search or 0)
    return (parts + _SHARED // 2) // _SHARED + whole + price.per_request_nano * requests


def _priced_work(usage: Usage, units: Units, price: Price, rates: UnitRates) -> bool:
    """The work is told in what it is charged by: in tokens if those have a price, else in one of its units that has."""
    if not units.work:
        return bool(not usage.total or not _by_units_alone(price))
    if _charges_tokens(price):
        return bool(usage.total)
    return bool(
        (units.images and rates.image is not None)
        or (units.audio_ms and rates.audio_hour is not None)
        or (units.characters and rates.characters is not None)
        or (units.searches and rates.search is not None)
    )


def _priced_tools(units: Units, rates: UnitRates) -> bool:
    """All that hosted tools did has a price."""
    return not (
        (units.web_searches and rates.web_search is None) or (units.file_searches and rates.file_search is None)
    )


def _by_units_alone(price: Price) -> bool:
    """The work is charged by something else than tokens, whose price is nothing for that reason."""
    rates = price.units
    if rates is None or _charges_tokens(price):
        return False
    return any(rate is not None for rate in (rates.image, rates.audio_hour, rates.characters, rates.search))


def _charges_tokens(price: Price) -> bool:
    return bool(dearest_input(price) or dearest_output(price))


def by_request_alone(price: Price) -> bool:
    """Neither tokens nor units cost anything: what a call costs is known without its usage."""
    return price.units is None and not _charges_tokens(price)


def tier_priced(tier: str, price: Price) -> bool:
    """It is known what a call costs that `tier` serves."""
    return not tier or tier in price.service or by_request_alone(price)


def rates_for(tariff: Tariff, input_tokens: int) -> Rates:
    """The rates of the highest tier that `input_tokens` is above."""
    rates = tariff.rates
    for above, tier in tariff.tiers:
        if input_tokens > above:
            rates = tier
    return rates


def dearest_input(price: Price) -> int:
    """The highest rate any input token of a call can have, over all buckets and tiers."""
    return max(_or(rate, 0) for rates in _all_rates(price) for rate in _input_rates(rates))


def dearest_output(price: Price) -> int:
    """The highest rate any output token of a call can have, over all buckets and tiers."""
    return max(_or(rate, 0) for rates in _all_rates(price) for rate in _output_rates(rates))


def worst_cost_nano(input_tokens: int, output_tokens: int, dearest_in: int, dearest_out: int, per_request: int) -> int:
    """Never below what a call within these bounds can cost: rounded up."""
    return -(-(input_tokens * dearest_in + output_tokens * dearest_out) // _PER) + per_request


def worst_units_nano(units: Units, price: Price) -> int:
    """Never below what these units can cost, beside tokens: rounded up."""
    rates = price.units or UnitRates()
    whole = units.images * (rates.image or 0) + units.web_searches * (rates.web_search or 0)
    whole += units.file_searches * (rates.file_search or 0)
    whole += units.searches * (price.per_request_nano if rates.search is None else rates.search)
    whole -= -(units.characters * (rates.characters or 0)) // _PER
    return whole - -(units.audio_ms * (rates.audio_hour or 0)) // _MS_PER_HOUR


def _all_rates(price: Price) -> list[Rates]:
    tariffs: list[Tariff] = [price, *price.service.values()]
    return [rates for tariff in tariffs for rates in (tariff.rates, *(one for _, one in tariff.tiers))]


def _input_rates(rates: Rates) -> tuple[int | None, ...]:
    return (
        rates.input,
        rates.cache_read,
        rates.cache_read_audio,
        rates.cache_read_image,
        rates.cache_write_5m,
        rates.cache_write_1h,
        rates.input_audio,
        rates.input_image,
    )


def _output_rates(rates: Rates) -> tuple[int | None, ...]:
    return rates.output, rates.reasoning, rates.output_audio, rates.output_image


def _or(rate: int | None, parent: int) -> int:
    return parent if rate is None else rate
