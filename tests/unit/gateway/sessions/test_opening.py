"""Who opens a session, and how: RFC 6455 §4.2.1, the query, keys and subprotocols."""

from hashlib import sha256

import pytest

from tidegate.core.problem import Problem
from tidegate.gateway.sessions.opening import Opening, key_in_protocols, read_opening
from tidegate.wire.message import Request
from tidegate.wire.websocket import key_of

KEY = key_of(bytes(16))
HEADERS = {
    b"host": b"h",
    b"connection": b"keep-alive, Upgrade",
    b"upgrade": b"WebSocket",
    b"sec-websocket-version": b"13",
    b"sec-websocket-key": KEY,
}


def request(query: bytes = b"model=voice", version: str = "1.1", body: bytes = b"", **headers: bytes | None) -> Request:
    told = {**HEADERS, **{name.replace("_", "-").encode(): value for name, value in headers.items()}}
    pairs = [(name, value) for name, value in told.items() if value is not None]
    made = Request(b"GET", b"/v1/realtime?" + query, b"/v1/realtime", query, version, headers=pairs)
    made.body = body
    return made


def test_an_opening() -> None:
    assert read_opening(request(), b"k") == Opening("voice", KEY, "", False, b"k")


@pytest.mark.parametrize(
    ("query", "model"),
    [
        (b"model=a%20b%2Fc", "a b/c"),
        (b"api-version=2025-04-01&deployment=d", "d"),
        (b"&&model=a+b", "a b"),
    ],
)
def test_models_in_the_query(query: bytes, model: str) -> None:
    opening = read_opening(request(query), b"")
    assert isinstance(opening, Opening)
    assert opening.model == model


@pytest.mark.parametrize(
    ("offered", "protocol", "preview"),
    [
        (b"realtime, openai-insecure-api-key.k", "realtime", False),
        (b"realtime,openai-beta.realtime-v1", "realtime", True),
        (b"other", "", False),
    ],
)
def test_subprotocols(offered: bytes, protocol: str, preview: bool) -> None:
    opening = read_opening(request(sec_websocket_protocol=offered), b"")
    assert isinstance(opening, Opening)
    assert (opening.protocol, opening.preview) == (protocol, preview)


def test_the_preview_by_header() -> None:
    opening = read_opening(request(openai_beta=b"realtime=v1"), b"")
    assert isinstance(opening, Opening)
    assert opening.preview


@pytest.mark.parametrize(
    ("offered", "key"),
    [
        (b"realtime, openai-insecure-api-key.tg-secret", b"tg-secret"),
        (b"openai-insecure-api-key.", None),
        (b"realtime", None),
    ],
)
def test_keys_among_subprotocols(offered: bytes, key: bytes | None) -> None:
    digest = b"" if key is None else sha256(key).digest()
    assert key_in_protocols(request(sec_websocket_protocol=offered)) == digest


REFUSED: dict[str, tuple[Request, int]] = {
    "no upgrade": (request(upgrade=None), 426),
    "another upgrade": (request(upgrade=b"h2c"), 426),
    "not for this connection": (request(connection=b"keep-alive"), 426),
    "another version": (request(sec_websocket_version=b"8"), 426),
    "no key": (request(sec_websocket_key=None), 400),
    "a short key": (request(sec_websocket_key=b"c2hvcnQ="), 400),
    "HTTP/1.0": (request(version="1.0"), 400),
    "a body": (request(body=b"x"), 400),
    "no model": (request(b""), 400),
    "an empty model": (request(b"model="), 400),
    "a call": (request(b"model=voice&call_id=1"), 400),
    "another intent": (request(b"intent=transcription"), 400),
    "two models": (request(b"model=a&model=b"), 400),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    asked, status = REFUSED[name]
    problem = read_opening(asked, b"")
    assert isinstance(problem, Problem)
    assert problem.status == status


def test_two_keys_are_none() -> None:
    asked = request()
    asked.headers.append((b"sec-websocket-key", KEY))
    problem = read_opening(asked, b"")
    assert isinstance(problem, Problem)
    assert problem.status == 400
