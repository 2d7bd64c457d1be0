"""Headers of answers, and what passes from one side to the other."""

from typing import Any

import pytest

from tidegate.core.problem import Problem
from tidegate.dialects.registry import DIALECTS
from tidegate.gateway.headers import (
    answer_head,
    duration,
    header_value,
    limit_headers,
    passed_back,
    problem_headers,
    request_id,
    request_id_headers,
    upstream_headers,
    utilisation,
)
from tidegate.state.memory import Remaining
from tidegate.wire.message import Headers, Request

NOW = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


def request(*headers: tuple[bytes, bytes]) -> Request:
    return Request(b"POST", b"/v1/chat/completions", b"/v1/chat/completions", b"", "1.1", headers=list(headers))


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"trace-1", True),
        (b"a" * 128, True),
        (b"a" * 129, False),
        (b"", False),
        (None, False),
        (b"tab\there", False),
        (b"\xc3\xbc", False),
        (b"nul\0", False),
        (b"line\r\nx-evil: 1", False),
    ],
)
def test_a_request_id_is_kept_if_it_is_sane(sent: bytes | None, kept: bool) -> None:
    assert request_id(sent, "own") == (sent.decode() if kept and sent is not None else "own")


def test_of_the_clients_headers_only_a_few_go_upstream() -> None:
    sent = request(
        (b"authorization", b"Bearer tg-secret"),
        (b"x-api-key", b"tg-secret"),
        (b"cookie", b"session=secret"),
        (b"x-forwarded-for", b"192.0.2.1"),
        (b"x-tidegate-region", b"eu"),
        (b"user-agent", b"OpenAI/Python"),
        (b"traceparent", b"00-1-2-01"),
        (b"idempotency-key", b"once"),
    )
    assert upstream_headers(sent) == b"traceparent: 00-1-2-01\r\nidempotency-key: once\r\n"
    assert upstream_headers(request((b"authorization", b"Bearer tg-secret"))) == b""
    assert upstream_headers(sent, (b"user-agent",)) == b"user-agent: OpenAI/Python\r\n"


def test_of_the_upstreams_headers_only_a_few_come_back() -> None:
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"7"),
        (b"set-cookie", b"session=secret"),
        (b"x-ratelimit-remaining-requests", b"9"),
        (b"server", b"cloudflare"),
        (b"openai-organization", b"org-secret"),
        (b"x-request-id", b"req_1"),
        (b"retry-after", b"3"),
        (b"x-should-retry", b"false"),
    ]
    assert passed_back(headers) == (
        b"x-tidegate-upstream-request-id: req_1\r\nretry-after: 3\r\nx-should-retry: false\r\n"
    )
    assert passed_back(headers[:6]) == b""
    assert passed_back([(b"x-amzn-requestid", b"r"), (b"x-amzn-errortype", b"Odd")]) == (
        b"x-tidegate-upstream-request-id: r\r\nx-amzn-errortype: Odd\r\n"
    )


class Facts:
    id = "tg_1"
    request_id = "req-9"
    attempts_made = 2
    dialect = DIALECTS["openai"]


def test_the_head_of_an_answer() -> None:
    assert answer_head(Facts(), "openai/gpt", Remaining(), NOW) == (
        "x-request-id: req-9\r\nx-tidegate-decision: tg_1\r\nx-tidegate-cache: bypass\r\n"
        "x-tidegate-attempts: 2\r\nx-tidegate-target: openai/gpt\r\n"
    )
    refused = answer_head(Facts(), "", Remaining(money=(SECOND, 40_000_000, NOW)), NOW)
    assert "x-tidegate-target" not in refused
    assert refused.endswith("x-tidegate-budget-remaining-usd: 0.04\r\n")


