"""Images from OpenAI's image endpoints: what a request may say here, and what its answer says was used.

Source: `openai.types.image_generate_params`, `image_edit_params`, `image_create_variation_params` and `images_response` of
the official SDK. Edits are forms of several parts, or JSON that refers to its images.
"""

import re
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Units, Usage
from tidegate.core.view import Operation, PathTells, View
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.fields import bad_field, read_count, unsupported_field
from tidegate.dialects.openai.forms import count, flag, model_asked, read_parts, single
from tidegate.wire.multipart import Part

JSON_MEDIA: Final = b"application/json"
_IMAGE: Final = re.compile(r"image(\[\d{0,3}\])?")
_IMAGE_TOKENS: Final = 1_000
"""About what an image comes to."""
_MOST_IMAGE_TOKENS: Final = 10_000
"""Upper bound for one image that is looked at closely (`input_fidelity: high`)."""
_AFFINITY_BYTES: Final = 1_024


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


class _Reference(Struct):
    image_url: str | None = None
    file_id: str | None = None


_decode_list = msgspec.json.Decoder(list[Raw] | None).decode
_decode_usage = msgspec.json.Decoder(_UsageObject).decode
_decode_references = msgspec.json.Decoder(list[_Reference]).decode


def is_json(media: bytes) -> bool:
    """Of a content type."""
    return media.partition(b";")[0].strip().lower() == JSON_MEDIA


def images_asked(fields: dict[str, Raw]) -> int:
    """Raises UnreadableRequest, also for what cannot be accounted for."""
    if bytes(fields.get("svg", b"null")) != b"null":
        raise _second_model()
    return read_count(fields, "n") or 1


def referred_tokens(fields: dict[str, Raw]) -> int:
    """Upper bound of the images that an edit in JSON refers to. Raises UnreadableRequest."""
    try:
        images = _decode_references(fields.get("images", b"null"))
    except (msgspec.DecodeError, RecursionError):
        images = []
    if not images or any((one.image_url is None) == (one.file_id is None) for one in images):
        raise bad_field("`images` must be a list of objects, each with `image_url` or `file_id`.", "images")
    return (len(images) + 1) * _MOST_IMAGE_TOKENS  # and the mask


def read_picture(dialect: str, operation: Operation, body: bytes, tells: PathTells) -> View:
    """A form with an image to edit or to vary. Raises UnreadableRequest."""
    form = read_parts(tells, body)
    model = model_asked(form, tells)
    if any(part.name == "svg" or part.name.startswith("svg[") for part in form.parts):
        raise _second_model()
    if not any(part.is_file and _IMAGE.fullmatch(part.name) for part in form.parts):
        raise bad_field("`image` is missing: send the image as a part with a file name.", "image")
    prompt = single(form, "prompt")
    if prompt is None and operation == "image_edit":
        raise bad_field("`prompt` is missing: say what shall become of the image.", "prompt")
    sizes = [part.end - part.start for part in form.parts if part.is_file]
    said = len(body) - sum(sizes)
    asked = count(form, "n")
    begins = prompt or next(part for part in form.parts if part.is_file)
    return View(
        dialect=dialect,
        operation=operation,
        model=model,
        stream=operation == "image_edit" and flag(form, "stream"),
        fields={},
        body_bytes=len(body),
        estimated_input_tokens=(said >> 2) + _IMAGE_TOKENS * len(sizes) + 1,
        worst_input_tokens=asked * (said + sum(min(size, _MOST_IMAGE_TOKENS) for size in sizes)),
        max_output_tokens=None,
        requests=asked,
        units=Units(images=asked),
        parts=form,
        media=form.content_type,
        affinity=_beginning(body, begins),
    )


def depiction_usage(fields: dict[str, Raw], images: int | None = None) -> Usage:
    """Of a whole answer, or of an event with so many `images`. Older models report nothing but the images: what their
    tokens cost is unknown, never 0.

    Its totals include image and cached tokens. Output that is not said to be text is images.
    """
    units = Units(images=_made(fields) if images is None else images)
    raw = fields.get("usage", Raw(b"null"))
    try:
        told = _decode_usage(raw)
    except (msgspec.DecodeError, RecursionError):
        return Usage(raw=bytes(raw), units=units, source="reported") if units.images else Usage(raw=bytes(raw))
    if bytes(fields.get("svg_usage", b"null")) != b"null":
        return Usage(raw=bytes(raw))  # a second model was used as well: the price of this one says too little
    incoming = told.input_tokens_details or _InputDetails()
    text = max(0, (told.output_tokens_details or _OutputDetails()).text_tokens or 0)
    cached, seen = max(0, incoming.cached_tokens or 0), max(0, incoming.image_tokens or 0)
    return Usage(
        input=max(0, told.input_tokens - cached - seen),
        cache_read=cached,
        input_image=seen,
        output=max(0, min(text, told.output_tokens)),
        output_image=max(0, told.output_tokens - text),
        source="reported",
        raw=bytes(raw),
        units=units,
    )


def _made(fields: dict[str, Raw]) -> int:
    """How many were made."""
    try:
        return len(_decode_list(fields.get("data", Raw(b"[]"))) or ())
    except (msgspec.DecodeError, RecursionError):
        return 0


def _second_model() -> UnreadableRequest:
    # This key may not be allowed it, and its price is not this one's.
    return unsupported_field("svg", "`svg` names a second model for the same call, which is not served here.")


def _beginning(body: bytes, part: Part) -> bytes:
    return body[part.start : min(part.end, part.start + _AFFINITY_BYTES)]
