"""Ollama's own API: `/api/chat`, `/api/generate`, `/api/embed`.

A prompt of `/api/generate` is a chat with one message, also for an Ollama upstream: what shapes the raw prompt (`raw`,
`template`, `suffix`, `context`) is refused.

Source: the official `ollama` SDK; https://docs.ollama.com/api.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw

from tidegate.core.problem import Problem
from tidegate.core.view import NO_PATH_TELLS, Operation, PathTells, View
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import Answer, ChatCodec, StreamReader, UnreadableAnswer, UpstreamModel
from tidegate.dialects.embedding import EmbeddingCodec
from tidegate.dialects.fields import bad_field, read_boolean, read_fields, read_string
from tidegate.dialects.listing import ListedModel
from tidegate.dialects.ollama.answer import decode_line, usage_of
from tidegate.dialects.ollama.chat import OllamaChat
from tidegate.dialects.ollama.embedding import OllamaEmbedding
from tidegate.dialects.ollama.errors import encode_error, read_error
from tidegate.dialects.ollama.models import model_entry
from tidegate.dialects.ollama.request_in import num_predict
from tidegate.dialects.ollama.stream import LineReader
from tidegate.dialects.translation import TranslatingReader
from tidegate.wire.ndjson import NdjsonSplitter

_GENERATE: Final = PathTells(form="generate")
_PATHS: Final[Mapping[Operation, str]] = {"chat": "/api/chat", "embedding": "/api/embed"}
_AFFINITY_BYTES: Final = 1_024

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


class Ollama:
    """The dialect on both sides. Stateless."""

    name: str = "ollama"
    family: str = "ollama"
    chat: ChatCodec | None = OllamaChat()
    embedding: EmbeddingCodec = OllamaEmbedding()
    client_paths: Mapping[bytes, Operation] = {path.encode(): operation for operation, path in _PATHS.items()}
    prefix: bytes = b"/ollama"
    matches_paths: bool = True
    telling_headers: tuple[bytes, ...] = ()
    native_headers: tuple[bytes, ...] = ()
    native: bool = True
    upstream_media: bytes = b"application/x-ndjson"
    stream_head: str = "content-type: application/x-ndjson\r\ncache-control: no-cache\r\n"

    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
        """`/api/generate` is a chat in another form."""
        return ("chat", _GENERATE) if path == b"/api/generate" else None

    def read(self, operation: Operation, body: bytes, path: PathTells = NO_PATH_TELLS) -> View:
        fields = read_fields(body)
        model = read_string(fields, "model")
        required = "input" if operation == "embedding" else "prompt" if path.form else "messages"
        if required not in fields or bytes(fields[required]) == b"null":
            raise bad_field(f"`{required}` is missing: add it to the request body.", required)
        chat = operation == "chat"
        size = len(body)
        return View(
            dialect=self.name,
            operation=operation,
            model=model,
            stream=chat and (bytes(fields.get("stream", b"null")) == b"null" or read_boolean(fields, "stream")),
            fields=fields,
            body_bytes=size,
            estimated_input_tokens=(size >> 2) + 1,
            worst_input_tokens=size,
            max_output_tokens=_max_output(fields) if chat else 0,
            affinity=bytes(memoryview(fields[required])[:_AFFINITY_BYTES]),
            form=path.form,
        )

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        return base_path.removesuffix("/api") + _PATHS[operation]

    def credential_header(self, api_key: str) -> tuple[bytes, bytes]:
        return b"authorization", b"Bearer " + api_key.encode()

    def default_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ()

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        if view.form:
            request = _CHAT.decode_request(view)
            request.max_output_tokens = request.max_output_tokens or output_cap
            return _CHAT.encode_request(request, upstream)
        fields = dict(view.fields)
        fields["model"] = Raw(_encode(upstream.name))
        if output_cap is not None and view.max_output_tokens is None:
            options = _options(fields)
            options["num_predict"] = Raw(b"%d" % output_cap)
            fields["options"] = Raw(_encode(options))
        return _encode(fields)

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        try:
            fields = _decode_object(body)
            usage = usage_of(decode_line(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer is not what the dialect promises: {error}") from error
        if operation == "chat" and "message" not in fields:
            raise UnreadableAnswer("the answer has no message")
        return Answer(fields, usage)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        if "model" in answer.fields:
            answer.fields["model"] = Raw(_encode(view.model))
        body = _encode(answer.fields)
        return _CHAT.encode_answer(_CHAT.decode_answer(body), view) if view.form else body

    def stream_reader(self, view: View) -> StreamReader:
        if view.form:
            return TranslatingReader(_CHAT.event_decoder(), _CHAT.event_encoder(view), view)
        return LineReader(view.model)

    def splitter(self) -> NdjsonSplitter:
        return NdjsonSplitter()

    def model_page(self, models: Sequence[ListedModel]) -> object:
        """Of `GET /api/tags`."""
        return {"models": [model_entry(one) for one in models]}

    def model_entry(self, model: ListedModel) -> object:
        return model_entry(model)

    def read_fault(self, status: int, body: bytes) -> Fault:
        return read_error(body)

    def encode_problem(self, problem: Problem) -> bytes:
        return encode_error(problem)


_CHAT: Final = OllamaChat()


def _options(fields: dict[str, Raw]) -> dict[str, Raw]:
    """Raises UnreadableRequest."""
    raw = fields.get("options")
    if raw is None or bytes(raw) == b"null":
        return {}
    try:
        return _decode_object(raw)
    except msgspec.DecodeError as error:
        raise bad_field("`options` must be an object.", "options") from error


def _max_output(fields: dict[str, Raw]) -> int | None:
    raw = _options(fields).get("num_predict")
    if raw is None:
        return None
    try:
        return num_predict(msgspec.json.decode(raw, type=int))
    except msgspec.DecodeError:
        return None  # the upstream says what is wrong with it
