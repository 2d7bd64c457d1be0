"""Vertex AI's embeddings, in the three shapes that it has, to the canonical form and back.

`predict` for the models of its first generation; `embedContent` and `batchEmbedContents` for Gemini's and for open models.

Source: `_EmbedContentParametersPrivate_to_vertex` and `t_is_vertex_embed_content_model` of the official `google-genai` SDK.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.dialect import UnreadableAnswer, UpstreamModel
from tidegate.dialects.embedding import EmbeddingRequest, Embeddings
from tidegate.dialects.fields import MAX_COUNT, NULL, bad_field, present, unsupported_field
from tidegate.dialects.gemini.embedding import PURPOSES, TASKS, text_of
from tidegate.dialects.gemini.members import Members
from tidegate.dialects.gemini.usage import usage_of
from tidegate.dialects.vertex.names import bare

PREDICT: Final = "predict"
SINGLE: Final = "single"
BATCH: Final = "batch"
FORMS: Final = {"instances": PREDICT, "content": SINGLE, "requests": BATCH}
"""The field with the texts → the shape."""
ANSWERS: Final = {PREDICT: "predictions", SINGLE: "embedding", BATCH: "embeddings"}
"""The shape → the field with the vectors."""

_SETTINGS: Final = "embedContentConfig"
_encode = msgspec.json.encode


class _Statistics(Struct):
    token_count: float | None = None


class _Vector(Struct):
    values: list[float]
    statistics: _Statistics | None = None


class _Prediction(Struct):
    embeddings: _Vector


class _Answer(Struct):
    predictions: list[_Prediction] | None = None
    embeddings: list[_Vector] | None = None
    embedding: _Vector | None = None
    usage: Raw = msgspec.field(default=NULL, name="usageMetadata")


_decode_answer = msgspec.json.Decoder(_Answer).decode


def form_for(model: str) -> str:
    """The shape that an upstream model takes."""
    name = bare(model).lower()
    if "maas" in name:
        return SINGLE
    return BATCH if "gemini" in name else PREDICT


class VertexEmbedding:
    """Is an EmbeddingCodec."""

    def decode_request(self, view: View) -> EmbeddingRequest:
        body = Members(view.fields)
        if view.form == PREDICT:
            texts, settings = _instances(body)
        elif view.form == SINGLE:
            texts, settings = [_content(body)], [_settings(body)]
        else:
            several = body.objects("requests")
            texts, settings = [_content(one) for one in several], [_settings(one) for one in several]
        field = next(name for name, form in FORMS.items() if form == view.form)
        if not texts:
            raise bad_field(f"`{field}` is empty: send at least one text.", field)
        asked = {(one.dimensions, one.task) for one in settings}
        if len(asked) != 1:
            raise unsupported_field(field, f"`{field}` must have one outputDimensionality and one taskType.")
        if any(one.truncates is False for one in settings):
            raise unsupported_field("autoTruncate", "The upstream of this model cannot be told not to truncate.")
        dimensions, task = asked.pop()
        purpose = None if task is None else PURPOSES.get(task)
        dropped = ["taskType"] if task is not None and purpose is None else []
        if any(one.title is not None for one in settings):
            dropped.append("title")
        names = {"dimensions": "outputDimensionality", "purpose": "taskType"}
        return EmbeddingRequest(texts=texts, dimensions=dimensions, purpose=purpose, dropped=dropped, names=names)

    def encode_request(self, request: EmbeddingRequest, upstream: UpstreamModel) -> bytes:
        if request.user is not None:
            request.dropped.append(request.called("user"))
        task = None if request.purpose is None else TASKS.get(request.purpose, "SEMANTIC_SIMILARITY")
        size = {} if request.dimensions is None else {"outputDimensionality": request.dimensions}
        form = form_for(upstream.name)
        if form == PREDICT:
            about = {} if task is None else {"task_type": task}
            body: dict[str, Any] = {"instances": [{"content": text, **about} for text in request.texts]}
            return _encode({**body, "parameters": size} if size else body)
        settings = size if task is None else {"taskType": task, **size}
        told = {_SETTINGS: settings} if settings else {}
        several = [{"content": {"role": "user", "parts": [{"text": text}]}, **told} for text in request.texts]
        if form == BATCH:
            return _encode({"requests": several})
        if len(several) > 1:
            message = "The upstream of this model embeds one text at a time."
            raise unsupported_field(request.called("input"), message)
        return _encode(several[0])

    def decode_answer(self, body: bytes) -> Embeddings:
        try:
            told = _decode_answer(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer has no vectors: {error}") from error
        if told.predictions is not None:
            vectors = [one.embeddings for one in told.predictions]
        else:
            vectors = told.embeddings or ([] if told.embedding is None else [told.embedding])
        if not vectors:
            raise UnreadableAnswer("the answer has no vectors")
        return Embeddings([one.values for one in vectors], _usage(told.usage, vectors))

    def encode_answer(self, answer: Embeddings, view: View) -> bytes:
        usage = answer.usage
        known = usage.source != "unknown"
        told: dict[str, Any] = {"usageMetadata": {"promptTokenCount": usage.input_total}} if known else {}
        vectors: list[dict[str, Any]] = [{"values": vector} for vector in answer.vectors]
        if view.form == SINGLE:
            return _encode({"embedding": vectors[0], **told})
        if view.form == BATCH:
            return _encode({"embeddings": vectors, **told})
        if known and len(vectors) == 1:
            vectors[0]["statistics"] = {"token_count": usage.input_total, "truncated": False}
        return _encode({"predictions": [{"embeddings": one} for one in vectors], **told})


class _Setting(Struct):
    dimensions: int | None
    task: str | None
    title: str | None
    truncates: bool | None


def _instances(body: Members) -> tuple[list[str], list[_Setting]]:
    parameters = body.object("parameters") or Members({}, "parameters")
    size, truncates = parameters.integer("outputDimensionality"), parameters.boolean("autoTruncate")
    texts: list[str] = []
    settings: list[_Setting] = []
    for one in body.objects("instances"):
        text = one.string("content")
        if text is None:
            raise unsupported_field("instances", "`instances`: only text (`content`) can be embedded by this model.")
        texts.append(text)
        settings.append(_Setting(size, one.string("taskType"), one.string("title"), truncates))
    return texts, settings


def _content(one: Members) -> str:
    content = one.object("content")
    if content is None:
        raise bad_field("`content` is missing: say what to embed.", "content")
    return text_of(content)


def _settings(one: Members) -> _Setting:
    """The newer place of the settings, else the older one: beside the content."""
    at = one.object(_SETTINGS) or one
    return _Setting(
        at.integer("outputDimensionality"), at.string("taskType"), at.string("title"), at.boolean("autoTruncate")
    )


def _usage(told: Raw, vectors: list[_Vector]) -> Usage:
    """Of the whole answer, else of each text; unknown where one of them does not say."""
    if present(told) is not None:
        return usage_of(told)
    counts = [None if one.statistics is None else one.statistics.token_count for one in vectors]
    tokens = [int(count) for count in counts if count is not None and 0 <= count <= MAX_COUNT]
    return Usage(input=sum(tokens), source="reported") if len(tokens) == len(counts) else Usage()
