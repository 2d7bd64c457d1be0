"""Images between two dialects: a prompt in, pictures out, through one canonical request and answer."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, runtime_checkable

from msgspec import Struct, field

from tidegate.core.usage import Units, Usage
from tidegate.core.view import Operation, View
from tidegate.dialects.canon import Fault, Image
from tidegate.dialects.dialect import Answer, Dialect, RefusedAnswer, UpstreamModel
from tidegate.dialects.fields import bad_field, unsupported_field
from tidegate.dialects.media import picture_type
from tidegate.dialects.remote import Kind, NeedsBytes
from tidegate.dialects.whole import WholeTranslation

MEGAPIXELS: Final = 1536 * 1024
"""The most pixels of the usual sizes, of about a million. What is above costs more, and not every model has it."""
_SQUARE: Final = {(1024, 1024): "1:1"}
_HEAD: Final = 24
"""Characters of base64 that tell a picture's kind."""


class Picture(Struct):
    data: str
    """Base64."""
    media_type: str
    prompt: str = ""
    """As the upstream has rewritten it."""
    url: str = ""
    """Where the bytes are that are not here yet."""


class PaintingRequest(Struct, kw_only=True):
    """Images of one prompt. Fields that a refusal names are called as OpenAI calls them, whose clients alone ask."""

    prompt: str
    n: int = 1
    size: tuple[int, int] | None = None
    """Width and height in pixels."""
    quality: str | None = None
    output_format: str | None = None
    output_compression: int | None = None
    """Percent."""
    pictures: list[Picture] = []
    """To be edited; none where all is new."""
    seed: int = 0
    """Another with each call, for upstreams that paint the same again unless they are told one."""
    dropped: list[str] = field(default_factory=list[str])
    """Hints, by the client's names, that this call does without."""


class Skills(Struct, frozen=True, kw_only=True):
    """What an upstream's models can do beside painting one image of a prompt."""

    most: int = 1
    """Images a call."""
    qualities: Mapping[str, str] = {}
    """The client's word → the upstream's."""
    formats: frozenset[str] = frozenset()
    """That it gives when it is asked. Empty: it has one of its own, and cannot be asked."""
    compresses: bool = False
    """JPEGs, as far as it is told."""
    edits: bool = False
    """By the prompt, pictures that come as bytes."""


class Pictures(Struct):
    """What was painted: at least one."""

    pictures: list[Picture]
    usage: Usage


class PaintingCodec(Protocol):
    """A dialect's images to the canonical form and back."""

    def decode_painting(self, view: View) -> PaintingRequest:
        """Raises UnreadableRequest."""
        ...

    def encode_painting(self, answer: Pictures, view: View) -> bytes: ...


class PaintingUpstream(Protocol):
    """The canonical form to a dialect whose providers paint, and back."""

    def encode_painting_request(self, request: PaintingRequest, upstream: UpstreamModel) -> bytes:
        """Adds the names of dropped hints to `request.dropped`. Raises UnreadableRequest."""
        ...

    def decode_pictures(self, body: bytes) -> Pictures:
        """Raises UnreadableAnswer; RefusedAnswer where the upstream would not paint."""
        ...


@runtime_checkable
class AsksForPaintings(Protocol):
    """A dialect whose clients ask for images that others paint."""

    painting: PaintingCodec


@runtime_checkable
class Paints(Protocol):
    """A dialect whose providers paint for clients of others."""

    painter: PaintingUpstream


class PaintingTranslation(WholeTranslation):
    """Is a Relay. Stateless."""

    def __init__(self, client: PaintingCodec, upstream: PaintingUpstream, upstream_dialect: Dialect) -> None:
        super().__init__(upstream_dialect)
        self._client = client
        self._upstream = upstream

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        request = self._client.decode_painting(view)
        body = self._upstream.encode_painting_request(request, upstream)
        view.dropped = tuple(dict.fromkeys(request.dropped))
        return body

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        told = self._upstream.decode_pictures(body)
        return Answer({}, told.usage, pictures=told)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        told = answer.pictures
        assert isinstance(told, Pictures)  # noqa: S101 - read_answer of this class has set it
        return self._client.encode_painting(told, view)


