"""The admin port's application: metrics and health. It asks the worker; it has no state of its own."""

import asyncio
from pathlib import Path
from typing import Final

import msgspec

from tidegate.control.worker_client import WorkerAway, ask_worker
from tidegate.wire.message import Request
from tidegate.wire.server import Exchange

_METRICS: Final = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n"
_JSON: Final = b"content-type: application/json\r\n"
_INDEX: Final = b"""Tidegate admin port.
/metrics   Prometheus metrics of the worker
/healthz   200 while this process runs
"""


class ControlApp:
    """`/metrics`, `/healthz` and an index."""

    def __init__(self, worker_socket: Path) -> None:
        self._worker_socket = worker_socket
        self._running: set[asyncio.Task[None]] = set()

    def on_head(self, request: Request) -> tuple[int, bytes, bytes] | None:
        return None

    def on_request(self, exchange: Exchange) -> None:
        request = exchange.request
        if request.method not in (b"GET", b"HEAD"):
            exchange.respond(405, _JSON + b"allow: GET, HEAD\r\n", _problem("method_not_allowed", "Use GET."))
        elif request.path == b"/metrics":
            task = asyncio.get_running_loop().create_task(self._metrics(exchange))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        elif request.path == b"/healthz":
            exchange.respond(200, _JSON, b'{"status":"ok"}')
        elif request.path == b"/":
            exchange.respond(200, b"content-type: text/plain; charset=utf-8\r\n", _INDEX)
        else:
            exchange.respond(404, _JSON, _problem("not_found", "Nothing here; `/` lists what is."))

    def wire_error(self, request: Request | None, status: int, code: str, message: str) -> tuple[bytes, bytes]:
        return _JSON, _problem(code, message)

    async def _metrics(self, exchange: Exchange) -> None:
        try:
            status, body = await ask_worker(self._worker_socket, "GET", "/metrics")
        except WorkerAway as error:
            exchange.respond(503, _JSON, _problem("worker_away", f"{error}: it is starting or stopping."))
            return
        exchange.respond(status, _METRICS, body)


def _problem(code: str, message: str) -> bytes:
    return msgspec.json.encode({"error": {"code": code, "message": message}})
