"""Clients that are slow, stalled, or gone: bounded memory, the upstream is stopped, what was used is charged."""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.chat_client import Client, ask, chat, request_bytes
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.gateway import Gateway, gateway_process
from tests.support.inspection import eventually, recorded, settled, worker_pid, worker_state
from tests.support.simulator import simulator_thread
from tests.support.trial_config import ENV, KEY, MODEL, config

HASTY = "{timeouts: {head: 400ms, body: 400ms, writeStall: 1s}}"


@dataclass
class Trial:
    proxy: FaultProxy
    gateway: Gateway


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    with simulator_thread() as simulator, fault_proxy(simulator.port) as proxy:
        with gateway_process(tmp_path, config(proxy.port, gateway=HASTY), env=ENV) as gateway:
            yield Trial(proxy, gateway)


def connected(gateway: Gateway) -> socket.socket:
    host, _, port = gateway.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=15)


def received(sock: socket.socket) -> bytes:
    data = b""
    try:
        while more := sock.recv(65_536):
            data += more
    except ConnectionResetError:
        pass
    return data


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6


def test_slow_heads_and_slow_bodies_are_ended_and_hold_nobody_up(trial: Trial) -> None:
    whole = request_bytes(KEY, chat(MODEL))
    slow: list[socket.socket] = []
    for cut in (10, 60, whole.index(b"\r\n\r\n") + 2, whole.index(b"\r\n\r\n") + 10, len(whole) - 1):
        for _ in range(20):
            sock = connected(trial.gateway)
            sock.sendall(whole[:cut])
            slow.append(sock)
    assert asyncio.run(ask(trial.gateway.address, KEY, chat(MODEL))).status == 200
    for sock in slow:
        assert received(sock).startswith(b"HTTP/1.1 408 ")
        sock.close()
    assert trial.proxy.requests == 1
    assert settled(trial.gateway)["reserved"] == 0


@pytest.mark.parametrize("moment", ["before the answer", "in the stream", "in a plain answer"])
def test_a_client_that_leaves_stops_the_upstream(trial: Trial, moment: str) -> None:
    """Within moments, not at the upstream's leisure; what was used until then is charged, marked as an estimate."""
    trial.proxy.fault = "stall-before-head" if moment == "before the answer" else "endless-body"
    stream = moment != "in a plain answer"

    async def main() -> None:
        client = Client(trial.gateway.address, KEY)
        await client.send(chat(MODEL, stream=stream, max_tokens=50))
        if moment == "in the stream":
            assert client.reader is not None
            await client.reader.readuntil(b"data: ")
        else:
            await asyncio.to_thread(eventually, lambda: trial.proxy.requests == 1)
        client.close()

    asyncio.run(main())
    assert trial.proxy.gone.acquire(timeout=10), "the upstream still works for nobody"
    assert settled(trial.gateway)["reserved"] == 0
    (event,) = recorded(trial.gateway.data_dir)
    assert (event.outcome, event.status) == ("cancelled", 499)
    assert event.usage.source in ("estimated", "unknown")
    assert event.charged_nano > 0


def test_a_client_that_leaves_between_attempts(tmp_path: Path) -> None:
    """No timer or retry lives on after its call."""
    routing = "{attempts: 50, breaker: {minRequests: 1000000}}"
    with simulator_thread() as simulator, fault_proxy(simulator.port) as proxy:
        with gateway_process(tmp_path, config(proxy.port, routing=routing), env=ENV) as gateway:
            proxy.fault = "close-before-head"

            async def main() -> None:
                client = Client(gateway.address, KEY)
                await client.send(chat(MODEL, max_tokens=50))
                await asyncio.to_thread(eventually, lambda: proxy.requests >= 1)
                client.close()

            asyncio.run(main())
            assert settled(gateway)["reserved"] == 0
            asked = proxy.requests
            assert asyncio.run(ask(gateway.address, KEY, chat("no-such-model"))).status in (403, 404)
            assert proxy.requests == asked


def test_a_stalled_reader_stalls_the_upstream_and_not_the_memory(trial: Trial) -> None:
    """Bytes that the client does not take are not taken from the upstream either; then the client is cut off."""
    trial.proxy.fault = "flood"
    worker = worker_pid(trial.gateway)
    asyncio.run(ask(trial.gateway.address, KEY, chat("no-such-model")))
    before = resident_mb(worker)
    stalled = [connected(trial.gateway) for _ in range(10)]
    for sock in stalled:
        sock.sendall(request_bytes(KEY, chat(MODEL, stream=True, max_tokens=50)))
    eventually(lambda: worker_state(trial.gateway)["calls_in_flight"], lambda count: count == 10)
    for _ in range(10):
        assert trial.proxy.gone.acquire(timeout=15)
    assert resident_mb(worker) - before < 32
    assert settled(trial.gateway)["reserved"] == 0
    for sock in stalled:
        sock.close()
    events = recorded(trial.gateway.data_dir)
    cut = [event for event in events if event.outcome in ("cancelled", "cut")]
    assert len(cut) == 10
    assert all(event.charged_nano > 0 for event in cut)


def test_cut_streams_leave_nothing_behind(trial: Trial) -> None:
    """Memory is flat and no descriptor is kept."""
    trial.proxy.fault = "none"
    worker = worker_pid(trial.gateway)
    host, _, port = trial.gateway.address.rpartition(":")
    request = request_bytes(KEY, chat(MODEL, stream=True, max_tokens=200))

    async def one() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request)
        await reader.read(1)
        writer.transport.abort()

    async def rounds(count: int) -> None:
        for _ in range(count):
            await asyncio.gather(*(one() for _ in range(40)))

    def footprint() -> tuple[float, int]:
        settled(trial.gateway)
        eventually(lambda: _descriptors(worker) <= 200)
        return resident_mb(worker), _descriptors(worker)

    asyncio.run(rounds(10))
    memory, descriptors = footprint()
    asyncio.run(rounds(25))
    later, still = footprint()
    assert later - memory < 8
    assert still <= descriptors + 40
    assert worker_state(trial.gateway)["reserved"] == 0


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
