"""OpenAI's error object, both ways."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.dialects.canon import Fault


class _ErrorObject(Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class _ErrorBody(Struct):
    error: _ErrorObject | str | None = None


_decode_error = msgspec.json.Decoder(_ErrorBody).decode


def read_error(body: bytes) -> Fault:
    """`{"error": {...}}`, or `{"error": "text"}` as some compatible servers write it."""
    try:
        error = _decode_error(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Fault("", "", "")
    if isinstance(error, str):
        return Fault("", "", error)
    if error is None:
        return Fault("", "", "")
    return Fault(error.type or "", str(error.code or ""), error.message or "")


_ERROR_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    408: "timeout",
    429: "rate_limit_error",
}


def error_object(problem: Problem) -> dict[str, object]:
    """OpenAI's error object; what a bucket's refusal needs to be understood stands beside it, in `tidegate`."""
    shape: dict[str, object] = {
        "message": problem.message,
        "type": _ERROR_TYPES.get(problem.status, "server_error" if problem.status >= 500 else "invalid_request_error"),
        "param": problem.field,
        "code": problem.code,
    }
    if problem.bucket is not None:
        shape["tidegate"] = {
            "bucket": problem.bucket,
            "limit": problem.limit,
            "used": problem.used,
            "resets_at_unix_ms": None if problem.resets_at_ns is None else problem.resets_at_ns // 1_000_000,
        }
    return shape


def encode_error(problem: Problem) -> bytes:
    """The body of an error answer."""
    return msgspec.json.encode({"error": error_object(problem)})
