"""Nova's multimodal embeddings on Bedrock, one text a call, to the canonical form and back."""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.dialect import UnreadableAnswer, UpstreamModel
from tidegate.dialects.embedding import EmbeddingRequest, Embeddings, only_text
from tidegate.dialects.fields import NULL, bad_field, present, unsupported_field

_PURPOSES: Final = {
    "GENERIC_INDEX": "search_document",
    "GENERIC_RETRIEVAL": "search_query",
    "TEXT_RETRIEVAL": "search_query",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
}
_TOLD: Final = {
    "search_document": "GENERIC_INDEX",
    "search_query": "GENERIC_RETRIEVAL",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
_SIZE: Final = "singleEmbeddingParams.embeddingDimension"


class _Text(Struct, rename="camel"):
    value: str | None = None
    truncation_mode: str | None = None
    source: Raw = NULL


class _Params(Struct, rename="camel"):
    embedding_purpose: str | None = None
    embedding_dimension: int | None = None
    text: _Text | None = None


class _Body(Struct, rename="camel"):
    task_type: str
    single_embedding_params: _Params


class _Vector(Struct):
    embedding: list[float]


class _Answer(Struct):
    embeddings: list[_Vector]


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Body).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode


class NovaEmbedding:
    """Is an EmbeddingCodec."""

    def decode_request(self, view: View) -> EmbeddingRequest:
        """Only a text that is in the request itself."""
        try:
            body = _decode(_encode(view.fields))
        except (msgspec.DecodeError, RecursionError) as error:
            raise bad_field(f"The body is not an embedding request: {error}.", "singleEmbeddingParams") from error
        if body.task_type != "SINGLE_EMBEDDING":
            raise bad_field("`taskType` must be SINGLE_EMBEDDING.", "taskType")
        params = body.single_embedding_params
        text = params.text
        if text is None or text.value is None or present(text.source) is not None:
            field = "singleEmbeddingParams"
            raise unsupported_field(field, "The upstream of this model embeds a `text` with a `value` only.")
        asked = params.embedding_purpose
        purpose = None if asked is None else _PURPOSES.get(asked)
        dropped = ["singleEmbeddingParams.text.truncationMode"] if text.truncation_mode not in (None, "NONE") else []
        if asked is not None and purpose is None:
            dropped.append("singleEmbeddingParams.embeddingPurpose")
        names = {"texts": "singleEmbeddingParams.text", "dimensions": _SIZE}
        names["purpose"] = "singleEmbeddingParams.embeddingPurpose"
        return EmbeddingRequest(
            texts=[text.value], dimensions=params.embedding_dimension, purpose=purpose, dropped=dropped, names=names
        )

    def encode_request(self, request: EmbeddingRequest, upstream: UpstreamModel) -> bytes:
        """The purpose is required: a text whose purpose nobody said is to be found. A text that is too long is refused."""
        params: dict[str, Any] = {
            "embeddingPurpose": _TOLD.get(request.purpose or "", "GENERIC_INDEX"),
            "text": {"truncationMode": "NONE", "value": only_text(request)},
        }
        if request.dimensions is not None:
            params["embeddingDimension"] = request.dimensions
        if request.user is not None:
            request.dropped.append(request.called("user"))
        return _encode({"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params})

    def decode_answer(self, body: bytes) -> Embeddings:
        """The usage is in a header."""
        try:
            told = _decode_answer(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer has no vectors: {error}") from error
        return Embeddings([one.embedding for one in told.embeddings], Usage())

    def encode_answer(self, answer: Embeddings, view: View) -> bytes:
        return _encode({"embeddings": [{"embeddingType": "TEXT", "embedding": one} for one in answer.vectors]})
