"""Google's Gemini API (the `generativelanguage` service) with an API key, on both sides.

Source: the types and converters of the official `google-genai` SDK; https://ai.google.dev/api. Bodies are read at their top
level and re-emitted, each value's bytes untouched.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import NO_PATH_TELLS, Operation, PathTells, View
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import Answer, ChatCodec, UnreadableAnswer, UpstreamModel
from tidegate.dialects.embedding import EmbeddingCodec
from tidegate.dialects.fields import MAX_COUNT, NULL, bad_field, present, read_fields
from tidegate.dialects.gemini.chat import GeminiChat
from tidegate.dialects.gemini.chunks import ChunkReader
from tidegate.dialects.gemini.embedding import GeminiEmbedding
from tidegate.dialects.gemini.errors import encode_error, read_error
from tidegate.dialects.gemini.grounding import searches_of, with_searches
from tidegate.dialects.gemini.members import Members
from tidegate.dialects.gemini.painting import GeminiPainting
from tidegate.dialects.gemini.paths import SINGLE, key_in_query, match_path, resource, upstream_path
from tidegate.dialects.gemini.signatures import without_foreign
from tidegate.dialects.gemini.speaking import GeminiSpeaking
from tidegate.dialects.gemini.usage import usage_of
from tidegate.dialects.listing import ListedModel
from tidegate.dialects.painting import PaintingUpstream
from tidegate.dialects.service_tiers import asked_tier
from tidegate.dialects.speaking import SpeechUpstream
from tidegate.dialects.transcribing import Hearing
from tidegate.wire.sse import SseSplitter

_FILE_TOKENS: Final = 258_000
"""Upper bound for a file whose bytes are elsewhere: a document of a thousand pages."""
WHOLE_REQUEST: Final = ("generateContentRequest", "generate_content_request")
_CACHED: Final = ("cachedContent", "cached_content")
"""A part of the prompt that is at the upstream alone."""
_AFFINITY_BYTES: Final = 1_024
_SOUNDS: Final = ("aac", "aiff", "flac", "mp3", "ogg", "wav")
"""Source: https://ai.google.dev/gemini-api/docs/audio."""
_MOST_INLINE_BYTES: Final = 100_000_000
"""Source: https://ai.google.dev/gemini-api/docs/file-input-methods."""

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_objects = msgspec.json.Decoder(list[dict[str, Raw]]).decode


