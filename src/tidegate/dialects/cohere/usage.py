"""Cohere's usage. Billed units are what costs: they leave out the prompts that Cohere itself adds.

Source: `types.usage`, `types.usage_billed_units`, `types.usage_tokens`, `types.api_meta` of the official `cohere` SDK.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Units, Usage


class _Tokens(Struct):
    input_tokens: float | None = None
    output_tokens: float | None = None
    search_units: float | None = None


class _Usage(Struct):
    billed_units: _Tokens | None = None
    tokens: _Tokens | None = None


_decode = msgspec.json.Decoder(_Usage).decode


def usage_of(raw: Raw | bytes) -> Usage:
    """From `usage` of a chat or `meta` of the other answers. Unknown without a count of the input, never 0."""
    try:
        told = _decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return Usage(raw=bytes(raw))
    units = told.billed_units
    if units is None or units.input_tokens is None:
        units = told.tokens
    if units is None or units.input_tokens is None:
        return Usage(raw=bytes(raw))
    return Usage(
        input=_whole(units.input_tokens), output=_whole(units.output_tokens or 0), source="reported", raw=bytes(raw)
    )


def rerank_usage_of(raw: Raw | bytes) -> Usage:
    """A reranker is charged by search units. Unknown without them, never 0."""
    try:
        units = _decode(raw).billed_units
    except (msgspec.DecodeError, RecursionError):
        units = None
    if units is None or units.search_units is None:
        return Usage(raw=bytes(raw))
    return Usage(units=Units(searches=_whole(units.search_units)), source="reported", raw=bytes(raw))


def usage_object(usage: Usage) -> dict[str, Any]:
    """To a client: nothing is known of tokens that are not billed."""
    counts = {"input_tokens": usage.input_total, "output_tokens": usage.output_total}
    told: dict[str, Any] = {"billed_units": counts, "tokens": counts}
    if usage.cached:
        told["cached_tokens"] = usage.cached
    return told


def _whole(units: float) -> int:
    return max(0, round(units))
