"""The HTTP/1.1 server: listens, counts connections, sweeps their timeouts, drains.

Knows nothing of what it serves; an `Application` is called back. No task and no timer per connection or request.
"""

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from tidegate.wire.connection import Connection
from tidegate.wire.cors import Cors, CorsSettings
from tidegate.wire.exchange import Application, Exchange, ExchangeListener
from tidegate.wire.head import HeadParser
from tidegate.wire.message import Headers, Request
from tidegate.wire.peer import Network, parse_networks
from tidegate.wire.tls import ReloadingTls, TlsFiles

__all__ = [
    "Application",
    "CorsSettings",
    "Exchange",
    "ExchangeListener",
    "Headers",
    "Request",
    "Server",
    "ServerSettings",
    "TlsFiles",
    "parse_networks",
]

_BACKLOG = 1024
_LONGEST_TICK = 0.25
_SHORTEST_TICK = 0.02
_TLS_CHECK_SECONDS = 1.0
_TURNED_AWAY = 64
"""Connections over the limit that may be open while they are told so; more are reset."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Sizes in bytes, times in seconds. Timeouts are coarse: they may fire a sweep (at most 250 ms) late."""

    max_head_bytes: int = 32_768
    max_headers: int = 100
    max_body_bytes: int = 33_554_432
    head_timeout: float = 10.0
    body_timeout: float = 60.0
    idle_timeout: float = 75.0
    write_stall_timeout: float = 60.0
    max_connections: int = 10_000
    trusted_proxies: tuple[Network, ...] = ()
    cors: CorsSettings | None = None

    @property
    def tick(self) -> float:
        """How often timeouts are looked at."""
        shortest = min(self.head_timeout, self.body_timeout, self.idle_timeout, self.write_stall_timeout)
        return min(max(shortest / 4, _SHORTEST_TICK), _LONGEST_TICK)


class Server:
    """Serves `app` on any number of listening sockets."""

    def __init__(
        self,
        app: Application,
        settings: ServerSettings,
        *,
        loop: asyncio.AbstractEventLoop,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`now_ns` is wall time, for the `date` field only. Raises ValueError on settings that cannot work."""
        self.app = app
        self.loop = loop
        self.draining = False
        self._now_ns = now_ns
        self._connections: set[Connection] = set()
        self._listeners: list[asyncio.Server] = []
        self._tls: list[ReloadingTls] = []
        self._tls_checked = 0.0
        self._emptied: asyncio.Event = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._second: int = -1
        self.fields = self.fields_close = self.fields_keep_alive = b""
        self.now = loop.time()
        self.update(settings)
        self._read_clocks()

    def update(self, settings: ServerSettings) -> None:
        """Takes new settings, for requests from now on; nothing under way is dropped."""
        cors = None if settings.cors is None else Cors(settings.cors)
        self.settings = settings
        self.cors = cors
        self.parser = HeadParser(settings.max_headers)
        for connection in self._connections:
            connection.trust()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    async def listen(self, sock: socket.socket, tls: TlsFiles | None = None) -> None:
        """Accepts on `sock` (bound; it becomes the server's) until `drain` or `close`.

        Raises OSError or ssl.SSLError when the TLS files cannot be used.
        """
        reloading = None if tls is None else ReloadingTls(tls)
        listener = await self.loop.create_server(
            lambda: Connection(self),
            sock=sock,
            backlog=_BACKLOG,
            ssl=None if reloading is None else reloading.context,
            ssl_handshake_timeout=None if reloading is None else self.settings.head_timeout,
        )
        self._listeners.append(listener)
        if reloading is not None:
            self._tls.append(reloading)
        if self._timer is None:
            self._sweep()

    def refresh_tls(self) -> bool:
        """Takes up changed TLS files now; it is done every second anyway. → whether any had changed."""
        return any([tls.refresh() for tls in self._tls])

    async def drain(self, seconds: float) -> bool:
        """Stops accepting, ends idle connections, lets running answers finish as the last of their connections.

        → whether all ended within `seconds`; those that did not are still open.
        """
        self.draining = True
        self._stop_listening()
        for connection in list(self._connections):
            connection.drain()
        if self._connections:
            self._emptied.clear()
            try:
                await asyncio.wait_for(self._emptied.wait(), seconds)
            except TimeoutError:
                return False
        return True

    async def close(self) -> None:
        """Ends everything now. The application hears `on_disconnect` for what was under way."""
        self.draining = True
        self._stop_listening()
        for connection in list(self._connections):
            connection.kill()
        if self._connections:
            self._emptied.clear()
            await self._emptied.wait()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_listening(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    # What connections ask.

    def admit(self, connection: Connection) -> None:
        """A connection was made."""
        self._connections.add(connection)
        over = len(self._connections) - self.settings.max_connections
        if over > _TURNED_AWAY:
            connection.kill()
        elif over > 0:
            connection.turn_away()

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        if not self._connections:
            self._emptied.set()

    def answer_options(self, exchange: Exchange) -> bool:
        """Answers what of OPTIONS is the server's: `*` and CORS preflights. → whether it did."""
        block = b"" if exchange.request.target == b"*" else None
        if block is None and self.cors is not None:
            block = self.cors.preflight(exchange.request)
        if block is None:
            return False
        exchange.respond(204, block, b"")
        return True

    # Time.

    def _sweep(self) -> None:
        self._timer = self.loop.call_later(self.settings.tick, self._sweep)
        self._read_clocks()
        now = self.now
        for connection in list(self._connections):
            connection.sweep(now)
        if self._tls and now - self._tls_checked >= _TLS_CHECK_SECONDS:
            self._tls_checked = now
            self.refresh_tls()

    def _read_clocks(self) -> None:
        self.now = self.loop.time()
        second = self._now_ns() // 1_000_000_000
        if second != self._second:
            self._second = second
            self.fields = f"date: {formatdate(second, usegmt=True)}\r\n".encode()
            self.fields_close = self.fields + b"connection: close\r\n"
            self.fields_keep_alive = self.fields + b"connection: keep-alive\r\n"
