"""Images, as Gemini's models paint and edit them by generateContent, and Imagen by predict.

Source: https://ai.google.dev/gemini-api/docs/image-generation; for Imagen
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api.
"""

from base64 import b64decode, b64encode
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import generator
from tidegate.simulator.gemini.content import JSON_TYPE, SSE, encode_document, framed
from tidegate.simulator.gemini.content_request import GENERATION, KNOWN
from tidegate.simulator.gemini.contents import read_contents, standard_base64
from tidegate.simulator.gemini.fields import Fields, invalid
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.media import picture, picture_kind
from tidegate.simulator.setting import Setting
from tidegate.simulator.surface import Order
from tidegate.simulator.template import Mould

_PREDICT: Final = ("predict",)
_GENERATE: Final = ("generateContent", "streamGenerateContent")
_RATIOS: Final = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_SEEN_TOKENS: Final = 258
_PAINTED_TOKENS: Final = 1_290
_SAID: Final = "Here is your image."
_IMAGEN_RATIOS: Final = ("1:1", "3:4", "4:3", "9:16", "16:9")
_IMAGEN_CHARACTERS: Final = 2_000
_IMAGEN_IMAGES: Final = 4
"""The most, and as many as come unless another number is asked for."""
_IMAGEN_SMALL: Final = ("imagen-3", "imagen-4.0-fast")
_IMAGEN: Final = frozenset(
    """sampleCount aspectRatio sampleImageSize outputOptions includeRaiReason includeSafetyAttributes personGeneration
    safetySetting language enhancePrompt addWatermark seed""".split()
)
_FILTERED: Final = (
    "Unable to show generated images. All images were filtered out because they violated Vertex AI's usage guidelines. "
    "You will not be charged for blocked images. Try rephrasing the prompt. Support codes: 39322892"
)


class PaintRequest(Struct, kw_only=True):
    prompt: bytes
    seen: list[bytes]
    """The pictures that came with it."""
    speaks: bool
    """It may also say something."""
    stream: bool

    @property
    def text_tokens(self) -> int:
        return estimate_tokens(self.prompt)

    @property
    def seen_tokens(self) -> int:
        return len(self.seen) * _SEEN_TOKENS


class PredictRequest(Struct, kw_only=True):
    prompt: str
    count: int
    form: str
    says_why: bool
    """What is filtered is told, and not just missing."""


def image_verbs(name: str) -> tuple[str, ...]:
    """By which an image model is called."""
    return _PREDICT if name.startswith("imagen") else _GENERATE


def take_images(fields: Fields, verb: str, sse: bool, name: str, behaviour: Behaviour) -> Order:
    """`verb`: one of the model's. `sse`: how a stream is framed. Raises Rejection."""
    if verb in _PREDICT:
        asked = _read_predict(fields, name)
        return Order(b"", 0, 0, False, partial(_predict_reply, asked, behaviour))
    painting = _read_painting(fields, name, verb != _GENERATE[0], behaviour)
    spent = painting.text_tokens + painting.seen_tokens
    return Order(b"", spent, spent, painting.stream, partial(_paint_reply, painting, behaviour, sse))


def _read_painting(fields: Fields, name: str, stream: bool, behaviour: Behaviour) -> PaintRequest:
    if behaviour.strict:
        fields.only(KNOWN)
    if fields.get("tools") is not None and not name.startswith("gemini-3"):
        raise invalid(f"Tool use is not enabled for models/{name}", "tools")
    config = fields.inner("generationConfig") or Fields({}, "generationConfig")
    if behaviour.strict:
        config.only(GENERATION)
    modalities = config.texts("responseModalities") or ("TEXT", "IMAGE")
    if "IMAGE" not in modalities or set(modalities) - {"TEXT", "IMAGE"}:
        text = (
            f"The requested combination of response modalities ({', '.join(modalities)}) is not supported by the model."
        )
        raise invalid(text, config.path("responseModalities"))
    if (config.whole("candidateCount", 1, 8) or 1) > 1:
        raise invalid("Multiple candidates is not enabled for this model", config.path("candidateCount"))
    if config.text("responseMimeType") not in (None, "text/plain"):
        raise invalid("JSON mode is not enabled for this model", config.path("responseMimeType"))
    _check_image_config(config, name)
    contents = read_contents(fields, signatures_needed=False)
    seen = [
        _read_picture(blob)
        for content in fields.each("contents")
        for part in content.each("parts")
        if (blob := part.inner("inlineData")) is not None
    ]
    texts = [part.text for content in contents for part in content.parts if part.kind == "text"]
    return PaintRequest(
        prompt="\n".join(texts).encode("utf-8", "surrogatepass"), seen=seen, speaks="TEXT" in modalities, stream=stream
    )


def _check_image_config(config: Fields, name: str) -> None:
    image = config.inner("imageConfig")
    if image is None:
        return
    image.only(frozenset(("aspectRatio", "imageSize")))
    image.choice("aspectRatio", _RATIOS)
    size = image.choice("imageSize", ("1K", "2K", "4K"))
    if size is not None and not name.startswith("gemini-3"):
        raise invalid("Image size is not supported for this model.", image.path("imageSize"))


