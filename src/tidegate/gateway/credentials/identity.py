"""Who calls: the key in a request's headers, and the consumer it belongs to.

Keys are looked up by their SHA-256, so no comparison of secrets by bytes ever happens and nothing depends on their timing.
"""

from hashlib import sha256
from typing import Final

from tidegate.core.problem import Problem
from tidegate.wire.message import Request

_KEY_HEADERS: Final = (b"x-api-key", b"api-key", b"x-goog-api-key")
_BEARER: Final = b"bearer "

MISSING_KEY: Final = Problem(
    status=401,
    code="invalid_api_key",
    message="No API key: send it as `Authorization: Bearer KEY` (or x-api-key, api-key, x-goog-api-key).",
)
UNKNOWN_KEY: Final = Problem(
    status=401,
    code="invalid_api_key",
    message="This API key is not known here. Check that it is this gateway's key, not a provider's, and not revoked.",
)


def key_digest(request: Request, in_query: bytes = b"") -> bytes | None:
    """SHA-256 of the first key found; None when there is none. `in_query`: that of a key in the query, where it may be."""
    bearer = request.header(b"authorization")
    if bearer is not None and bearer[:7].lower() == _BEARER:
        key = bearer[7:].strip()
        if key:
            return sha256(key).digest()
    for name in _KEY_HEADERS:
        key = request.header(name)
        if key:
            return sha256(key).digest()
    return in_query or None
