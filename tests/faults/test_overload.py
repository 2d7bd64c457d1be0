"""Retries are bounded, overload is refused at once, and running out of descriptors passes."""

import asyncio
import resource
import socket
from pathlib import Path

from tests.support.chat_client import ask, chat
from tests.support.fault_proxy import fault_proxy
from tests.support.gateway import gateway_process
from tests.support.inspection import eventually, recorded, settled, worker_pid, worker_state
from tests.support.load import call_at_once
from tests.support.simulator import simulator_thread
from tests.support.trial_config import ENV, KEY, MODEL, config

CALLS = 200
EAGER = "{attempts: 4, breaker: {minRequests: 1000000}}"


def test_retries_are_a_share_of_traffic(tmp_path: Path) -> None:
    """All calls fail and would be tried four times: the upstream sees a fifth more than the calls, not four times."""
    with simulator_thread() as simulator, fault_proxy(simulator.port) as proxy:
        with gateway_process(tmp_path, config(proxy.port, routing=EAGER), env=ENV) as gateway:
            proxy.fault = "close-before-head"
            answers = asyncio.run(call_at_once(gateway.address, KEY, [chat(MODEL, max_tokens=5) for _ in range(CALLS)]))
            assert settled(gateway)["reserved"] == 0
    assert {answer.status for answer in answers} == {502}
    assert CALLS < proxy.requests <= CALLS * 1.2 + 20
    assert sum(event.attempts for event in recorded(gateway.data_dir)) == proxy.requests


def test_nothing_is_retried_after_the_first_content(tmp_path: Path) -> None:
    with simulator_thread() as simulator, fault_proxy(simulator.port) as proxy:
        with gateway_process(tmp_path, config(proxy.port, routing=EAGER), env=ENV) as gateway:
            proxy.fault = "reset-in-body"
            answer = asyncio.run(ask(gateway.address, KEY, chat(MODEL, stream=True, max_tokens=40)))
    assert answer.status == 200
    assert not answer.ended_well
    assert proxy.requests == 1


def test_what_an_upstream_asks_for_is_respected(tmp_path: Path) -> None:
    """After its 429 with `retry-after` it is left alone, and the client is told how long."""
    with simulator_thread() as simulator, gateway_process(tmp_path, config(simulator.port), env=ENV) as gateway:
        simulator.change(MODEL, script=["429"], retryAfter="30s")
        first = asyncio.run(ask(gateway.address, KEY, chat(MODEL)))
        second = asyncio.run(ask(gateway.address, KEY, chat(MODEL)))
        asked = len(simulator.calls(MODEL))
    assert first.status == 429
    assert int(first.headers["retry-after"]) == 30
    assert second.status == 503
    assert second.error["code"] == "no_healthy_target"
    assert 25 <= int(second.headers["retry-after"]) <= 30
    assert asked == 1


def test_overload_is_refused_and_what_runs_is_finished(tmp_path: Path) -> None:
    """Ten times what may run at once: the rest get 503 with `retry-after`, while none of the running has ended yet."""
    with simulator_thread() as simulator:
        text = config(simulator.port, gateway="{limits: {maxCalls: 20}}")
        with gateway_process(tmp_path, text, env=ENV) as gateway:
            simulator.change(MODEL, firstByte="1500ms", tokens=5)
            worker = worker_pid(gateway)
            before = _resident(worker)
            answers = asyncio.run(call_at_once(gateway.address, KEY, [chat(MODEL) for _ in range(CALLS)]))
            assert settled(gateway)["reserved"] == 0
            assert _resident(worker) - before < 16_000_000
    refused = [answer for answer in answers if answer.status == 503]
    assert len(refused) == CALLS - 20
    assert all("retry-after" in answer.headers for answer in refused)
    assert len([answer for answer in answers if answer.status == 200]) == 20


def test_running_out_of_descriptors_passes(tmp_path: Path) -> None:
    """Connections beyond what the system gives wait or fail; as soon as there are some again, calls are served."""
    with simulator_thread() as simulator, gateway_process(tmp_path, config(simulator.port), env=ENV) as gateway:
        worker = worker_pid(gateway)
        host, _, port = gateway.address.rpartition(":")
        used = len(list(Path(f"/proc/{worker}/fd").iterdir()))
        limits = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (used + 10, limits[1]))
        crowd = [socket.create_connection((host, int(port)), timeout=10) for _ in range(100)]
        eventually(lambda: len(list(Path(f"/proc/{worker}/fd").iterdir())), lambda count: count >= used + 9)
        for sock in crowd:
            sock.close()
        resource.prlimit(worker, resource.RLIMIT_NOFILE, limits)
        answer = asyncio.run(ask(gateway.address, KEY, chat(MODEL)))
        assert answer.status == 200
        assert worker_pid(gateway) == worker, "it lived through it"
        assert worker_state(gateway)["reserved"] == 0


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
