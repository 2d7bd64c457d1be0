"""How a provider's batch tells that it has ended, and what each line of its answers says was used."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import UNKNOWN_USAGE, Usage
from tidegate.core.view import Operation
from tidegate.dialects.dialect import Relay, UnreadableAnswer
from tidegate.dialects.registry import DIALECTS, relay_between
from tidegate.gateway.endpoints import EXACT, Endpoint
from tidegate.state.owned import Kind
from tidegate.wire.framing import FrameError
from tidegate.wire.message import Headers
from tidegate.wire.ndjson import NdjsonSplitter

_NULL: Final = Raw(b"null")


class BatchState(Struct):
    status: str
    """In the provider's words: `completed`, `ended`, …"""
    ended: bool
    outputs: list[str]
    """Files with its answers, errors among them; empty where they are not in files."""
    answers: str
    """The path of what to read usage from; "" where there is nothing."""


class LineUsage(Struct):
    model: str
    """As the upstream calls it."""
    usage: Usage


class _OpenAIBatch(Struct):
    status: str
    output_file_id: str | None = None
    error_file_id: str | None = None


class _MessageBatch(Struct):
    id: str
    processing_status: str
    results_url: str | None = None


class _OpenAIResponse(Struct):
    status_code: int = 200
    body: Raw = _NULL


class _OpenAILine(Struct):
    response: _OpenAIResponse | None = None


class _MessageResult(Struct):
    type: str
    message: Raw = _NULL


class _MessageLine(Struct):
    result: _MessageResult


class _Named(Struct):
    model: str = ""


_OPENAI_ENDS: Final = frozenset(("completed", "failed", "expired", "cancelled"))
_decode_openai = msgspec.json.Decoder(_OpenAIBatch).decode
_decode_message = msgspec.json.Decoder(_MessageBatch).decode
_decode_openai_line = msgspec.json.Decoder(_OpenAILine).decode
_decode_message_line = msgspec.json.Decoder(_MessageLine).decode
_decode_named = msgspec.json.Decoder(_Named).decode

PATHS: Final[Mapping[Kind, str]] = {"batch": "/batches", "message_batch": "/messages/batches"}


def read_state(kind: Kind, body: bytes) -> BatchState:
    """Raises UnreadableAnswer."""
    try:
        return _read_state(kind, body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableAnswer(str(error)) from error


def _read_state(kind: Kind, body: bytes) -> BatchState:
    if kind == "message_batch":
        told = _decode_message(body)
        ended = told.processing_status == "ended"
        answers = f"/messages/batches/{told.id}/results" if ended and told.results_url else ""
        return BatchState(told.processing_status, ended, [], answers)
    batch = _decode_openai(body)
    outputs = [name for name in (batch.output_file_id, batch.error_file_id) if name]
    answers = f"/files/{batch.output_file_id}/content" if batch.output_file_id else ""
    return BatchState(batch.status, batch.status in _OPENAI_ENDS, outputs, answers)


class AnswerLines:
    """Takes the lines of a batch's answers as they come: tells the usage of each, and keeps nothing else."""

    def __init__(self, kind: Kind, endpoint: str, tell: Callable[[LineUsage], None]) -> None:
        self._kind = kind
        served = _endpoint(kind, endpoint)
        self._operation: Operation = served.operation
        self._relay = _native(served)
        self._tell = tell
        self._splitter = NdjsonSplitter()
        self.bytes = 0
        self.lines = 0
        self.broken = ""
        """Why what was used cannot be known; "" as long as it can."""

    def begin(self, headers: Headers) -> None:
        """Nothing to do."""

    def take(self, data: bytes) -> None:
        self.bytes += len(data)
        if self.broken:
            return
        try:
            for line in self._splitter.feed(data):
                self._read(line)
        except (FrameError, UnreadableAnswer, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self.broken = str(error)

    def end(self) -> None:
        """The last line need not end in a line's end."""
        if not self.broken:
            self.take(b"\n")

    def _read(self, line: bytes) -> None:
        self.lines += 1
        if self._kind == "message_batch":
            result = _decode_message_line(line).result
            body = bytes(result.message) if result.type == "succeeded" else b""
        else:
            response = _decode_openai_line(line).response
            body = b"" if response is None or response.status_code != 200 else bytes(response.body)
        if body:
            usage = self._relay.read_answer(self._operation, body).usage
            self._tell(LineUsage(_decode_named(body).model, usage if usage.plausible else UNKNOWN_USAGE))


def _native(served: Endpoint) -> Relay:
    found = relay_between(served.dialect.name, served.dialect, served.operation)
    assert found is not None  # noqa: S101 - a dialect serves its own
    return found


def _endpoint(kind: Kind, endpoint: str) -> Endpoint:
    if kind == "message_batch":
        return Endpoint(DIALECTS["anthropic"], "chat")
    return EXACT.get(endpoint.encode()) or EXACT[b"/v1" + endpoint.encode()]
