"""OpenAI's usage object, to disjoint buckets."""

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage


class _Details(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    reasoning_tokens: int | None = None


class _UsageObject(Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


_decode_usage = msgspec.json.Decoder(_UsageObject).decode


def usage_of(raw: Raw | bytes) -> Usage:
    """OpenAI's usage object to disjoint buckets: its totals include cached, audio and reasoning tokens.

    A total that is missing makes the whole unknown, never 0. Embeddings report no completion tokens: those are 0.
    """
    try:
        told = _decode_usage(raw)
    except (msgspec.DecodeError, RecursionError):
        return Usage(raw=bytes(raw))
    if told.prompt_tokens is None:
        return Usage(raw=bytes(raw))
    in_details = told.prompt_tokens_details or _Details()
    out_details = told.completion_tokens_details or _Details()
    cached, written = in_details.cached_tokens or 0, in_details.cache_write_tokens or 0
    audio_in, image_in = in_details.audio_tokens or 0, in_details.image_tokens or 0
    reasoning, audio_out = out_details.reasoning_tokens or 0, out_details.audio_tokens or 0
    image_out = out_details.image_tokens or 0
    return Usage(
        input=max(0, told.prompt_tokens - cached - written - audio_in - image_in),
        cache_read=cached,
        cache_write_5m=written,
        input_audio=audio_in,
        input_image=image_in,
        output=max(0, (told.completion_tokens or 0) - reasoning - audio_out - image_out),
        reasoning=reasoning,
        output_audio=audio_out,
        output_image=image_out,
        source="reported",
        raw=bytes(raw),
    )


def rerank_usage_of(raw: Raw | bytes) -> Usage:
    """Rerankers read alone: some report nothing but a total."""
    usage = usage_of(raw)
    if usage.source == "reported":
        return usage
    try:
        total = _decode_usage(raw).total_tokens
    except (msgspec.DecodeError, RecursionError):
        total = None
    return usage if total is None else Usage(input=max(0, total), source="reported", raw=bytes(raw))
