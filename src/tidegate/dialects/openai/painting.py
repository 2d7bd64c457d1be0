"""OpenAI's `/v1/images/generations` and `/v1/images/edits`, to the canonical form and back.

Source: `openai.types.image_generate_params`, `image_edit_params` and `images_response` of the official SDK. Edits are forms
of several parts, or JSON that refers to its images.
"""

import re
from base64 import b64encode
from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.fields import bad_field, field_of, present, unsupported_field
from tidegate.dialects.media import picture_type, split_data_url
from tidegate.dialects.openai.forms import FormFields, SentFile
from tidegate.dialects.painting import PaintingRequest, Picture, Pictures
from tidegate.dialects.remote import REMOTE

_SIZE: Final = re.compile(r"(\d{1,5})x(\d{1,5})")
_HARMLESS: Final[dict[str, tuple[str, ...]]] = {
    "stream": ("false", "0"),
    "partial_images": ("0",),
    "background": ("auto", "opaque"),
    "response_format": ("b64_json",),
    "moderation": ("auto",),
    "input_fidelity": ("low",),
}
"""What says no more than what other dialects do in any case."""
_HINTS: Final = frozenset(("user", "safety_identifier"))
_SEEDS: Final = 858_993_459
"""As many as all take who take one."""


class _Reference(Struct):
    image_url: str | None = None


class _Asked(Struct):
    prompt: str
    size: str | None = None
    quality: str | None = None
    output_format: str | None = None
    output_compression: int | None = None
    images: list[_Reference] = []


_KNOWN_OF_EDITS: Final = frozenset(("model", "n", *_Asked.__struct_fields__))
_KNOWN: Final = _KNOWN_OF_EDITS - {"images"}
_TEXTS: Final = (*_KNOWN, *_HARMLESS, *_HINTS)
"""Of a form."""
_encode = msgspec.json.encode


class OpenAIPainting:
    """Is a PaintingCodec."""

    def decode_painting(self, view: View) -> PaintingRequest:
        form = None if view.parts is None else FormFields(view.parts)
        told = _of_json(view) if form is None else _of_form(form)
        known = _KNOWN if view.operation == "image" else _KNOWN_OF_EDITS
        for name, value in told.items():
            if name not in known and name not in _HINTS:
                _refuse(name, value)
        try:
            asked = msgspec.convert(told, _Asked, strict=form is None)
        except msgspec.ValidationError as error:
            raise bad_field(f"The body does not ask for an image: {error}.", field_of(error)) from error
        sent = [] if form is None else form.files("image")
        pictures = [_read(one) for one in sent] or [_referred(one, view) for one in asked.images]
        return PaintingRequest(
            prompt=asked.prompt,
            n=view.requests,
            size=_size(asked.size),
            quality=None if asked.quality == "auto" else asked.quality,
            output_format=asked.output_format,
            output_compression=asked.output_compression,
            seed=view.time_ns // 1_000 % _SEEDS,
            pictures=pictures,
            dropped=[name for name in told if name in _HINTS],
        )

    def encode_painting(self, answer: Pictures, view: View) -> bytes:
        told: dict[str, Any] = {
            "created": view.time_ns // 1_000_000_000,
            "data": [_told(one) for one in answer.pictures],
        }
        form = answer.pictures[0].media_type.removeprefix("image/")
        if form in ("png", "jpeg", "webp"):
            told["output_format"] = form
        if answer.usage.total:
            told["usage"] = _usage(answer.usage)
        return _encode(told)


def _of_json(view: View) -> dict[str, Any]:
    """What is null is absent. Raises UnreadableRequest."""
    try:
        return {name: msgspec.json.decode(raw) for name, raw in view.fields.items() if present(raw) is not None}
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"The body does not ask for an image: {error}.") from error


def _of_form(form: FormFields) -> dict[str, Any]:
    """Its texts; the pictures are left. Raises UnreadableRequest."""
    told = {name: value for name in _TEXTS if (value := form.text(name)) is not None}
    for name in form.unread():
        if name != "image":
            raise _unsupported(name)
    return told


def _refuse(name: str, value: object) -> None:
    """Raises UnreadableRequest, unless the field asks for nothing that is not done."""
    said = _encode(value).decode().strip('"').lower() if isinstance(value, str | int | bool) else ""
    if said not in _HARMLESS.get(name, ()):
        raise _unsupported(name)


def _unsupported(name: str) -> Exception:
    if name == "response_format":
        message = "`response_format`: the upstream of this model gives images as base64 alone. Use `b64_json`."
    elif name == "mask":
        message = (
            "`mask`: the upstream of this model edits by the prompt alone. Say there what is to change, and where."
        )
    else:
        message = f"`{name}` cannot be honoured by the upstream of this model. Leave it out."
    return unsupported_field(name, message)


def _read(sent: SentFile) -> Picture:
    media_type = picture_type(sent.content)
    if not media_type:
        raise bad_field("`image` must be a picture: PNG, JPEG, WebP or GIF.", "image")
    return Picture(b64encode(sent.content).decode(), media_type)


def _referred(one: _Reference, view: View) -> Picture:
    """With its bytes, as far as they are here. Raises UnreadableRequest."""
    url = one.image_url
    if url is None:
        message = "`images`: a `file_id` is the name of a file at one provider. Send the picture, or its URL."
        raise unsupported_field("images", message)
    fetched = view.fetched.get(url)
    if fetched is not None:
        return Picture(fetched.data, fetched.media_type)
    inline = split_data_url(url)
    if inline is not None and inline[0].startswith("image/"):
        return Picture(inline[1], inline[0])
    if not url.lower().startswith(REMOTE):
        raise bad_field("`images`: an `image_url` is an http(s) URL, or the picture itself as a data URL.", "images")
    return Picture("", "", url=url)


def _told(picture: Picture) -> dict[str, str]:
    return {"b64_json": picture.data} | ({"revised_prompt": picture.prompt} if picture.prompt else {})


def _size(told: str | None) -> tuple[int, int] | None:
    if told is None or told == "auto":
        return None
    match = _SIZE.fullmatch(told)
    if match is None or not int(match[1]) or not int(match[2]):
        raise bad_field("`size` must be `auto`, or width and height in pixels: `1024x1024`.", "size")
    return int(match[1]), int(match[2])


def _usage(usage: Usage) -> dict[str, Any]:
    seen, painted = usage.input_image + usage.cache_read_image, usage.output_image
    return {
        "input_tokens": usage.input_total,
        "input_tokens_details": {"image_tokens": seen, "text_tokens": usage.input_total - seen},
        "output_tokens": usage.output_total,
        "output_tokens_details": {"image_tokens": painted, "text_tokens": usage.output_total - painted},
        "total_tokens": usage.total,
    }
