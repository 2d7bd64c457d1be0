"""The headers that the gateway adds to an answer, and which of either side's headers pass through it."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Final, Protocol

from tidegate.core.money import usd_from_nano
from tidegate.core.problem import Problem
from tidegate.dialects.dialect import Dialect, errors_in_headers, request_id_header
from tidegate.state.memory import Remaining
from tidegate.wire.message import Headers, Request, encode_headers

_FROM_CLIENT: Final = (b"traceparent", b"tracestate", b"idempotency-key", b"x-client-request-id")
"""Sent upstream as they came. Everything else stays here: credentials, cookies, addresses, client library telemetry."""

_FROM_UPSTREAM: Final = frozenset(
    (
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
        b"openai-processing-ms",
        b"openai-version",
        b"x-amzn-errortype",
        b"x-amzn-bedrock-input-token-count",
        b"x-amzn-bedrock-output-token-count",
    )
)
"""Given to the client as they came. An upstream's own rate limits are not the caller's, so they are not among them."""

_MAX_REQUEST_ID: Final = 128


class Facts(Protocol):
    """Of a call's record, what its headers say."""

    id: str
    request_id: str
    dialect: Dialect
    attempts_made: int


def request_id(sent: bytes | None, own: str) -> str:
    """The client's `x-request-id` if it is a sane token, else `own`."""
    if sent and len(sent) <= _MAX_REQUEST_ID and sent.isascii() and sent.decode().isprintable():
        return sent.decode()
    return own


def request_id_headers(request_id: str, dialect: Dialect) -> str:
    """`x-request-id`, and the header that the dialect's own clients read."""
    own = request_id_header(dialect)
    told = f"x-request-id: {request_id}\r\n"
    return f"{told}{own}: {request_id}\r\n" if own else told


def upstream_headers(request: Request, names: tuple[bytes, ...] = _FROM_CLIENT) -> bytes:
    """The block of the client's headers that go upstream; `names` in place of those that any upstream gets."""
    if not request.has_any(_set_of(names)):
        return b""
    return encode_headers([(name, value) for name in names if (value := request.header(name)) is not None])


_set_of: Final = cache(frozenset[bytes])


def content_type(headers: Headers) -> str:
    """The upstream's, for an answer that is given on as it is."""
    return f"content-type: {header_value(headers, b'content-type').decode('latin-1') or 'application/json'}\r\n"


def passed_back(headers: Headers) -> bytes:
    """The block of the upstream's headers that go to the client."""
    passing: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        if name in _FROM_UPSTREAM:
            passing.append((name, value))
        elif name in (b"x-request-id", b"request-id", b"x-amzn-requestid"):
            passing.append((b"x-tidegate-upstream-request-id", value))
    return encode_headers(passing) if passing else b""


def answer_head(record: Facts, target: str, remaining: Remaining, now_ns: int) -> str:
    """What every answer to an authenticated call carries."""
    called = f"x-tidegate-target: {target}\r\n" if target else ""
    return (
        f"{request_id_headers(record.request_id, record.dialect)}"
        f"x-tidegate-decision: {record.id}\r\nx-tidegate-cache: bypass\r\n"
        f"x-tidegate-attempts: {record.attempts_made}\r\n{called}{limit_headers(remaining, now_ns)}"
    )


def utilisation(headers: Headers) -> float | None:
    """How full provisioned capacity is, 0 to 1, as Azure reports it: `93.1%` or `93.1`. None where it is not told."""
    value = header_value(headers, b"azure-openai-deployment-utilization").rstrip(b"% ")
    try:
        share = float(value) / 100 if value else math.nan
    except ValueError:
        return None
    return share if math.isfinite(share) else None


def limit_headers(remaining: Remaining, now_ns: int) -> str:
    """`x-ratelimit-*` of the tightest request and token bucket, and what is left of the tightest budget."""
    text = ""
    if remaining.requests is not None:
        limit, left, whole = remaining.requests
        text = (
            f"x-ratelimit-limit-requests: {limit}\r\nx-ratelimit-remaining-requests: {left}\r\n"
            f"x-ratelimit-reset-requests: {duration(whole - now_ns)}\r\n"
        )
    if remaining.tokens is not None:
        limit, left, whole = remaining.tokens
        text += (
            f"x-ratelimit-limit-tokens: {limit}\r\nx-ratelimit-remaining-tokens: {left}\r\n"
            f"x-ratelimit-reset-tokens: {duration(whole - now_ns)}\r\n"
        )
    if remaining.money is not None:
        text += f"x-tidegate-budget-remaining-usd: {usd_from_nano(remaining.money[1])}\r\n"
    return text


def problem_headers(problem: Problem, dialect: Dialect | None = None) -> str:
    """`retry-after` (whole seconds, rounded up), `retry-after-ms` and `x-should-retry` where the problem says so.

    `dialect`: the client's, if it has headers of its own for errors.
    """
    own = None if dialect is None else errors_in_headers(dialect)
    text = "" if own is None else own.problem_headers(problem)
    if problem.retry_after_seconds is not None:
        milliseconds = max(0, round(problem.retry_after_seconds * 1000))
        text += f"retry-after: {-(-milliseconds // 1000)}\r\nretry-after-ms: {milliseconds}\r\n"
    if problem.should_retry is not None:
        text += f"x-should-retry: {'true' if problem.should_retry else 'false'}\r\n"
    if problem.status == 401:
        text += "www-authenticate: Bearer\r\n"
    return text


def duration(nanoseconds: int) -> str:
    """As OpenAI writes a reset: `12ms`, `8.5s`, `6m0s`, `1h0m0s`."""
    milliseconds = max(0, nanoseconds // 1_000_000)
    if milliseconds < 1_000:
        return f"{milliseconds}ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:g}s"
    minutes, seconds = divmod(milliseconds // 1_000, 60)
    if minutes < 60:
        return f"{minutes}m{seconds}s"
    return f"{minutes // 60}h{minutes % 60}m{seconds}s"


def header_value(headers: Sequence[tuple[bytes, bytes]], wanted: bytes) -> bytes:
    """The first value of `wanted`, or b""."""
    for name, value in headers:
        if name == wanted:
            return value
    return b""
