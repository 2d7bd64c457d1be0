"""Faults of a Responses stream: the `error` event, both ways.

Source: `openai.types.responses.response_error_event` of the official SDK; OpenAI's error object for the nested form.
"""

from typing import Any

import msgspec
from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.dialects.canon import Fault
from tidegate.dialects.openai.errors import read_error
from tidegate.wire.sse import sse_event


class ErrorEvent(Struct):
    type: str | None = None
    code: str | int | None = None
    message: str | None = None


_decode = msgspec.json.Decoder(ErrorEvent).decode


def fault_of(data: bytes) -> Fault:
    """Of an `error` event: its members stand at the top, or in `error` as in the body of an error answer."""
    nested = read_error(data)
    if nested != Fault("", "", ""):
        return nested
    try:
        told = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return nested
    return Fault("", str(told.code or ""), told.message or "")


def error_event(problem: Problem, sequence: int) -> bytes:
    """The in-band error frame, for streams that have no response object to fail."""
    told: dict[str, Any] = {
        "type": "error",
        "code": problem.code,
        "message": problem.message,
        "param": problem.field,
        "sequence_number": sequence,
    }
    return sse_event(msgspec.json.encode(told), b"error")
