"""A wire server for tests: an application that records what it was given, and a client that speaks raw bytes."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import uvloop

from tidegate.wire.server import Exchange, Request, Server, ServerSettings, TlsFiles

GUARD_SECONDS = 15.0
"""No test waits longer; it is reached only by a fault."""

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs `main` on a fresh uvloop, bounded in time."""

    async def bounded() -> T:
        async with asyncio.timeout(GUARD_SECONDS):
            return await main

    return uvloop.run(bounded())


def echo(exchange: Exchange) -> None:
    """Answers with what was asked."""
    request = exchange.request
    exchange.respond(200, b"content-type: text/plain\r\n", request.method + b" " + request.target + b" " + request.body)


class RecordingApp:
    """Keeps what it was given; answers by `handler`."""

    def __init__(self, handler: Callable[[Exchange], None] = echo) -> None:
        self.handler = handler
        self.heads: list[Request] = []
        self.requests: list[Request] = []
        self.exchanges: list[Exchange] = []
        self.errors: list[tuple[int, str]] = []
        self.refusal: tuple[int, bytes, bytes] | None = None
        self._changed = asyncio.Event()

    @property
    def seen(self) -> list[tuple[bytes, bytes, bytes]]:
        """(method, target, body) of each request."""
        return [(request.method, request.target, request.body) for request in self.requests]

    def on_head(self, request: Request) -> tuple[int, bytes, bytes] | None:
        assert request.body == b""
        self.heads.append(request)
        self.changed()
        return self.refusal

    def on_request(self, exchange: Exchange) -> None:
        self.requests.append(exchange.request)
        self.exchanges.append(exchange)
        self.changed()
        self.handler(exchange)

    def wire_error(self, request: Request | None, status: int, code: str, message: str) -> tuple[bytes, bytes]:
        self.errors.append((status, code))
        self.changed()
        return b"content-type: text/plain\r\n", f"{code}: {message}".encode()

    def changed(self) -> None:
        """Wakes `until`."""
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for `condition`, looked at whenever the application hears something."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()


class Watcher:
    """A listener that counts what it hears."""

    def __init__(self, app: RecordingApp) -> None:
        self.app = app
        self.disconnects = self.pauses = self.resumes = 0

    def on_disconnect(self) -> None:
        self.disconnects += 1
        self.app.changed()

    def on_pause(self) -> None:
        self.pauses += 1
        self.app.changed()

    def on_resume(self) -> None:
        self.resumes += 1
        self.app.changed()


@asynccontextmanager
async def serving(
    app: RecordingApp, settings: ServerSettings | None = None, tls: TlsFiles | None = None
) -> AsyncIterator[tuple[Server, int]]:
    """→ (server, port on 127.0.0.1)."""
    server = Server(app, settings or ServerSettings(), loop=asyncio.get_running_loop())
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    await server.listen(sock, tls)
    try:
        yield server, port
    finally:
        await server.close()


class Client:
    """One raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def rest(self) -> bytes:
        """Everything until the server ends the connection, by FIN or by reset."""
        received = b""
        try:
            while data := await self.reader.read(65_536):
                received += data
        except ConnectionError:
            pass
        return received

    async def until(self, end: bytes) -> bytes:
        return await self.reader.readuntil(end)

    async def answer(self, method: bytes = b"GET") -> "Answer":
        """The next answer, of known length or chunked."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        answer = parse_head(head)
        if method == b"HEAD" or answer.status in (204, 304) or answer.status < 200:
            return answer
        if answer.headers.get(b"transfer-encoding") == b"chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                answer.body += await self.reader.readexactly(size)
                assert await self.reader.readexactly(2) == b"\r\n"
            assert await self.reader.readexactly(2) == b"\r\n"
        else:
            answer.body = await self.reader.readexactly(int(answer.headers[b"content-length"]))
        return answer

    def reset(self) -> None:
        """Goes away as a crashed client does."""
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass


@dataclass
class Answer:
    """`headers`: the last of each name wins."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes = b""


def parse_head(head: bytes) -> Answer:
    """A status line and fields, checked for form."""
    status_line, *lines = head[:-4].split(b"\r\n")
    assert status_line.startswith(b"HTTP/1.1 "), status_line
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b": ")
        assert colon, line
        headers[name] = value
    return Answer(int(status_line[9:12]), headers)


@asynccontextmanager
async def connected(port: int, context: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    """A client of the server on `port`."""
    hostname = None if context is None else "localhost"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=hostname)
    client = Client(reader, writer)
    try:
        yield client
    finally:
        await client.close()


async def ask(port: int, data: bytes) -> bytes:
    """Sends `data` → everything the server sends until it ends the connection."""
    async with connected(port) as client:
        client.send(data)
        return await client.rest()
