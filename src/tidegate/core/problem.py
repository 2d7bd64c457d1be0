"""A Problem is why a call was not served. Every dialect renders it in its own error shape."""

from msgspec import Struct


class Problem(Struct, frozen=True, kw_only=True):
    """`status` and `code` are those of the contract's table of refusals; `message` says what, where and the remedy."""

    status: int
    code: str
    message: str
    field: str | None = None
    """The request field at fault, as the client wrote it."""
    retry_after_seconds: float | None = None
    should_retry: bool | None = None
    """Rendered as `x-should-retry`; None leaves it to the client."""
    bucket: str | None = None
    limit: int | None = None
    used: int | None = None
    resets_at_ns: int | None = None
