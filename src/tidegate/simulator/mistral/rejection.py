"""Errors in Mistral's shape."""

from typing import Any, Final

import msgspec

from tidegate.simulator.pydantic_fields import details
from tidegate.simulator.rejection import Rejection

ORDER: Final = "invalid_request_message_order"
_USUAL: Final = {
    401: ("Unauthorized", "invalid_request_error", None),
    403: ("Forbidden", "invalid_request_error", None),
    429: ("Requests rate limit exceeded", "rate_limited", "1300"),
    500: ("Internal server error", "internal_server_error", "1000"),
    503: ("Service unavailable.", "internal_server_error", "3505"),
}


def disordered(text: str) -> Rejection:
    """Messages that do not follow one another so."""
    return Rejection(400, text, kind=ORDER, code="3230")


def error_fields(rejection: Rejection) -> dict[str, Any]:
    """The body; also that of an event in a stream."""
    message: Any = rejection.message
    kind, code = rejection.kind, rejection.code or None
    if rejection.usual:
        message, kind, code = _USUAL.get(rejection.status, _USUAL[500])
    elif rejection.status == 422 and rejection.param is not None:
        message, code = {"detail": details(rejection)}, None
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


def encode_error(rejection: Rejection) -> bytes:
    """As sent."""
    return msgspec.json.encode(error_fields(rejection))
