"""Gemini's embeddings (`batchEmbedContents`; `embedContent` is a batch of one), to the canonical form and back.

Source: the `google-genai` SDK's types EmbedContentConfig and EmbedContentResponse; https://ai.google.dev/api/embeddings.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.dialect import UnreadableAnswer, UpstreamModel
from tidegate.dialects.embedding import EmbeddingRequest, Embeddings
from tidegate.dialects.fields import NULL, bad_field, present, unsupported_field
from tidegate.dialects.gemini.members import Members
from tidegate.dialects.gemini.paths import SINGLE, resource
from tidegate.dialects.gemini.usage import usage_of

PURPOSES: Final = {
    "RETRIEVAL_DOCUMENT": "search_document",
    "RETRIEVAL_QUERY": "search_query",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
}
TASKS: Final = {purpose: task for task, purpose in PURPOSES.items()}


class _Vector(Struct):
    values: list[float]


class _Answer(Struct):
    embeddings: list[_Vector]
    usage: Raw = msgspec.field(default=NULL, name="usageMetadata")


_encode = msgspec.json.encode
_decode_answer = msgspec.json.Decoder(_Answer).decode


class GeminiEmbedding:
    """Is an EmbeddingCodec."""

    def decode_request(self, view: View) -> EmbeddingRequest:
        requests = Members(view.fields).objects("requests")
        if not requests:
            raise bad_field("`requests` is empty: send at least one text.", "requests")
        texts: list[str] = []
        settings: set[tuple[int | None, str | None]] = set()
        dropped: list[str] = []
        for one in requests:
            content = one.object("content")
            if content is None:
                raise bad_field("`content` is missing: say what to embed.", "requests")
            texts.append(text_of(content))
            settings.add((one.integer("outputDimensionality"), one.string("taskType")))
            if one.string("title") is not None:
                dropped.append("title")
        if len(settings) != 1:
            raise unsupported_field("requests", "`requests` must have one outputDimensionality and one taskType.")
        dimensions, task = settings.pop()
        purpose = None if task is None else PURPOSES.get(task)
        if task is not None and purpose is None:
            dropped.append("taskType")
        names = {"texts": "requests", "dimensions": "outputDimensionality", "purpose": "taskType"}
        return EmbeddingRequest(texts=texts, dimensions=dimensions, purpose=purpose, dropped=dropped, names=names)

    def encode_request(self, request: EmbeddingRequest, upstream: UpstreamModel) -> bytes:
        settings: dict[str, Any] = {}
        if request.dimensions is not None:
            settings["outputDimensionality"] = request.dimensions
        if request.purpose is not None:
            settings["taskType"] = TASKS.get(request.purpose, "SEMANTIC_SIMILARITY")
        if request.user is not None:
            request.dropped.append(request.called("user"))
        model = resource(upstream.name)
        several = [{"model": model, "content": {"parts": [{"text": text}]}, **settings} for text in request.texts]
        return _encode({"requests": several})

    def decode_answer(self, body: bytes) -> Embeddings:
        """Without usage metadata, which the service leaves out at times, the usage is unknown."""
        try:
            told = _decode_answer(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer has no vectors: {error}") from error
        usage = Usage() if present(told.usage) is None else usage_of(told.usage)
        return Embeddings([one.values for one in told.embeddings], usage)

    def encode_answer(self, answer: Embeddings, view: View) -> bytes:
        vectors = [{"values": vector} for vector in answer.vectors]
        told: dict[str, Any] = {"embedding": vectors[0]} if view.form == SINGLE else {"embeddings": vectors}
        if answer.usage.source != "unknown":
            told["usageMetadata"] = {"promptTokenCount": answer.usage.input_total}
        return _encode(told)


def text_of(content: Members) -> str:
    texts = [part.string("text") for part in content.objects("parts")]
    found = [text for text in texts if text is not None]
    if not found or len(found) != len(texts):
        raise unsupported_field("requests", "Only text can be embedded by the upstream of this model.")
    return "".join(found)
