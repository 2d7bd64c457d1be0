"""Every row of the smuggling table, over a real socket and through every cut."""

import pytest
from tests.faults.smuggling_table import ACCEPTED, HIDDEN, LAST, REFUSED, UNFINISHED
from tests.support.http_server import RecordingApp, ask, run, serving
from tests.support.memory_wire import MemoryWire

from tidegate.wire.server import ServerSettings

SETTINGS = ServerSettings(max_head_bytes=8192, max_headers=50, max_body_bytes=1_000_000)
FAMILIAR = [raw for _, raw, seen in ACCEPTED if seen is not None]


def test_the_table_is_as_long_as_promised() -> None:
    names = [name for name, _, _ in REFUSED]
    assert len(set(names)) == len(names) >= 150


@pytest.mark.parametrize(("raw", "status"), [pytest.param(raw, status, id=name) for name, raw, status in REFUSED])
def test_refused(raw: bytes, status: int) -> None:
    """The right status, one answer, the connection ends, and nothing behind it is ever served."""
    app = RecordingApp()

    async def main() -> bytes:
        async with serving(app, SETTINGS) as (_, port):
            return await ask(port, raw + HIDDEN)

    answer = run(main())
    assert app.seen == []
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nconnection: close" in head
    assert b"content-length: %d\r\n" % len(body) in head + b"\r\n"
    assert answer.count(b"HTTP/1.1 %d " % status) == 1
    assert [error for error, _ in app.errors] == [status]


@pytest.mark.parametrize(("raw", "status"), [pytest.param(raw, status, id=name) for name, raw, status in UNFINISHED])
def test_refused_as_soon_as_it_cannot_become_good(raw: bytes, status: int) -> None:
    app = RecordingApp()

    async def main() -> bytes:
        async with serving(app, SETTINGS) as (_, port):
            return await ask(port, raw)

    assert run(main()).startswith(b"HTTP/1.1 %d " % status)
    assert app.seen == []


@pytest.mark.parametrize(("raw", "expected"), [pytest.param(raw, seen, id=name) for name, raw, seen in ACCEPTED])
def test_accepted(raw: bytes, expected: list[tuple[bytes, bytes, bytes]] | None) -> None:
    """What is right is served, as it was meant, and so is the request behind it."""
    app = RecordingApp()

    async def main() -> bytes:
        async with serving(app, SETTINGS) as (_, port):
            return await ask(port, raw + LAST)

    answer = run(main())
    assert app.errors == []
    assert app.seen[-1] == (b"GET", b"/last", b"")
    if expected is not None:
        assert app.seen[:-1] == expected
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == len(app.seen) >= 2


@pytest.mark.parametrize(("raw", "status"), [pytest.param(raw, status, id=name) for name, raw, status in REFUSED])
def test_refused_byte_by_byte(raw: bytes, status: int) -> None:
    """A row is refused alike when each byte comes alone, on a connection that has served requests with those fields."""
    app = RecordingApp()
    wire = MemoryWire(app, SETTINGS)
    wire.feed(*FAMILIAR)
    app.requests.clear()
    wire.transport.written.clear()
    step = 1 if len(raw) < 2000 else 997
    data = raw + HIDDEN
    wire.feed(*(data[cut : cut + step] for cut in range(0, len(data), step)))
    assert app.seen == []
    assert [error for error, _ in app.errors] == [status]
    assert wire.written.startswith(b"HTTP/1.1 %d " % status)
    assert wire.transport.ended


@pytest.mark.parametrize(("raw", "expected"), [pytest.param(raw, seen, id=name) for name, raw, seen in ACCEPTED])
def test_accepted_byte_by_byte(raw: bytes, expected: list[tuple[bytes, bytes, bytes]] | None) -> None:
    """A right request is the same request when each byte comes alone."""
    app = RecordingApp()
    wire = MemoryWire(app, SETTINGS)
    data = raw + LAST
    wire.feed(*(data[cut : cut + 1] for cut in range(len(data))))
    assert app.errors == []
    assert app.seen[-1] == (b"GET", b"/last", b"")
    if expected is not None:
        assert app.seen[:-1] == expected
