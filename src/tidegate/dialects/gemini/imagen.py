"""Imagen, by `predict`: several images a call, told by their number and not in tokens.

Source: `_GenerateImagesParameters_to_vertex` of the official `google-genai` SDK, whose earlier versions send the same to the
Gemini API; https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.core.view import Operation
from tidegate.dialects.dialect import ChatCodec, UnreadableAnswer, UpstreamModel
from tidegate.dialects.gemini.dialect import Gemini
from tidegate.dialects.gemini.paths import model_path
from tidegate.dialects.painting import (
    MEGAPIXELS,
    PaintingRequest,
    PaintingUpstream,
    Picture,
    Pictures,
    Skills,
    aspect_ratio,
    check_skills,
    filtered,
    painted,
)

PREDICT: Final = "predict"
FAMILY: Final = "imagen"
_SKILLS: Final = Skills(most=4, formats=frozenset(("png", "jpeg")), compresses=True)
_RATIOS: Final = ("1:1", "3:4", "4:3", "9:16", "16:9")
_SIZES: Final = {
    (1024, 1024): "1:1",
    (896, 1280): "3:4",
    (1280, 896): "4:3",
    (768, 1408): "9:16",
    (1408, 768): "16:9",
}
_LARGE: Final = ("imagen-4.0-generate", "imagen-4.0-ultra")
"""They also have twice the pixels each way."""
_LARGE_SIZES: Final = {(2 * width, 2 * height): ratio for (width, height), ratio in _SIZES.items()}


class _Prediction(Struct, rename="camel"):
    bytes_base64_encoded: str = ""
    mime_type: str = "image/png"
    prompt: str | None = None
    rai_filtered_reason: str | None = None


class _Answer(Struct):
    predictions: list[_Prediction] = []


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Answer).decode


class ImagenPainting:
    """Is a PaintingUpstream."""

    def encode_painting_request(self, request: PaintingRequest, upstream: UpstreamModel) -> bytes:
        check_skills(request, _SKILLS)
        asked: dict[str, Any] = {"sampleCount": request.n, "includeRaiReason": True}
        large = upstream.name.rpartition("/")[2].startswith(_LARGE)
        ratio = aspect_ratio(
            request,
            _RATIOS,
            exact=_SIZES | _LARGE_SIZES if large else _SIZES,
            most_pixels=4 * MEGAPIXELS if large else MEGAPIXELS,
        )
        if request.size is not None:
            asked["aspectRatio"] = ratio
            if request.size[0] * request.size[1] > MEGAPIXELS:
                asked["sampleImageSize"] = "2K"
        if request.output_format is not None:
            options: dict[str, Any] = {"mimeType": f"image/{request.output_format}"}
            if request.output_compression is not None:
                options["compressionQuality"] = request.output_compression
            asked["outputOptions"] = options
        return _encode({"instances": [{"prompt": request.prompt}], "parameters": asked})

    def decode_pictures(self, body: bytes) -> Pictures:
        """What is filtered is missing, or stands there with the reason alone."""
        try:
            told = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer has no predictions: {error}") from error
        pictures = [
            Picture(one.bytes_base64_encoded, one.mime_type, one.prompt or "")
            for one in told.predictions
            if one.bytes_base64_encoded
        ]
        if not pictures:
            reasons = " ".join(dict.fromkeys(one.rai_filtered_reason or "" for one in told.predictions))
            raise filtered(f"The upstream's safety system kept every image back. {reasons}".rstrip())
        return painted(pictures)


class Imagen(Gemini):
    """At the Gemini API, on the provider's side alone. Stateless."""

    name: str = "gemini-imagen"
    family: str = FAMILY
    chat: ChatCodec | None = None
    painter: PaintingUpstream = ImagenPainting()
    matches_paths: bool = False
    telling_headers: tuple[bytes, ...] = ()

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        return model_path(base_path, model, PREDICT)
