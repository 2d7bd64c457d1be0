"""Titan's embeddings on Bedrock, one text a call, to the canonical form and back."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.dialect import UnreadableAnswer, UpstreamModel
from tidegate.dialects.embedding import EmbeddingRequest, Embeddings, only_text
from tidegate.dialects.fields import bad_field, present, unsupported_field


class _Body(Struct, rename="camel"):
    input_text: str | None = None
    dimensions: int | None = None
    normalize: bool | None = None
    embedding_types: list[str] | None = None


class _Answer(Struct, rename="camel"):
    embedding: list[float]


class _Counted(Struct, rename="camel"):
    input_text_token_count: int | None = None


_KNOWN: Final = frozenset(("inputText", "dimensions", "normalize", "embeddingTypes"))
_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Body).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_counted = msgspec.json.Decoder(_Counted).decode


def usage_of(body: bytes) -> Usage:
    """Unknown without the count, never 0."""
    try:
        tokens = _decode_counted(body).input_text_token_count
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        tokens = None
    if tokens is None:
        return Usage()
    return Usage(input=tokens, source="reported", raw=_encode({"inputTextTokenCount": tokens}))


class TitanEmbedding:
    """Is an EmbeddingCodec."""

    def decode_request(self, view: View) -> EmbeddingRequest:
        """Only normalised floats of a text."""
        for name, raw in view.fields.items():
            if name not in _KNOWN and present(raw) is not None:
                raise unsupported_field(
                    name, f"`{name}` cannot be honoured by the upstream of this model. Leave it out."
                )
        try:
            body = _decode(_encode(view.fields))
        except (msgspec.DecodeError, RecursionError) as error:
            raise bad_field(f"The body is not an embedding request: {error}.", "inputText") from error
        if not body.input_text:
            raise bad_field("`inputText` is missing: say what to embed.", "inputText")
        if body.normalize is False:
            raise unsupported_field("normalize", "The upstream of this model says how long its vectors are.")
        if set(body.embedding_types or ("float",)) != {"float"}:
            raise unsupported_field("embeddingTypes", "The upstream of this model has `float` embeddings only.")
        return EmbeddingRequest(texts=[body.input_text], dimensions=body.dimensions, names={"texts": "inputText"})

    def encode_request(self, request: EmbeddingRequest, upstream: UpstreamModel) -> bytes:
        body: dict[str, Any] = {"inputText": only_text(request)}
        if request.dimensions is not None:
            name = upstream.name.lower()
            if "titan-embed-image" in name:
                body["embeddingConfig"] = {"outputEmbeddingLength": request.dimensions}
            elif "titan-embed-text-v1" in name or "titan-embed-g1" in name:
                field = request.called("dimensions")
                raise unsupported_field(field, f"`{field}`: the upstream of this model has one size. Leave it out.")
            else:
                body["dimensions"] = request.dimensions
        for hint in ("user", "purpose"):
            if getattr(request, hint) is not None:
                request.dropped.append(request.called(hint))
        return _encode(body)

    def decode_answer(self, body: bytes) -> Embeddings:
        try:
            vector = _decode_answer(body).embedding
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer has no vector: {error}") from error
        return Embeddings([vector], usage_of(body))

    def encode_answer(self, answer: Embeddings, view: View) -> bytes:
        vector = answer.vectors[0]
        told: dict[str, Any] = {"embedding": vector, "embeddingsByType": {"float": vector}}
        if answer.usage.source != "unknown":
            told["inputTextTokenCount"] = answer.usage.input_total
        return _encode(told)
