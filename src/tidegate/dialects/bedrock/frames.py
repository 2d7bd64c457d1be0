"""Frames of a ConverseStream: written for clients, and relayed natively."""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.dialects.bedrock.errors import encode_exception, read_exception
from tidegate.dialects.bedrock.usage import Tier, usage_of
from tidegate.dialects.dialect import StreamEvent, UnreadableAnswer
from tidegate.dialects.fields import NULL, present
from tidegate.wire.eventstream import Frame, decode_frame, encode_frame
from tidegate.wire.framing import FrameError

_CONTENT: Final = frozenset(("contentBlockStart", "contentBlockDelta", "messageStop"))

_encode = msgspec.json.Encoder().encode


class _Metadata(Struct):
    usage: Raw = NULL
    service_tier: Tier | None = msgspec.field(default=None, name="serviceTier")


_decode_metadata = msgspec.json.Decoder(_Metadata).decode


def event_frame(name: str, payload: object) -> bytes:
    headers = ((":event-type", name), (":content-type", "application/json"), (":message-type", "event"))
    return encode_frame(headers, _encode(payload))


def read_frame(frame: bytes) -> Frame:
    """Raises UnreadableAnswer."""
    try:
        return decode_frame(frame)
    except FrameError as error:
        raise UnreadableAnswer(str(error)) from error


class NativeReader:
    """Is a StreamReader: Bedrock's stream for a client of Bedrock, every frame as it came, its usage folded."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.content_events = 0
        self.content_bytes = 0

    def read(self, event: bytes) -> StreamEvent:
        """`event` is one whole frame. Raises UnreadableAnswer."""
        frame = read_frame(event)
        if frame.headers.get(":message-type") in ("exception", "error"):
            return StreamEvent(event, fault=read_exception(frame))
        name = frame.headers.get(":event-type", "")
        if name == "metadata":
            self._fold(frame.payload)
            return StreamEvent(event, done=True)
        if name in _CONTENT:
            self.content_events += 1
            return StreamEvent(event, content=True)
        return StreamEvent(event)

    def end_marker(self) -> bytes | None:
        """A stream without its `metadata` is not whole: what it cost is not told."""
        return None

    def problem(self, problem: Problem) -> bytes:
        return encode_exception(problem)

    def _fold(self, payload: bytes) -> None:
        try:
            told = _decode_metadata(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the stream's metadata cannot be read: {error}") from error
        if present(told.usage) is not None:
            self.usage = usage_of(told.usage, "" if told.service_tier is None else told.service_tier.type)
