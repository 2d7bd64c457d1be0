"""HTTP/1.1 client: a pool of keep-alive connections to one origin, driven by callbacks.

On a warm connection a call costs one write and the callbacks of its answer: no task, no future, no timer. Owns connections
and timeouts; knows nothing of what the messages mean.
"""

import asyncio
import logging
import ssl
from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

from tidegate.wire.outbound import Call, Failure, FailureKind, Sink
from tidegate.wire.pooled import PooledConnection
from tidegate.wire.proxy import Proxy, ProxyInvalid, ProxyRefused, Tunnel, proxy_for
from tidegate.wire.resolver import Address, ResolutionFailed, Resolver

__all__ = [
    "Call",
    "Failure",
    "FailureKind",
    "Origin",
    "Pool",
    "PoolSettings",
    "Resolver",
    "Sink",
    "TlsSettings",
    "parse_origin",
]

_SWEEP_SECONDS: Final = 0.1

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what connections are pooled by."""

    scheme: Literal["http", "https"]
    host: str
    port: int

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"


def parse_origin(url: str) -> tuple[Origin, bytes]:
    """`https://host:8443/base/` → (origin, b"/base"). Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is not an http or https URL without query and fragment")
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    port = parts.port or (443 if scheme == "https" else 80)
    return Origin(scheme, parts.hostname, port), parts.path.rstrip("/").encode()


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Files are PEM. `verify` False accepts any certificate: for tests only."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file)
        context.set_alpn_protocols(["http/1.1"])
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert_file is not None:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """Seconds and counts. `max_waiting` calls may wait for a connection when `max_connections` are busy."""

    connect_timeout: float = 5.0
    first_byte_timeout: float = 60.0
    idle_timeout: float = 60.0
    total_timeout: float = 600.0
    max_connections: int = 1000
    max_idle: int = 256
    idle_expiry: float = 30.0
    max_waiting: int = 1000
    tls: TlsSettings = field(default_factory=TlsSettings)
    context: ssl.SSLContext | None = None
    """In place of one made from `tls`: for pools that are many and do not last."""
    use_environment_proxy: bool = True


