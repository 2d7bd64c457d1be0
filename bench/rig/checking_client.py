"""Callers that check: each reckons from the usage that it saw what a call must have cost, and writes it down.

Run as a program: `checking_client.py ADDRESS KEY MODEL CALLERS SEED OUTPUT`, until SIGTERM. Each line of OUTPUT is
`id status whole cost`: cost in nano-USD from the answer's usage; -1 where the client saw none; -2 for a client that left.
"""

import asyncio
import json
import random
import signal
import sys
from typing import TextIO, cast

import msgspec
import uvloop

INPUT_NANO, CACHED_NANO, OUTPUT_NANO = 2_000, 500, 8_000
"""Per token: 2.00, 0.50 and 8.00 USD per million."""
LEAVES, STREAMS = 0.02, 0.5
UNSEEN, LEFT = -1, -2


class Details(msgspec.Struct):
    cached_tokens: int = 0


class Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: Details | None = None

    def cost_nano(self) -> int:
        cached = self.prompt_tokens_details.cached_tokens if self.prompt_tokens_details else 0
        return (self.prompt_tokens - cached) * INPUT_NANO + cached * CACHED_NANO + self.completion_tokens * OUTPUT_NANO


class Carrier(msgspec.Struct):
    usage: Usage | None = None


_usage_of = msgspec.json.Decoder(Carrier).decode


class Caller(asyncio.Protocol):
    """One connection: asks, reads, writes down, asks again; now and then it leaves in the middle."""

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.data = b""
        self.leaving = self.stream = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.ask()

    def ask(self) -> None:
        assert self.transport is not None
        if self.load.stopping:
            self.transport.close()
            return
        rng = self.load.rng
        self.data = b""
        self.leaving = rng.random() < LEAVES
        self.stream = rng.random() < STREAMS
        self.transport.write(self.load.request(self.stream))
        if self.leaving and rng.random() < 0.5:
            asyncio.get_running_loop().call_later(rng.random() * 0.02, self.leave)

    def leave(self) -> None:
        if self.leaving and self.transport is not None:
            self.load.tell(self.data, whole=False, cost=LEFT)
            self.leaving = False
            self.data = b""
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.leaving:
            self.leave()
            return
        head = self.data.find(b"\r\n\r\n")
        if head < 0:
            return
        if b"transfer-encoding: chunked" in self.data[:head]:
            if self.data.endswith(b"\r\n0\r\n\r\n"):
                self.over(_stream_cost(self.data), whole=b"data: [DONE]" in self.data[-40:])
        elif len(self.data) - head - 4 >= _content_length(self.data[:head]):
            ok = self.data.startswith(b"HTTP/1.1 200")
            usage = _usage_of(self.data[head + 4 :]).usage if ok else None
            self.over(usage.cost_nano() if usage else UNSEEN, whole=True)

    def over(self, cost: int, *, whole: bool) -> None:
        self.load.tell(self.data, whole=whole, cost=cost)
        self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.data:
            self.load.tell(self.data, whole=False, cost=UNSEEN)
        self.load.connect()


class Load:
    def __init__(self, address: str, key: str, model: str, seed: int, output: TextIO) -> None:
        self.host, _, port = address.rpartition(":")
        self.port = int(port)
        self.rng = random.Random(seed)
        self.output = output
        self.stopping = False
        self.tasks: set[asyncio.Task[None]] = set()
        self.requests = {stream: _requests(key, model, stream=stream) for stream in (False, True)}

    def request(self, stream: bool) -> bytes:
        return self.rng.choice(self.requests[stream])

    def tell(self, data: bytes, *, whole: bool, cost: int) -> None:
        head = data.partition(b"\r\n\r\n")[0]
        status = int(head[9:12]) if head else 0
        _, _, rest = head.partition(b"x-tidegate-decision: ")
        call = rest.partition(b"\r\n")[0].decode() or "-"
        self.output.write(f"{call} {status} {int(whole)} {cost}\n")

    def connect(self) -> None:
        if not self.stopping:
            task = asyncio.get_running_loop().create_task(self.opened())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def opened(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: Caller(self), self.host, self.port)
        except OSError:
            await asyncio.sleep(0.1)
            self.connect()


def _requests(key: str, model: str, *, stream: bool) -> list[bytes]:
    made: list[bytes] = []
    for number in range(50):
        fields: dict[str, object] = {
            "model": model,
            "messages": [{"role": "user", "content": f"Question {number}: " + "when does the tide turn? " * number}],
            "max_tokens": 20 + number,
        }
        if stream:
            fields |= {"stream": True, "stream_options": {"include_usage": True}}
        body = json.dumps(fields).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n"
        made.append(f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
    return made


def _content_length(head: bytes) -> int:
    _, _, rest = head.partition(b"\r\ncontent-length: ")
    return int(rest.partition(b"\r\n")[0])


def _stream_cost(data: bytes) -> int:
    """From the last event that holds a usage object; UNSEEN if there is none."""
    place = data.rfind(b'"usage":{')
    if place < 0:
        return UNSEEN
    event = data[data.rfind(b"data: ", 0, place) + 6 : data.find(b"\n\n", place)]
    usage = _usage_of(event).usage
    return usage.cost_nano() if usage else UNSEEN


async def call_until_told(load: Load, callers: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    for _ in range(callers):
        load.connect()
    await stop.wait()
    load.stopping = True
    await asyncio.sleep(5.0)  # what runs is answered, or ends by the gateway's own bounds


def main() -> None:
    address, key, model, callers, seed, output = sys.argv[1:]
    with open(output, "w", buffering=1 << 16) as lines:
        uvloop.run(call_until_told(Load(address, key, model, int(seed), lines), int(callers)))


if __name__ == "__main__":
    main()
