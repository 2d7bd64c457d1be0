"""Google's error object, both ways: `{"error": {code, message, status, details}}`.

Source: https://cloud.google.com/apis/design/errors (google.rpc.Status and its error details); `google.genai.errors` of the
official SDK.
"""

import re
from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.dialects.canon import Fault


class _Detail(Struct):
    type: str = msgspec.field(name="@type", default="")
    reason: str | None = None
    retry_delay: str | None = msgspec.field(name="retryDelay", default=None)


class _Error(Struct):
    code: int | None = None
    message: str | None = None
    status: str | None = None
    details: list[_Detail] | None = None


class _Body(Struct):
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Body).decode
_decode_list = msgspec.json.Decoder(list[_Body]).decode
_STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    431: "INVALID_ARGUMENT",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TYPE: Final = "type.googleapis.com/google.rpc."
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


def read_error(body: bytes) -> Fault:
    """An object, or one in a list as the streaming endpoints write it. `code` is the reason in its ErrorInfo."""
    try:
        several = _decode_list(body) if body.lstrip()[:1] == b"[" else [_decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Fault("", "", "")
    error = several[0].error if several else None
    if error is None:
        return Fault("", "", "")
    details = error.details or ()
    reason = next((one.reason for one in details if one.reason), "")
    delay = next((one.retry_delay for one in details if one.retry_delay), "")
    return Fault(error.status or "", reason, error.message or "", _seconds(delay))


def error_object(problem: Problem) -> dict[str, Any]:
    details: list[dict[str, Any]] = [
        {
            "@type": _TYPE + "ErrorInfo",
            "reason": problem.code,
            "domain": "tidegate",
            "metadata": _metadata(problem),
        }
    ]
    if problem.field is not None:
        violation = {"field": problem.field, "description": problem.message}
        details.append({"@type": _TYPE + "BadRequest", "fieldViolations": [violation]})
    if problem.retry_after_seconds is not None:
        delay = f"{max(0.0, problem.retry_after_seconds):.3f}".rstrip("0").rstrip(".")
        details.append({"@type": _TYPE + "RetryInfo", "retryDelay": f"{delay}s"})
    return {
        "code": problem.status,
        "message": problem.message,
        "status": _STATUSES.get(problem.status, "INTERNAL" if problem.status >= 500 else "FAILED_PRECONDITION"),
        "details": details,
    }


def encode_error(problem: Problem) -> bytes:
    return msgspec.json.encode({"error": error_object(problem)})


def _metadata(problem: Problem) -> dict[str, str]:
    """What a bucket's refusal needs to be understood; every value is a string in an ErrorInfo."""
    resets = None if problem.resets_at_ns is None else problem.resets_at_ns // 1_000_000
    told = {"bucket": problem.bucket, "limit": problem.limit, "used": problem.used, "resetsAtUnixMs": resets}
    return {name: str(value) for name, value in told.items() if value is not None}


def _seconds(duration: str) -> float | None:
    """`34.5s`, as protocol buffers write a duration."""
    match = _DURATION.fullmatch(duration)
    return None if match is None else float(match[1])
