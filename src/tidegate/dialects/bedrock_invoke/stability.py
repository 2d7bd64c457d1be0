"""Images of Stability AI's models on Bedrock: Stable Image Core and Ultra, Stable Diffusion 3.5.

Source: Bedrock's user guide, "Stability AI models". Edits are not among what is asked for: their image-to-image wants a
strength and follows no instructions.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.dialects.dialect import UnreadableAnswer, UpstreamModel
from tidegate.dialects.painting import (
    PaintingRequest,
    Picture,
    Pictures,
    Skills,
    aspect_ratio,
    check_skills,
    filtered,
    media_type_of,
    painted,
)

_SKILLS: Final = Skills(formats=frozenset(("png", "jpeg")))
_RATIOS: Final = ("1:1", "2:3", "3:2", "4:5", "5:4", "9:16", "16:9", "9:21", "21:9")
_FILTERED: Final = "Filter reason"


class _Answer(Struct):
    images: list[str] = []
    finish_reasons: list[str | None] = []


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Answer).decode


class StabilityPainting:
    """Is a PaintingUpstream."""

    def encode_painting_request(self, request: PaintingRequest, upstream: UpstreamModel) -> bytes:
        check_skills(request, _SKILLS)
        body: dict[str, Any] = {"prompt": request.prompt}
        ratio = aspect_ratio(request, _RATIOS)
        if ratio is not None:
            body["aspect_ratio"] = ratio
        if request.output_format is not None:
            body["output_format"] = request.output_format
        return _encode(body)

    def decode_pictures(self, body: bytes) -> Pictures:
        """A finish reason that is not null says why there is no image."""
        try:
            told = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer has no images: {error}") from error
        reason = next((one for one in told.finish_reasons if one is not None), None)
        if reason is not None and reason.startswith(_FILTERED):
            raise filtered(f"The upstream's safety system would not paint this ({reason}).")
        if reason is not None or not told.images:
            raise UnreadableAnswer(f"the answer has no image ({reason or 'and no reason'})")
        return painted([Picture(one, media_type_of(one)) for one in told.images])
