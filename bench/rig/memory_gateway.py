"""A worker of the gateway without sockets: what it does for a call is counted alone, and comes out the same each time.

Client and upstream are objects in its process that hand over bytes made ahead; all else is a Worker as `serve` starts it.
Run as a program by `instructions.py`: `memory_gateway.py MODE DATA_DIR WHAT...`, each WHAT of `workloads`. Modes:
`mark` calls getppid(2) before and after what is to be counted, for callgrind to see; `bytecodes` prints how many the
functions execute for a call.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, cast

import uvloop
from messages import chunks, completion, request_body
from workloads import KEY, WORKLOADS, Workload

from tidegate.server.options import ServeOptions, listening_socket
from tidegate.server.worker import Worker

WARM_UP = 100
TRACED = 50
_SLOWER = 50
"""About as many times as slow runs what is counted: timers should not come more often for a call than they do."""
_READ_BYTES = 65_536
"""What one read of a socket brings of a large body."""


class MemoryTransport(asyncio.Transport):
    """The half of a connection that a protocol of the gateway holds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.loop = loop
        self.protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.9", 4711) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        self.loop.call_soon(self.protocol.connection_lost, None)


class Upstream(MemoryTransport):
    """Answers each request as soon as its body has ended: at once, or a read for each chunk."""

    reads: tuple[bytes, ...] = ()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data[-1:] == b"}":
            for read in Upstream.reads:
                self.loop.call_soon(self.protocol.data_received, read)

    def writelines(self, list_of_data: Any) -> None:
        self.write(list_of_data[-1])


class Client(MemoryTransport):
    """Sends one request after another, and sees when an answer has ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        super().__init__(loop, protocol)
        self._reads: list[bytes] = []
        self._last = b""
        self._left = 0
        self._done = asyncio.Event()
        protocol.connection_made(self)

    async def calls(self, count: int, reads: list[bytes], last: bytes) -> None:
        """`last`: what an answer ends in."""
        self._reads, self._last, self._left = reads, last, count
        self._done.clear()
        self._call()
        await self._done.wait()

    def _call(self) -> None:
        self._left -= 1
        for read in self._reads:
            self.loop.call_soon(self.protocol.data_received, read)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not data.endswith(self._last):  # type: ignore[union-attr]
            return
        if self._left:
            self.loop.call_soon(self._call)
        else:
            self._done.set()

    def writelines(self, list_of_data: Any) -> None:
        self.write(list_of_data[-1])


class MemoryLoop:
    """uvloop's, but for the two ways in which connections are made."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.time, self.call_soon = loop.time, loop.call_soon
        self.accept: Callable[[], asyncio.Protocol] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        return self._loop.call_later(delay * _SLOWER, callback, *args)

    async def create_server(self, factory: Callable[[], asyncio.Protocol], **_: Any) -> asyncio.Server:
        self.accept = factory
        return await self._loop.create_server(asyncio.Protocol, "127.0.0.1", 0, start_serving=False)

    async def create_connection(self, factory: Callable[[], asyncio.Protocol], *_: Any, **__: Any) -> Any:
        protocol = factory()
        transport = Upstream(self._loop, protocol)
        protocol.connection_made(transport)
        return transport, protocol


def request_reads(workload: Workload) -> list[bytes]:
    body = request_body(workload.body_bytes, stream=bool(workload.chunks))
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Type: application/json\r\n"
    head += b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n" % (KEY.encode(), len(body))
    whole = head + body
    return [whole[start : start + _READ_BYTES] for start in range(0, len(whole), _READ_BYTES)]


def answer_reads(workload: Workload) -> tuple[bytes, ...]:
    if not workload.chunks:
        body = completion()
        head = b"HTTP/1.1 200 OK\r\nserver: nginx\r\ncontent-type: application/json\r\n"
        return (head + b"content-length: %d\r\nconnection: keep-alive\r\n\r\n%b" % (len(body), body),)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    first, *middle, last = (b"%x\r\n%b\r\n" % (len(event), event) for event in chunks())
    many = (middle * (workload.chunks // len(middle) + 1))[: workload.chunks - 1]
    return (head + first, *many, last + b"0\r\n\r\n")


@contextmanager
def counted(bytecodes: Counter[CodeType]) -> Iterator[None]:
    """Counts what every function executes meanwhile."""

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            bytecodes[frame.f_code] += 1
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)


async def measure(mode: str, data_dir: Path, wanted: list[str]) -> None:
    loop = MemoryLoop(asyncio.get_running_loop())
    worker = Worker(ServeOptions(None, "", "", data_dir), cast(asyncio.AbstractEventLoop, loop))
    await worker.start(listening_socket("127.0.0.1:0", "listen"))
    assert loop.accept is not None
    client = Client(asyncio.get_running_loop(), loop.accept())
    for name in wanted:
        workload = WORKLOADS[name]
        reads, last = request_reads(workload), b"0\r\n\r\n" if workload.chunks else b"}"
        Upstream.reads = answer_reads(workload)
        await client.calls(WARM_UP, reads, last)
        if mode == "mark":
            os.getppid()
            await client.calls(workload.calls, reads, last)
            os.getppid()
        else:
            executed: Counter[CodeType] = Counter()
            with counted(executed):
                await client.calls(TRACED, reads, last)
            told = {f"{code.co_qualname} ({code.co_filename})": count / TRACED for code, count in executed.items()}
            print(json.dumps({name: told}), file=sys.stderr)
    await worker.stop()


if __name__ == "__main__":
    uvloop.run(measure(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
