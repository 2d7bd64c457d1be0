"""WebSocket ends of ours on real sockets: a server that echoes, and a client on a pool."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.support.http_server import RecordingApp

from tidegate.wire.client import Failure, Origin, Pool, PoolSettings, Resolver, TlsSettings
from tidegate.wire.link import Link
from tidegate.wire.message import Headers
from tidegate.wire.server import Exchange
from tidegate.wire.websocket import GOING_AWAY, accept_of, key_of
from tidegate.wire.websocket_end import WebSocketEnd


class Owner:
    """Keeps what it hears, and does `answer` with each message."""

    def __init__(self, answer: Callable[[WebSocketEnd, int, bytes], Any] = lambda end, opcode, payload: None) -> None:
        self.answer = answer
        self.messages: list[tuple[int, bytes]] = []
        self.closed: list[tuple[int, str]] = []
        self.heard: list[str] = []
        self.end: WebSocketEnd | None = None
        self.changed = asyncio.Event()

    def on_message(self, end: WebSocketEnd, opcode: int, payload: bytes) -> None:
        self.messages.append((opcode, payload))
        self.answer(end, opcode, payload)
        self.changed.set()

    def on_closed(self, end: WebSocketEnd, code: int, reason: str) -> None:
        self.closed.append((code, reason))
        self.changed.set()

    def on_pause(self, end: WebSocketEnd) -> None:
        self.heard.append("pause")
        end.pause()
        self.changed.set()

    def on_resume(self, end: WebSocketEnd) -> None:
        self.heard.append("resume")
        end.resume()
        self.changed.set()

    def on_drain(self, end: WebSocketEnd) -> None:
        end.close(GOING_AWAY, "stopping")

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.changed.clear()
            await self.changed.wait()


def echo(end: WebSocketEnd, opcode: int, payload: bytes) -> None:
    end.send(opcode, payload)


def end_on(link: Link, owner: Owner, *, is_client: bool, loop: asyncio.AbstractEventLoop | None = None) -> WebSocketEnd:
    loop = loop or asyncio.get_running_loop()
    end = WebSocketEnd(link, owner, loop=loop, is_client=is_client, max_bytes=1 << 20, stall_timeout=60)
    owner.end = end
    end.begin()
    return end


class EchoApp(RecordingApp):
    """Upgrades every request."""

    def __init__(self, answer: Callable[[WebSocketEnd, int, bytes], Any] = echo) -> None:
        super().__init__(self._upgrade)
        self.owners: list[Owner] = []
        self.loop: asyncio.AbstractEventLoop | None = None
        self._answer = answer

    def _upgrade(self, exchange: Exchange) -> None:
        key = exchange.request.header(b"sec-websocket-key") or b""
        link = exchange.upgrade(b"upgrade: websocket\r\nsec-websocket-accept: " + accept_of(key) + b"\r\n")
        owner = Owner(self._answer)
        self.owners.append(owner)
        end_on(link, owner, is_client=False, loop=self.loop)
        self.changed()


class Opening:
    """An UpgradeSink: what became of it."""

    def __init__(self) -> None:
        self.told: asyncio.Future[Link | Failure | int] = asyncio.get_running_loop().create_future()
        self.headers: Headers = []
        self.owner = Owner()

    def on_upgrade(self, headers: Headers, link: Link) -> None:
        self.headers = headers
        end_on(link, self.owner, is_client=True)
        self.told.set_result(link)

    def on_head(self, status: int, headers: Headers) -> None:
        self.told.set_result(status)

    def on_data(self, data: bytes) -> None:
        pass

    def on_end(self) -> None:
        pass

    def on_failure(self, failure: Failure) -> None:
        if not self.told.done():
            self.told.set_result(failure)


def pool_to(port: int, tls: TlsSettings | None = None) -> Pool:
    loop = asyncio.get_running_loop()
    settings = PoolSettings(tls=tls or TlsSettings(), max_connections=1)
    origin = Origin("http" if tls is None else "https", "localhost" if tls else "127.0.0.1", port)
    return Pool(origin, settings, loop=loop, resolver=Resolver(loop))


OPENING = (
    b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: " + key_of(bytes(16)) + b"\r\n\r\n"
)


def opened(pool: Pool) -> Opening:
    opening = Opening()
    pool.send(OPENING, b"", opening, replayable=True)
    return opening
