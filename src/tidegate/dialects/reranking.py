"""Reranking between two dialects: a query and texts in, scores out, through one canonical request and answer."""

from collections.abc import Mapping
from typing import Final, Protocol, runtime_checkable

import msgspec
from msgspec import Raw, Struct, field

from tidegate.core.usage import Units, Usage
from tidegate.core.view import Operation, View
from tidegate.dialects.dialect import Answer, Dialect, UpstreamModel
from tidegate.dialects.whole import WholeTranslation

_DOCUMENTS_PER_SEARCH: Final = 100
_BYTES_PER_CHUNK: Final = 500
"""A longer document counts as several, of 500 tokens each; no token is less than a byte."""

_decode_documents = msgspec.json.Decoder(list[Raw]).decode


def most_searches(fields: Mapping[str, Raw]) -> Units:
    """Upper bound of the search units that a request is charged for, as Cohere counts: https://cohere.com/pricing."""
    try:
        documents = _decode_documents(fields.get("documents", b"[]"))
    except (msgspec.DecodeError, RecursionError):
        documents = []
    chunks = sum(1 + len(memoryview(one)) // _BYTES_PER_CHUNK for one in documents)
    return Units(searches=max(1, -(-chunks // _DOCUMENTS_PER_SEARCH)))


def repeated_query(fields: Mapping[str, Raw]) -> int:
    """Upper bound of the tokens of a query that is read with each document: those who charge tokens charge it so often."""
    try:
        documents = _decode_documents(fields.get("documents", b"[]"))
    except (msgspec.DecodeError, RecursionError):
        return 0
    return len(memoryview(fields["query"])) * len(documents)


class RerankRequest(Struct, kw_only=True):
    """`dropped`: hints, by the client's names, that this call does without."""

    query: str
    documents: list[str]
    top_n: int | None = None
    dropped: list[str] = field(default_factory=list[str])


class Ranked(Struct):
    """`index`: of a document in the request."""

    index: int
    relevance_score: float


class Rankings(Struct):
    """The best first."""

    results: list[Ranked]
    usage: Usage
    id: str = ""


class RerankCodec(Protocol):
    """A dialect's rerank operation to the canonical form and back."""

    def decode_request(self, view: View) -> RerankRequest:
        """Raises UnreadableRequest."""
        ...

    def encode_request(self, request: RerankRequest, upstream: UpstreamModel) -> bytes: ...

    def decode_answer(self, body: bytes) -> Rankings:
        """Raises UnreadableAnswer."""
        ...

    def encode_answer(self, answer: Rankings, view: View) -> bytes:
        """Raises UnreadableAnswer."""
        ...


@runtime_checkable
class Reranks(Protocol):
    """A dialect with reranking that can be translated. None: those that are like it but have none."""

    reranking: RerankCodec | None


class RerankTranslation(WholeTranslation):
    """Is a Relay. Stateless."""

    def __init__(self, client: RerankCodec, upstream: RerankCodec, upstream_dialect: Dialect) -> None:
        super().__init__(upstream_dialect)
        self._client = client
        self._upstream = upstream

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        request = self._client.decode_request(view)
        body = self._upstream.encode_request(request, upstream)
        view.dropped = tuple(dict.fromkeys(request.dropped))
        return body

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        rankings = self._upstream.decode_answer(body)
        rankings.results.sort(key=lambda one: one.relevance_score, reverse=True)
        return Answer({}, rankings.usage, rankings=rankings)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        told = answer.rankings
        assert isinstance(told, Rankings)  # noqa: S101 - read_answer of this class has set it
        return self._client.encode_answer(told, view)
