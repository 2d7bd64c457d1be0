"""A server connection without sockets or a clock: bytes are fed by hand, time is told, so every cut can be tried."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from tests.support.http_server import RecordingApp

from tidegate.wire.connection import Connection
from tidegate.wire.server import Server, ServerSettings


class MemoryLoop:
    """What a server needs of a loop."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._due: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self.timers: list[Timer] = []
        """Those that nobody cancelled; they run when a test says so."""

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> None:
        self._due.append((callback, args))

    def call_later(self, seconds: float, callback: Callable[[], Any]) -> "Timer":
        timer = Timer(self, seconds, callback)
        self.timers.append(timer)
        return timer

    def settle(self) -> None:
        """Runs what is due."""
        while self._due:
            callback, args = self._due.popleft()
            callback(*args)


class Timer:
    """One that is due when a test runs it."""

    def __init__(self, loop: MemoryLoop, seconds: float, callback: Callable[[], Any]) -> None:
        self.seconds = seconds
        self._loop = loop
        self._callback = callback

    def cancel(self) -> None:
        if self in self._loop.timers:
            self._loop.timers.remove(self)

    def run(self) -> None:
        self.cancel()
        self._callback()
        self._loop.settle()


class MemoryTransport:
    """Keeps what was written. `unread` bytes count as not taken by the client."""

    def __init__(self, peer: str, loop: MemoryLoop) -> None:
        self.written = bytearray()
        self.unread = 0
        self.closed = self.aborted = self.ended = self.reading_paused = False
        self._peer = peer
        self._loop = loop
        self.protocol: Connection | None = None

    def get_extra_info(self, name: str) -> tuple[str, int] | None:
        return (self._peer, 4711) if name == "peername" else None

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self.unread

    def write(self, data: bytes) -> None:
        assert not self.ended, "a write after the end"
        if not self.closed:
            self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        assert not self.reading_paused
        self.reading_paused = True

    def resume_reading(self) -> None:
        assert self.reading_paused
        self.reading_paused = False

    def close(self) -> None:
        self._end()

    def abort(self) -> None:
        self.aborted = True
        self._end()

    def _end(self) -> None:
        if not self.closed:
            self.closed = True
            assert self.protocol is not None
            self._loop.call_soon(self.protocol.connection_lost, None)


class MemoryWire:
    """One connection of one server."""

    def __init__(self, app: RecordingApp, settings: ServerSettings | None = None, peer: str = "192.0.2.9") -> None:
        self.loop = MemoryLoop()
        loop = cast(asyncio.AbstractEventLoop, self.loop)
        self.server = Server(app, settings or ServerSettings(), loop=loop, now_ns=lambda: 1_700_000_000_000_000_000)
        self.transport = MemoryTransport(peer, self.loop)
        self.connection = Connection(self.server)
        self.transport.protocol = self.connection
        self.connection.connection_made(cast(asyncio.Transport, self.transport))

    @property
    def written(self) -> bytes:
        return bytes(self.transport.written)

    def feed(self, *pieces: bytes) -> None:
        """Pieces as reads from the socket; none while reading is paused or after the end."""
        for piece in pieces:
            if self.transport.closed:
                return
            assert not self.transport.reading_paused
            self.connection.data_received(piece)
            self.loop.settle()

    def pass_time(self, seconds: float) -> None:
        """Lets time go by and the server look at its timeouts."""
        self.loop.now += seconds
        self.server.now = self.loop.now
        self.connection.sweep(self.loop.now)
        self.loop.settle()
