"""Ollama's embeddings, to the canonical form and back. Source: the official `ollama` SDK, EmbedRequest and EmbedResponse."""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.dialect import UnreadableAnswer, UpstreamModel
from tidegate.dialects.embedding import EmbeddingRequest, Embeddings
from tidegate.dialects.fields import NULL, bad_field, present, unsupported_field


class _Body(Struct):
    input: str | list[str]
    dimensions: int | None = None
    truncate: bool | None = None
    keep_alive: Raw = NULL
    options: Raw = NULL


class _Answer(Struct):
    embeddings: list[list[float]]
    prompt_eval_count: int | None = None


_KNOWN = frozenset((*_Body.__struct_fields__, "model"))
_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(_Body).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode


class OllamaEmbedding:
    """Is an EmbeddingCodec."""

    def decode_request(self, view: View) -> EmbeddingRequest:
        """`truncate: false` cannot be promised of another upstream; the server's own settings are hints."""
        try:
            body = _decode(_encode(view.fields))
        except (msgspec.DecodeError, RecursionError) as error:
            raise bad_field(f"The body is not an embed request: {error}.", "input") from error
        for name, raw in view.fields.items():
            if name not in _KNOWN and present(raw) is not None:
                raise unsupported_field(
                    name, f"`{name}` cannot be honoured by the upstream of this model. Leave it out."
                )
        dropped = [
            name for name in ("truncate", "keep_alive", "options") if present(view.fields.get(name, NULL)) is not None
        ]
        texts = [body.input] if isinstance(body.input, str) else body.input
        return EmbeddingRequest(texts=texts, dimensions=body.dimensions, dropped=dropped, names={"texts": "input"})

    def encode_request(self, request: EmbeddingRequest, upstream: UpstreamModel) -> bytes:
        body: dict[str, Any] = {"model": upstream.name, "input": request.texts}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        request.dropped += [request.called(name) for name in ("user", "purpose") if getattr(request, name) is not None]
        return _encode(body)

    def decode_answer(self, body: bytes) -> Embeddings:
        try:
            told = _decode_answer(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer has no vectors: {error}") from error
        count = told.prompt_eval_count
        return Embeddings(told.embeddings, Usage() if count is None else Usage(input=max(0, count), source="reported"))

    def encode_answer(self, answer: Embeddings, view: View) -> bytes:
        told: dict[str, Any] = {"model": view.model, "embeddings": answer.vectors}
        if answer.usage.source != "unknown":
            told["prompt_eval_count"] = answer.usage.input_total
        return _encode(told)
