"""Who is to blame for an upstream's fault. Status first, structured fields second, never words of a message."""

from enum import Enum
from typing import Final


class Blame(Enum):
    """What a fault is held against, and so what rests because of it."""

    NOBODY = "nobody"
    """The client's own error: no retry, no penalty."""
    CONTEXT_LENGTH = "context-length"
    """The prompt is too long for this model: a larger one may serve it, no penalty."""
    CREDENTIAL = "credential"
    """A bad key: this credential rests."""
    CREDENTIAL_MODEL = "credential-model"
    """A rate limit: this credential and model rest until the reset."""
    TARGET = "target"
    """The target itself: counts towards its circuit."""


_CONTEXT_CODES: Final = frozenset(
    ("context_length_exceeded", "string_above_max_length", "model_context_window_exceeded")
)
"""Anthropic, Gemini and Bedrock tell of a prompt that is too long by words alone: there it is any error of the client's."""
_QUOTA_CODES: Final = frozenset(
    (
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "enforced_spend_limit_reached",  # Anthropic's, with status 429: no wait mends it
        "contract_spend_limit_reached",
        "linked_organization_spend_limit_reached",
        "ServiceQuotaExceededException",  # Bedrock's, with status 400
    )
)
KEY_CODES: Final = frozenset(("API_KEY_INVALID",))
"""A key that is not known, told with status 400: Gemini does so."""
_CREDENTIAL_STATUSES: Final = frozenset((401, 402, 403))
_ACCESS_CODES: Final = frozenset(("AccessDeniedException",))
"""Bedrock's, with status 403, mostly of an account that has not been given this one model: its others are not at fault."""
_ENDED_CODES: Final = frozenset(("ExpiredTokenException", "UnrecognizedClientException"))
"""Bedrock's, with status 403, of a temporary access key that has ended or been revoked."""
_TARGET_STATUSES: Final = frozenset((404, 408, 409, 424))
"""A 404 is the configuration's model name, not the client's: the client asked for ours."""

_RETRY_CLASS: Final = {
    "connect": "connect",
    "tls": "connect",
    "reset": "connect",
    "pool-full": "connect",
    "connect-timeout": "timeout",
    "first-byte-timeout": "timeout",
    "idle-timeout": "timeout",
}


def blame_of(kind: str, status: int, code: str) -> Blame:
    """`kind`: a wire failure's kind, `status`, `malformed` or `in-band`; `code`: the upstream's error code, or ""."""
    if kind == "credential":
        return Blame.CREDENTIAL
    if kind != "status":
        return Blame.CONTEXT_LENGTH if code in _CONTEXT_CODES else Blame.TARGET
    if code in _CONTEXT_CODES:
        return Blame.CONTEXT_LENGTH
    if code in _ACCESS_CODES:
        return Blame.TARGET
    if status in _CREDENTIAL_STATUSES or code in _QUOTA_CODES or code in KEY_CODES:
        return Blame.CREDENTIAL
    if status == 429:
        return Blame.CREDENTIAL_MODEL
    if status >= 500 or status in _TARGET_STATUSES:
        return Blame.TARGET
    return Blame.NOBODY


def may_have_ended(status: int, code: str) -> bool:
    """Whether what was shown may once have been good, and a renewed one be again."""
    return status == 401 or code in _ENDED_CODES


def retryable(kind: str, status: int, blame: Blame, retry_on: frozenset[str]) -> bool:
    """Whether another candidate may be tried, by the model's `retryOn`.

    A bad credential or a prompt that is too long is always tried elsewhere: the same request can be served there.
    """
    if blame in (Blame.CREDENTIAL, Blame.CONTEXT_LENGTH):
        return True
    if blame is Blame.NOBODY or kind == "total-timeout":
        return False
    if blame is Blame.CREDENTIAL_MODEL:
        return "429" in retry_on
    if kind == "status":
        return ("timeout" if status == 408 else "5xx") in retry_on
    return _RETRY_CLASS.get(kind, "5xx") in retry_on
