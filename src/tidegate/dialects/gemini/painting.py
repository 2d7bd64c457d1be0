"""Images of Gemini's models that paint (`gemini-2.5-flash-image` and its successors), by `generateContent`.

Source: `google.genai.types.ImageConfig` and `GenerateContentResponse` of the official SDK;
https://ai.google.dev/gemini-api/docs/image-generation.
"""

from math import gcd
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tidegate.core.usage import Units, Usage
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import RefusedAnswer, UnreadableAnswer, UpstreamModel
from tidegate.dialects.fields import present, unsupported_field
from tidegate.dialects.gemini.chat_answer import Response, blocked, finish_of, read_response
from tidegate.dialects.gemini.usage import usage_of
from tidegate.dialects.painting import PaintingRequest, Picture, Pictures

_RATIOS: Final = frozenset(((1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (4, 5), (5, 4), (9, 16), (16, 9), (7, 3)))
_WRITTEN: Final = {(7, 3): "21:9"}
_SQUARE: Final = (1024, 1024)
_MOST_PIXELS: Final = 1536 * 1024
"""Above it lie the sizes that cost more (2K and 4K), which not every model has."""


class _Inline(Struct, rename="camel"):
    mime_type: str = ""
    data: str = ""


_encode = msgspec.json.encode
_decode_inline = msgspec.json.Decoder(_Inline).decode


class GeminiPainting:
    """Is a PaintingUpstream."""

    def encode_painting_request(self, request: PaintingRequest, upstream: UpstreamModel) -> bytes:
        config: dict[str, Any] = {"responseModalities": ["IMAGE"]}
        if request.size is not None:
            config["imageConfig"] = {"aspectRatio": _ratio(request.size)}
            if request.size != _SQUARE:
                request.dropped.append("size")  # its ratio is honoured, its pixels are the model's own
        contents = [{"role": "user", "parts": [{"text": request.prompt}]}]
        return _encode({"contents": contents, "generationConfig": config})

    def decode_pictures(self, body: bytes) -> Pictures:
        told = read_response(body)
        pictures = _pictures(told)
        if not pictures:
            raise _unpainted(told)
        raw = present(told.usage_metadata)
        return Pictures(pictures, Usage() if raw is None else _usage(usage_of(raw), len(pictures)))


def _ratio(size: tuple[int, int]) -> str:
    width, height = size
    common = gcd(width, height)
    ratio = (width // common, height // common)
    if ratio not in _RATIOS or width * height > _MOST_PIXELS:
        message = (
            f"`size`: the upstream of this model paints no {width}x{height}. It has 1:1, 2:3, 3:2, 3:4, 4:3, 4:5, 5:4, "
            "9:16, 16:9 and 21:9, of about a million pixels."
        )
        raise unsupported_field("size", message)
    return _WRITTEN.get(ratio, f"{ratio[0]}:{ratio[1]}")


def _pictures(told: Response) -> list[Picture]:
    """Without those of the model's thoughts."""
    content = told.candidates[0].content if told.candidates else None
    found: list[Picture] = []
    for part in (content.parts if content else None) or ():
        if present(part.inline_data) is None or part.thought:
            continue
        try:
            inline = _decode_inline(part.inline_data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"a picture cannot be read: {error}") from error
        if inline.data and inline.mime_type.startswith("image/"):
            found.append(Picture(inline.data, inline.mime_type))
    return found


def _unpainted(told: Response) -> UnreadableAnswer:
    """Why there is no picture: a filter is no fault of the upstream."""
    if told.candidates:
        candidate = told.candidates[0]
        finish = finish_of(candidate.finish_reason or "", candidate.finish_message, called=False)
    else:
        finish = blocked(told.prompt_feedback)
    if finish.reason != "content_filter":
        return UnreadableAnswer(f"the answer has no picture (finishReason `{finish.native}`)")
    why = f" {finish.explanation}" if finish.explanation else ""
    message = f"The upstream's safety system would not paint this ({finish.native}).{why}"
    raw = present(told.usage_metadata)
    used = Usage() if raw is None else usage_of(raw)
    return RefusedAnswer(Fault("image_generation_user_error", "moderation_blocked", message), used)


def _usage(used: Usage, images: int) -> Usage:
    """Nothing but images was asked for: output whose modality is not told is theirs."""
    if used.source == "unknown":
        return used
    if not used.output_image:
        used = replace(used, output=0, output_image=used.output)
    return replace(used, units=Units(images=images))
