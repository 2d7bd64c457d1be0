"""The usage object of a Response, to disjoint buckets and back.

Source: `openai.types.responses.response_usage` of the official SDK.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage


class _InputDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(Struct):
    reasoning_tokens: int | None = None


class _UsageObject(Struct):
    input_tokens: int
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


_decode = msgspec.json.Decoder(_UsageObject).decode


def usage_of(raw: Raw | bytes) -> Usage:
    """Its totals include cached, written and reasoning tokens. What cannot be read is unknown, never 0."""
    try:
        told = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Usage(raw=bytes(raw))
    in_details = told.input_tokens_details or _InputDetails()
    out_details = told.output_tokens_details or _OutputDetails()
    cached, written = in_details.cached_tokens or 0, in_details.cache_write_tokens or 0
    reasoning = out_details.reasoning_tokens or 0
    return Usage(
        input=max(0, told.input_tokens - cached - written),
        cache_read=cached,
        cache_write_5m=written,
        output=max(0, (told.output_tokens or 0) - reasoning),
        reasoning=reasoning,
        source="reported",
        raw=bytes(raw),
    )


def usage_object(usage: Usage) -> dict[str, Any]:
    """The counts that the SDK's type requires."""
    return {
        "input_tokens": usage.input_total,
        "input_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
        },
        "output_tokens": usage.output_total,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }
