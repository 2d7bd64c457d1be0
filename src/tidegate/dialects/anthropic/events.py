"""A native stream of message events: relayed with the public model name, its usage folded.

Source: `anthropic.types.raw_message_stream_event` of the official SDK, which drops any frame without an `event:` line.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.anthropic.errors import error_frame, read_error
from tidegate.dialects.anthropic.named import left_container
from tidegate.dialects.anthropic.usage import RunningUsage
from tidegate.dialects.dialect import StreamEvent, UnreadableAnswer
from tidegate.dialects.fields import NULL, present
from tidegate.wire.sse import sse_data, sse_event, sse_name

END_MARKER: Final = sse_event(b'{"type":"message_stop"}', b"message_stop")
_DELTA: Final = b"event: content_block_delta\n"
_DELTA_BYTES: Final = len(
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}\n\n'
)
"""Of such an event without its text. Several tokens come in one."""
_EMPTY_STARTS: Final = frozenset(("text", "thinking"))


class _Typed(Struct):
    type: str


class _Block(Struct):
    type: str


class _BlockStart(Struct):
    content_block: _Block


class _Delta(Struct):
    stop_reason: str | None = None
    container: Raw = NULL


class _MessageDelta(Struct):
    delta: _Delta | None = None
    usage: Raw = NULL


_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_typed = msgspec.json.Decoder(_Typed).decode
_decode_start = msgspec.json.Decoder(_BlockStart).decode
_decode_delta = msgspec.json.Decoder(_MessageDelta).decode


def frame_name(frame: bytes, data: bytes) -> str:
    """Which event a frame is: by its `event:` line, else by the `type` in its data. Raises msgspec.DecodeError."""
    name = sse_name(frame)
    return name.decode("latin-1") if name else _decode_typed(data).type


class MessageReader:
    """Is a StreamReader. Deltas pass unread: the model's name is in the first event alone."""

    def __init__(self, view: View) -> None:
        self.usage: Usage | None = None
        self.content_events = 0
        self.content_bytes = 0
        self._view = view
        self._running = RunningUsage()
        self._finished = False

    def read(self, event: bytes) -> StreamEvent:
        """`event` is one whole SSE event. Raises UnreadableAnswer."""
        if event.startswith(_DELTA):
            self.content_events += 1
            self.content_bytes += len(event) - _DELTA_BYTES
            return StreamEvent(event, content=True)
        data = sse_data(event)
        if not data:
            return StreamEvent(event)
        try:
            name = frame_name(event, data)
            told = self._read(name, data, event)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"an event of the stream is not what the dialect promises: {error}") from error
        if told.bytes is event and not sse_name(event):
            told.bytes = sse_event(data, name.encode())
        self.content_events += told.content
        return told

    def _read(self, name: str, data: bytes, event: bytes) -> StreamEvent:
        match name:
            case "content_block_delta":
                return StreamEvent(event, content=True)
            case "message_start":
                return StreamEvent(self._started(data))
            case "content_block_start":
                return StreamEvent(event, content=_decode_start(data).content_block.type not in _EMPTY_STARTS)
            case "message_delta":
                delta = _decode_delta(data)
                if present(delta.usage) is not None:
                    self.usage = self._running.told(delta.usage, final=True)
                if delta.delta is not None:
                    self._finished = self._finished or delta.delta.stop_reason is not None
                    self._view.left += left_container(delta.delta.container)
                return StreamEvent(event, content=True)
            case "message_stop":
                return StreamEvent(event, done=True)
            case "error":
                return StreamEvent(event, fault=read_error(data))
            case _:
                return StreamEvent(event)

    def end_marker(self) -> bytes | None:
        """Some compatible servers end the body after the stop reason."""
        return END_MARKER if self._finished else None

    def problem(self, problem: Problem) -> bytes:
        return error_frame(problem)

    def _started(self, data: bytes) -> bytes:
        fields = _decode_object(data)
        message = _decode_object(fields.get("message", Raw(b"{}")))
        message["model"] = Raw(_encode(self._view.model))
        self._view.left += left_container(message.get("container", NULL))
        usage = message.get("usage")
        if usage is not None and bytes(usage) != b"null":
            self.usage = self._running.told(usage, final=False)
        fields["message"] = Raw(_encode(message))
        return sse_event(_encode(fields), b"message_start")
