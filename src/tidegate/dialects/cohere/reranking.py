"""Cohere's `/v2/rerank`, to the canonical form and back.

Source: `v2.client.rerank`, `types.v2rerank_response` of the official `cohere` SDK.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.cohere.usage import rerank_usage_of
from tidegate.dialects.dialect import UnreadableAnswer, UpstreamModel
from tidegate.dialects.fields import NULL, bad_field, present, unsupported_field
from tidegate.dialects.reranking import Ranked, Rankings, RerankRequest


class _Body(Struct):
    query: str
    documents: list[str]
    top_n: int | None = None
    max_tokens_per_doc: int | None = None
    priority: int | None = None


class _Answer(Struct):
    results: list[Ranked]
    id: str | None = None
    meta: Raw = NULL


_KNOWN: Final = frozenset((*_Body.__struct_fields__, "model"))
_HINTS: Final = ("max_tokens_per_doc", "priority")
_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Body).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode


class CohereRerank:
    """Is a RerankCodec."""

    def decode_request(self, view: View) -> RerankRequest:
        for name, raw in view.fields.items():
            if name not in _KNOWN and present(raw) is not None:
                raise unsupported_field(
                    name, f"`{name}` cannot be honoured by the upstream of this model. Leave it out."
                )
        try:
            body = _decode(_encode(view.fields))
        except (msgspec.DecodeError, RecursionError) as error:
            raise bad_field(f"The body is not a rerank request: {error}.", "documents") from error
        return RerankRequest(
            query=body.query,
            documents=body.documents,
            top_n=body.top_n,
            dropped=[name for name in _HINTS if getattr(body, name) is not None],
        )

    def encode_request(self, request: RerankRequest, upstream: UpstreamModel) -> bytes:
        body: dict[str, Any] = {"model": upstream.name, "query": request.query, "documents": request.documents}
        return _encode(body if request.top_n is None else body | {"top_n": request.top_n})

    def decode_answer(self, body: bytes) -> Rankings:
        try:
            told = _decode_answer(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer has no scores: {error}") from error
        usage = Usage() if present(told.meta) is None else rerank_usage_of(told.meta)
        return Rankings(told.results, usage, told.id or "")

    def encode_answer(self, answer: Rankings, view: View) -> bytes:
        told: dict[str, Any] = {"id": answer.id or view.id, "results": answer.results}
        used = answer.usage
        if used.source != "unknown":
            units = {"input_tokens": used.input_total} if used.units is None else {"search_units": used.units.searches}
            told["meta"] = {"api_version": {"version": "2"}, "billed_units": units}
        return _encode(told)
