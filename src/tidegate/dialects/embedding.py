"""Embeddings between two dialects: texts in, vectors out, through one canonical request and answer."""

from typing import Protocol, runtime_checkable

from msgspec import Struct, field

from tidegate.core.usage import Usage
from tidegate.core.view import Operation, View
from tidegate.dialects.dialect import Answer, Dialect, UpstreamModel
from tidegate.dialects.fields import unsupported_field
from tidegate.dialects.whole import WholeTranslation


class EmbeddingRequest(Struct, kw_only=True):
    """`dropped`: hints, by the client's names, that this call does without."""

    texts: list[str]
    dimensions: int | None = None
    user: str | None = None
    purpose: str | None = None
    """What the vectors are for, in Cohere's words (`search_document`, `search_query`, `classification`, `clustering`)."""
    dropped: list[str] = field(default_factory=list[str])
    names: dict[str, str] = field(default_factory=dict[str, str])

    def called(self, canonical: str) -> str:
        """The client's name for a canonical field."""
        return self.names.get(canonical, canonical)


class Embeddings(Struct):
    """One vector for each text, in their order."""

    vectors: list[list[float]]
    usage: Usage
    id: str = ""


def only_text(request: EmbeddingRequest) -> str:
    """The one text, for upstreams that take no more in a call. Raises UnreadableRequest."""
    if len(request.texts) != 1:
        field = request.called("texts")
        raise unsupported_field(
            field, f"`{field}`: the upstream of this model takes one text a call. Send them singly."
        )
    return request.texts[0]


class EmbeddingCodec(Protocol):
    """A dialect's embedding operation to the canonical form and back."""

    def decode_request(self, view: View) -> EmbeddingRequest:
        """Raises UnreadableRequest."""
        ...

    def encode_request(self, request: EmbeddingRequest, upstream: UpstreamModel) -> bytes: ...

    def decode_answer(self, body: bytes) -> Embeddings:
        """Raises UnreadableAnswer."""
        ...

    def encode_answer(self, answer: Embeddings, view: View) -> bytes: ...


@runtime_checkable
class Embeds(Protocol):
    """A dialect with embeddings that can be translated."""

    embedding: EmbeddingCodec


class EmbeddingTranslation(WholeTranslation):
    """Is a Relay. Stateless."""

    def __init__(self, client: EmbeddingCodec, upstream: EmbeddingCodec, upstream_dialect: Dialect) -> None:
        super().__init__(upstream_dialect)
        self._client = client
        self._upstream = upstream

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        request = self._client.decode_request(view)
        body = self._upstream.encode_request(request, upstream)
        view.dropped = tuple(dict.fromkeys(request.dropped))
        return body

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        answer = self._upstream.decode_answer(body)
        return Answer({}, answer.usage, embeddings=answer)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        told = answer.embeddings
        assert isinstance(told, Embeddings)  # noqa: S101 - read_answer of this class has set it
        told.usage = answer.usage
        return self._client.encode_answer(told, view)
