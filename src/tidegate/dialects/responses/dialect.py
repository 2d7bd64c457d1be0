"""OpenAI's Responses API.

Source: `openai.types.responses` of the official SDK, https://platform.openai.com/docs/api-reference/responses.

It is a chat like any other: same limits, same budgets, same models. A provider of dialect `openai` or `azure-openai` that
serves it (quirk `responses`) is called natively, each value's bytes untouched; any other is called through the hub.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import NO_PATH_TELLS, STORED, Operation, PathTells, View
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import Answer, ChatCodec, UnreadableAnswer, UpstreamModel
from tidegate.dialects.fields import (
    NULL,
    bad_field,
    present,
    read_boolean,
    read_count,
    read_fields,
    read_string,
)
from tidegate.dialects.openai.errors import encode_error, read_error
from tidegate.dialects.responses import conversation
from tidegate.dialects.responses.codec import ResponsesChat
from tidegate.dialects.responses.events import EventReader
from tidegate.dialects.responses.hosted import hosted_references
from tidegate.dialects.responses.references import left_by_answer, references
from tidegate.dialects.responses.seal import without_sealed
from tidegate.dialects.responses.searching import BOUND, searches_of
from tidegate.dialects.responses.tool_usage import with_tools
from tidegate.dialects.responses.usage import usage_of
from tidegate.dialects.service_tiers import asked_tier, tiered
from tidegate.wire.sse import SseSplitter

PATH: Final = "/responses"
_PATHS: Final[Mapping[Operation, str]] = {"token_count": "/responses/input_tokens", "compaction": "/responses/compact"}
SSE_HEAD: Final = "content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
_PROMPTS: Final = ("input", "prompt", "previous_response_id", "conversation")
_AFFINITY_BYTES: Final = 1_024

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


class Responses:
    """Is a Dialect. Stateless."""

    name: str = "openai-responses"
    family: str = "openai-responses"
    chat: ChatCodec | None = ResponsesChat()
    client_paths: Mapping[bytes, Operation] = {
        b"/v1/responses": "chat",
        b"/v1/responses/input_tokens": "token_count",
        b"/v1/responses/compact": "compaction",
    }
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
        fields = read_fields(body)
        model = path.model or read_string(fields, "model")
        prompt = next((name for name in _PROMPTS if name in fields and present(fields[name]) is not None), None)
        if prompt is None:
            raise bad_field("`input` is missing: add it to the request body.", "input")
        size = len(body)
        text = bytes(fields[prompt])
        refers = references(fields) + hosted_references(fields, body)
        return View(
            dialect=self.name,
            operation=operation,
            model=model,
            stream=operation == "chat" and read_boolean(fields, "stream"),
            fields=fields,
            body_bytes=size,
            estimated_input_tokens=(size >> 2) + 1,
            worst_input_tokens=size + conversation.distant_tokens(body),
            max_output_tokens=read_count(fields, "max_output_tokens"),
            usage_asked=True,
            affinity=text[:_AFFINITY_BYTES],
            tier=asked_tier(fields.get("service_tier")),
            hidden_context=conversation.is_hidden(fields, refers),
            searches=searches_of(fields, body) if operation == "chat" else None,
            refers=refers,
            background=operation == "chat" and read_boolean(fields, "background"),
            previous=refers[0].name if refers and refers[0].kind == "response" else "",
        )

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        """Of what an upstream keeps `model` is the rest of its path."""
        return base_path + _path(operation, model)

    def credential_header(self, api_key: str) -> tuple[bytes, bytes]:
        return b"authorization", b"Bearer " + api_key.encode()

    def default_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ()

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        view.dropped = ()
        if view.operation in STORED:
            return b""
        fields = dict(view.fields)
        fields["model"] = Raw(_encode(upstream.name))
        if output_cap is not None and view.operation == "chat" and view.max_output_tokens is None:
            fields["max_output_tokens"] = Raw(b"%d" % output_cap)
        if view.search_cap is not None:
            fields[BOUND] = Raw(b"%d" % view.search_cap)
        return _encode({**fields, "input": without_sealed(fields["input"])} if "input" in fields else fields)

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        try:
            fields = _decode_object(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer is not a JSON object: {error}") from error
        usage = fields.get("usage")
        if usage is None or present(usage) is None:
            return Answer(fields, Usage())
        told = with_tools(usage_of(usage), fields.get("output", NULL), fields.get("tool_usage", NULL))
        return Answer(fields, tiered(told, fields.get("service_tier")))

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        if "model" in answer.fields:
            answer.fields["model"] = Raw(_encode(view.model))
        view.left = left_by_answer(answer.fields, stored=conversation.is_stored(view))
        return _encode(answer.fields)

    def stream_reader(self, view: View) -> EventReader:
        return EventReader(view)

    def splitter(self) -> SseSplitter:
        return SseSplitter()

    def read_fault(self, status: int, body: bytes) -> Fault:
        return read_error(body)

    def encode_problem(self, problem: Problem) -> bytes:
        return encode_error(problem)

    def encode_count(self, tokens: int) -> bytes:
        return _encode({"object": "response.input_tokens", "input_tokens": tokens})


def _path(operation: Operation, behind: str) -> str:
    return PATH + behind if operation in STORED else _PATHS.get(operation, PATH)


class AzureResponses(Responses):
    """The same under Azure's `/openai/v1` surface, where the model stays in the body."""

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        root = base_path.removesuffix("/openai/v1").removesuffix("/openai")
        return f"{root}/openai/v1{_path(operation, model)}"

    def credential_header(self, api_key: str) -> tuple[bytes, bytes]:
        return b"api-key", api_key.encode()
