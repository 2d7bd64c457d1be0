"""Images: generations, edits and variations, whole and streamed, as OpenAI's image models take and give them."""

import re
from base64 import b64encode
from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.simulator.composition import generator
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.media import picture, picture_kind
from tidegate.simulator.openai.fields import Fields, as_fields
from tidegate.simulator.openai.forms import SentFile, files
from tidegate.simulator.openai.rejection import Rejection, missing, out_of_range, wrong_value
from tidegate.simulator.openai.setting import Setting
from tidegate.simulator.template import DATE, Flaws, Mould
from tidegate.wire.sse import sse_event

_DRAWN: Final = frozenset(
    {
        *("background", "model", "n", "output_compression", "output_format", "partial_images", "prompt", "quality"),
        *("safety_identifier", "size", "stream", "user"),
    }
)
_KNOWN: Final = {
    "image": _DRAWN | {"moderation"},
    "image_edit": _DRAWN | {"image", "images", "input_fidelity", "mask"},
    "image_variation": frozenset({"image", "model", "n", "response_format", "size", "user"}),
}
_EVENTS: Final = {"image": "image_generation", "image_edit": "image_edit"}
_LONGEST_PROMPT: Final = 32_000
_MOST_IMAGES: Final = 16
_IMAGE_IN_TOKENS: Final = 323
_PARTIAL_TOKENS: Final = 100
_OUT_TOKENS: Final = {"low": 272, "medium": 1056, "high": 4160}
"""Of a square image."""
_SIZE: Final = re.compile(r"[1-9]\d{2,3}x[1-9]\d{2,3}")
_FLAWS: Final = Flaws(
    error_event=b'event: error\ndata: {"type":"error","error":{"message":"The server had an error while processing your '
    b'request. Sorry about that!","type":"image_generation_server_error","param":null,"code":"server_error"}}\n\n',
    broken_event=b'event: image_generation.partial_image\ndata: {"type":"image_gener\n\n',
)


class ImageRequest(Struct, kw_only=True):
    operation: str
    prompt: str
    sent: bytes
    """What the images that came with it are made of."""
    images: int
    """How many came with it."""
    count: int
    form: str
    quality: str
    size: str
    background: str
    stream: bool
    partials: int
    as_url: bool

    @property
    def text_tokens(self) -> int:
        return estimate_tokens(self.prompt.encode())

    @property
    def prompt_tokens(self) -> int:
        return self.text_tokens + self.images * _IMAGE_IN_TOKENS


def read_images(fields: Fields, operation: str, strict: bool) -> ImageRequest:
    """Raises Rejection."""
    if strict:
        fields.only(_KNOWN[operation])
    stream, form = fields.flag("stream"), fields.choice("output_format", ("png", "jpeg", "webp"), "png") or "png"
    partials = fields.whole("partial_images", 0, 3) or 0
    if partials and not stream:
        raise Rejection(
            400, "'partial_images' needs 'stream' to be true.", param="partial_images", code="invalid_value"
        )
    compression = fields.whole("output_compression", 0, 100)
    if compression not in (None, 100) and form == "png":
        text = "Compression less than 100 is not supported for PNG output format."
        raise Rejection(400, text, param="output_compression", code="invalid_png_output_compression")
    background = fields.choice("background", ("transparent", "opaque", "auto"), "auto")
    if background == "transparent" and form == "jpeg":
        text = "Transparent background is not supported for JPEG output format."
        raise Rejection(400, text, param="background", code="invalid_value")
    fields.choice("moderation", ("low", "auto"))
    fields.choice("input_fidelity", ("low", "high"))
    quality = fields.choice("quality", ("low", "medium", "high", "auto"), "auto")
    sent = _sent_images(fields, operation)
    return ImageRequest(
        operation=operation,
        prompt="" if operation == "image_variation" else _prompt(fields),
        sent=b"".join(sent),
        images=len(sent),
        count=fields.whole("n", 1, 10) or 1,
        form=form,
        quality="medium" if quality in (None, "auto") else quality,
        size=_size(fields),
        background="transparent" if background == "transparent" else "opaque",
        stream=stream,
        partials=partials,
        as_url=fields.choice("response_format", ("url", "b64_json"), "url") == "url" and operation == "image_variation",
    )


def _prompt(fields: Fields) -> str:
    prompt = fields.needed_text("prompt")
    if not prompt:
        raise out_of_range("prompt", "''", "a string with minimum length 1", "empty_string")
    if len(prompt) > _LONGEST_PROMPT:
        bound = f"a string with maximum length {_LONGEST_PROMPT}"
        raise out_of_range("prompt", f"a string of length {len(prompt)}", bound, "string_above_max_length")
    return prompt


