"""What an upstream's fault becomes: a name for the record, and a Problem for the client when nothing else can be tried."""

from email.utils import parsedate_to_datetime
from typing import Final

from tidegate.core.problem import Problem
from tidegate.gateway.attempt import UpstreamFault
from tidegate.gateway.headers import header_value
from tidegate.wire.message import Headers

_TIMEOUTS: Final = frozenset(("connect-timeout", "first-byte-timeout", "idle-timeout", "total-timeout"))
_MAX_WAIT: Final = 86_400.0


def fault_name(fault: UpstreamFault) -> str:
    """Bounded: a wire failure's kind, `malformed`, `in-band`, or the status (`503`)."""
    return str(fault.status) if fault.kind == "status" else fault.kind


def retry_after_seconds(headers: Headers, now_ns: int) -> float | None:
    """`retry-after-ms`, else `retry-after` as seconds or as a date (RFC 9110 §10.2.3)."""
    milliseconds = header_value(headers, b"retry-after-ms")
    value = header_value(headers, b"retry-after")
    try:
        if milliseconds:
            return _sane(float(milliseconds) / 1000)
        if not value:
            return None
        text = value.decode("latin-1")
        if text.replace(".", "", 1).isdigit():
            return _sane(float(text))
        return _sane(parsedate_to_datetime(text).timestamp() - now_ns / 1e9)
    except ValueError:
        return None


def client_problem(fault: UpstreamFault, target: str, now_ns: int) -> Problem:
    """For faults that are not the upstream's own error body to pass on."""
    if fault.status in (401, 403) and fault.kind == "status":
        return Problem(
            status=502,
            code="upstream_error",
            message=f"The provider of {target} refused the gateway's own credential. The operator must mend it.",
        )
    if fault.kind in _TIMEOUTS:
        return Problem(
            status=504,
            code="upstream_timeout",
            message=f"{target} did not answer in time ({fault.kind}): {fault.detail}",
        )
    return Problem(
        status=502,
        code="upstream_error",
        message=f"{target} failed ({fault_name(fault)}): {fault.detail or 'no further detail'}",
        retry_after_seconds=retry_after_seconds(fault.headers, now_ns),
    )


def passes_through(fault: UpstreamFault) -> bool:
    """An upstream's own error goes to the client with its status and body, but for faults of our own credential."""
    return fault.kind == "status" and 400 <= fault.status <= 599 and fault.status not in (401, 403)


def _sane(seconds: float) -> float:
    return min(max(0.0, seconds), _MAX_WAIT)
