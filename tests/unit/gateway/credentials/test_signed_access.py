"""Access keys of the gateway: whose they are, and what is refused by the head alone."""

from hashlib import sha256
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tidegate.core.problem import Problem
from tidegate.gateway.credentials.signed_access import SignedAccess, issue
from tidegate.wire.message import Request
from tidegate.wire.sigv4_check import read_presented

SECRET = "s" * 32
DIGEST = sha256(b"tg-key").digest()
PAIR = issue(SECRET, DIGEST)
ACCESS = SignedAccess(SECRET, [DIGEST])
BODY = b"{}"


def signed(
    key: str = PAIR.id, secret: str = PAIR.secret, token: str | None = None, service: str = "bedrock"
) -> Request:
    request = AWSRequest("POST", "http://127.0.0.1/model/a/converse", data=BODY)
    SigV4Auth(Credentials(key, secret, token), service, "us-east-1").add_auth(request)
    headers = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    path = b"/model/a/converse"
    arrived = Request(b"POST", path, path, b"", "1.1", headers=[(b"host", b"127.0.0.1"), *headers])
    arrived.body = BODY
    return arrived


def identified(request: Request, *, late: int = 0, whole: bool = True, access: SignedAccess = ACCESS) -> Any:
    now = read_presented(request).seconds() + late
    return access.digest_of(request, now * 10**9, whole=whole)


def test_pairs() -> None:
    """They look like AWS's, follow from both secrets, and tell neither."""
    assert (len(PAIR.id), PAIR.id[:2], len(PAIR.secret)) == (20, "TG", 44)
    assert issue(SECRET, DIGEST) == PAIR
    assert issue("t" * 32, DIGEST).secret != PAIR.secret
    assert issue(SECRET, sha256(b"other").digest()).id != PAIR.id


@pytest.mark.parametrize("late", [-300, 0, 300])
def test_the_key_that_signed_is_found(late: int) -> None:
    assert identified(signed(), late=late) == DIGEST


@pytest.mark.parametrize(
    ("fields", "late", "code", "told"),
    [
        ({}, 301, "invalid_signature", "expired"),
        ({}, -301, "invalid_signature", "not yet current"),
        ({"token": "session"}, 0, "invalid_signature", "x-amz-security-token"),
        ({"service": "s3"}, 0, "invalid_signature", "`s3`"),
        ({"key": "TGUNKNOWN"}, 0, "invalid_api_key", "not known"),
    ],
)
def test_what_the_head_alone_refuses(fields: dict[str, str], late: int, code: str, told: str) -> None:
    problem = identified(signed(**fields), late=late, whole=False)
    assert isinstance(problem, Problem)
    assert (problem.status, problem.code) == (403, code)
    assert told in problem.message


def test_a_wrong_secret_is_told_with_the_body() -> None:
    assert identified(signed(secret="wrong"), whole=False) == DIGEST
    assert identified(signed(secret="wrong")).code == "invalid_signature"


def test_none_are_taken_without_a_secret() -> None:
    problem = identified(signed(), access=SignedAccess(None, [DIGEST]))
    assert "awsAccess" in problem.message
