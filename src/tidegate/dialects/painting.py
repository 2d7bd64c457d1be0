"""Images between two dialects: a prompt in, pictures out, through one canonical request and answer."""

from typing import Protocol, runtime_checkable

from msgspec import Struct, field

from tidegate.core.usage import Usage
from tidegate.core.view import Operation, View
from tidegate.dialects.dialect import Answer, Dialect, UpstreamModel
from tidegate.dialects.whole import WholeTranslation


class PaintingRequest(Struct, kw_only=True):
    """One image. `dropped`: hints, by the client's names, that this call does without."""

    prompt: str
    size: tuple[int, int] | None = None
    """Width and height in pixels."""
    dropped: list[str] = field(default_factory=list[str])


class Picture(Struct):
    data: str
    """Base64."""
    media_type: str


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
