"""Claude through InvokeModel: Anthropic's messages in an envelope of Bedrock's.

The model and whether the answer streams are in the path, the API's version and betas in the body, the events of a stream in
frames. Between it and Anthropic's own API nothing is translated: bodies change their envelope, each value's bytes untouched.
"""

from base64 import b64encode
from typing import Final

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import NO_PATH_TELLS, Operation, PathTells, View
from tidegate.dialects.anthropic.dialect import Anthropic, messages_view
from tidegate.dialects.anthropic.errors import error_frame
from tidegate.dialects.anthropic.events import MessageReader
from tidegate.dialects.anthropic.thoughts import without_sealed
from tidegate.dialects.bedrock.dialect import Bedrock, invoked_path, model_path
from tidegate.dialects.bedrock.errors import encode_exception
from tidegate.dialects.bedrock_invoke.chunks import opened, unwrapped, wrapped
from tidegate.dialects.bedrock_invoke.messages import NOT_TAKEN, InvokedMessages, enveloped
from tidegate.dialects.bedrock_invoke.versions import (
    asked_betas,
    asked_version,
    bare_headers,
    for_bedrock,
    version_of,
)
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import (
    Answer,
    ChatCodec,
    Dialect,
    Relay,
    Splitter,
    StreamEvent,
    StreamReader,
    UnreadableAnswer,
    UpstreamModel,
)
from tidegate.dialects.fields import bad_field, read_fields

STREAM_HEAD: Final = (
    "content-type: application/vnd.amazon.eventstream\r\ncache-control: no-cache\r\n"
    "x-amzn-bedrock-content-type: application/json\r\n"
)
_HINTS: Final = ("service_tier",)
"""Fields of Anthropic's own API that Bedrock refuses, and whose absence changes no answer."""
_WHOLE: Final = Anthropic()

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_count = msgspec.json.Decoder(dict[str, int]).decode


class BedrockClaude(Bedrock):
    """The dialect on both sides; how it meets others of its family is ClaudeRelay's. Stateless."""

    name: str = "bedrock-claude"
    family: str = "anthropic"
    chat: ChatCodec | None = InvokedMessages()
    matches_paths: bool = False
    telling_headers: tuple[bytes, ...] = ()
    stream_head: str = STREAM_HEAD

    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
        return invoked_path(path)

    def read(self, operation: Operation, body: bytes, path: PathTells = NO_PATH_TELLS) -> View:
        return self.view_of(read_fields(body), len(body), operation, path)

    def view_of(self, fields: dict[str, Raw], size: int, operation: Operation, path: PathTells) -> View:
        """Raises UnreadableRequest."""
        version_of(fields)
        for name in NOT_TAKEN:
            if name in fields:
                raise bad_field(f"`{name}` is said by the path, not by the body: leave it out.", name)
        return messages_view(self.name, operation, path.model, fields, size, stream=path.stream)

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        if operation == "token_count":
            return super().upstream_path(operation, model, base_path, api_version, stream=stream)
        return base_path + model_path(model, "invoke-with-response-stream" if stream else "invoke")


