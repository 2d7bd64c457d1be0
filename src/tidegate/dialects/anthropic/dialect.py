"""Anthropic's Messages dialect: messages, the count of their tokens, models.

Source: the types of the official `anthropic` SDK, and https://platform.claude.com/docs/en/api/messages.
Bodies are read at their top level only and re-emitted, each value's bytes untouched: unknown fields, cache markers and
the signatures of thoughts survive.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import Raw

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import NO_PATH_TELLS, Operation, PathTells, View
from tidegate.dialects.anthropic.errors import encode_error, read_error
from tidegate.dialects.anthropic.events import MessageReader
from tidegate.dialects.anthropic.messages import AnthropicMessages
from tidegate.dialects.anthropic.named import left_container, named_container, named_sources
from tidegate.dialects.anthropic.searching import bounded, searches_of
from tidegate.dialects.anthropic.thoughts import without_sealed
from tidegate.dialects.anthropic.usage import usage_of
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import Answer, ChatCodec, UnreadableAnswer, UpstreamModel
from tidegate.dialects.fields import NULL, bad_field, read_boolean, read_count, read_fields, read_string
from tidegate.dialects.listing import ListedModel
from tidegate.dialects.service_tiers import asked_tier
from tidegate.wire.sse import SseSplitter

API_VERSION: Final = b"2023-06-01"
"""Of translated calls. The next one takes no samplers, so it is never chosen for a client that did not ask for it."""
VERSION_HEADER: Final = b"anthropic-version"
BETA_HEADER: Final = b"anthropic-beta"
PATHS: Final[Mapping[Operation, str]] = {"chat": "/messages", "token_count": "/messages/count_tokens"}
SSE_HEAD: Final = "content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"

_AFFINITY_BYTES: Final = 1_024
_IMAGE_TOKENS: Final = 5_000
"""Upper bound for one image at the highest resolution, when its bytes are elsewhere."""
_DOCUMENT_TOKENS: Final = 200_000
"""Upper bound for one document whose bytes are elsewhere: a hundred dense pages."""

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


class Anthropic:
    """The dialect on both sides. Stateless."""

    name: str = "anthropic"
    family: str = "anthropic"
    chat: ChatCodec | None = AnthropicMessages()
    client_paths: Mapping[bytes, Operation] = {b"/v1" + path.encode(): operation for operation, path in PATHS.items()}
    prefix: bytes = b"/anthropic"
    matches_paths: bool = False
    telling_headers: tuple[bytes, ...] = (VERSION_HEADER,)
    native_headers: tuple[bytes, ...] = (VERSION_HEADER, BETA_HEADER)
    request_id_header: str = "request-id"
    native: bool = True
    upstream_media: bytes = b"text/event-stream"
    stream_head: str = SSE_HEAD

    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
        return None

    def read(self, operation: Operation, body: bytes, path: PathTells = NO_PATH_TELLS) -> View:
        fields = read_fields(body)
        model = read_string(fields, "model")
        stream = operation == "chat" and read_boolean(fields, "stream")
        return messages_view(self.name, operation, model, fields, len(body), stream=stream)

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        root = base_path if base_path.endswith("/v1") else base_path + "/v1"
        return root + PATHS[operation]

    def credential_header(self, api_key: str) -> tuple[bytes, bytes]:
        return b"x-api-key", api_key.encode()

    def default_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ((VERSION_HEADER, API_VERSION),)

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        if view.version:
            betas = [pair for pair in view.headers if pair[0] == BETA_HEADER]
            view.upstream_headers = ((VERSION_HEADER, view.version), *betas)
        return _encode(self.fields_for(view, upstream.name, output_cap))

    def fields_for(self, view: View, model: str, output_cap: int | None) -> dict[str, Raw]:
        """What goes upstream, each value's bytes untouched."""
        fields = dict(view.fields)
        fields["model"] = Raw(_encode(model))
        fields["messages"] = without_sealed(fields["messages"])
        if output_cap is not None and view.max_output_tokens is None:
            fields["max_tokens"] = Raw(b"%d" % output_cap)
        if view.search_cap is not None and "tools" in fields:
            fields["tools"] = bounded(fields["tools"], view.search_cap)
        return fields

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        try:
            fields = _decode_object(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer is not a JSON object: {error}") from error
        if operation == "token_count":
            return Answer(fields, Usage(source="reported"))
        usage = fields.get("usage")
        return Answer(fields, Usage() if usage is None else usage_of(usage))

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        if "model" in answer.fields:
            answer.fields["model"] = Raw(_encode(view.model))
        view.left = left_container(answer.fields.get("container", NULL))
        return _encode(answer.fields)

    def stream_reader(self, view: View) -> MessageReader:
        return MessageReader(view)

    def splitter(self) -> SseSplitter:
        return SseSplitter()

    def read_fault(self, status: int, body: bytes) -> Fault:
        return read_error(body)

    def encode_problem(self, problem: Problem) -> bytes:
        return encode_error(problem)

    def encode_count(self, tokens: int) -> bytes:
        return _encode({"input_tokens": tokens})

    def model_page(self, models: Sequence[ListedModel]) -> dict[str, object]:
        entries = [self.model_entry(one) for one in models]
        first, last = (models[0].name, models[-1].name) if models else (None, None)
        return {"data": entries, "has_more": False, "first_id": first, "last_id": last}

    def model_entry(self, model: ListedModel) -> dict[str, object]:
        created = datetime.fromtimestamp(model.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "type": "model",
            "id": model.name,
            "display_name": model.name,
            "created_at": created,
            "lifecycle": "active",
        }


def messages_view(
    dialect: str, operation: Operation, model: str, fields: dict[str, Raw], size: int, *, stream: bool
) -> View:
    """Of a messages request, or a count of its tokens, of `size` bytes. Raises UnreadableRequest."""
    messages = bytes(fields.get("messages", NULL))  # copied once: they may be megabytes
    if messages == b"null":
        raise bad_field("`messages` is missing: add it to the request body.", "messages")
    return View(
        dialect=dialect,
        operation=operation,
        model=model,
        stream=stream,
        fields=fields,
        body_bytes=size,
        estimated_input_tokens=(size >> 2) + 1,
        worst_input_tokens=size + _distant_tokens(messages),
        max_output_tokens=_max_output(fields) if operation == "chat" else 0,
        tier=asked_tier(fields.get("speed")),
        searches=searches_of(fields) if operation == "chat" else None,
        affinity=messages[:_AFFINITY_BYTES],
        refers=named_sources(messages) + named_container(fields),
    )


def _max_output(fields: dict[str, Raw]) -> int | None:
    """0 warms the prompt cache without an answer."""
    raw = fields.get("max_tokens")
    return 0 if raw is not None and bytes(raw) == b"0" else read_count(fields, "max_tokens")


def _distant_tokens(text: bytes) -> int:
    """What images and documents may come to whose bytes are not in the request. Prose seldom has such a source."""
    if b'"source"' not in text:
        return 0
    distant = text.count(b'"url"') + text.count(b'"file_id"')
    documents = min(distant, text.count(b'"document"'))
    return documents * _DOCUMENT_TOKENS + text.count(b'"image"') * _IMAGE_TOKENS
