"""OpenAI's embeddings, to the canonical form and back.

Source: `openai.types.embedding_create_params`, `create_embedding_response` of the official SDK, which asks for base64 by
default: little-endian 32-bit floats.
"""

import base64
import struct
from typing import Any

import msgspec
from msgspec import Struct

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.dialect import UnreadableAnswer, UpstreamModel
from tidegate.dialects.embedding import EmbeddingRequest, Embeddings
from tidegate.dialects.fields import NULL, bad_field, present, unsupported_field
from tidegate.dialects.openai.usage import usage_of
from tidegate.dialects.pseudonym import pseudonym


class _Body(Struct):
    input: str | list[str | int | list[int]]
    dimensions: int | None = None
    output_dimension: int | None = None
    encoding_format: str | None = None
    user: str | None = None


class _Vector(Struct):
    embedding: str | list[float]
    index: int = 0


class _Answer(Struct):
    data: list[_Vector]
    usage: msgspec.Raw = NULL


_KNOWN = frozenset(("model", "input", "encoding_format", "user"))
_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Body).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode


class OpenAIEmbedding:
    """Is an EmbeddingCodec. `dimensions`: what an upstream of this form calls it."""

    dimensions: str = "dimensions"
    takes_user: bool = True
    answers_with_id: bool = False

    def decode_request(self, view: View) -> EmbeddingRequest:
        body = _body(view)
        known = _KNOWN | {self.dimensions}
        for name, raw in view.fields.items():
            if name not in known and present(raw) is not None:
                raise unsupported_field(
                    name, f"`{name}` cannot be honoured by the upstream of this model. Leave it out."
                )
        several = body.input if isinstance(body.input, list) else [body.input]
        texts = [one for one in several if isinstance(one, str)]
        if len(texts) != len(several):
            raise unsupported_field("input", "`input` as token ids is for another tokenizer: send texts.")
        dimensions = getattr(body, self.dimensions)
        return EmbeddingRequest(
            texts=texts, dimensions=dimensions, user=body.user, names={"texts": "input", "dimensions": self.dimensions}
        )

    def encode_request(self, request: EmbeddingRequest, upstream: UpstreamModel) -> bytes:
        body: dict[str, Any] = {"model": upstream.name, "input": request.texts, "encoding_format": "float"}
        if request.dimensions is not None:
            body[self.dimensions] = request.dimensions
        if request.user is not None:
            if self.takes_user:
                body["user"] = pseudonym(request.user)
            else:
                request.dropped.append(request.called("user"))
        if request.purpose is not None:
            request.dropped.append(request.called("purpose"))
        return _encode(body)

    def decode_answer(self, body: bytes) -> Embeddings:
        try:
            told = _decode_answer(body)
            vectors = [_floats(one.embedding) for one in sorted(told.data, key=lambda one: one.index)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, struct.error) as error:
            raise UnreadableAnswer(f"the answer has no vectors: {error}") from error
        return Embeddings(vectors, Usage() if present(told.usage) is None else usage_of(told.usage))

    def encode_answer(self, answer: Embeddings, view: View) -> bytes:
        packed = _body(view).encoding_format == "base64"
        data = [
            {"object": "embedding", "index": index, "embedding": _packed(vector) if packed else vector}
            for index, vector in enumerate(answer.vectors)
        ]
        told: dict[str, Any] = {"object": "list", "data": data, "model": view.model}
        if answer.usage.source != "unknown":
            tokens = answer.usage.input_total
            told["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        return _encode({"id": view.id, **told} if self.answers_with_id else told)


class MistralEmbedding(OpenAIEmbedding):
    """Mistral's are OpenAI's but for the names of settings, and an id that its SDK insists on.

    Source: `mistralai` SDK, EmbeddingRequest, EmbeddingResponse.
    """

    dimensions = "output_dimension"
    takes_user = False
    answers_with_id = True


def _body(view: View) -> _Body:
    try:
        return _decode(_encode(view.fields))
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"The body is not an embeddings request: {error}.", "input") from error


def _floats(told: str | list[float]) -> list[float]:
    if isinstance(told, list):
        return told
    data = base64.b64decode(told, validate=True)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
