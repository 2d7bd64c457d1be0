"""Images of Amazon's own models on Bedrock, Nova Canvas and Titan Image Generator, whose bodies are the same.

Source: Nova's user guide, "Request and response structure for image generation" and "Error handling"; Bedrock's, "Amazon
Titan Image Generator G1 models". Edits are not among what is asked for: their masks are black on white, and OpenAI's
transparent, and without a mask there are variations, which are no edits.
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
    check_skills,
    filtered,
    media_type_of,
    painted,
)

_SKILLS: Final = Skills(
    most=5,
    qualities={"standard": "standard", "medium": "standard", "hd": "premium", "high": "premium"},
    formats=frozenset(("png",)),
)


class _Answer(Struct):
    images: list[str] | None = None
    error: str | None = None


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Answer).decode


class CanvasPainting:
    """Is a PaintingUpstream. Sizes go up as they are: each model has its own, and says so."""

    def encode_painting_request(self, request: PaintingRequest, upstream: UpstreamModel) -> bytes:
        check_skills(request, _SKILLS)
        config: dict[str, Any] = {"numberOfImages": request.n, "seed": request.seed}
        if request.size is not None:
            config["width"], config["height"] = request.size
        if request.quality is not None:
            config["quality"] = _SKILLS.qualities[request.quality]
        body = {
            "taskType": "TEXT_IMAGE",
            "textToImageParams": {"text": request.prompt},
            "imageGenerationConfig": config,
        }
        return _encode(body)

    def decode_pictures(self, body: bytes) -> Pictures:
        """What is filtered is missing, and `error` says why."""
        try:
            told = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer has no images: {error}") from error
        if told.images:
            return painted([Picture(one, media_type_of(one)) for one in told.images])
        if told.error:
            raise filtered(told.error)
        raise UnreadableAnswer("the answer has neither images nor an error")
