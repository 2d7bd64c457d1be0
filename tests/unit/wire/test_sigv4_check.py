"""Signatures that come in, made by botocore's own signer."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tidegate.wire.message import Request
from tidegate.wire.sigv4_check import BadSignature, is_good, read_presented

SECRET = "a/secret+key"
BODY = b'{"messages": []}'
PATHS = (
    "/model/gpt-4.1/converse",
    "/model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/invoke",
    "/model/anthropic.claude-3-5-sonnet-20241022-v2:0/invoke",
    "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Ainference-profile%2Fx/converse-stream",
    "/model/meta-llama%2FLlama-3.1%20~x/converse",
    "/bedrock/model/a/converse?b=2&a=1",
)


def signed(target: str, body: bytes = BODY, **headers: str) -> Request:
    """As it arrives."""
    request = AWSRequest("POST", f"https://gateway.example:8443{target}", data=body, headers=headers)
    SigV4Auth(Credentials("TGEXAMPLE", SECRET), "bedrock", "eu-west-1").add_auth(request)
    sent = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    return arrived(target, [(b"host", b"gateway.example:8443"), *sent], body)


def arrived(target: str, headers: list[tuple[bytes, bytes]], body: bytes) -> Request:
    path, _, query = target.encode().partition(b"?")
    request = Request(b"POST", target.encode(), path, query, "1.1", headers=headers)
    request.body = body
    return request


def changed(request: Request, name: bytes, value: bytes | None) -> Request:
    """Without the header, or with another value of it."""
    headers = [pair for pair in request.headers if pair[0] != name]
    headers += [] if value is None else [(name, value)]
    return arrived(request.target.decode(), headers, request.body)


@pytest.mark.parametrize("target", PATHS)
def test_botocores_signatures_are_good(target: str) -> None:
    request = signed(target, **{"Content-Type": "application/json", "X-Odd": "  two   spaces "})
    presented = read_presented(request)
    assert is_good(presented, SECRET, request)
    assert (presented.key_id, presented.region, presented.service) == ("TGEXAMPLE", "eu-west-1", "bedrock")
    assert abs(presented.seconds() - datetime.now(UTC).timestamp()) < 3600
    assert not is_good(presented, SECRET + "x", request)


def tampered_body(request: Request) -> Request:
    request.body += b" "
    return request


def tampered_path(request: Request) -> Request:
    return arrived("/model/gpt-4.2/converse", request.headers, request.body)


TAMPERED: dict[str, Any] = {
    "body": tampered_body,
    "path": tampered_path,
    "query": lambda request: arrived("/model/gpt-4.1/converse?a=1", request.headers, request.body),
    "host": lambda request: changed(request, b"host", b"other.example"),
    "signed header": lambda request: changed(request, b"content-type", b"text/plain"),
    "hash": lambda request: changed(request, b"authorization", dict(request.headers)[b"authorization"][:-1] + b"g"),
}


@pytest.mark.parametrize("name", [name for name in TAMPERED if name != "hash"])
def test_what_was_changed_on_the_way(name: str) -> None:
    request = TAMPERED[name](signed(PATHS[0], **{"Content-Type": "application/json"}))
    assert not is_good(read_presented(request), SECRET, request)


def test_a_body_whose_hash_is_told() -> None:
    request = signed(PATHS[0], **{"X-Amz-Content-SHA256": "0" * 64})
    assert not is_good(read_presented(request), SECRET, request)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (b"x-amz-date", None, "x-amz-date"),
        (b"x-amz-date", b"20200101T000000Z", "day"),
        (b"x-amz-target", b"unsigned", "x-amz-target"),
        (b"authorization", b"AWS4-ECDSA-P256-SHA256 Credential=a", "AWS4-HMAC-SHA256"),
        (b"authorization", b"AWS4-HMAC-SHA256 " + b"x" * 10_000, "AWS4-HMAC-SHA256"),
        (b"host", None, "host"),
    ],
)
def test_what_cannot_be_a_signature(name: bytes, value: bytes | None, told: str) -> None:
    with pytest.raises(BadSignature, match=told):
        read_presented(changed(signed(PATHS[0]), name, value))


@pytest.mark.parametrize("told", ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"])
def test_bodies_that_are_not_signed(told: str) -> None:
    with pytest.raises(BadSignature, match="unsigned"):
        read_presented(signed(PATHS[0], **{"X-Amz-Content-SHA256": told}))
