"""One JSON line per call, to a file descriptor, off the event loop.

No prompt, answer, key or client header is ever written: the fields are a fixed list. Lines wait in a bounded buffer that a
writer thread empties; if the reader of the descriptor stalls, lines are dropped and counted, calls are not held up.
"""

import os
import threading
from collections import deque
from typing import Final

import msgspec
from msgspec import Struct

from tidegate.core.money import usd_from_nano
from tidegate.core.usage import UsageEvent

_MAX_BUFFERED: Final = 20_000

_encode = msgspec.json.Encoder().encode


class AccessLine(Struct, frozen=True):
    """The fields of a line, in this order."""

    time_unix_ms: int
    id: str
    request_id: str
    client: str
    team: str
    consumer: str
    key: str
    operation: str
    model: str
    target: str
    status: int
    outcome: str
    code: str
    stream: bool
    attempts: int
    input_tokens: int
    output_tokens: int
    usage_source: str
    cost_usd: str
    first_byte_ms: int | None
    total_ms: int


def access_line(event: UsageEvent, request_id: str, client: str) -> AccessLine:
    usage = event.usage
    return AccessLine(  # by position: keywords cost four times as much here
        event.time_ns // 1_000_000,
        event.id,
        request_id,
        client,
        event.team,
        event.consumer,
        event.key,
        event.operation,
        event.model,
        f"{event.provider}/{event.upstream_model}" if event.provider else "",
        event.status,
        event.outcome,
        event.code,
        event.stream,
        event.attempts,
        usage.input_total,
        usage.output_total,
        usage.source,
        "unknown" if event.cost_nano is None else usd_from_nano(event.cost_nano),
        event.first_byte_ms,
        event.total_ms,
    )


class AccessLog:
    """`write` on the loop, `flush` from the worker's tick, the rest in one thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pending: deque[bytes] = deque()
        self._wake = threading.Event()
        self._closing = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def write(self, line: AccessLine) -> None:
        if len(self._pending) >= _MAX_BUFFERED:
            self.dropped += 1
            return
        self._pending.append(_encode(line))  # here, not in the thread: it would hold the interpreter lock for long

    def flush(self) -> None:
        """Lets the writer take what has come since; costs nothing when there is nothing."""
        if self._pending:
            self._wake.set()

    def close(self) -> None:
        """Writes what is left; gives up after two seconds if nobody reads."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while not self._closing or self._pending:
            self._wake.wait()
            if not self._closing:
                self._wake.clear()
            lines: list[bytes] = []
            while self._pending:
                lines.append(self._pending.popleft())
            if lines and not self._write_all(b"\n".join(lines) + b"\n"):
                return

    def _write_all(self, data: bytes) -> bool:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except OSError:
                self._pending.clear()
                return False  # nobody reads: the descriptor is closed for good
        return True
