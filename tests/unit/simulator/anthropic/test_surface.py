"""Paths, headers and credentials of Anthropic's surface."""

import pytest

from tidegate.simulator.anthropic.surface import claims, find_route, read_key
from tidegate.simulator.openai.surface import PATHS as OPENAI_PATHS
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.surfaces import SURFACES, find_surface
from tidegate.wire.message import Request

VERSION = (b"anthropic-version", b"2023-06-01")


def request(path: bytes, *headers: tuple[bytes, bytes], method: bytes = b"POST") -> Request:
    return Request(method, path, path, b"", "1.1", headers=list(headers))


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        (b"/v1/messages", (), "anthropic"),
        (b"/v1/messages/count_tokens", (), "anthropic"),
        (b"/v1/messages/batches", (), "anthropic"),
        (b"/v1/models", (VERSION,), "anthropic"),
        (b"/v1/models/claude", (VERSION,), "anthropic"),
        (b"/v1/models", (), "openai"),
        (b"/v1/chat/completions", (VERSION,), "openai"),
        (b"/elsewhere", (), "openai"),
    ],
)
def test_whose_a_request_is(path: bytes, headers: tuple[tuple[bytes, bytes], ...], name: str) -> None:
    assert f".{name}." in str(getattr(find_surface(request(path, *headers)), "__name__", ""))


def test_no_path_belongs_to_two() -> None:
    paths = [path for surface in SURFACES for path in surface.PATHS]
    assert len(paths) == len(set(paths))
    assert not any(claims(request(path)) for path in OPENAI_PATHS)


@pytest.mark.parametrize(
    ("asked", "status", "message"),
    [
        (request(b"/v1/messages"), 400, "anthropic-version: header is required"),
        (request(b"/v1/messages", (b"anthropic-version", b"2030-01-01")), 400, "is not a valid version"),
        (request(b"/v1/messages", VERSION, method=b"GET"), 405, "Method Not Allowed"),
        (request(b"/v1/messages/batches", VERSION), 404, "Not Found"),
    ],
)
def test_refused_before_the_body(asked: Request, status: int, message: str) -> None:
    with pytest.raises(Rejection) as caught:
        find_route(asked)
    assert caught.value.status == status
    assert message in caught.value.message


def test_the_older_header_has_precedence() -> None:
    both = request(b"/v1/messages", VERSION, (b"x-api-key", b"a"), (b"authorization", b"Bearer b"))
    assert read_key(both, find_route(both)) == "a"
    bearer = request(b"/v1/messages", VERSION, (b"authorization", b"Bearer b"))
    assert read_key(bearer, find_route(bearer)) == "b"
