"""What an upstream's fault becomes: a name for the record, and a Problem for the client when nothing else can be tried."""

from email.utils import parsedate_to_datetime
from typing import Final

from tidegate.core.problem import Problem
from tidegate.core.view import View
from tidegate.decide.fault import KEY_CODES
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.gateway.attempts.attempt import UpstreamFault
from tidegate.gateway.headers import header_value
from tidegate.wire.message import Headers

_TIMEOUTS: Final = frozenset(("connect-timeout", "first-byte-timeout", "idle-timeout", "total-timeout"))
_MAX_WAIT: Final = 86_400.0


def fault_name(fault: UpstreamFault) -> str:
    """Bounded: a wire failure's kind, `malformed`, `in-band`, or the status (`503`)."""
    return str(fault.status) if fault.kind == "status" else fault.kind


def retry_after_seconds(headers: Headers, now_ns: int) -> float | None:
    """`retry-after-ms`, else `retry-after` as seconds or as a date (RFC 9110 §10.2.3)."""
    milliseconds = _number(header_value(headers, b"retry-after-ms"))
    if milliseconds is not None:
        return _sane(milliseconds / 1000)
    value = header_value(headers, b"retry-after")
    seconds = _number(value)
    if seconds is None and value:
        try:
            seconds = parsedate_to_datetime(value.decode("latin-1")).timestamp() - now_ns / 1e9
        except (ValueError, OverflowError):  # OverflowError: a year or a zone of more digits than a date can have
            return None
    return None if seconds is None else _sane(seconds)


def _number(value: bytes) -> float | None:
    """Digits, with a fraction or without; None for all else that `float` would take, `nan` above all."""
    return float(value) if value.replace(b".", b"", 1).isdigit() else None


def retry_after(fault: UpstreamFault, now_ns: int) -> float | None:
    """When to try again: what a header says, else what the error's body says."""
    told = retry_after_seconds(fault.headers, now_ns)
    if told is None and fault.told.retry_after_seconds is not None:
        return _sane(fault.told.retry_after_seconds)
    return told


def client_problem(fault: UpstreamFault, target: str, now_ns: int) -> Problem:
    """For faults that are not the upstream's own error body to pass on."""
    if _refuses_key(fault):
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
        retry_after_seconds=retry_after(fault, now_ns),
    )


def passes_through(fault: UpstreamFault) -> bool:
    """An upstream's own error goes to the client with its status and body, but for faults of our own credential."""
    return fault.kind == "status" and 400 <= fault.status <= 599 and not _refuses_key(fault)


def _refuses_key(fault: UpstreamFault) -> bool:
    if fault.kind == "credential":
        return True
    return fault.kind == "status" and (fault.status in (401, 403) or fault.told.code in KEY_CODES)


_TRANSLATED: Final = {401: 502, 403: 502, 529: 503}
"""Statuses that another dialect's clients would misread: our credential is not theirs; 529 is Anthropic's own."""


def translated_problem(fault: UpstreamFault, now_ns: int) -> Problem:
    """An upstream's error for a client of another dialect: the status first, then what its own fields say."""
    told = fault.told
    return Problem(
        status=_TRANSLATED.get(fault.status, fault.status),
        code=told.code or told.type or "upstream_error",
        message=told.message or f"The upstream answered with status {fault.status}.",
        retry_after_seconds=retry_after(fault, now_ns),
    )


def unserved(view: View, dialect: str) -> UnreadableRequest:
    """400: there is no way from the client's dialect to the upstream's for this operation."""
    message = (
        f"A provider of dialect {dialect} cannot serve a call of {view.dialect} for {view.operation}. "
        "Use another model, or the provider's own dialect."
    )
    return UnreadableRequest(Problem(status=400, code="unsupported_field", message=message, field="model"))


def not_dropped(view: View) -> UnreadableRequest:
    """400 on a Model with `strict: true`, where other Models go without the hint."""
    names = ", ".join(f"`{one}`" for one in view.dropped)
    message = f"The upstream of `{view.model}` has no {names}, and this model is strict. Leave it out."
    return UnreadableRequest(Problem(status=400, code="unsupported_field", message=message, field=view.dropped[0]))


FAILED: Final = Problem(
    status=500, code="internal_error", message="The gateway failed to serve this call. Its log says why."
)
"""The gateway's own fault, after an upstream's answer."""


def not_encoded(target: str) -> Problem:
    """500: the gateway's own fault, which the log tells of."""
    message = f"The gateway failed to put this request into the form of {target}. Its log says why."
    return Problem(status=500, code="internal_error", message=message)


def _sane(seconds: float) -> float:
    return min(max(0.0, seconds), _MAX_WAIT)
