"""Reranking as Jina has it and OpenAI-compatible servers serve it, to the canonical form and back.

Sources: https://api.jina.ai/redoc; vLLM's `/v1/rerank`; https://docs.voyageai.com/reference/reranker-api, which calls
`top_n` `top_k` and `results` `data` (quirk `rerank-top-k`).
"""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.dialect import UnreadableAnswer, UpstreamModel
from tidegate.dialects.fields import NULL, bad_field, present, unsupported_field
from tidegate.dialects.openai.usage import rerank_usage_of
from tidegate.dialects.reranking import Ranked, Rankings, RerankRequest

TOP_K: Final = "rerank-top-k"
"""The quirk of servers that speak as Voyage does."""


class _Text(Struct, forbid_unknown_fields=True):
    text: str


class _Body(Struct):
    query: str
    documents: list[str | _Text]
    top_n: int | None = None
    return_documents: bool | None = None


class _Answer(Struct):
    results: list[Ranked] | None = None
    data: list[Ranked] | None = None
    usage: Raw = NULL
    id: str | None = None


_KNOWN: Final = frozenset((*_Body.__struct_fields__, "model"))
_HINTS: Final = frozenset(("truncation", "user"))
_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Body).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode


class JinaRerank:
    """Is a RerankCodec."""

    def decode_request(self, view: View) -> RerankRequest:
        """Documents are texts, or objects with a text and nothing else: images and other fields are refused."""
        told = [name for name, raw in view.fields.items() if present(raw) is not None]
        for name in told:
            if name not in _KNOWN and name not in _HINTS:
                raise unsupported_field(
                    name, f"`{name}` cannot be honoured by the upstream of this model. Leave it out."
                )
        body = _body(view)
        return RerankRequest(
            query=body.query,
            documents=_texts(body),
            top_n=body.top_n,
            dropped=[name for name in told if name in _HINTS],
        )

    def encode_request(self, request: RerankRequest, upstream: UpstreamModel) -> bytes:
        body: dict[str, Any] = {"model": upstream.name, "query": request.query, "documents": request.documents}
        if request.top_n is not None:
            body["top_k" if TOP_K in upstream.quirks else "top_n"] = request.top_n
        return _encode(body | {"return_documents": False})

    def decode_answer(self, body: bytes) -> Rankings:
        try:
            told = _decode_answer(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer has no scores: {error}") from error
        results = told.data if told.results is None else told.results
        if results is None:
            raise UnreadableAnswer("the answer has no results")
        usage = Usage() if present(told.usage) is None else rerank_usage_of(told.usage)
        return Rankings(results, usage, told.id or "")

    def encode_answer(self, answer: Rankings, view: View) -> bytes:
        """With the documents, unless the client does without. `usage` is of tokens: search units stand in Cohere's place."""
        body = _body(view)
        texts = None if body.return_documents is False else _texts(body)
        told: dict[str, Any] = {"id": answer.id or view.id, "object": "list", "model": view.model}
        used = answer.usage
        if used.units is not None and used.units.searches:
            told["meta"] = {"billed_units": {"search_units": used.units.searches}}
        elif used.source != "unknown":
            told["usage"] = {"prompt_tokens": used.input_total, "total_tokens": used.input_total}
        return _encode(told | {"results": [_result(one, texts) for one in answer.results]})


def as_jina(fields: dict[str, Raw]) -> None:
    """A native answer of a server that speaks as Voyage does."""
    if "results" not in fields and "data" in fields:
        fields["results"] = fields.pop("data")


def _body(view: View) -> _Body:
    try:
        return _decode(_encode(view.fields))
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"The body is not a rerank request: {error}.", "documents") from error


def _texts(body: _Body) -> list[str]:
    return [one if isinstance(one, str) else one.text for one in body.documents]


def _result(ranked: Ranked, texts: list[str] | None) -> dict[str, Any]:
    told: dict[str, Any] = {"index": ranked.index, "relevance_score": ranked.relevance_score}
    if texts is None:
        return told
    if not 0 <= ranked.index < len(texts):
        raise UnreadableAnswer(f"the answer ranks document {ranked.index} of {len(texts)}")
    return told | {"document": {"text": texts[ranked.index]}}
