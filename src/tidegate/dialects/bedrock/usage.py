"""Bedrock's usage object, to disjoint buckets and back."""

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.dialects.service_tiers import tier_name


class Tier(Struct):
    """A service tier, as answers name theirs beside the usage."""

    type: str = ""


class _CacheDetail(Struct, rename="camel"):
    ttl: str = ""
    input_tokens: int = 0


class _UsageObject(Struct, rename="camel"):
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[_CacheDetail] | None = None


_decode_tier = msgspec.json.Decoder(Tier | None).decode
_decode_usage = msgspec.json.Decoder(_UsageObject).decode


def usage_of(raw: Raw | bytes, tier: str = "") -> Usage:
    """Disjoint buckets. A count that is missing makes the whole unknown, never 0. `tier`: as named beside the usage.

    Most models count cached tokens apart from `inputTokens`, as Anthropic does, and some within it. The total tells:
    where it is more than input and output together, the cached tokens are apart.
    """
    try:
        told = _decode_usage(raw)
    except (msgspec.DecodeError, RecursionError):
        return Usage(raw=bytes(raw))
    if told.input_tokens is None or told.output_tokens is None:
        return Usage(raw=bytes(raw))
    read, written = told.cache_read_input_tokens or 0, told.cache_write_input_tokens or 0
    long = min(written, sum(one.input_tokens for one in told.cache_details or () if one.ttl == "1h"))
    total = told.total_tokens or 0
    apart = told.input_tokens + told.output_tokens < total or read + written > told.input_tokens
    return Usage(
        input=told.input_tokens if apart else told.input_tokens - read - written,
        cache_read=read,
        cache_write_5m=written - long,
        cache_write_1h=long,
        output=told.output_tokens,
        source="reported",
        raw=bytes(raw),
        tier=tier_name(tier),
    )


def tier_told(raw: Raw | None) -> str:
    """Of a whole answer's `serviceTier`."""
    try:
        return "" if raw is None else (_decode_tier(raw) or Tier()).type
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "unknown"


def usage_object(usage: Usage) -> dict[str, object]:
    """As Bedrock counts for most models: cached tokens apart from `inputTokens`, all of them in the total."""
    told: dict[str, object] = {
        "inputTokens": usage.input + usage.input_audio + usage.input_image,
        "outputTokens": usage.output_total,
        "totalTokens": usage.total,
        "cacheReadInputTokens": usage.cached,
        "cacheWriteInputTokens": usage.cache_write_5m + usage.cache_write_1h,
    }
    details = [
        {"ttl": ttl, "inputTokens": tokens}
        for ttl, tokens in (("1h", usage.cache_write_1h), ("5m", usage.cache_write_5m))
        if tokens
    ]
    if details:
        told["cacheDetails"] = details
    return told
