"""Gemini's `usageMetadata`, to disjoint buckets and back.

Source: `google.genai.types.GenerateContentResponseUsageMetadata` of the official SDK. `promptTokenCount` includes what is
cached, `candidatesTokenCount` does not include thoughts, and what tools read stands beside the prompt.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.dialects.service_tiers import tier_name


class _Modality(Struct, rename="camel"):
    modality: str = ""
    token_count: int = 0


class _UsageMetadata(Struct, rename="camel"):
    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    prompt_tokens_details: list[_Modality] | None = None
    cache_tokens_details: list[_Modality] | None = None
    candidates_tokens_details: list[_Modality] | None = None
    traffic_type: str | None = None


_decode = msgspec.json.Decoder(_UsageMetadata).decode

_TIERS: Final = {"ON_DEMAND": "default", "ON_DEMAND_PRIORITY": "priority", "ON_DEMAND_FLEX": "flex"}
_TRAFFIC: Final = {tier: traffic for traffic, tier in _TIERS.items()}


def usage_of(raw: Raw | bytes) -> Usage:
    """A prompt's count that is missing makes the whole unknown, never 0. A blocked prompt has no candidates' count."""
    try:
        told = _decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return Usage(raw=bytes(raw))
    if told.prompt_token_count is None:
        return Usage(raw=bytes(raw))
    cached = told.cached_content_token_count or 0
    cached_audio = min(cached, _of(told.cache_tokens_details, "AUDIO"))
    cached_image = min(cached - cached_audio, _of(told.cache_tokens_details, "IMAGE"))
    audio_in = _fresh(told, "AUDIO")
    image_in = _fresh(told, "IMAGE")
    audio_out = _of(told.candidates_tokens_details, "AUDIO")
    image_out = _of(told.candidates_tokens_details, "IMAGE")
    read = told.prompt_token_count + (told.tool_use_prompt_token_count or 0)
    return Usage(
        input=max(0, read - cached - audio_in - image_in),
        cache_read=max(0, cached - cached_audio - cached_image),
        input_audio=audio_in,
        input_image=image_in,
        output=max(0, (told.candidates_token_count or 0) - audio_out - image_out),
        reasoning=told.thoughts_token_count or 0,
        output_audio=audio_out,
        output_image=image_out,
        source="reported",
        raw=bytes(raw),
        cache_read_audio=cached_audio,
        cache_read_image=cached_image,
        tier=tier_name(_TIERS.get(told.traffic_type or "")),
    )


def tier_of(raw: Raw | bytes) -> str:
    """The tier that was billed, by OpenAI's names; "" where it is not told."""
    try:
        return _TIERS.get(_decode(raw).traffic_type or "", "")
    except (msgspec.DecodeError, RecursionError):
        return ""


def usage_metadata(usage: Usage, tier: str) -> dict[str, Any]:
    """What Gemini leaves out when it is nothing is left out."""
    told: dict[str, Any] = {
        "promptTokenCount": usage.input_total,
        "candidatesTokenCount": usage.output + usage.output_audio + usage.output_image,
        "totalTokenCount": usage.total,
    }
    if usage.reasoning:
        told["thoughtsTokenCount"] = usage.reasoning
    if usage.cached:
        told["cachedContentTokenCount"] = usage.cached
    if usage.input_audio or usage.input_image:
        text = usage.input_total - usage.input_audio - usage.input_image
        told["promptTokensDetails"] = _details(TEXT=text, AUDIO=usage.input_audio, IMAGE=usage.input_image)
    if usage.output_audio or usage.output_image:
        told["candidatesTokensDetails"] = _details(
            TEXT=usage.output, AUDIO=usage.output_audio, IMAGE=usage.output_image
        )
    if tier in _TRAFFIC:
        told["trafficType"] = _TRAFFIC[tier]
    return told


def _details(**counts: int) -> list[dict[str, Any]]:
    return [{"modality": modality, "tokenCount": count} for modality, count in counts.items() if count]


def _of(details: list[_Modality] | None, modality: str) -> int:
    return sum(one.token_count for one in details or () if one.modality == modality)


def _fresh(told: _UsageMetadata, modality: str) -> int:
    """Tokens of a modality that did not come from the cache: those have a bucket of their own."""
    return max(0, _of(told.prompt_tokens_details, modality) - _of(told.cache_tokens_details, modality))
