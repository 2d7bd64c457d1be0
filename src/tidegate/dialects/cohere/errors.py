"""Cohere's errors: `{"id", "message"}`; in a stream, a `message-end` whose finish reason is ERROR.

Source: `core.api_error`, `types.chat_message_end_event_delta` of the official `cohere` SDK.
"""

import msgspec
from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.dialects.canon import Fault
from tidegate.wire.sse import sse_event


class _Body(Struct):
    message: str | None = None
    detail: str | None = None
    code: str | None = None


_decode = msgspec.json.Decoder(_Body).decode


def read_error(body: bytes) -> Fault:
    try:
        told = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Fault("", "", "")
    return Fault("", told.code or "", told.message or told.detail or "")


def encode_error(problem: Problem) -> bytes:
    """The body of an error answer."""
    told = {"message": problem.message, "code": problem.code}
    if problem.field is not None:
        told["field"] = problem.field
    return msgspec.json.encode(told)


def encode_stream_error(problem: Problem) -> bytes:
    delta = {"finish_reason": "ERROR", "error": problem.message}
    return sse_event(msgspec.json.encode({"type": "message-end", "delta": delta}), b"message-end")
