"""Anthropic's usage object, to disjoint buckets and back.

`input_tokens` excludes what the cache gave and took; `output_tokens` includes the thoughts.
Source: `anthropic.types.usage`, `message_delta_usage` and `cache_creation` of the official SDK.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Source, Units, Usage
from tidegate.dialects.service_tiers import tier_name


class _CacheCreation(Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _OutputDetails(Struct):
    thinking_tokens: int | None = None


class _ToolUse(Struct):
    web_search_requests: int | None = None


class _UsageObject(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _CacheCreation | None = None
    output_tokens_details: _OutputDetails | None = None
    server_tool_use: _ToolUse | None = None
    service_tier: str | None = None
    speed: str | None = None


_decode_usage = msgspec.json.Decoder(_UsageObject).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


def usage_of(raw: Raw | bytes, source: Source = "reported") -> Usage:
    """A total that is missing makes the whole unknown, never 0."""
    try:
        told = _decode_usage(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Usage(raw=bytes(raw))
    if told.input_tokens is None or told.output_tokens is None:
        return Usage(raw=bytes(raw))
    split = told.cache_creation or _CacheCreation()
    hour, minutes = split.ephemeral_1h_input_tokens or 0, split.ephemeral_5m_input_tokens or 0
    written = told.cache_creation_input_tokens
    if written is not None:
        # The split may be older than the total (a stream's end tells the total alone), or not be there.
        hour = min(hour, written)
        minutes = written - hour
    searches = 0 if told.server_tool_use is None else told.server_tool_use.web_search_requests or 0
    thought = 0 if told.output_tokens_details is None else told.output_tokens_details.thinking_tokens or 0
    return Usage(
        input=max(0, told.input_tokens),
        cache_read=told.cache_read_input_tokens or 0,
        cache_write_5m=minutes,
        cache_write_1h=hour,
        output=max(0, told.output_tokens - thought),
        reasoning=thought,
        source=source,
        raw=bytes(raw),
        units=Units(web_searches=searches) if searches else None,
        tier=tier_name(told.service_tier if told.speed is None else tier_name(told.speed) or told.service_tier),
    )


class RunningUsage:
    """A stream's usage: what it tells is cumulative, so of each field the last value counts."""

    def __init__(self) -> None:
        self._fields: dict[str, Raw] = {}

    def told(self, raw: Raw, *, final: bool) -> Usage:
        """`final`: at the stream's end. At its beginning the output is a guess of the upstream's."""
        try:
            fields = _decode_fields(raw)
        except (msgspec.DecodeError, RecursionError):
            return Usage(raw=bytes(raw))
        self._fields.update({name: value for name, value in fields.items() if bytes(value) != b"null"})
        return usage_of(msgspec.json.encode(self._fields), "reported" if final else "estimated")


def usage_object(usage: Usage) -> dict[str, Any]:
    """For a client. The two totals must be numbers in this dialect, so what is unknown is 0 there and nothing else."""
    told: dict[str, Any] = {
        "input_tokens": usage.input + usage.input_audio + usage.input_image,
        "output_tokens": usage.output_total,
    }
    if usage.source == "unknown":
        return told
    return told | {
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cached,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
    }


def cache_creation(usage: Usage) -> dict[str, int]:
    """The split of what was written to the cache; a whole answer has it, a stream's end does not."""
    return {
        "ephemeral_5m_input_tokens": usage.cache_write_5m,
        "ephemeral_1h_input_tokens": usage.cache_write_1h,
    }
