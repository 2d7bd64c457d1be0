"""Frames of InvokeModelWithResponseStream: each holds one of the model's own events, as base64.

Source: `ResponseStream` of botocore's model of bedrock-runtime; https://docs.aws.amazon.com/bedrock/latest/userguide/
model-parameters-anthropic-claude-messages.html.
"""

from base64 import b64decode, b64encode
from typing import Final

import msgspec
from msgspec import Struct

from tidegate.core.usage import Usage
from tidegate.dialects.bedrock.errors import read_exception
from tidegate.dialects.bedrock.frames import read_frame
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import UnreadableAnswer
from tidegate.wire.eventstream import Frame, encode_frame
from tidegate.wire.sse import SseSplitter, sse_data, sse_event, sse_name

_HEADERS: Final = ((":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event"))
_METRICS: Final = "amazon-bedrock-invocationMetrics"
_END: Final = b"message_stop"


class _Part(Struct):
    bytes: str = ""


class _Typed(Struct):
    type: str


_encode = msgspec.json.Encoder().encode
_decode_part = msgspec.json.Decoder(_Part).decode
_decode_typed = msgspec.json.Decoder(_Typed).decode


def chunk(event: bytes) -> bytes:
    """The frame of one event, JSON."""
    return encode_frame(_HEADERS, b'{"bytes":"%b"}' % b64encode(event))


def wrapped(events: bytes, usage: Usage | None) -> bytes:
    """Whole SSE events → frames. Pings, which Bedrock has none of, are left out; the last frame tells of `usage`."""
    out: list[bytes] = []
    for event in SseSplitter().feed(events):
        name, data = sse_name(event), sse_data(event)
        if name == _END:
            data = _encode({"type": "message_stop", **_metrics(usage)})
        if data and name != b"ping":
            out.append(chunk(data))
    return b"".join(out)


def unwrapped(frame: Frame) -> bytes:
    """The SSE event in a frame; b"" where it holds none. Raises UnreadableAnswer."""
    if frame.headers.get(":event-type") != "chunk":
        return b""
    try:
        data = b64decode(_decode_part(frame.payload).bytes, validate=True)
        return sse_event(data, _decode_typed(data).type.encode())
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UnreadableAnswer(f"a chunk of the stream cannot be read: {error}") from error


def opened(frame: bytes) -> Frame | Fault:
    """One whole frame of an upstream; what it says where it is an exception. Raises UnreadableAnswer."""
    found = read_frame(frame)
    if found.headers.get(":message-type") in ("exception", "error"):
        return read_exception(found)
    return found


def _metrics(usage: Usage | None) -> dict[str, object]:
    if usage is None or usage.source == "unknown":
        return {}
    told = {
        "inputTokenCount": usage.input + usage.input_audio + usage.input_image,
        "outputTokenCount": usage.output_total,
        "cacheReadInputTokenCount": usage.cache_read,
        "cacheWriteInputTokenCount": usage.cache_write_5m + usage.cache_write_1h,
    }
    return {_METRICS: told}