@pytest.mark.parametrize(
    ("dialect", "header"),
    [("anthropic", "request-id"), ("vertex-anthropic", "request-id"), ("bedrock", "x-amzn-requestid"), ("gemini", "")],
)
def test_a_dialects_own_header_for_the_requests_id(dialect: str, header: str) -> None:
    own = f"{header}: r\r\n" if header else ""
    assert request_id_headers("r", DIALECTS[dialect]) == "x-request-id: r\r\n" + own


def test_headers_of_limits() -> None:
    remaining = Remaining(
        requests=(600, 599, NOW + 60 * SECOND), tokens=(1000, 0, NOW + SECOND // 2), money=(5 * SECOND, 1, NOW)
    )
    assert limit_headers(remaining, NOW) == (
        "x-ratelimit-limit-requests: 600\r\nx-ratelimit-remaining-requests: 599\r\nx-ratelimit-reset-requests: 1m0s\r\n"
        "x-ratelimit-limit-tokens: 1000\r\nx-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: 500ms\r\n"
        "x-tidegate-budget-remaining-usd: 0.000000001\r\n"
    )
    assert limit_headers(Remaining(), NOW) == ""


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ""),
        ({"retry_after_seconds": 0.0}, "retry-after: 0\r\nretry-after-ms: 0\r\n"),
        ({"retry_after_seconds": 0.001}, "retry-after: 1\r\nretry-after-ms: 1\r\n"),
        ({"retry_after_seconds": 2.0}, "retry-after: 2\r\nretry-after-ms: 2000\r\n"),
        ({"retry_after_seconds": 2.0004}, "retry-after: 2\r\nretry-after-ms: 2000\r\n"),
        ({"retry_after_seconds": 2.001}, "retry-after: 3\r\nretry-after-ms: 2001\r\n"),
        ({"retry_after_seconds": -5.0}, "retry-after: 0\r\nretry-after-ms: 0\r\n"),
        ({"should_retry": True}, "x-should-retry: true\r\n"),
        ({"should_retry": False}, "x-should-retry: false\r\n"),
        ({"status": 401}, "www-authenticate: Bearer\r\n"),
    ],
)
def test_headers_of_a_problem(fields: dict[str, Any], expected: str) -> None:
    assert problem_headers(Problem(**{"status": 429, "code": "c", "message": "m", **fields})) == expected


@pytest.mark.parametrize(
    ("nanoseconds", "told"),
    [
        (-5 * SECOND, "0ms"),
        (999_999, "0ms"),
        (12_000_000, "12ms"),
        (999_999_999, "999ms"),
        (SECOND, "1s"),
        (8_500_000_000, "8.5s"),
        (59_999 * 1_000_000, "59.999s"),
        (60 * SECOND, "1m0s"),
        (6 * 60 * SECOND + 999_999_999, "6m0s"),
        (3599 * SECOND, "59m59s"),
        (3600 * SECOND, "1h0m0s"),
        (25 * 3600 * SECOND + 61 * SECOND, "25h1m1s"),
    ],
)
def test_a_duration_is_written_as_openai_does(nanoseconds: int, told: str) -> None:
    assert duration(nanoseconds) == told


@pytest.mark.parametrize(
    ("value", "share"),
    [
        (b"93.1%", 0.931),
        (b"93.1", 0.931),
        (b"93.1 %", 0.931),
        (b"0%", 0.0),
        (b"120%", 1.2),
        (b"", None),
        (b"%", None),
        (b"high", None),
        (b"nan", None),
        (b"inf%", None),
    ],
)
def test_utilisation(value: bytes, share: float | None) -> None:
    found = utilisation([(b"azure-openai-deployment-utilization", value)])
    assert found == (None if share is None else pytest.approx(share))


def test_utilisation_that_is_not_told() -> None:
    assert utilisation([(b"content-type", b"93")]) is None


def test_the_first_of_a_repeated_header_counts() -> None:
    headers = [(b"a", b"1"), (b"b", b"2"), (b"b", b"3")]
    assert (header_value(headers, b"b"), header_value(headers, b"c")) == (b"2", b"")