class ClaudeRelay:
    """Is a Relay, between a client and an upstream of Anthropic's family of which one or both are Bedrock's. Stateless."""

    def __init__(self, client: Dialect, upstream: Dialect) -> None:
        self._wraps = isinstance(client, BedrockClaude)
        self._unwraps = isinstance(upstream, BedrockClaude)
        self._upstream: Relay = upstream
        self.native = self._wraps and self._unwraps
        """Else an upstream's errors are not in the client's shape."""
        self.upstream_media = upstream.upstream_media
        self.stream_head = client.stream_head

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        betas = asked_betas(view, in_body=self._wraps)
        if not self._unwraps:
            return self._bare(view, upstream, betas, output_cap)
        dropped = [name for name in _HINTS if name in view.fields]
        fields = {name: raw for name, raw in view.fields.items() if name not in dropped}
        fields["messages"] = without_sealed(fields["messages"])
        if output_cap is not None and view.max_output_tokens is None:
            fields["max_tokens"] = Raw(b"%d" % output_cap)
        taken = betas if self._wraps else for_bedrock(betas, dropped)
        view.dropped = tuple(dropped)
        body = enveloped(fields, version_of(fields) if self._wraps else asked_version(view), taken)
        return _counting(body) if view.operation == "token_count" else _encode(body)

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        if operation != "token_count" or not self._unwraps:
            return self._whole(operation, body)
        try:
            tokens = _decode_count(body)["inputTokens"]
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError) as error:
            raise UnreadableAnswer("the answer has no count of tokens") from error
        return Answer({"input_tokens": Raw(b"%d" % tokens)}, Usage(source="reported"))

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        if view.operation == "token_count" and self._wraps:
            return _encode({"inputTokens": answer.fields.get("input_tokens")})
        return _WHOLE.encode_answer(answer, view)

    def stream_reader(self, view: View) -> StreamReader:
        inner = MessageReader(view) if self._unwraps else self._upstream.stream_reader(view)
        return EnvelopedReader(inner, wraps=self._wraps, unwraps=self._unwraps)

    def splitter(self) -> Splitter:
        return self._upstream.splitter()

    def _bare(self, view: View, upstream: UpstreamModel, betas: list[str], output_cap: int | None) -> bytes:
        """For an upstream that has Anthropic's own envelope."""
        fields = {name: raw for name, raw in view.fields.items() if not name.startswith("anthropic_")}
        if view.stream:
            fields["stream"] = Raw(b"true")
        bare = replace(view, fields=fields, upstream_headers=bare_headers(version_of(view.fields), betas))
        body = self._upstream.encode_request(bare, upstream, output_cap=output_cap)
        view.upstream_headers = bare.upstream_headers
        return body

    def _whole(self, operation: Operation, body: bytes) -> Answer:
        return (_WHOLE if self._unwraps else self._upstream).read_answer(operation, body)


class EnvelopedReader:
    """Is a StreamReader: `inner` reads SSE events, and the frames around them are put on and taken off here."""

    def __init__(self, inner: StreamReader, *, wraps: bool, unwraps: bool) -> None:
        self.usage: Usage | None = None
        self.content_events = 0
        self.content_bytes = 0
        self._inner = inner
        self._wraps = wraps
        self._unwraps = unwraps

    def read(self, event: bytes) -> StreamEvent:
        """`event` is one whole frame, or SSE event. Raises UnreadableAnswer."""
        if self._unwraps:
            found = opened(event)
            if isinstance(found, Fault):
                return StreamEvent(event if self._wraps else error_frame(_problem(found)), fault=found)
            event = unwrapped(found)
            if not event:
                return StreamEvent(b"")
        told = self._inner.read(event)
        inner = self._inner
        self.usage, self.content_events, self.content_bytes = inner.usage, inner.content_events, inner.content_bytes
        if self._wraps:
            fault = told.fault
            told.bytes = encode_exception(_problem(fault)) if fault else wrapped(told.bytes, self.usage)
        return told

    def end_marker(self) -> bytes | None:
        marker = self._inner.end_marker()
        return wrapped(marker, self.usage) if marker is not None and self._wraps else marker

    def problem(self, problem: Problem) -> bytes:
        return encode_exception(problem) if self._wraps else error_frame(problem)


def _problem(fault: Fault) -> Problem:
    message = fault.message or "The upstream reported an error in its stream."
    return Problem(status=502, code="upstream_error", message=message)


def _counting(body: dict[str, Raw]) -> bytes:
    """The body of CountTokens, which takes what InvokeModel would get."""
    body.setdefault("max_tokens", Raw(b"1"))
    return _encode({"input": {"invokeModel": {"body": b64encode(_encode(body)).decode()}}})