def _size(fields: Fields) -> str:
    size = fields.text("size", "auto")
    if size in (None, "auto"):
        return "1024x1024"
    if not _SIZE.fullmatch(size):
        raise wrong_value("size", size, ("1024x1024", "1024x1536", "1536x1024", "auto"))
    return size


def _sent_images(fields: Fields, operation: str) -> list[bytes]:
    if operation == "image":
        return []
    if fields.get("images") is not None:
        return [_referred(as_fields(one, f"images[{at}]")) for at, one in enumerate(fields.needed_items("images", 16))]
    sent = files(fields, "image")
    if not sent:
        raise missing("image")
    if len(sent) > (1 if operation == "image_variation" else _MOST_IMAGES):
        raise Fields.too_long("image", _MOST_IMAGES, len(sent))
    for one in sent:
        _check_picture(one, "image", ("png", "jpeg", "webp"))
    for one in files(fields, "mask"):
        _check_picture(one, "mask", ("png",))
    return [one.content for one in sent]


def _check_picture(sent: SentFile, name: str, kinds: tuple[str, ...]) -> None:
    if picture_kind(sent.content) not in kinds:
        text = f"Invalid file '{name}': unsupported mimetype. Supported file formats are {', '.join(kinds)}."
        raise Rejection(400, text, param=name, code="unsupported_file_mimetype")


def _referred(one: Fields) -> bytes:
    one.only(frozenset({"image_url", "file_id"}))
    url, file = one.text("image_url"), one.text("file_id")
    if (url is None) == (file is None):
        raise missing(one.path("image_url"))
    return (url or file or "").encode()


def image_reply(request: ImageRequest, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    rng = generator(setting.seed, setting.model, request.prompt, request.sent)
    drawn = [b64encode(picture(rng, request.form)).decode() for _ in range(request.count)]
    usage = _usage(request) if setting.usage else None
    mould = _streamed(request, drawn, usage, setting) if request.stream else _whole(request, drawn, usage, setting)
    mould.prompt_tokens = request.prompt_tokens
    mould.completion_tokens = 0 if usage is None else usage["output_tokens"]
    return mould


def _usage(request: ImageRequest) -> dict[str, Any] | None:
    if request.operation == "image_variation":
        return None  # the models that vary images report nothing
    width, _, height = request.size.partition("x")
    each = _OUT_TOKENS[request.quality] * int(width) * int(height) // (1024 * 1024)
    told = request.prompt_tokens
    out = request.count * (each + request.partials * _PARTIAL_TOKENS)
    return {
        "input_tokens": told,
        "input_tokens_details": {"image_tokens": told - request.text_tokens, "text_tokens": request.text_tokens},
        "output_tokens": out,
        "total_tokens": told + out,
    }


def _whole(request: ImageRequest, drawn: list[str], usage: dict[str, Any] | None, setting: Setting) -> Mould:
    if request.as_url:
        data = [{"url": f"https://images.example/{setting.seed}/{at}.png"} for at in range(len(drawn))]
    else:
        data = [{"b64_json": one} for one in drawn]
    body: dict[str, Any] = {"created": DATE, "data": data}
    if request.operation != "image_variation":
        body |= {
            "background": request.background,
            "output_format": request.form,
            "quality": request.quality,
            "size": request.size,
        }
    if usage is not None:
        body["usage"] = usage
    return Mould(model=setting.model, pieces=[msgspec.json.encode(body) + b"\n"], flaws=_FLAWS)


def _streamed(request: ImageRequest, drawn: list[str], usage: dict[str, Any] | None, setting: Setting) -> Mould:
    kind = _EVENTS[request.operation]
    about = {
        "created_at": DATE,
        "size": request.size,
        "quality": request.quality,
        "background": request.background,
        "output_format": request.form,
    }
    pieces: list[bytes] = []
    for one in drawn:
        for at in range(request.partials):
            pieces.append(_event(f"{kind}.partial_image", {"partial_image_index": at, "b64_json": one, **about}))
        told = {} if usage is None else {"usage": _share(usage, len(drawn))}
        pieces.append(_event(f"{kind}.completed", {"b64_json": one, **about, **told}))
    return Mould(model=setting.model, pieces=pieces, flaws=_FLAWS, stream=True, repeated=0)


def _share(usage: dict[str, Any], images: int) -> dict[str, Any]:
    """What one of several images comes to."""
    out = usage["output_tokens"] // images
    return {**usage, "output_tokens": out, "total_tokens": usage["input_tokens"] + out}


def _event(kind: str, fields: dict[str, Any]) -> bytes:
    return sse_event(msgspec.json.encode({"type": kind, **fields}), kind.encode())