def _read_picture(blob: Fields) -> bytes:
    data = b64decode(standard_base64(blob.needed_text("data")))
    if not blob.needed_text("mimeType").startswith("image/") or not picture_kind(data):
        raise invalid("Unable to process input image. Please retry or report in the developer forum.", blob.at)
    return data


def _paint_reply(request: PaintRequest, behaviour: Behaviour, sse: bool, setting: Setting) -> Mould:
    if behaviour.refusal == "prompt":
        fields: dict[str, Any] = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
    elif behaviour.refusal:
        fields = {"candidates": [{"finishReason": "IMAGE_SAFETY", "index": 0}]}
    else:
        rng = generator(setting.seed, setting.model, request.prompt, *request.seen)
        inline = {"mimeType": "image/png", "data": b64encode(picture(rng, "png")).decode()}
        said = [{"text": _SAID}] if request.speaks else []
        content = {"parts": [*said, {"inlineData": inline}], "role": "model"}
        fields = {"candidates": [{"content": content, "finishReason": "STOP", "index": 0}]}
    usage = _usage(request, painted=not behaviour.refusal)
    document = encode_document(fields, usage, setting)
    if request.stream:
        mould = framed([document], sse, setting)
    else:
        mould = Mould(model=setting.model, pieces=[document + b"\n"], flaws=SSE, content_type=JSON_TYPE)
    mould.prompt_tokens = usage["promptTokenCount"]
    mould.completion_tokens = usage.get("candidatesTokenCount", 0)
    return mould


def _usage(request: PaintRequest, *, painted: bool) -> dict[str, Any]:
    told = request.text_tokens + request.seen_tokens
    details = [{"modality": "TEXT", "tokenCount": request.text_tokens}]
    if request.seen:
        details.append({"modality": "IMAGE", "tokenCount": request.seen_tokens})
    usage: dict[str, Any] = {"promptTokenCount": told, "totalTokenCount": told, "promptTokensDetails": details}
    if not painted:
        return usage
    said = estimate_tokens(_SAID.encode()) if request.speaks else 0
    usage["candidatesTokenCount"] = said + _PAINTED_TOKENS
    usage["totalTokenCount"] = told + said + _PAINTED_TOKENS
    usage["candidatesTokensDetails"] = [{"modality": "IMAGE", "tokenCount": _PAINTED_TOKENS}]
    return usage


def _read_predict(fields: Fields, name: str) -> PredictRequest:
    fields.only(frozenset(("instances", "parameters", "labels")))
    instances = fields.each("instances")
    if len(instances) != 1:
        raise invalid("Exactly one instance is required.", "instances")
    instances[0].only(frozenset(("prompt",)))
    prompt = instances[0].needed_text("prompt")
    if not 0 < len(prompt) <= _IMAGEN_CHARACTERS:
        raise invalid("Text prompt is empty, or longer than the model takes.", instances[0].path("prompt"))
    parameters = fields.inner("parameters") or Fields({}, "parameters")
    parameters.only(_IMAGEN)
    parameters.choice("aspectRatio", _IMAGEN_RATIOS)
    if parameters.choice("sampleImageSize", ("1K", "2K")) is not None and name.startswith(_IMAGEN_SMALL):
        raise invalid("Sample image size is not supported for this model.", parameters.path("sampleImageSize"))
    if parameters.whole("seed", 0, 2**32 - 1) is not None and parameters.get("addWatermark") is not False:
        raise invalid("Seed is not supported when watermark is enabled.", parameters.path("seed"))
    return PredictRequest(
        prompt=prompt,
        count=parameters.whole("sampleCount", 1, _IMAGEN_IMAGES) or _IMAGEN_IMAGES,
        form=_form(parameters.inner("outputOptions")),
        says_why=parameters.flag("includeRaiReason"),
    )


def _form(options: Fields | None) -> str:
    if options is None:
        return "png"
    options.only(frozenset(("mimeType", "compressionQuality")))
    media = options.choice("mimeType", ("image/png", "image/jpeg"), "image/png") or ""
    if options.whole("compressionQuality", 0, 100) is not None and media != "image/jpeg":
        raise invalid("Compression quality is for image/jpeg alone.", options.path("compressionQuality"))
    return media.removeprefix("image/")


def _predict_reply(request: PredictRequest, behaviour: Behaviour, setting: Setting) -> Mould:
    """Nothing that was asked for is told as a number: images are counted as they come."""
    rng = generator(setting.seed, setting.model, request.prompt)
    predictions: list[dict[str, str]] = []
    if not behaviour.refusal:
        for _ in range(request.count):
            data = b64encode(picture(rng, request.form)).decode()
            predictions.append({"mimeType": f"image/{request.form}", "bytesBase64Encoded": data})
    elif request.says_why:
        predictions.append({"raiFilteredReason": _FILTERED})
    document = msgspec.json.encode({"predictions": predictions} if predictions else {})
    return Mould(model=setting.model, pieces=[document + b"\n"], flaws=SSE, content_type=JSON_TYPE)