class Gemini:
    """Is a Dialect. Stateless."""

    name: str = "gemini"
    family: str = "gemini"
    chat: ChatCodec | None = GeminiChat()
    embedding: EmbeddingCodec = GeminiEmbedding()
    painter: PaintingUpstream = GeminiPainting()
    speaker: SpeechUpstream = GeminiSpeaking()
    hearing: Hearing = Hearing(formats={name: name for name in _SOUNDS}, most_bytes=_MOST_INLINE_BYTES)
    client_paths: Mapping[bytes, Operation] = {}
    prefix: bytes = b"/gemini"
    matches_paths: bool = True
    telling_headers: tuple[bytes, ...] = (b"x-goog-api-key", b"x-goog-api-client")
    native_headers: tuple[bytes, ...] = ()
    native: bool = True
    upstream_media: bytes = b"text/event-stream"
    stream_head: str = "content-type: text/event-stream\r\ncache-control: no-cache\r\n"

    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
        return match_path(path, query)

    def key_in_query(self, query: bytes) -> bytes:
        return key_in_query(query)

    def read(self, operation: Operation, body: bytes, path: PathTells = NO_PATH_TELLS) -> View:
        fields = read_fields(body)
        required = "contents"
        if operation == "embedding":
            if path.form == SINGLE:
                _require(fields, "content")
                fields = {"requests": Raw(b"[" + _encode(fields) + b"]")}
            required = "requests"
        elif operation == "token_count":
            required = next((name for name in WHOLE_REQUEST if name in fields), required)
        _require(fields, required)
        size = len(body)
        return View(
            dialect=self.name,
            operation=operation,
            model=path.model,
            stream=path.stream,
            fields=fields,
            body_bytes=size,
            estimated_input_tokens=(size >> 2) + 1,
            worst_input_tokens=size + _files(body) * _FILE_TOKENS,
            max_output_tokens=_max_output(fields) if operation == "chat" else 0,
            choices=_several(fields) if operation == "chat" else 1,
            hidden_context=any(name in fields for name in _CACHED),
            tier=_tier(fields),
            searches=searches_of(fields) if operation == "chat" else None,
            usage_asked=True,
            affinity=_affinity(fields, required),
            form=path.form,
        )

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        return upstream_path(base_path, model, operation, stream=stream)

    def credential_header(self, api_key: str) -> tuple[bytes, bytes]:
        return b"x-goog-api-key", api_key.encode()

    def default_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ()

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        """The model is in the path; where a body names one too, it must be the same."""
        fields = dict(view.fields)
        name = Raw(_encode(resource(upstream.name)))
        if view.operation == "embedding":
            fields["requests"] = _renamed(fields["requests"], name)
            return _encode(fields)
        if view.operation == "token_count":
            return _encode({field: _counted(field, raw, name) for field, raw in fields.items()})
        if "model" in fields:
            fields["model"] = name
        return _encode(generation(fields, view, output_cap))

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        try:
            fields = _decode_object(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer is not a JSON object: {error}") from error
        if operation == "token_count":
            return Answer(fields, Usage(source="reported"))
        usage = fields.get("usageMetadata")
        return Answer(fields, Usage() if usage is None else with_searches(usage_of(usage), fields))

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        fields = answer.fields
        if "modelVersion" in fields:
            fields["modelVersion"] = Raw(_encode(view.model))
        if view.form == SINGLE and "embeddings" in fields:
            fields["embedding"] = _only(fields.pop("embeddings"))
        return _encode(fields)

    def stream_reader(self, view: View) -> ChunkReader:
        return ChunkReader(view, candidates=view.choices)

    def splitter(self) -> SseSplitter:
        return SseSplitter()

    def read_fault(self, status: int, body: bytes) -> Fault:
        return read_error(body)

    def encode_problem(self, problem: Problem) -> bytes:
        return encode_error(problem)

    def encode_count(self, tokens: int) -> bytes:
        return _encode({"totalTokens": tokens})

    def model_page(self, models: Sequence[ListedModel]) -> dict[str, object]:
        return {"models": [self.model_entry(one) for one in models]}

    def model_entry(self, model: ListedModel) -> dict[str, object]:
        return {"name": "models/" + model.name, "displayName": model.name}


def generation(fields: dict[str, Raw], view: View, output_cap: int | None) -> dict[str, Raw]:
    """The body of a generateContent for Google: without what others sealed, and with a bound where there must be one."""
    fields["contents"] = Raw(without_foreign(bytes(fields["contents"])))
    if output_cap is not None and view.max_output_tokens is None:
        written = "generation_config" if "generation_config" in fields else "generationConfig"
        config = fields.get(written)
        merged = {} if config is None or present(config) is None else _decode_object(config)
        merged.pop("max_output_tokens", None)
        merged["maxOutputTokens"] = Raw(b"%d" % output_cap)
        fields[written] = Raw(_encode(merged))
    return fields


def _require(fields: dict[str, Raw], name: str) -> None:
    if name not in fields or present(fields[name]) is None:
        raise bad_field(f"`{name}` is missing: add it to the request body.", name)


def _max_output(fields: dict[str, Raw]) -> int | None:
    """The client's bound over all candidates together."""
    generation = _generation(fields)
    if generation is None:
        return None
    bound, several = generation.integer("maxOutputTokens"), _candidates(generation)
    if bound is None:
        return None
    if not 0 < bound <= MAX_COUNT:
        raise generation.bad("maxOutputTokens", f"must be a whole number from 1 to {MAX_COUNT}")
    return bound * several


def _generation(fields: dict[str, Raw]) -> Members | None:
    """What bounds the answer; each of it said once."""
    body = Members(fields)
    body.refuse_twins()
    generation = body.object("generationConfig")
    if generation is not None:
        generation.refuse_twins()
    return generation


def _several(fields: dict[str, Raw]) -> int:
    generation = _generation(fields)
    return 1 if generation is None else _candidates(generation)


def _candidates(generation: Members) -> int:
    count = generation.integer("candidateCount") or 1
    if not 0 < count <= MAX_COUNT:
        raise generation.bad("candidateCount", f"must be a whole number from 1 to {MAX_COUNT}")
    return count


def _files(body: bytes) -> int:
    return body.count(b'"fileUri"') + body.count(b'"file_uri"')


def _tier(fields: dict[str, Raw]) -> str:
    """Protocol buffers may be told it by its number too: what that costs nobody knows here."""
    told = present(fields.get("serviceTier", fields.get("service_tier", NULL)))
    if told is None:
        return ""
    return asked_tier(told) if bytes(told)[:1] == b'"' else "unknown"


def _affinity(fields: dict[str, Raw], required: str) -> bytes:
    system = fields.get("systemInstruction") or fields.get("system_instruction") or Raw(b"")
    return (bytes(memoryview(system)[:_AFFINITY_BYTES]) + bytes(memoryview(fields[required])[:_AFFINITY_BYTES]))[
        :_AFFINITY_BYTES
    ]


def _renamed(requests: Raw, model: Raw) -> Raw:
    """Every text to embed names its model."""
    try:
        several = _decode_objects(requests)
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field("`requests` must be a list of objects.", "requests") from error
    for one in several:
        one["model"] = model
    return Raw(_encode(several))


def _counted(field: str, raw: Raw, model: Raw) -> Raw:
    """What is to be counted may be a whole request, which names its model."""
    if field == "model":
        return model
    if field not in WHOLE_REQUEST or present(raw) is None:
        return raw
    try:
        request = _decode_object(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"`{field}` must be an object.", field) from error
    return Raw(_encode(request | {"model": model}))


def _only(embeddings: Raw) -> Raw:
    try:
        several = msgspec.json.decode(embeddings, type=list[Raw])
    except (msgspec.DecodeError, RecursionError):
        several = []
    return several[0] if several else Raw(b"null")
