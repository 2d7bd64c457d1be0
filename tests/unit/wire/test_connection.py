"""One connection without sockets: every cut of the bytes, any bytes at all, time, pressure, and clients that go."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.http_server import RecordingApp, Watcher
from tests.support.memory_wire import MemoryWire

from tidegate.wire.server import ServerSettings

H = b"Host: a.example\r\n"
GET = b"GET / HTTP/1.1\r\n" + H + b"\r\n"
SMALL = ServerSettings(max_head_bytes=512, max_headers=8, max_body_bytes=200)
TIMES = ServerSettings(head_timeout=1, body_timeout=2, idle_timeout=3, write_stall_timeout=4)


def silent(app: RecordingApp) -> RecordingApp:
    app.handler = lambda exchange: None
    return app


# Cuts.

BODIES = st.binary(max_size=60)


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, tuple[bytes, bytes, bytes]]:
    """A valid request → (its bytes, what the application must see)."""
    method = draw(st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE"]))
    target = draw(st.sampled_from([b"/", b"/a%2Fb", b"/x?y=z", b"//"]))
    head = draw(st.sampled_from([b"", b"\r\n"])) + method + b" " + target + b" HTTP/1.1\r\n" + H
    head += draw(st.sampled_from([b"", b"A: b\r\n", b"A:\r\nB: \xff \t\r\n"]))
    body = draw(BODIES)
    match draw(st.sampled_from(["none", "sized", "chunked"])):
        case "none":
            return head + b"\r\n", (method, target, b"")
        case "sized":
            return head + b"Content-Length: %d\r\n\r\n" % len(body) + body, (method, target, body)
        case _:
            raw = head + b"Transfer-Encoding: chunked\r\n\r\n"
            left = body
            while left:
                size = draw(st.integers(1, len(left)))
                raw += b"%x%b\r\n%b\r\n" % (size, draw(st.sampled_from([b"", b";a=b"])), left[:size])
                left = left[size:]
            return raw + b"0\r\n" + draw(st.sampled_from([b"", b"X: y\r\n"])) + b"\r\n", (method, target, body)


@settings(max_examples=150, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=5), st.data())
def test_any_cut_of_a_pipelined_stream_gives_the_same_requests(
    items: list[tuple[bytes, tuple[bytes, bytes, bytes]]], data: st.DataObject
) -> None:
    stream = b"".join(raw for raw, _ in items)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=30), label="cuts"))
    app = RecordingApp()
    wire = MemoryWire(app)
    wire.feed(*(stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True) if start < end))
    assert app.errors == []
    assert app.seen == [seen for _, seen in items]
    whole = RecordingApp()
    at_once = MemoryWire(whole)
    at_once.feed(stream)
    assert whole.seen == app.seen
    assert at_once.written == wire.written


FRAGMENTS = st.sampled_from(
    [
        *(b"GET", b"POST", b" ", b"/", b"HTTP/1.1", b"\r\n", b"\n", b"\r", b"\0", b":", H, GET),
        *(b"0\r\n\r\n", b"5\r\nhello\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"),
        *(b"Expect: 100-continue\r\n", b"POST / HTTP/1.1\r\n", b"Connection: close\r\n"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(FRAGMENTS, st.binary(max_size=40)), max_size=40))
def test_any_bytes_are_answered_or_waited_for_and_end(pieces: list[bytes]) -> None:
    """No exception, no hang: whatever came, once time has passed the connection is gone."""
    app = RecordingApp()
    wire = MemoryWire(app, SMALL)
    for piece in pieces:
        if piece:
            wire.feed(piece)
    assert len(app.errors) <= 1
    assert wire.written.count(b"connection: close") <= 1
    for _ in range(3):
        if not wire.transport.closed:
            wire.pass_time(1000)
    assert wire.transport.closed
    assert wire.server.connections == 0


# Time.


def test_a_head_that_drips_is_ended() -> None:
    app = RecordingApp()
    wire = MemoryWire(app, TIMES)
    for byte in b"GET / HT":
        wire.feed(bytes([byte]))
        wire.pass_time(0.11)
    assert not wire.transport.ended
    for byte in b"TP/1":
        wire.feed(bytes([byte]))
        wire.pass_time(0.11)
    assert wire.transport.ended
    assert wire.written.startswith(b"HTTP/1.1 408 ")
    assert app.errors == [(408, "request_timeout")]
    wire.pass_time(10)  # a client that does not go by itself
    assert wire.transport.aborted


def test_a_connection_that_never_asks_is_closed_without_a_word() -> None:
    wire = MemoryWire(RecordingApp(), TIMES)
    wire.pass_time(0.9)
    assert not wire.transport.closed
    wire.pass_time(0.2)
    assert wire.transport.closed
    assert wire.written == b""


def test_an_idle_connection_is_closed_later_than_a_new_one() -> None:
    wire = MemoryWire(RecordingApp(), TIMES)
    wire.feed(GET)
    wire.pass_time(2.9)
    assert not wire.transport.closed
    wire.feed(GET)
    wire.pass_time(2.9)
    assert not wire.transport.closed
    wire.pass_time(0.2)
    assert wire.transport.closed


@pytest.mark.parametrize("framing", [b"Content-Length: 5000000", b"Transfer-Encoding: chunked"])
def test_a_body_that_drips_is_ended(framing: bytes) -> None:
    app = RecordingApp()
    wire = MemoryWire(app, TIMES)
    wire.feed(b"POST / HTTP/1.1\r\n" + H + framing + b"\r\n\r\n")
    for _ in range(20):
        wire.feed(b"1\r\nx\r\n" if b"chunked" in framing else b"x")
        wire.pass_time(0.11)
    assert wire.written.startswith(b"HTTP/1.1 408 ")
    assert app.errors == [(408, "request_timeout")]
    assert app.seen == []


def test_a_large_body_may_take_longer_while_it_comes() -> None:
    app = RecordingApp()
    wire = MemoryWire(app, TIMES)
    wire.feed(b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 1000000\r\n\r\n")
    for _ in range(10):
        wire.feed(b"x" * 100_000)
        wire.pass_time(1.0)
    assert len(app.seen) == 1
    assert app.errors == []


def test_a_running_request_is_not_timed_by_the_server() -> None:
    app = silent(RecordingApp())
    wire = MemoryWire(app, TIMES)
    wire.feed(GET)
    wire.pass_time(10_000)
    app.exchanges[0].respond(200, b"", b"")
    assert wire.written.startswith(b"HTTP/1.1 200 ")


def test_a_client_that_stops_reading_is_ended_and_one_that_reads_slowly_is_not() -> None:
    app = silent(RecordingApp())
    wire = MemoryWire(app, TIMES)
    wire.feed(GET)
    watcher = app.exchanges[0].listener = Watcher(app)
    wire.pass_time(10_000)
    app.exchanges[0].start(200, b"")
    app.exchanges[0].write(b"x" * 1000)
    for unread in (900, 800, 700):
        wire.transport.unread = unread
        wire.pass_time(3.9)
        assert not wire.transport.closed
    app.exchanges[0].write(b"x" * 100)  # written, and no less left: nothing was read
    wire.transport.unread += 106
    wire.pass_time(2)
    assert not wire.transport.closed
    wire.pass_time(2.5)
    assert wire.transport.aborted
    assert watcher.disconnects == 1


def test_a_complete_answer_that_is_not_read_is_ended_too() -> None:
    wire = MemoryWire(RecordingApp(), TIMES)
    wire.feed(GET)
    wire.transport.unread = 50
    wire.pass_time(3.5)
    wire.pass_time(4.1)
    assert wire.transport.aborted


def test_a_head_is_timed_from_its_first_byte() -> None:
    app = RecordingApp()
    wire = MemoryWire(app, TIMES)
    wire.feed(GET)
    wire.pass_time(2.9)
    wire.feed(b"GET / ")
    wire.pass_time(0.9)
    wire.feed(b"HTTP/1.1\r\n" + H + b"\r\n")
    assert len(app.seen) == 2
    assert app.errors == []


# Pressure.


def test_pausing_tells_the_application_and_holds_back_the_next_request() -> None:
    app = silent(RecordingApp())
    wire = MemoryWire(app)
    wire.feed(GET + GET)
    exchange = app.exchanges[0]
    watcher = exchange.listener = Watcher(app)
    exchange.start(200, b"")
    wire.connection.pause_writing()
    assert (exchange.writable, watcher.pauses) == (False, 1)
    wire.connection.resume_writing()
    assert (exchange.writable, watcher.resumes) == (True, 1)
    wire.connection.pause_writing()
    exchange.finish()
    wire.loop.settle()
    assert len(app.exchanges) == 1
    wire.connection.resume_writing()
    wire.loop.settle()
    assert len(app.exchanges) == 2
    assert (watcher.pauses, watcher.resumes, watcher.disconnects) == (2, 1, 0)


def test_what_a_client_sends_ahead_is_bounded() -> None:
    app = silent(RecordingApp())
    wire = MemoryWire(app)
    wire.feed(GET)
    sent = 0
    while not wire.transport.reading_paused:
        wire.feed(GET * 100)
        sent += 100
        assert sent * len(GET) < 200_000
    while len(app.exchanges) <= sent:
        app.exchanges[-1].respond(200, b"", b"")
        wire.loop.settle()
    assert not wire.transport.reading_paused
    assert len(app.exchanges) == sent + 1


def test_requests_sent_ahead_wait_while_the_client_does_not_read() -> None:
    app = RecordingApp()
    wire = MemoryWire(app)
    wire.connection.pause_writing()
    while not wire.transport.reading_paused:
        wire.feed(GET * 100)
        assert app.seen == []
    wire.connection.resume_writing()
    wire.loop.settle()
    assert len(app.seen) > 100
    assert not wire.transport.reading_paused


def test_a_socket_is_not_read_again_while_much_of_it_waits() -> None:
    app = silent(RecordingApp())
    wire = MemoryWire(app)
    wire.feed(GET)
    wire.feed(GET * 5000)
    assert wire.transport.reading_paused
    app.exchanges[-1].respond(200, b"", b"")
    wire.loop.settle()
    assert len(app.exchanges) == 2
    assert wire.transport.reading_paused


def test_a_connection_that_ends_with_bytes_unread_is_not_closed_on_them() -> None:
    """Closing a socket that holds unread bytes resets it, and the reset can overtake the answer."""
    wire = MemoryWire(RecordingApp())
    wire.feed(b"GET / HTTP/1.1\r\nConnection: close\r\n" + H + b"\r\n" + GET)
    assert wire.transport.ended
    assert not wire.transport.closed
    wire.feed(GET)
    wire.pass_time(10)
    assert wire.transport.aborted
    assert wire.written.count(b"HTTP/1.1 ") == 1


# Clients that go.


@pytest.mark.parametrize("cut", range(0, 130, 7))
def test_a_client_that_goes_at_any_moment_is_told_of_once_or_never(cut: int) -> None:
    """Before the request is whole nobody hears; while it is served, once; after the answer, nobody."""
    app = silent(RecordingApp())
    wire = MemoryWire(app)
    raw = b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    wire.feed(raw[:cut])
    for exchange in app.exchanges:
        exchange.listener = Watcher(app)
    assert wire.connection.eof_received() is None
    if not wire.transport.closed:
        wire.transport.close()  # what a loop does after that None
    wire.loop.settle()
    heard = [exchange.listener.disconnects for exchange in app.exchanges if isinstance(exchange.listener, Watcher)]
    assert heard == ([1] if cut >= len(raw) else [])
    assert wire.server.connections == 0
    for exchange in app.exchanges:
        exchange.respond(200, b"", b"too late")
        exchange.abort()
    assert wire.written == b""


@pytest.mark.parametrize("steps", range(5))
def test_a_disconnect_is_heard_only_before_the_answer_is_complete(steps: int) -> None:
    app = silent(RecordingApp())
    wire = MemoryWire(app)
    wire.feed(GET + GET)
    exchange = app.exchanges[0]
    watcher = exchange.listener = Watcher(app)
    calls = [
        lambda: exchange.start(200, b""),
        lambda: exchange.write(b"a"),
        lambda: exchange.write(b"b"),
        exchange.finish,
    ]
    for call in calls[:steps]:
        call()
    wire.connection.connection_lost(ConnectionResetError())
    wire.connection.connection_lost(None)
    for call in calls[steps:]:
        call()
    wire.loop.settle()
    assert watcher.disconnects == (0 if steps == 4 else 1)
    assert exchange.closed
    assert len(app.exchanges) == 1  # nobody is there to answer the second


def test_an_application_that_ends_the_call_when_it_hears_of_the_disconnect_hears_it_once() -> None:
    app = silent(RecordingApp())
    wire = MemoryWire(app)
    wire.feed(GET)
    exchange = app.exchanges[0]

    class Ending(Watcher):
        def on_disconnect(self) -> None:
            super().on_disconnect()
            exchange.respond(200, b"", b"")
            exchange.abort()

    watcher = exchange.listener = Ending(app)
    wire.connection.eof_received()
    wire.loop.settle()
    assert watcher.disconnects == 1
    assert wire.written == b""
