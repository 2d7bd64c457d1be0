"""Signatures against botocore's own signer."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.wire.sigv4 import RequestSigner

HOST = "bedrock-runtime.eu-west-1.amazonaws.com"
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
MODELS = (
    "anthropic.claude-3-haiku-20240307-v1:0",
    "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude",
    "a model, 100%~*é",
)
NOW = datetime(2026, 11, 21, 23, 59, 58, tzinfo=UTC)


def signer(token: str = "") -> RequestSigner:
    return RequestSigner(KEY, SECRET, token, region="eu-west-1", service="bedrock", host=HOST)


def nanoseconds(when: datetime) -> int:
    return int(when.timestamp()) * 10**9


def theirs(monkeypatch: pytest.MonkeyPatch, target: bytes, body: bytes, token: str, when: datetime) -> dict[str, str]:
    """What botocore adds to the same request."""
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: when.replace(tzinfo=None))
    request = AWSRequest("POST", f"https://{HOST}{target.decode()}", data=body)
    SigV4Auth(Credentials(KEY, SECRET, token or None), "bedrock", "eu-west-1").add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def ours(one: RequestSigner, target: bytes, body: bytes, when: datetime) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in one.sign(b"POST", target, body, nanoseconds(when))}


@pytest.mark.parametrize("token", ["", "FwoGZXIvYXdzEBYaD+/="])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("safe", ["", ":"])
def test_the_paths_of_models(monkeypatch: pytest.MonkeyPatch, model: str, safe: str, token: str) -> None:
    """botocore encodes the colon of a model's id, other clients leave it as it is: each signs the bytes that it sends."""
    target = f"/model/{quote(model, safe=safe)}/converse-stream".encode()
    assert ours(signer(token), target, b'{"a":1}', NOW) == theirs(monkeypatch, target, b'{"a":1}', token, NOW)


def test_one_signer_over_midnight(monkeypatch: pytest.MonkeyPatch) -> None:
    one = signer()
    for seconds in (0, 1, 2, 3, 86_400):
        when = NOW + timedelta(seconds=seconds)
        assert ours(one, b"/model/m/converse", b"", when) == theirs(monkeypatch, b"/model/m/converse", b"", "", when)


segments = st.lists(st.sampled_from(["", ".", "..", "a", "%2F", "%3A", "b~c", "é", "x y", "+"]), max_size=6)
queries = st.lists(st.sampled_from(["a=1", "b=2", "a=0", "b", "c=", "a=%20"]), max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(segments, queries, st.binary(max_size=60))
def test_any_target(monkeypatch: pytest.MonkeyPatch, path: list[str], query: list[str], body: bytes) -> None:
    target = quote("/" + "/".join(path), safe="/%~+").encode() + (b"?" + "&".join(query).encode() if query else b"")
    assert ours(signer(), target, body, NOW) == theirs(monkeypatch, target, body, "", NOW)
