"""The key in a request's headers."""

from hashlib import sha256

import pytest

from tidegate.gateway.credentials.identity import MISSING_KEY, UNKNOWN_KEY, key_digest
from tidegate.wire.message import Headers, Request


def digest_of(headers: Headers) -> bytes | None:
    return key_digest(Request(b"GET", b"/", b"/", b"", "1.1", headers=headers))


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([(b"authorization", b"Bearer tg-1")], b"tg-1"),
        ([(b"authorization", b"bearer tg-1")], b"tg-1"),
        ([(b"authorization", b"BEARER   tg-1")], b"tg-1"),
        ([(b"x-api-key", b"tg-1")], b"tg-1"),
        ([(b"api-key", b"tg-1")], b"tg-1"),
        ([(b"x-goog-api-key", b"tg-1")], b"tg-1"),
        ([(b"x-api-key", b"tg-2"), (b"authorization", b"Bearer tg-1")], b"tg-1"),
        ([(b"authorization", b"Basic dXNlcg=="), (b"x-api-key", b"tg-2")], b"tg-2"),
        ([(b"authorization", b"Bearer "), (b"x-api-key", b"tg-2")], b"tg-2"),
        ([(b"x-goog-api-key", b"tg-3"), (b"x-api-key", b"tg-2")], b"tg-2"),
        ([(b"api-key", b"tg-3"), (b"x-api-key", b"tg-2")], b"tg-2"),
        ([(b"x-api-key", b""), (b"api-key", b"tg-2")], b"tg-2"),
        ([(b"authorization", b"Bearer tg-1"), (b"authorization", b"Bearer tg-2")], b"tg-1"),
        ([(b"x-api-key", b"\xfc\xff")], b"\xfc\xff"),
    ],
)
def test_the_first_key_found_counts(headers: Headers, key: bytes) -> None:
    assert digest_of(headers) == sha256(key).digest()


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"tg-1")],
        [(b"authorization", b"Bearertg-1")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer    ")],
        [(b"authorization", b"Basic dXNlcg==")],
        [(b"x-api-key", b"")],
        [(b"cookie", b"key=tg-1")],
        [(b"proxy-authorization", b"Bearer tg-1")],
    ],
)
def test_no_key(headers: Headers) -> None:
    assert digest_of(headers) is None


def test_no_key_and_an_unknown_one_look_alike_to_an_sdk() -> None:
    assert {(problem.status, problem.code) for problem in (MISSING_KEY, UNKNOWN_KEY)} == {(401, "invalid_api_key")}