def check_skills(request: PaintingRequest, skills: Skills) -> None:
    """Raises UnreadableRequest for what these models cannot do, NeedsBytes where pictures are to be fetched first.

    `size` is `aspect_ratio`'s.
    """
    if request.n > skills.most:
        most = "one image" if skills.most == 1 else f"at most {skills.most} images"
        message = f"`n`: the upstream of this model paints {most} a call. Ask for {request.n} in several calls."
        raise unsupported_field("n", message)
    if request.quality is not None and request.quality not in skills.qualities:
        known = ", ".join(f"`{one}`" for one in skills.qualities)
        message = f"It has {known}." if known else "Leave it out."
        raise unsupported_field("quality", f"`quality` {request.quality} is nothing the upstream has. {message}")
    form = request.output_format
    if form is not None and form not in (skills.formats or ("png",)):
        known = " and ".join(sorted(skills.formats)) or "a format of its own"
        raise unsupported_field("output_format", f"`output_format`: the upstream of this model has {known}.")
    if form is not None and not skills.formats:
        request.dropped.append("output_format")  # the upstream chooses, and the answer says what it is
    if request.output_compression is not None and not (skills.compresses and form == "jpeg"):
        message = "`output_compression`: the upstream of this model does not compress. Leave it out."
        if skills.compresses:
            message = "`output_compression`: the upstream of this model compresses `jpeg` alone."
        raise unsupported_field("output_compression", message)
    if request.pictures:
        _check_pictures(request.pictures, skills)


def _check_pictures(pictures: Sequence[Picture], skills: Skills) -> None:
    if not skills.edits:
        raise unsupported_field(
            "image", "The upstream of this model edits no images: it has `images/generations` alone."
        )
    wanted: dict[str, Kind] = {one.url: Image for one in pictures if one.url}
    if wanted:
        refused = bad_field("`images`: the upstream of this model takes pictures as bytes, and not by URL.", "images")
        raise NeedsBytes(refused.problem, Image, wanted=wanted)


def aspect_ratio(
    request: PaintingRequest,
    ratios: Sequence[str],
    *,
    exact: Mapping[tuple[int, int], str] = _SQUARE,
    most_pixels: int = MEGAPIXELS,
) -> str | None:
    """The proportions of `size`, for upstreams that take nothing else; None where it says none.

    The pixels are the model's own: `size` is dropped, but for those that it has `exact`ly. Raises UnreadableRequest.
    """
    if request.size is None:
        return None
    if request.size in exact:
        return exact[request.size]
    width, height = request.size
    found = next((one for one in ratios if _has(width, height, one)), None)
    if found is None or width * height > most_pixels:
        message = (
            f"`size`: the upstream of this model paints no {width}x{height}. "
            f"It has {', '.join(ratios)}, of up to {most_pixels} pixels."
        )
        raise unsupported_field("size", message)
    request.dropped.append("size")
    return found


def painted(pictures: list[Picture]) -> Pictures:
    """By an upstream that tells nothing of what was used but the pictures themselves."""
    return Pictures(pictures, Usage(source="reported", units=Units(images=len(pictures))))


def filtered(message: str, usage: Usage | None = None) -> RefusedAnswer:
    """The upstream's safety system kept everything back. Without `usage`: charged by the images that came, of which
    there are none ("You will not be charged for blocked images", says Imagen).
    """
    used = Usage(source="reported", units=Units()) if usage is None else usage
    return RefusedAnswer(moderated(message), used)


def moderated(message: str) -> Fault:
    """As OpenAI calls what a safety system will not paint."""
    return Fault("image_generation_user_error", "moderation_blocked", message)


def media_type_of(data: str) -> str:
    """Of a picture in base64, by its first bytes; PNG, which upstreams give unless they are asked, for what is unknown."""
    try:
        return picture_type(b64decode(data[:_HEAD])) or "image/png"
    except ValueError:
        return "image/png"


def _has(width: int, height: int, ratio: str) -> bool:
    across, _, down = ratio.partition(":")
    return width * int(down) == height * int(across)
