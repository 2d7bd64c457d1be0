"""OpenAI's `/v1/images/generations`, to the canonical form and back.

Source: `openai.types.image_generate_params` and `images_response` of the official SDK.
"""

import re
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.fields import bad_field, present, unsupported_field
from tidegate.dialects.painting import PaintingRequest, Pictures

_SIZE: Final = re.compile(r"(\d{1,5})x(\d{1,5})")
_HARMLESS: Final[dict[str, frozenset[object]]] = {
    "n": frozenset((1,)),
    "stream": frozenset((False,)),
    "partial_images": frozenset((0,)),
    "quality": frozenset(("auto",)),
    "background": frozenset(("auto", "opaque")),
    "response_format": frozenset(("b64_json",)),
    "moderation": frozenset(("auto",)),
}
"""What says no more than what other dialects do in any case."""
_HINTS: Final = frozenset(("user", "safety_identifier"))
_KNOWN: Final = frozenset(("model", "prompt", "size", "output_format"))


class _Asked(Struct):
    prompt: str
    size: str | None = None
    output_format: str | None = None


_encode = msgspec.json.encode
_decode_asked = msgspec.json.Decoder(_Asked).decode


class OpenAIPainting:
    """Is a PaintingCodec."""

    def decode_painting(self, view: View) -> PaintingRequest:
        told = {name: raw for name, raw in view.fields.items() if present(raw) is not None}
        dropped = [name for name in told if name in _HINTS]
        for name, raw in told.items():
            if name not in _KNOWN and name not in _HINTS:
                _refuse(name, raw)
        try:
            asked = _decode_asked(_encode(told))
        except (msgspec.DecodeError, RecursionError) as error:
            raise bad_field(f"The body does not ask for an image: {error}.", "prompt") from error
        if asked.output_format not in (None, "png"):
            raise _unsupported("output_format")
        if asked.output_format is not None:
            dropped.append("output_format")  # the upstream chooses, and the answer says what it is
        return PaintingRequest(prompt=asked.prompt, size=_size(asked.size), dropped=dropped)

    def encode_painting(self, answer: Pictures, view: View) -> bytes:
        told: dict[str, Any] = {
            "created": view.time_ns // 1_000_000_000,
            "data": [{"b64_json": one.data} for one in answer.pictures],
        }
        form = answer.pictures[0].media_type.removeprefix("image/")
        if form in ("png", "jpeg", "webp"):
            told["output_format"] = form
        if answer.usage.source != "unknown":
            told["usage"] = _usage(answer.usage)
        return _encode(told)


def _refuse(name: str, raw: Raw) -> None:
    """Raises UnreadableRequest, unless the field asks for nothing that is not done."""
    value = msgspec.json.decode(raw)
    if isinstance(value, str | int | bool) and value in _HARMLESS.get(name, ()):
        return
    raise _unsupported(name)


def _unsupported(name: str) -> Exception:
    if name == "n":
        message = "`n`: the upstream of this model paints one image a call. Ask for them singly."
    elif name == "response_format":
        message = "`response_format`: the upstream of this model gives images as base64 alone. Use `b64_json`."
    else:
        message = f"`{name}` cannot be honoured by the upstream of this model. Leave it out."
    return unsupported_field(name, message)


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
