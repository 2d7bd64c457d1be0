"""Images from OpenAI's image endpoint: what a request may say here, and what its answer says was used.

Source: `openai.types.image_generate_params` and `openai.types.images_response` of the official SDK.
"""

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.dialects.fields import read_boolean, read_count, unsupported_field


class _InputDetails(Struct):
    image_tokens: int | None = None
    cached_tokens: int | None = None


class _OutputDetails(Struct):
    text_tokens: int | None = None


class _UsageObject(Struct):
    input_tokens: int
    output_tokens: int
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


_decode_usage = msgspec.json.Decoder(_UsageObject).decode


def images_asked(fields: dict[str, Raw]) -> int:
    """Raises UnreadableRequest, also for what cannot be served or accounted for."""
    if read_boolean(fields, "stream"):
        raise unsupported_field("stream", "Images are not streamed here yet: leave `stream` out.")
    if bytes(fields.get("svg", b"null")) != b"null":
        # It names a second model, which this key may not be allowed and whose price is not this one's.
        raise unsupported_field("svg", "`svg` names a second model for the same call, which is not served here.")
    return read_count(fields, "n") or 1


def depiction_usage(fields: dict[str, Raw]) -> Usage:
    """Of a whole answer. Older models report nothing: unknown, never 0.

    Its totals include image and cached tokens. Output that is not said to be text is images.
    """
    raw = fields.get("usage")
    if raw is None:
        return Usage()
    try:
        told = _decode_usage(raw)
    except (msgspec.DecodeError, RecursionError):
        return Usage(raw=bytes(raw))
    if bytes(fields.get("svg_usage", b"null")) != b"null":
        return Usage(raw=bytes(raw))  # a second model was used as well: the price of this one says too little
    incoming = told.input_tokens_details or _InputDetails()
    text = max(0, (told.output_tokens_details or _OutputDetails()).text_tokens or 0)
    cached, images = max(0, incoming.cached_tokens or 0), max(0, incoming.image_tokens or 0)
    return Usage(
        input=max(0, told.input_tokens - cached - images),
        cache_read=cached,
        input_image=images,
        output=max(0, min(text, told.output_tokens)),
        output_image=max(0, told.output_tokens - text),
        source="reported",
        raw=bytes(raw),
    )
