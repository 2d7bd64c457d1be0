"""Cohere's API v2: chat, embeddings, reranking.

Source: the official `cohere` SDK; https://docs.cohere.com/reference/about. Its answers do not name their model.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import NO_PATH_TELLS, Operation, PathTells, View
from tidegate.dialects.canon import Fault
from tidegate.dialects.cohere.chat import CohereChat
from tidegate.dialects.cohere.embedding import CohereEmbedding
from tidegate.dialects.cohere.errors import encode_error, read_error
from tidegate.dialects.cohere.reranking import CohereRerank
from tidegate.dialects.cohere.stream import EventsReader
from tidegate.dialects.cohere.usage import rerank_usage_of, usage_of
from tidegate.dialects.dialect import Answer, ChatCodec, UnreadableAnswer, UpstreamModel
from tidegate.dialects.embedding import EmbeddingCodec
from tidegate.dialects.fields import bad_field, read_boolean, read_count, read_fields, read_string
from tidegate.dialects.reranking import RerankCodec, most_searches
from tidegate.wire.sse import SseSplitter

_PATHS: Final[Mapping[Operation, str]] = {"chat": "/v2/chat", "embedding": "/v2/embed", "rerank": "/v2/rerank"}
_REQUIRED: Final[Mapping[Operation, tuple[str, ...]]] = {
    "chat": ("messages",),
    "embedding": ("texts", "images", "inputs"),
    "rerank": ("query",),
}
_IMAGE_TOKENS: Final = 3_000
"""Upper bound for one picture, when its bytes are elsewhere."""
_AFFINITY_BYTES: Final = 1_024
_NOTHING: Final = Raw(b"null")

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


class Cohere:
    """The dialect on both sides. Stateless."""

    name: str = "cohere"
    family: str = "cohere"
    chat: ChatCodec | None = CohereChat()
    embedding: EmbeddingCodec = CohereEmbedding()
    reranking: RerankCodec | None = CohereRerank()
    client_paths: Mapping[bytes, Operation] = {path.encode(): operation for operation, path in _PATHS.items()}
    prefix: bytes = b"/cohere"
    matches_paths: bool = False
    telling_headers: tuple[bytes, ...] = ()
    native_headers: tuple[bytes, ...] = ()
    native: bool = True
    upstream_media: bytes = b"text/event-stream"
    stream_head: str = "content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"

    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
        return None

    def read(self, operation: Operation, body: bytes, path: PathTells = NO_PATH_TELLS) -> View:
        fields = read_fields(body)
        model = read_string(fields, "model")
        required = _REQUIRED[operation]
        given = [name for name in required if bytes(fields.get(name, _NOTHING)) != b"null"]
        if not given:
            raise bad_field(f"`{required[0]}` is missing: add it to the request body.", required[0])
        prompt = fields[given[0]]
        chat = operation == "chat"
        size = len(body)
        return View(
            dialect=self.name,
            operation=operation,
            model=model,
            stream=chat and read_boolean(fields, "stream"),
            fields=fields,
            body_bytes=size,
            estimated_input_tokens=(size >> 2) + 1,
            worst_input_tokens=size + bytes(prompt).count(b'"image_url"') * _IMAGE_TOKENS,
            max_output_tokens=read_count(fields, "max_tokens") if chat else 0,
            affinity=bytes(memoryview(prompt)[:_AFFINITY_BYTES]),
            units=most_searches(fields) if operation == "rerank" else None,
        )

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        return base_path.removesuffix("/v2").removesuffix("/v1") + _PATHS[operation]

    def credential_header(self, api_key: str) -> tuple[bytes, bytes]:
        return b"authorization", b"Bearer " + api_key.encode()

    def default_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ()

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        fields = dict(view.fields)
        fields["model"] = Raw(_encode(upstream.name))
        if output_cap is not None and view.max_output_tokens is None:
            fields["max_tokens"] = Raw(b"%d" % output_cap)
        return _encode(fields)

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        try:
            fields = _decode_object(body)
            told = fields.get("usage") if operation == "chat" else fields.get("meta")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer is not a JSON object: {error}") from error
        if told is None:
            return Answer(fields, Usage())
        return Answer(fields, rerank_usage_of(told) if operation == "rerank" else usage_of(told))

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        return _encode(answer.fields)

    def stream_reader(self, view: View) -> EventsReader:
        return EventsReader()

    def splitter(self) -> SseSplitter:
        return SseSplitter()

    def read_fault(self, status: int, body: bytes) -> Fault:
        return read_error(body)

    def encode_problem(self, problem: Problem) -> bytes:
        return encode_error(problem)
