"""What an upstream's fault becomes for the client, and how long it asks us to wait."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.dialects.dialect import Fault
from tidegate.gateway.attempts.attempt import UpstreamFault
from tidegate.gateway.faults import client_problem, fault_name, passes_through, retry_after, retry_after_seconds
from tidegate.wire.message import Headers

NOW = int(datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC).timestamp()) * 1_000_000_000
DAY = 86_400.0


def fault(kind: str, status: int = 0, detail: str = "", headers: Headers | None = None) -> UpstreamFault:
    return UpstreamFault(kind, status, headers or [], b"", Fault("", "", ""), detail)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        ([(b"retry-after", b"3")], 3.0),
        ([(b"retry-after", b"0")], 0.0),
        ([(b"retry-after", b"1.5")], 1.5),
        ([(b"retry-after-ms", b"250")], 0.25),
        ([(b"retry-after", b"3"), (b"retry-after-ms", b"250")], 0.25),
        ([(b"retry-after", b"3"), (b"retry-after-ms", b"soon")], 3.0),
        ([(b"retry-after", b"3"), (b"retry-after-ms", b"nan")], 3.0),
        ([(b"retry-after-ms", b"")], None),
        ([(b"retry-after", b"99999999")], DAY),
        ([(b"retry-after", b"9" * 400)], DAY),
        ([(b"retry-after-ms", b"9" * 400)], DAY),
        ([(b"retry-after", b"Sat, 21 Nov 2026 09:00:42 GMT")], 42.0),
        ([(b"retry-after", b"Sat, 21 Nov 99999999999999999999 09:00:42 GMT")], None),
        ([(b"retry-after", b"Sat, 21 Nov 2026 09:00:42 +99999999999999999999")], None),
        ([(b"retry-after", b"Saturday, 21-Nov-26 09:00:42 GMT")], 42.0),
        ([(b"retry-after", b"Sat, 21 Nov 2026 08:00:00 GMT")], 0.0),
        ([(b"retry-after", b"Sat, 21 Nov 2099 08:00:00 GMT")], DAY),
        ([(b"retry-after", b"-3")], None),
        ([(b"retry-after", b"nan")], None),
        ([(b"retry-after", b"inf")], None),
        ([(b"retry-after", b"1e3")], None),
        ([(b"retry-after", b"1.2.3")], None),
        ([(b"retry-after", b".")], None),
        ([(b"retry-after", b"\xb2")], None),
        ([(b"retry-after", b"soon")], None),
    ],
)
def test_how_long_an_upstream_wants_us_to_wait(headers: Headers, seconds: float | None) -> None:
    assert retry_after_seconds(headers, NOW) == seconds


@given(st.sampled_from((b"retry-after", b"retry-after-ms")), st.binary(max_size=40))
def test_whatever_an_upstream_says_the_wait_is_sane(name: bytes, value: bytes) -> None:
    seconds = retry_after_seconds([(name, value)], NOW)
    assert seconds is None or 0 <= seconds <= DAY


@pytest.mark.parametrize(
    ("kind", "status", "name"),
    [("status", 503, "503"), ("connect", 0, "connect"), ("malformed", 200, "malformed"), ("in-band", 0, "in-band")],
)
def test_the_name_of_a_fault(kind: str, status: int, name: str) -> None:
    assert fault_name(fault(kind, status)) == name


@pytest.mark.parametrize("status", [401, 403])
def test_our_own_credential_is_the_operators_business(status: int) -> None:
    problem = client_problem(fault("status", status, "Incorrect API key provided: sk-12345"), "openai/gpt", NOW)
    assert (problem.status, problem.code) == (502, "upstream_error")
    assert "openai/gpt" in problem.message
    assert "sk-12345" not in problem.message


@pytest.mark.parametrize("kind", ["connect-timeout", "first-byte-timeout", "idle-timeout", "total-timeout"])
def test_a_timeout_is_told_as_one(kind: str) -> None:
    problem = client_problem(fault(kind, detail="no byte came"), "openai/gpt", NOW)
    assert (problem.status, problem.code) == (504, "upstream_timeout")
    assert kind in problem.message and "no byte came" in problem.message


@pytest.mark.parametrize("kind", ["connect", "tls", "reset", "protocol", "malformed", "pool-full", "in-band"])
def test_other_faults_are_a_bad_gateway(kind: str) -> None:
    problem = client_problem(fault(kind, headers=[(b"retry-after", b"7")]), "openai/gpt", NOW)
    assert (problem.status, problem.code, problem.retry_after_seconds) == (502, "upstream_error", 7.0)
    assert problem.message == f"openai/gpt failed ({kind}): no further detail"


@pytest.mark.parametrize(
    ("kind", "status", "passes"),
    [
        ("status", 400, True),
        ("status", 404, True),
        ("status", 429, True),
        ("status", 503, True),
        ("status", 599, True),
        ("status", 401, False),
        ("status", 403, False),
        ("status", 399, False),
        ("status", 302, False),
        ("status", 600, False),
        ("malformed", 500, False),
        ("reset", 400, False),
    ],
)
def test_which_errors_pass_as_they_are(kind: str, status: int, passes: bool) -> None:
    assert passes_through(fault(kind, status)) is passes


def test_a_key_that_is_refused_with_400_is_the_operators_business_too() -> None:
    refused = UpstreamFault("status", 400, [], b"", Fault("INVALID_ARGUMENT", "API_KEY_INVALID", "no such key"), "")
    assert not passes_through(refused)
    problem = client_problem(refused, "google/gemini", NOW)
    assert (problem.status, "own credential" in problem.message) == (502, True)


@pytest.mark.parametrize(
    ("headers", "told", "seconds"),
    [([], 34.5, 34.5), ([(b"retry-after", b"3")], 34.5, 3.0), ([], None, None), ([], 1e9, DAY)],
)
def test_a_body_says_how_long_to_wait_where_no_header_does(
    headers: Headers, told: float | None, seconds: float | None
) -> None:
    body = Fault("RESOURCE_EXHAUSTED", "", "slow", told)
    assert retry_after(UpstreamFault("status", 429, headers, b"", body, ""), NOW) == seconds
