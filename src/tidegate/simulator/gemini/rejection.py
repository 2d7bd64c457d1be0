"""Errors in Google's words and shape: `{"error": {"code", "message", "status", "details"}}`."""

from typing import Any, Final

import msgspec

from tidegate.simulator.rejection import Rejection

_STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_MESSAGES: Final = {
    400: "Request contains an invalid argument.",
    401: "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential.",
    403: "The caller does not have permission.",
    404: "Requested entity was not found.",
    408: "The request timed out. Please try again.",
    409: "The operation was aborted.",
    429: "You exceeded your current quota, please check your plan and billing details.",
    500: "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/"
    "troubleshooting",
    503: "The model is overloaded. Please try again later.",
    504: "The request timed out. Please try again.",
}
_TYPES: Final = "type.googleapis.com/google.rpc."


def error_fields(rejection: Rejection, wait: float | None = None) -> dict[str, Any]:
    """`wait`: seconds after which to come back, told in the details."""
    status = rejection.status
    message = rejection.message
    if rejection.usual:
        message = _MESSAGES.get(status, "The request could not be served.")
    fields: dict[str, Any] = {"code": status, "message": message, "status": _STATUSES.get(status, "UNKNOWN")}
    details: list[dict[str, Any]] = []
    if rejection.code == "violation":
        violation = {"field": rejection.param or "", "description": message}
        details.append({"@type": f"{_TYPES}BadRequest", "fieldViolations": [violation]})
    if status == 429:
        violation = {"quotaMetric": f"generativelanguage.googleapis.com/generate_content_{rejection.kind}"}
        details.append({"@type": f"{_TYPES}QuotaFailure", "violations": [violation]})
        if wait is not None and rejection.code != "insufficient_quota":
            details.append({"@type": f"{_TYPES}RetryInfo", "retryDelay": f"{wait:.3f}".rstrip("0").rstrip(".") + "s"})
    return {"error": {**fields, "details": details} if details else fields}


def encode_error(rejection: Rejection, wait: float | None = None, in_array: bool = False) -> bytes:
    """As sent; an operation that answers with an array answers so here too."""
    fields = error_fields(rejection, wait)
    body = msgspec.json.format(msgspec.json.encode([fields] if in_array else fields), indent=2)
    return body + b"\n"
