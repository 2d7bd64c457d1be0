"""Gemini on Vertex AI, and Vertex AI's embeddings.

Chat bodies are the Gemini API's; what differs is the paths, what a count takes, how a caller proves itself, embeddings.

Source: the converters to Vertex AI in the official `google-genai` SDK (`models.py`, `*_to_vertex`).
"""

import re
from typing import Final

import msgspec
from msgspec import Raw

from tidegate.core.view import NO_PATH_TELLS, Operation, PathTells, View
from tidegate.dialects.dialect import Answer, UpstreamModel
from tidegate.dialects.embedding import EmbeddingCodec, Embeddings
from tidegate.dialects.fields import bad_field, present, read_fields
from tidegate.dialects.gemini.dialect import WHOLE_REQUEST, Gemini, generation
from tidegate.dialects.gemini.paths import match_path
from tidegate.dialects.transcribing import Hearing
from tidegate.dialects.vertex.embedding import ANSWERS, BATCH, FORMS, PREDICT, SINGLE, VertexEmbedding, form_for
from tidegate.dialects.vertex.names import endpoint, published

VERSION: Final = "v1beta1"
_PATH: Final = re.compile(rb"/v1(?:alpha|beta|beta1)?/(.+):(predict|embedContent|batchEmbedContents)")
_EMBEDDING_VERBS: Final = {PREDICT: "predict", SINGLE: "embedContent", BATCH: "batchEmbedContents"}
_AFFINITY_BYTES: Final = 1_024
_SOUNDS: Final = {**{name: name for name in ("flac", "mp3", "mp4", "ogg", "wav", "webm")}, "aac": "x-aac"}
"""Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/audio-understanding."""
_MOST_INLINE_BYTES: Final = 20_000_000
"""Source: https://firebase.google.com/docs/ai-logic/input-file-requirements."""

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


class Vertex(Gemini):
    """The dialect on both sides. Stateless. Clients' chat paths are Gemini's own, but for those under the prefix."""

    name: str = "vertex"
    embedding: EmbeddingCodec = VertexEmbedding()
    hearing: Hearing = Hearing(formats=_SOUNDS, most_bytes=_MOST_INLINE_BYTES)
    prefix: bytes = b"/vertex"
    telling_headers: tuple[bytes, ...] = ()

    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
        match = _PATH.fullmatch(path)
        if match is None:
            return match_path(path, query)
        found = published(match[1])
        if found is None:
            return None
        publisher, model = found
        return "embedding", PathTells(model=model if publisher == "google" else f"{publisher}/{model}")

    def read(self, operation: Operation, body: bytes, path: PathTells = NO_PATH_TELLS) -> View:
        if operation != "embedding":
            return super().read(operation, body, path)
        fields = read_fields(body)
        field = next((name for name in FORMS if name in fields), "")
        if not field:
            raise bad_field("`instances` or `content` is missing: say what to embed.", "content")
        size = len(body)
        return View(
            dialect=self.name,
            operation=operation,
            model=path.model,
            stream=False,
            fields=fields,
            body_bytes=size,
            estimated_input_tokens=(size >> 2) + 1,
            worst_input_tokens=size,
            max_output_tokens=0,
            affinity=bytes(memoryview(fields[field])[:_AFFINITY_BYTES]),
            form=FORMS[field],
        )

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        if operation == "embedding":
            return endpoint(base_path, VERSION, model, _EMBEDDING_VERBS[form_for(model)])
        if operation == "token_count":
            return endpoint(base_path, VERSION, model, "countTokens")
        return endpoint(base_path, VERSION, model, "streamGenerateContent?alt=sse" if stream else "generateContent")

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        """The model is in the path alone."""
        if view.operation == "embedding":
            if view.form == form_for(upstream.name):
                return _encode(view.fields)
            request = self.embedding.decode_request(view)
            body = self.embedding.encode_request(request, upstream)
            view.dropped = tuple(dict.fromkeys(request.dropped))
            return body
        fields = dict(view.fields)
        fields.pop("model", None)
        if view.operation == "token_count":
            return _encode(_countable(fields))
        return _encode(generation(fields, view, output_cap))

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        if operation != "embedding":
            return super().read_answer(operation, body)
        told = self.embedding.decode_answer(body)
        return Answer(_decode_object(body), told.usage, embeddings=told)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        told = answer.embeddings
        if not isinstance(told, Embeddings):
            return super().encode_answer(answer, view)
        if ANSWERS[view.form] in answer.fields:
            return _encode(answer.fields)
        return self.embedding.encode_answer(told, view)


def _countable(fields: dict[str, Raw]) -> dict[str, Raw]:
    """The Gemini API may have a whole request below one name; here its fields stand at the top."""
    whole = next((name for name in WHOLE_REQUEST if name in fields), "")
    if not whole or present(fields[whole]) is None:
        return fields
    try:
        request = _decode_object(fields[whole])
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"`{whole}` must be an object.", whole) from error
    taken = ("contents", "systemInstruction", "system_instruction", "tools", "generationConfig", "generation_config")
    return {name: request[name] for name in taken if name in request}
