"""OpenAI's REST dialect: chat completions, legacy completions, embeddings, moderations, images, audio, models.

Source: the types of the official `openai` SDK, and https://platform.openai.com/docs/api-reference. `rerank` is what
compatible servers add, in Jina's form: https://api.jina.ai/redoc; vLLM has it too.
Bodies are read at their top level only and re-emitted, each value's bytes untouched: unknown fields survive, and of
duplicate keys an upstream sees the one that was decided upon.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Raw

from tidegate.core.problem import Problem
from tidegate.core.usage import Units, Usage
from tidegate.core.view import FORMS, NO_PATH_TELLS, UNMETERED, Operation, PathTells, Reference, View
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import Answer, ChatCodec, StreamReader, UnreadableAnswer, UpstreamModel
from tidegate.dialects.embedding import EmbeddingCodec
from tidegate.dialects.fields import NULL, bad_field, present, read_boolean, read_count, read_fields, read_string
from tidegate.dialects.model_rules import takes_samplers
from tidegate.dialects.named_files import named_files
from tidegate.dialects.openai import realtime
from tidegate.dialects.openai.chat import OpenAIChat
from tidegate.dialects.openai.chunks import ChunkReader
from tidegate.dialects.openai.depiction import (
    JSON_MEDIA,
    depiction_usage,
    images_asked,
    is_json,
    read_picture,
    referred_tokens,
)
from tidegate.dialects.openai.embedding import OpenAIEmbedding
from tidegate.dialects.openai.errors import encode_error, read_error
from tidegate.dialects.openai.forms import renamed
from tidegate.dialects.openai.media_events import MediaReader
from tidegate.dialects.openai.painting import OpenAIPainting
from tidegate.dialects.openai.recording import read_recording, recording_usage, speech_by_events, spoken
from tidegate.dialects.openai.reranking import TOP_K, JinaRerank, as_jina
from tidegate.dialects.openai.speaking import OpenAISpeaking
from tidegate.dialects.openai.transcribing import OpenAITranscripts
from tidegate.dialects.openai.usage import rerank_usage_of, usage_of
from tidegate.dialects.painting import PaintingCodec
from tidegate.dialects.reranking import RerankCodec, most_searches, repeated_query
from tidegate.dialects.service_tiers import asked_tier, tiered
from tidegate.dialects.speaking import SpeechCodec
from tidegate.dialects.transcribing import TranscriptCodec
from tidegate.wire.sse import SseSplitter

PATHS: Final[Mapping[Operation, str]] = {
    "chat": "/chat/completions",
    "completion": "/completions",
    "embedding": "/embeddings",
    "moderation": "/moderations",
    "rerank": "/rerank",
    "image": "/images/generations",
    "image_edit": "/images/edits",
    "image_variation": "/images/variations",
    "speech": "/audio/speech",
    "transcription": "/audio/transcriptions",
    "translation": "/audio/translations",
}
_BY_PATH: Final[Mapping[bytes, Operation]] = {path.encode(): operation for operation, path in PATHS.items()}
_DEPLOYMENT: Final = re.compile(rb"/openai/deployments/([^/]+)(/.+)")
_REQUIRED: Final[Mapping[Operation, str]] = {
    "chat": "messages",
    "completion": "prompt",
    "embedding": "input",
    "moderation": "input",
    "rerank": "query",
    "image": "prompt",
    "image_edit": "prompt",
    "speech": "input",
}
_IMAGE_TOKENS: Final = 3_000
"""Upper bound for one image part at high detail, when its bytes are elsewhere."""
_FILE_TOKENS: Final = 200_000
"""Upper bound for one document whose bytes are elsewhere: a hundred dense pages."""
_IMAGES: Final[frozenset[Operation]] = frozenset(("image", "image_edit", "image_variation"))
_CHUNKED: Final[frozenset[Operation]] = frozenset(("chat", "completion"))
_STREAMED: Final[frozenset[Operation]] = frozenset(("chat", "completion", "image", "image_edit"))
"""By their field `stream`."""
_MAX_EVENT_BYTES: Final = 64 * 1024 * 1024
"""The largest images that models draw, in base64."""
_AFFINITY_BYTES: Final = 1_024
_COMPLETION_DEFAULT_OUTPUT: Final = 16
"""Legacy completions stop at 16 tokens unless told otherwise."""

SSE_HEAD: Final = "content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode


class OpenAI:
    """The dialect on both sides. Stateless."""

    name: str = "openai"
    family: str = "openai"
    chat: ChatCodec | None = OpenAIChat()
    embedding: EmbeddingCodec = OpenAIEmbedding()
    reranking: RerankCodec | None = JinaRerank()
    painting: PaintingCodec = OpenAIPainting()
    speech: SpeechCodec = OpenAISpeaking()
    transcripts: TranscriptCodec = OpenAITranscripts()
    client_paths: Mapping[bytes, Operation] = {b"/v1" + path.encode(): operation for operation, path in PATHS.items()}
    prefix: bytes = b"/openai"
    matches_paths: bool = False
    telling_headers: tuple[bytes, ...] = ()
    native_headers: tuple[bytes, ...] = (b"openai-beta",)
    native: bool = True
    upstream_media: bytes = b"text/event-stream"
    stream_head: str = SSE_HEAD

    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
        return None

    def read(self, operation: Operation, body: bytes, path: PathTells = NO_PATH_TELLS) -> View:
        if operation in FORMS and not (operation == "image_edit" and is_json(path.media)):
            reads = read_picture if operation in _IMAGES else read_recording
            return reads(self.name, operation, body, path)
        fields = read_fields(body)
        model = path.model or read_string(fields, "model")
        required = _REQUIRED[operation]
        asked = bytes(fields.get(required, NULL))  # copied once: it may be megabytes
        if asked == b"null":
            raise bad_field(f"`{required}` is missing: add it to the request body.", required)
        stream = operation in _STREAMED and read_boolean(fields, "stream")
        size = len(body)
        distant = _distant_tokens(asked) if operation in ("chat", "moderation") else 0
        requests, units = 1, None
        if operation in _IMAGES:
            requests = images_asked(fields)
            units = Units(images=requests)
            distant = 0 if operation == "image" else referred_tokens(fields) * requests
        elif operation == "rerank":
            units, distant = most_searches(fields), repeated_query(fields)
        elif operation == "speech":
            stream = speech_by_events(fields)
            units = spoken(fields)
        return View(
            dialect=self.name,
            operation=operation,
            model=model,
            stream=stream,
            refers=_files_of(operation, asked, body),
            fields=fields,
            body_bytes=size,
            estimated_input_tokens=(size >> 2) + 1,
            worst_input_tokens=size * requests + distant,
            max_output_tokens=None if operation in UNMETERED else _max_output(operation, fields),
            requests=requests,
            units=units,
            choices=(read_count(fields, "n") or 1) if operation == "chat" else 1,
            media=JSON_MEDIA if operation == "image_edit" else b"",
            usage_asked=stream and _usage_asked(fields),
            tier=asked_tier(fields.get("service_tier")),
            affinity=asked[:_AFFINITY_BYTES],
        )

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        if operation == "realtime":
            return realtime.upstream_path(model, base_path)
        return base_path + PATHS[operation]

    def credential_header(self, api_key: str) -> tuple[bytes, bytes]:
        return b"authorization", b"Bearer " + api_key.encode()

    def default_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ()

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        if view.operation == "realtime":
            return b""
        if view.parts is not None:
            return renamed(view.parts, upstream.name)
        fields = dict(view.fields)
        fields["model"] = Raw(_encode(upstream.name))
        if view.operation not in UNMETERED:
            _bound(fields, view, upstream, output_cap)
        if view.operation == "rerank" and TOP_K in upstream.quirks and "top_n" in fields:
            fields["top_k"] = fields.pop("top_n")
        asked = view.usage_asked or view.operation not in _CHUNKED
        if view.stream and not asked and "no-stream-usage" not in upstream.quirks:
            options = fields.get("stream_options")
            if options is None or bytes(options) == b"null":
                fields["stream_options"] = Raw(b'{"include_usage":true}')
            else:
                merged = _decode_object(options)
                merged["include_usage"] = Raw(b"true")
                fields["stream_options"] = Raw(_encode(merged))
        return _encode(fields)

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        try:
            fields = _decode_object(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer is not a JSON object: {error}") from error
        if operation == "rerank":
            as_jina(fields)
        usage = fields.get("usage")
        if operation in _IMAGES:
            return Answer(fields, depiction_usage(fields))
        if operation in FORMS:
            return Answer(fields, recording_usage(fields))
        if usage is not None:
            used = rerank_usage_of(usage) if operation == "rerank" else usage_of(usage)
            return Answer(fields, tiered(used, fields.get("service_tier")))
        # Moderations are free of charge and report no usage.
        return Answer(fields, Usage(source="reported") if operation == "moderation" else Usage())

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        if "model" in answer.fields:
            answer.fields["model"] = Raw(_encode(view.model))
        return _encode(answer.fields)

    def stream_reader(self, view: View) -> StreamReader:
        if view.operation not in _CHUNKED:
            return MediaReader(view)
        choices = read_count(view.fields, "n") or 1
        return ChunkReader(view.model, choices=choices, withhold_usage=not view.usage_asked)

    def splitter(self) -> SseSplitter:
        return SseSplitter(_MAX_EVENT_BYTES)

    def read_fault(self, status: int, body: bytes) -> Fault:
        return read_error(body)

    def encode_problem(self, problem: Problem) -> bytes:
        return encode_error(problem)


class AzureOpenAI(OpenAI):
    """The same wire format under Azure's paths and credential header.

    Source: https://learn.microsoft.com/azure/ai-services/openai/reference. With an `api-version` the model is a
    deployment in the path; without one the `/openai/v1` surface is used, where it stays in the body.
    """

    name = "azure-openai"
    client_paths: Mapping[bytes, Operation] = {}
    prefix = b""
    matches_paths = True

    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
        """`/openai/deployments/{model}/…?api-version=`: the deployment is the public model."""
        match = _DEPLOYMENT.fullmatch(path)
        operation = None if match is None else _BY_PATH.get(match[2])
        if match is None or operation is None:
            return None
        return operation, PathTells(model=unquote_to_bytes(match[1]).decode(errors="replace"))

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        root = base_path.removesuffix("/openai/v1").removesuffix("/openai")
        if operation == "realtime":
            return realtime.azure_path(model, root, api_version)
        if api_version is None:
            return f"{root}/openai/v1{PATHS[operation]}"
        return f"{root}/openai/deployments/{model}{PATHS[operation]}?api-version={api_version}"

    def credential_header(self, api_key: str) -> tuple[bytes, bytes]:
        return b"api-key", api_key.encode()


def model_object(name: str, created: int) -> dict[str, object]:
    """One entry of `GET /v1/models`."""
    return {"id": name, "object": "model", "created": created, "owned_by": "tidegate"}


def _bound(fields: dict[str, Raw], view: View, upstream: UpstreamModel, cap: int | None) -> None:
    """The answer's bound, under the name that this upstream obeys.

    Servers with the quirk `max-tokens` pass over `max_completion_tokens`, and would answer without a bound; OpenAI's
    reasoning models refuse `max_tokens`.
    """
    chat = view.operation == "chat"
    short = not chat or "max-tokens" in upstream.quirks
    name, other = ("max_tokens", "max_completion_tokens") if short else ("max_completion_tokens", "max_tokens")
    if cap is not None and view.max_output_tokens is None:
        fields[name] = Raw(b"%d" % cap)
    elif chat and other in fields and (short or not takes_samplers(upstream.name)):
        if present(fields[other]) is not None and present(fields.get(name, NULL)) is None:
            fields[name] = fields.pop(other)


def _max_output(operation: Operation, fields: dict[str, Raw]) -> int | None:
    """The client's bound over all choices (and all prompts of a legacy completion) together."""
    if operation in ("embedding", "moderation", "rerank"):
        return 0
    if operation == "chat":
        # Compatible servers that know one of the two obey that one: the larger is what may be used.
        bound = max(read_count(fields, "max_completion_tokens") or 0, read_count(fields, "max_tokens") or 0)
        return bound * (read_count(fields, "n") or 1) or None
    bound = read_count(fields, "max_tokens") or _COMPLETION_DEFAULT_OUTPUT
    choices = max(read_count(fields, "n") or 1, read_count(fields, "best_of") or 1)
    return bound * choices * _prompts(fields["prompt"])


