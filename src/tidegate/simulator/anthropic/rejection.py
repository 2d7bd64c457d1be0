"""Errors in Anthropic's words and shape: `{"type": "error", "error": {"type", "message"}, "request_id"}`."""

from typing import Any, Final

import msgspec

from tidegate.simulator.rejection import Rejection

_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_MESSAGES: Final = {
    400: "The request could not be served.",
    401: "invalid x-api-key",
    402: "Your credit balance is too low to access the Anthropic API.",
    403: "Your API key does not have permission to use the specified resource.",
    404: "Not found",
    408: "Request timed out",
    409: "The resource was changed by another request.",
    413: "Request exceeds the maximum size",
    429: "This request would exceed your organization's rate limit.",
    503: "Service temporarily unavailable",
    504: "Request timed out",
    529: "Overloaded",
}
SPEND_LIMIT: Final = "enforced_spend_limit_reached"
"""In a 429's `details.error_code`: to try again is of no use."""


def is_final(rejection: Rejection) -> bool:
    """A 429 that no waiting mends. OpenAI's code for it is understood too."""
    return rejection.usual and rejection.code in (SPEND_LIMIT, "insufficient_quota")


def encode_error(rejection: Rejection, request_id: str | None) -> bytes:
    """As sent."""
    return msgspec.json.encode({"type": "error", "error": _error_fields(rejection), "request_id": request_id})


def _error_fields(rejection: Rejection) -> dict[str, Any]:
    status = rejection.status
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    if is_final(rejection):
        return {
            "type": kind,
            "message": "Your organization has reached its spend limit.",
            "details": {"error_code": SPEND_LIMIT},
        }
    if not rejection.usual:
        return {"type": kind, "message": rejection.message}
    message = _MESSAGES.get(status, "Internal server error" if status >= 500 else _MESSAGES[400])
    if rejection.code == "context_length_exceeded":
        message = "prompt is too long"
    return {"type": kind, "message": message}
