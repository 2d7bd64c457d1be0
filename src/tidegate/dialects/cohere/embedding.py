"""Cohere's `/v2/embed`, to the canonical form and back.

Source: `v2.client.embed`, `types.embed_by_type_response` of the official `cohere` SDK.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.cohere.usage import usage_of
from tidegate.dialects.dialect import UnreadableAnswer, UpstreamModel
from tidegate.dialects.embedding import EmbeddingRequest, Embeddings
from tidegate.dialects.fields import NULL, bad_field, present, unsupported_field


class _Body(Struct):
    texts: list[str] | None = None
    input_type: str | None = None
    embedding_types: list[str] | None = None
    output_dimension: int | None = None
    truncate: str | None = None
    max_tokens: int | None = None
    priority: int | None = None


class _ByType(Struct):
    float: list[list[float]]


class _Answer(Struct):
    embeddings: _ByType
    id: str = ""
    meta: Raw = NULL


_KNOWN = frozenset((*_Body.__struct_fields__, "model"))
_HINTS = ("truncate", "max_tokens", "priority")
_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Body).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode


class CohereEmbedding:
    """Is an EmbeddingCodec."""

    def decode_request(self, view: View) -> EmbeddingRequest:
        """Only floats of texts: other vectors, images and mixed inputs are refused."""
        for name, raw in view.fields.items():
            if name not in _KNOWN and present(raw) is not None:
                raise unsupported_field(
                    name, f"`{name}` cannot be honoured by the upstream of this model. Leave it out."
                )
        try:
            body = _decode(_encode(view.fields))
        except (msgspec.DecodeError, RecursionError) as error:
            raise bad_field(f"The body is not an embed request: {error}.", "texts") from error
        if not body.texts:
            raise bad_field("`texts` is missing: say what to embed.", "texts")
        if set(body.embedding_types or ("float",)) != {"float"}:
            raise unsupported_field("embedding_types", "The upstream of this model has `float` embeddings only.")
        return EmbeddingRequest(
            texts=body.texts,
            dimensions=body.output_dimension,
            purpose=body.input_type,
            dropped=[name for name in _HINTS if getattr(body, name) is not None],
            names={"dimensions": "output_dimension", "purpose": "input_type"},
        )

    def encode_request(self, request: EmbeddingRequest, upstream: UpstreamModel) -> bytes:
        """`input_type` is required: a text whose purpose nobody said is a document."""
        body: dict[str, Any] = {
            "model": upstream.name,
            "texts": request.texts,
            "input_type": request.purpose or "search_document",
            "embedding_types": ["float"],
        }
        if request.dimensions is not None:
            body["output_dimension"] = request.dimensions
        if request.user is not None:
            request.dropped.append(request.called("user"))
        return _encode(body)

    def decode_answer(self, body: bytes) -> Embeddings:
        try:
            told = _decode_answer(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer has no vectors: {error}") from error
        usage = Usage() if present(told.meta) is None else usage_of(told.meta)
        return Embeddings(told.embeddings.float, usage, told.id)

    def encode_answer(self, answer: Embeddings, view: View) -> bytes:
        told: dict[str, Any] = {
            "id": answer.id or view.id,
            "embeddings": {"float": answer.vectors},
            "texts": self.decode_request(view).texts,
            "response_type": "embeddings_by_type",
        }
        if answer.usage.source != "unknown":
            told["meta"] = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": answer.usage.input_total}}
        return _encode(told)
