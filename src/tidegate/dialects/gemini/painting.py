"""Images of Gemini's models that paint (`gemini-2.5-flash-image` and its successors), by `generateContent`.

Source: `google.genai.types.ImageConfig` and `GenerateContentResponse` of the official SDK;
https://ai.google.dev/gemini-api/docs/image-generation.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tidegate.core.usage import Units, Usage
from tidegate.dialects.dialect import UnreadableAnswer, UpstreamModel
from tidegate.dialects.fields import present
from tidegate.dialects.gemini.chat_answer import Response, blocked, finish_of, read_response
from tidegate.dialects.gemini.usage import usage_of
from tidegate.dialects.painting import (
    PaintingRequest,
    Picture,
    Pictures,
    Skills,
    aspect_ratio,
    check_skills,
    filtered,
)

_RATIOS: Final = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_SKILLS: Final = Skills(edits=True)


class _Inline(Struct, rename="camel"):
    mime_type: str = ""
    data: str = ""


_encode = msgspec.json.encode
_decode_inline = msgspec.json.Decoder(_Inline).decode


class GeminiPainting:
    """Is a PaintingUpstream."""

    def encode_painting_request(self, request: PaintingRequest, upstream: UpstreamModel) -> bytes:
        check_skills(request, _SKILLS)
        config: dict[str, Any] = {"responseModalities": ["IMAGE"]}
        ratio = aspect_ratio(request, _RATIOS)
        if ratio is not None:
            config["imageConfig"] = {"aspectRatio": ratio}
        seen = [{"inlineData": {"mimeType": one.media_type, "data": one.data}} for one in request.pictures]
        contents = [{"role": "user", "parts": [*seen, {"text": request.prompt}]}]
        return _encode({"contents": contents, "generationConfig": config})

    def decode_pictures(self, body: bytes) -> Pictures:
        told = read_response(body)
        pictures = _pictures(told)
        if not pictures:
            raise _unpainted(told)
        raw = present(told.usage_metadata)
        return Pictures(pictures, Usage() if raw is None else _usage(usage_of(raw), len(pictures)))


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
    return filtered(message, used)


def _usage(used: Usage, images: int) -> Usage:
    """Nothing but images was asked for: output whose modality is not told is theirs."""
    if used.source == "unknown":
        return used
    if not used.output_image:
        used = replace(used, output=0, output_image=used.output)
    return replace(used, units=Units(images=images))
