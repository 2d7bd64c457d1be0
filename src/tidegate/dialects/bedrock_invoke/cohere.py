"""Cohere's embeddings on Bedrock: the body of its own API without the model, an answer without usage."""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.cohere.embedding import CohereEmbedding
from tidegate.dialects.dialect import UnreadableAnswer, UpstreamModel
from tidegate.dialects.embedding import EmbeddingRequest, Embeddings


class _ByType(Struct):
    float: list[list[float]]


class _Answer(Struct):
    embeddings: _ByType | list[list[float]]
    id: str = ""


_encode = msgspec.json.encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode


class BedrockCohereEmbedding(CohereEmbedding):
    """Is an EmbeddingCodec."""

    def encode_request(self, request: EmbeddingRequest, upstream: UpstreamModel) -> bytes:
        body = _decode_object(super().encode_request(request, upstream))
        del body["model"]
        return _encode(body)

    def decode_answer(self, body: bytes) -> Embeddings:
        """The usage is in a header."""
        try:
            told = _decode_answer(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer has no vectors: {error}") from error
        vectors = told.embeddings.float if isinstance(told.embeddings, _ByType) else told.embeddings
        return Embeddings(vectors, Usage(), told.id)

    def encode_answer(self, answer: Embeddings, view: View) -> bytes:
        """By type where the client asked for types."""
        by_type = "embedding_types" in view.fields
        told: dict[str, Any] = {
            "id": answer.id or view.id,
            "texts": self.decode_request(view).texts,
            "embeddings": {"float": answer.vectors} if by_type else answer.vectors,
            "response_type": "embeddings_by_type" if by_type else "embeddings_floats",
        }
        return _encode(told)