class Pool:
    """Connections to one origin with one credential; the most recently used is used next, so that others may expire."""

    def __init__(
        self, origin: Origin, settings: PoolSettings, *, loop: asyncio.AbstractEventLoop, resolver: Resolver
    ) -> None:
        self.origin = origin
        self.settings = settings
        self._loop = loop
        self._resolver = resolver
        self._idle: list[PooledConnection] = []
        self._all: set[PooledConnection] = set()
        self._waiting: deque[Call] = deque()
        self._connecting: dict[asyncio.Task[None], Call] = {}
        self._ssl = (settings.context or settings.tls.context()) if origin.scheme == "https" else None
        self._proxy: Proxy | None = None
        self._proxy_fault = ""
        if settings.use_environment_proxy:
            try:
                self._proxy = proxy_for(origin.scheme, origin.host, origin.port)
            except ProxyInvalid as error:
                self._proxy_fault = str(error)  # told to each call: none goes around the proxy
        self._closed = False
        self._sweeper: asyncio.TimerHandle | None = None

    @property
    def open_connections(self) -> int:
        return len(self._all) + len(self._connecting)

    @property
    def idle_connections(self) -> int:
        return len(self._idle)

    def send(self, head: bytes, body: bytes, sink: Sink, *, replayable: bool, total: float | None = None) -> Call:
        """`head` is the whole encoded head, blank line included. `total` bounds this call below the pool's own bound."""
        now = self._loop.time()
        limit = self.settings.total_timeout if total is None else min(total, self.settings.total_timeout)
        call = Call(
            head,
            body,
            sink,
            replayable=replayable,
            starts_by=now + self.settings.connect_timeout,
            ends_at=now + limit,
        )
        self._place(call)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)
        return call

    def close(self) -> None:
        """Idle connections close now, the others when their call is over."""
        self._closed = True
        for connection in self._idle[:]:
            connection.drop()

    def _place(self, call: Call, *, fresh: bool = False) -> None:
        while self._idle and not fresh:
            connection = self._idle.pop()
            if connection.usable:
                connection.begin(call)
                return
        if self.open_connections < self.settings.max_connections:
            self._connect(call)
        elif len(self._waiting) < self.settings.max_waiting:
            self._waiting.append(call)
        else:
            failure = Failure(
                "pool-full", f"all {self.settings.max_connections} connections are busy, and the queue is full"
            )
            self._loop.call_soon(call.fail, failure)

    def _connect(self, call: Call) -> None:
        task = self._loop.create_task(self._opened(call))
        self._connecting[task] = call
        task.add_done_callback(self._connected)

    def _connected(self, task: "asyncio.Task[None]") -> None:
        call = self._connecting.pop(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("a connection could not be opened", exc_info=error)  # a bug: it ends its own call, not more
            call.fail(Failure("connect", f"cannot connect to {self.origin.host_header}"))
        elif task.cancelled():  # with the lookup of its name, by a resolver that was closed
            call.fail(Failure("connect", f"cannot connect to {self.origin.host_header}: given up"))
        self._serve_waiting()

    async def _opened(self, call: Call) -> None:
        try:
            async with asyncio.timeout_at(min(call.starts_by, call.ends_at)):
                connection = await self._open()
        except TimeoutError:
            call.fail(Failure("connect-timeout", f"no connection to {self.origin.host_header} in time"))
            return
        except ssl.SSLError as error:
            call.fail(Failure("tls", f"TLS with {self.origin.host_header} failed: {error.reason or error}"))
            return
        except (OSError, ResolutionFailed, ProxyRefused, ProxyInvalid) as error:
            reason = getattr(error, "strerror", None) or str(error)
            through = "" if self._proxy is None else " through the proxy"
            call.fail(Failure("connect", f"cannot connect to {self.origin.host_header}{through}: {reason}"))
            return
        if call.over:
            self.free(connection)
        else:
            connection.begin(call)

    async def _open(self) -> "PooledConnection":
        """Tries each address in turn; the last one's error is the one that is told."""
        if self._proxy_fault:
            raise ProxyInvalid(self._proxy_fault)
        via = self._proxy
        host, port = (self.origin.host, self.origin.port) if via is None else (via.host, via.port)
        addresses = await self._resolver.lookup(host, port)
        for position, address in enumerate(addresses, 1):
            try:
                return await self._open_at(address)
            except OSError:
                if position == len(addresses):
                    raise
        raise ResolutionFailed(f"{host} has no address")

    def _made(self) -> PooledConnection:
        return PooledConnection(self, self._loop)

    async def _open_at(self, address: Address) -> "PooledConnection":
        name = self.origin.host if self._ssl is not None else None
        if self._proxy is None or self._ssl is None:
            _, connection = await self._loop.create_connection(
                self._made, *address, ssl=self._ssl, server_hostname=name
            )
            return connection
        opened: asyncio.Future[None] = self._loop.create_future()
        tunnel = Tunnel(self._proxy, self.origin.host, self.origin.port, opened)
        transport, _ = await self._loop.create_connection(lambda: tunnel, *address)
        try:
            await opened
            connection = self._made()
            upgraded = await self._loop.start_tls(transport, connection, self._ssl, server_hostname=name)
        except BaseException:
            transport.abort()
            raise
        if upgraded is None:
            raise ConnectionResetError("the connection closed during the TLS handshake")
        connection.connection_made(upgraded)
        return connection

    # What connections tell.

    def proxied(self, head: bytes) -> bytes:
        """Plain HTTP through a proxy names the whole URL (RFC 9112 §3.2.2)."""
        if self._proxy is None or self._ssl is not None:
            return head
        method, _, rest = head.partition(b" ")
        line, _, fields = rest.partition(b"\r\n")
        authorization = self._proxy.authorization
        extra = b"proxy-authorization: " + authorization + b"\r\n" if authorization else b""
        return b"%s http://%s%s\r\n%s%s" % (method, self.origin.host_header.encode(), line, extra, fields)

    def joined(self, connection: "PooledConnection") -> None:
        self._all.add(connection)

    def left(self, connection: "PooledConnection") -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._serve_waiting()

    def free(self, connection: "PooledConnection") -> None:
        """Its answer is complete and it may be used again."""
        while self._waiting:
            call = self._waiting.popleft()
            if not call.over:
                connection.begin(call)
                return
        if self._closed or len(self._idle) >= self.settings.max_idle:
            connection.drop()
        else:
            connection.idle_since = self._loop.time()
            self._idle.append(connection)

    def again(self, call: Call) -> None:
        """A kept connection proved dead before any answer: once more, on a fresh one."""
        call.replayable = False
        call.connection = None
        self._place(call, fresh=True)

    def _serve_waiting(self) -> None:
        while self._waiting and self.open_connections < self.settings.max_connections:
            call = self._waiting.popleft()
            if not call.over:
                self._connect(call)

    def _sweep(self) -> None:
        """All timeouts of all connections, a few times a second, instead of timers per call."""
        now = self._loop.time()
        expired = now - self.settings.idle_expiry
        for connection in list(self._all):
            connection.sweep(now, expired)
        while self._waiting and (
            self._waiting[0].over or min(self._waiting[0].starts_by, self._waiting[0].ends_at) < now
        ):
            self._waiting.popleft().fail(Failure("connect-timeout", "no connection became free in time"))
        self._sweeper = None
        if self._all or self._waiting or self._connecting:
            self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)
