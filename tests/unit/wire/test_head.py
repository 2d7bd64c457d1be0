"""What the head parser makes of good heads; bad ones are the smuggling table's (tests/faults)."""

import pytest

from tidegate.wire.fault import WireFault
from tidegate.wire.head import CHUNKED, Head, HeadParser


def parse(*lines: bytes, parser: HeadParser | None = None) -> Head:
    return (parser or HeadParser(100)).parse(b"\r\n".join(lines))


def test_a_head_in_parts() -> None:
    head = parse(b"POST /a%2Fb?c=d HTTP/1.1", b"Host: x", b"X-A:  1 ", b"x-a: 2", b"Content-Length: 3")
    request = head.request
    assert (request.method, request.target) == (b"POST", b"/a%2Fb?c=d")
    assert (request.path, request.query, request.version) == (b"/a%2Fb", b"c=d", "1.1")
    assert request.headers == [(b"host", b"x"), (b"x-a", b"1"), (b"x-a", b"2"), (b"content-length", b"3")]
    assert request.header(b"x-a") == b"1"
    assert (head.length, head.keep_alive, head.expects) == (3, True, False)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/?", b"/", b""),
        (b"/?a?b", b"/", b"a?b"),
        (b"http://x", b"/", b""),
        (b"http://X?q", b"/", b"q"),
        (b"https://x/a/../b?http://y", b"/a/../b", b"http://y"),
    ],
)
def test_targets(target: bytes, path: bytes, query: bytes) -> None:
    request = parse(b"GET " + target + b" HTTP/1.1", b"Host: x").request
    assert (request.target, request.path, request.query) == (target, path, query)


@pytest.mark.parametrize(
    ("version", "connection", "keep_alive"),
    [
        (b"1.1", [], True),
        (b"1.1", [b"Connection: close"], False),
        (b"1.1", [b"Connection: keep-alive , CLOSE"], False),
        (b"1.1", [b"Connection: x", b"Connection: close"], False),
        (b"1.1", [b"Connection: closed"], True),
        (b"1.0", [], False),
        (b"1.0", [b"Connection: Keep-Alive"], True),
        (b"1.0", [b"Connection: keep-alive, close"], False),
    ],
)
def test_keep_alive(version: bytes, connection: list[bytes], keep_alive: bool) -> None:
    assert parse(b"GET / HTTP/" + version, b"Host: x", *connection).keep_alive is keep_alive


def test_framing() -> None:
    assert parse(b"POST / HTTP/1.1", b"Host: x", b"Transfer-Encoding: Chunked").length == CHUNKED
    assert parse(b"POST / HTTP/1.1", b"Host: x", b"Content-Length: 0").length == 0
    assert parse(b"POST / HTTP/1.1", b"Host: x", b"Expect: 100-Continue").expects
    assert not parse(b"POST / HTTP/1.0", b"Expect: 100-continue").expects


def test_a_line_seen_before_is_read_the_same() -> None:
    parser = HeadParser(100)
    lines = (b"GET /a HTTP/1.1", b"Host: x", b"HOST2: y", b"Authorization: Bearer k", b"Traceparent: 00", b"A: b")
    first = parse(*lines, parser=parser).request
    for _ in range(3):
        again = parse(*lines, parser=parser).request
        assert again.headers == first.headers
        assert (again.method, again.path) == (b"GET", b"/a")


def test_what_was_good_once_is_still_checked_when_it_differs() -> None:
    parser = HeadParser(100)
    parse(b"GET / HTTP/1.1", b"Host: x", b"Authorization: Bearer k", parser=parser)
    for line in (b"Authorization: Bearer \0", b"Authorization: a\rb", b"Authorization: a\nb", b"Authorization : k"):
        with pytest.raises(WireFault):
            parse(b"GET / HTTP/1.1", b"Host: x", line, parser=parser)
    for line in (b"Host: x y", b"Host:", b"Host"):
        with pytest.raises(WireFault):
            parse(b"GET / HTTP/1.1", line, parser=parser)


def test_tables_are_bounded_and_hold_no_credentials() -> None:
    parser = HeadParser(100)
    for number in range(5000):
        secret = b"s3cret-%d" % number
        parse(
            b"GET /%d?key=%b HTTP/1.1" % (number, secret),
            b"Host: x",
            b"X-%d: %d" % (number, number),
            b"Authorization: Bearer " + secret,
            b"x-api-key: " + secret,
            b"Cookie: a=" + secret,
            parser=parser,
        )
        parse(b"GET /%d HTTP/1.1" % number, b"Host: x", parser=parser)
    for table in (parser._line.__self__, parser._field.__self__):
        assert 0 < len(table) <= 2048
        assert not any(b"s3cret" in line for line in table)
