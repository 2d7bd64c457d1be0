"""Bedrock's errors: a name in the `x-amzn-ErrorType` header with a message in the body, or an exception frame of a stream.

Source: the exceptions of botocore's model of bedrock-runtime, and `botocore.parsers`.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.dialects.canon import Fault
from tidegate.wire.eventstream import Frame, encode_frame


class _ErrorBody(Struct):
    message: str | None = None
    capital: str | None = msgspec.field(default=None, name="Message")
    type: str | None = msgspec.field(default=None, name="__type")
    code: str | None = None


_decode = msgspec.json.Decoder(_ErrorBody).decode

_BY_CODE: Final[Mapping[str, str]] = {
    "invalid_api_key": "UnrecognizedClientException",
    "invalid_signature": "InvalidSignatureException",
}
_BY_STATUS: Final[Mapping[int, str]] = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    405: "ValidationException",
    408: "ModelTimeoutException",
    413: "ValidationException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    431: "ValidationException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
    529: "ServiceUnavailableException",
}


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """`headers` by lower-case name. The header has the name, perhaps with a URL behind a colon or a prefix before `#`."""
    try:
        told = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        told = _ErrorBody()
    name = _bare(headers.get("x-amzn-errortype") or told.type or told.code or "")
    return Fault(name or _BY_STATUS.get(status, ""), name, told.message or told.capital or "")


def read_exception(frame: Frame) -> Fault:
    """A frame of the message type `exception`, or `error` (one that the API's model does not have)."""
    told = read_error(0, {}, frame.payload)
    name = frame.headers.get(":exception-type") or frame.headers.get(":error-code") or told.code
    name = name[:1].upper() + name[1:]
    return Fault(name, name, told.message or frame.headers.get(":error-message", ""))


def error_name(problem: Problem) -> str:
    """What must not be retried is no throttling: clients would."""
    if problem.should_retry is False and problem.status == 429:
        return "ServiceQuotaExceededException"
    return _BY_CODE.get(problem.code) or _BY_STATUS.get(problem.status, "InternalServerException")


def encode_error(problem: Problem) -> bytes:
    """The body; what a bucket's refusal needs to be understood stands beside the message, in `tidegate`."""
    own: dict[str, object] = {"code": problem.code}
    if problem.field is not None:
        own["field"] = problem.field
    if problem.bucket is not None:
        own |= {
            "bucket": problem.bucket,
            "limit": problem.limit,
            "used": problem.used,
            "resets_at_unix_ms": None if problem.resets_at_ns is None else problem.resets_at_ns // 1_000_000,
        }
    return msgspec.json.encode({"message": problem.message, "tidegate": own})


def encode_exception(problem: Problem) -> bytes:
    """The frame that ends a stream. Of the exceptions that streams have, this one says that the model's broke."""
    headers = (
        (":exception-type", "modelStreamErrorException"),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    )
    return encode_frame(headers, encode_error(problem))


def _bare(name: str) -> str:
    return name.partition(":")[0].rpartition("#")[2].strip()
