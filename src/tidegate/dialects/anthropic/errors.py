"""Anthropic's error object, both ways.

Source: `anthropic.types.shared.error_response` and `error_type` of the official SDK.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.dialects.canon import Fault
from tidegate.wire.sse import sse_event


class _Details(Struct):
    error_code: str | None = None


class _ErrorObject(Struct):
    type: str | None = None
    message: str | None = None
    details: _Details | None = None


class _ErrorBody(Struct):
    error: _ErrorObject | None = None


_decode_error = msgspec.json.Decoder(_ErrorBody).decode

_ERROR_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def read_error(body: bytes) -> Fault:
    """`{"type": "error", "error": {...}}`; what cannot be read says nothing."""
    try:
        error = _decode_error(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Fault("", "", "")
    if error is None:
        return Fault("", "", "")
    code = "" if error.details is None else error.details.error_code or ""
    return Fault(error.type or "", code, error.message or "")


def encode_error(problem: Problem) -> bytes:
    """The body of an error answer. `details` has the gateway's own code, and what a bucket's refusal needs beside it."""
    details: dict[str, Any] = {"error_code": problem.code}
    if problem.field is not None:
        details["field"] = problem.field
    if problem.bucket is not None:
        details |= {
            "bucket": problem.bucket,
            "limit": problem.limit,
            "used": problem.used,
            "resets_at_unix_ms": None if problem.resets_at_ns is None else problem.resets_at_ns // 1_000_000,
        }
    kind = _ERROR_TYPES.get(problem.status, "api_error" if problem.status >= 500 else "invalid_request_error")
    return msgspec.json.encode(
        {"type": "error", "error": {"type": kind, "message": problem.message, "details": details}, "request_id": None}
    )


def error_frame(problem: Problem) -> bytes:
    """The error inside a stream; nothing follows it."""
    return sse_event(encode_error(problem), b"error")
