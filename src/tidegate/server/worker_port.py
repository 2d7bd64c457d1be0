"""The worker's private port: a unix socket in the data directory, open to the same user only.

`GET /metrics` (Prometheus text), `GET /state` (JSON: buckets, reserved, health), `POST /reload`.
"""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from tidegate.config.secret import SecretMissing
from tidegate.gateway.runtime import Runtime
from tidegate.wire.message import Request
from tidegate.wire.server import Exchange, Server, ServerSettings

_TEXT = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n"
_JSON = b"content-type: application/json\r\n"


class WorkerPort:
    """The application behind the socket."""

    def __init__(self, runtime: Runtime, gateway: Server, reload: Callable[[], str]) -> None:
        self._runtime = runtime
        self._gateway = gateway
        self._reload = reload
        self._server = Server(self, ServerSettings(), loop=runtime.loop)

    async def listen(self, path: Path) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        listener.listen(16)
        listener.setblocking(False)
        await self._server.listen(listener)

    async def close(self) -> None:
        await self._server.close()

    def on_head(self, request: Request) -> tuple[int, bytes, bytes] | None:
        return None

    def on_request(self, exchange: Exchange) -> None:
        asked = (exchange.request.method, exchange.request.path)
        if asked == (b"GET", b"/metrics"):
            exchange.respond(200, _TEXT, self._runtime.render_metrics(self._gateway.connections))
        elif asked == (b"GET", b"/state"):
            exchange.respond(200, _JSON, msgspec.json.encode(self._runtime.state_report()))
        elif asked == (b"POST", b"/reload"):
            self._answer_reload(exchange)
        else:
            exchange.respond(404, _TEXT, b"not found\n")

    def wire_error(self, request: Request | None, status: int, code: str, message: str) -> tuple[bytes, bytes]:
        return _TEXT, message.encode() + b"\n"

    def _answer_reload(self, exchange: Exchange) -> None:
        try:
            version = self._reload()
        except (SecretMissing, OSError, msgspec.DecodeError) as error:
            exchange.respond(409, _TEXT, f"{error}\n".encode())
            return
        exchange.respond(200, _TEXT, version.encode())