def _prompts(raw: Raw) -> int:
    """How many prompts a legacy completion holds: a string or a list of token ids is one."""
    if not bytes(memoryview(raw)[:1]) == b"[":
        return 1
    items = _decode_list(raw)
    if not items or bytes(memoryview(items[0])[:1]) not in (b'"', b"["):
        return 1
    return len(items)


def _files_of(operation: Operation, asked: bytes, body: bytes) -> tuple[Reference, ...]:
    """A chat names them in its messages alone: its metadata and tools have keys of the client's own."""
    if operation == "chat":
        return named_files(asked, "messages")
    return named_files(body, "prompt") if operation == "image_edit" else ()


def _distant_tokens(text: bytes) -> int:
    """What images and documents may come to. Looking for one byte first is twenty times as fast, and prose seldom has it."""
    if b"_" not in text:
        return 0
    files = text.count(b'"file_id"') + text.count(b'"document_url":')  # the second is Mistral's
    return text.count(b'"image_url"') * _IMAGE_TOKENS + files * _FILE_TOKENS


def _usage_asked(fields: dict[str, Raw]) -> bool:
    raw = fields.get("stream_options")
    if raw is None or bytes(raw) == b"null":
        return False
    try:
        options = _decode_object(raw)
    except msgspec.DecodeError as error:
        raise bad_field("`stream_options` must be an object.", "stream_options") from error
    return read_boolean(options, "include_usage")
