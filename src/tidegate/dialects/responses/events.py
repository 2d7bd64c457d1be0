"""A native stream of Responses events: relayed with the public model name, its usage folded.

Source: `openai.types.responses.response_stream_event` of the official SDK. The type of an event is the one in its data.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import Kept, View
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import StreamEvent, UnreadableAnswer
from tidegate.dialects.fields import NULL, present
from tidegate.dialects.responses.conversation import is_stored
from tidegate.dialects.responses.faults import ErrorEvent, error_event, fault_of
from tidegate.dialects.responses.references import left_by_item
from tidegate.dialects.responses.tool_usage import with_tools
from tidegate.dialects.responses.usage import usage_of
from tidegate.dialects.service_tiers import tiered
from tidegate.wire.sse import sse_data, sse_event

TERMINAL: Final = frozenset(("response.completed", "response.incomplete", "response.failed"))
_ABOUT: Final = frozenset(
    (
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_summary_part.added",
    )
)
"""Nothing that a client could not be told twice."""

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


_EMPTY: Final = Raw(b'""')
_QUOTES: Final = 2


class _Event(Struct):
    type: str = ""
    response: Raw = NULL
    item: Raw = NULL
    error: Raw = NULL
    delta: Raw = _EMPTY


class _Response(Struct):
    usage: Raw = NULL
    output: Raw = NULL
    tool_usage: Raw = NULL
    service_tier: Raw = NULL
    error: ErrorEvent | None = None


_decode_str = msgspec.json.Decoder(str).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_response = msgspec.json.Decoder(_Response).decode


class EventReader:
    """Is a StreamReader. The terminal event, which holds the usage, is the end marker."""

    def __init__(self, view: View) -> None:
        self.usage: Usage | None = None
        self.content_events = 0
        self.content_bytes = 0
        self._model = Raw(_encode(view.model))
        self._view = view
        self._stored = is_stored(view)
        self._sequence = 0

    def read(self, event: bytes) -> StreamEvent:
        """`event` is one whole SSE event. Raises UnreadableAnswer."""
        data = sse_data(event)
        if not data or data == b"[DONE]":
            return StreamEvent(b"" if data else event)  # some servers end with chat's marker too; comments keep alive
        try:
            told = _decode_event(data)
            self._sequence += 1
            if told.type == "error" or present(told.error) is not None:
                return StreamEvent(event, fault=fault_of(data))
            if present(told.response) is not None:
                event = self._renamed(data, told.type)
            elif told.type == "response.output_item.done":
                self._view.left += left_by_item(told.item, stored=self._stored)
            if told.type in TERMINAL:
                return self._ended(event, told)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"an event of the stream is not what the dialect promises: {error}") from error
        if told.type in _ABOUT:
            return StreamEvent(event)
        if told.type.endswith(".delta"):
            self.content_events += 1
            self.content_bytes += len(memoryview(told.delta)) - _QUOTES
        return StreamEvent(event, content=True)

    def end_marker(self) -> bytes | None:
        """A body that ends without a terminal event was cut."""
        return None

    def problem(self, problem: Problem) -> bytes:
        return error_event(problem, self._sequence)

    def _ended(self, event: bytes, told: _Event) -> StreamEvent:
        response = _decode_response(told.response)
        if present(response.usage) is not None:
            used = with_tools(usage_of(response.usage), response.output, response.tool_usage)
            self.usage = tiered(used, response.service_tier)
        if told.type == "response.failed":
            error = response.error or ErrorEvent()
            return StreamEvent(event, fault=Fault(error.type or "", str(error.code or ""), error.message or ""))
        return StreamEvent(event, content=True, done=True)

    def _renamed(self, data: bytes, name: str) -> bytes:
        fields = _decode_object(data)
        response = _decode_object(fields["response"])
        if self._stored and name == "response.created" and "id" in response:
            own: Kept = ("response", _decode_str(response["id"]))
            self._view.left += (own,)
        response["model"] = self._model
        fields["response"] = Raw(_encode(response))
        return sse_event(_encode(fields), name.encode())
