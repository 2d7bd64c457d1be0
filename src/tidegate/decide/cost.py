"""What a call costs, in integer nano-USD, from disjoint buckets and a Price."""

from typing import Final

from tidegate.core.usage import Price, Rates, Usage

_PER: Final = 1_000_000


def cost_nano(usage: Usage, price: Price, requests: int = 1) -> int:
    """Exact; rounded once, half up. The tier is chosen by the call's whole input.

    `requests`: how many times the price of a request is due.
    """
    rates = rates_for(price, usage.input_total)
    base_in, base_out = rates.input, rates.output
    total = usage.input * base_in + usage.output * base_out
    if usage.cache_read:
        total += usage.cache_read * _or(rates.cache_read, base_in)
    if usage.cache_write_5m:
        total += usage.cache_write_5m * _or(rates.cache_write_5m, base_in)
    if usage.cache_write_1h:
        total += usage.cache_write_1h * _or(rates.cache_write_1h, base_in)
    if usage.input_audio:
        total += usage.input_audio * _or(rates.input_audio, base_in)
    if usage.input_image:
        total += usage.input_image * _or(rates.input_image, base_in)
    if usage.reasoning:
        total += usage.reasoning * _or(rates.reasoning, base_out)
    if usage.output_audio:
        total += usage.output_audio * _or(rates.output_audio, base_out)
    if usage.output_image:
        total += usage.output_image * _or(rates.output_image, base_out)
    return (total + _PER // 2) // _PER + price.per_request_nano * requests


def by_request_alone(price: Price) -> bool:
    """No token costs anything: what a call costs is known without its usage."""
    return not dearest_input(price) and not dearest_output(price)


def rates_for(price: Price, input_tokens: int) -> Rates:
    """The rates of the highest tier that `input_tokens` is above."""
    rates = price.rates
    for above, tier in price.tiers:
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


def _all_rates(price: Price) -> list[Rates]:
    return [price.rates, *(rates for _, rates in price.tiers)]


def _input_rates(rates: Rates) -> tuple[int | None, ...]:
    return (
        rates.input,
        rates.cache_read,
        rates.cache_write_5m,
        rates.cache_write_1h,
        rates.input_audio,
        rates.input_image,
    )


def _output_rates(rates: Rates) -> tuple[int | None, ...]:
    return rates.output, rates.reasoning, rates.output_audio, rates.output_image


def _or(rate: int | None, parent: int) -> int:
    return parent if rate is None else rate
