"""`kill -9` at full load, and SIGTERM: what clients saw and what is recorded are the same."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.chat_client import Answer, Client, ask, chat
from tests.support.gateway import Gateway, gateway_process, start_gateway
from tests.support.inspection import descendants, eventually, recorded, settled, worker_pid, worker_state
from tests.support.load import assert_recorded_exactly, call_at_once, keep_calling
from tests.support.simulator import simulator_thread
from tests.support.trial_config import ENV, KEY, MODEL, config

CALLERS = 24


def request(number: int) -> object:
    return chat(MODEL, f"question {number}", max_tokens=20, stream=number % 2 == 0)


def load_through(gateway: Gateway, event: Callable[[], None], *, after_calls: int, then_calls: int = 0) -> list[Answer]:
    """Callers at full load; `event` once `after_calls` were answered; the end once `then_calls` more were."""

    async def main() -> list[Answer]:
        stop, first, then = asyncio.Event(), asyncio.Event(), asyncio.Event()
        goal = 0

        def counted(number: int) -> object:
            nonlocal goal
            if number == after_calls:
                first.set()
            if goal == -1:
                goal = number + then_calls
            if goal and number >= goal:
                then.set()
            return request(number)

        async def watch() -> None:
            nonlocal goal
            await first.wait()
            await asyncio.to_thread(event)
            if then_calls:
                goal = -1  # counted from the next call on
                await then.wait()
            stop.set()

        answers, _ = await asyncio.gather(
            keep_calling(gateway.address, KEY, counted, callers=CALLERS, stop=stop), watch()
        )
        return answers

    return asyncio.run(main())


@pytest.mark.parametrize("fsync", ["none", "interval", "always"])
def test_a_worker_killed_at_full_load(tmp_path: Path, fsync: str) -> None:
    """Another takes over; no answer that a client saw lacks its record, none has two."""
    gateway_settings = f"{{spool: {{fsync: {fsync}}}}}"
    with simulator_thread() as simulator:
        text = config(simulator.port, gateway=gateway_settings)
        with gateway_process(tmp_path, text, env=ENV) as gateway:
            answers = load_through(
                gateway,
                lambda: os.kill(worker_pid(gateway), signal.SIGKILL),
                after_calls=400,
                then_calls=400,
            )
            assert asyncio.run(ask(gateway.address, KEY, request(0))).status == 200
            assert settled(gateway)["reserved"] == 0
    events = recorded(gateway.data_dir)
    assert_recorded_exactly(answers, events)
    seen = len([answer for answer in answers if answer.ended_well])
    assert seen > 400
    assert len(events) <= seen + 1 + CALLERS, "no more than what was in flight when it died"


def test_everything_killed_at_full_load(tmp_path: Path) -> None:
    """Supervisor, worker and control process at once; the next start finds every record."""
    with simulator_thread() as simulator:
        gateway = start_gateway(tmp_path, config(simulator.port), env=ENV)

        def kill_all() -> None:
            for pid in (*descendants(gateway.process.pid), gateway.process.pid):
                os.kill(pid, signal.SIGKILL)
            gateway.process.wait()

        answers = load_through(gateway, kill_all, after_calls=500)
        with gateway_process(tmp_path, gateway.config, env=ENV) as gateway:
            state = settled(gateway)
            answers.append(asyncio.run(ask(gateway.address, KEY, request(0))))
    events = recorded(gateway.data_dir)
    assert_recorded_exactly(answers, events)
    spent = sum(event.charged_nano for event in events if event.id != answers[-1].id)
    assert {bucket["used"] for bucket in state["buckets"] if bucket["kind"] == "money"} == {spent}


def test_a_dead_control_process_is_replaced_and_no_call_notices(tmp_path: Path) -> None:
    with simulator_thread() as simulator, gateway_process(tmp_path, config(simulator.port), env=ENV) as gateway:
        (control,) = set(descendants(gateway.process.pid)) - {worker_pid(gateway)}
        answers = load_through(gateway, lambda: os.kill(control, signal.SIGKILL), after_calls=100, then_calls=300)
        eventually(lambda: len(descendants(gateway.process.pid)), lambda count: count == 2)
    assert all(answer.ended_well for answer in answers)
    assert_recorded_exactly(answers, recorded(gateway.data_dir))


def test_sigterm_under_load_finishes_what_runs(tmp_path: Path) -> None:
    """Streams in flight end whole, nobody new is let in, everything is recorded, exit code 0."""
    with simulator_thread() as simulator:
        simulator.change(MODEL, tokens=40, perToken="20ms")
        gateway = start_gateway(tmp_path, config(simulator.port), env=ENV)

        async def main() -> tuple[list[Answer], Answer]:
            running = asyncio.create_task(
                call_at_once(gateway.address, KEY, [chat(MODEL, f"{n}", stream=n % 2 == 0) for n in range(100)])
            )
            await asyncio.to_thread(
                eventually, lambda: worker_state(gateway)["calls_in_flight"], lambda count: count == 100
            )
            gateway.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(eventually, lambda: not _accepts(gateway.address))
            late = await ask(gateway.address, KEY, request(0))
            return await running, late

        answers, late = asyncio.run(main())
        assert gateway.process.wait(30) == 0, gateway.output()
    assert late.status in (0, 503)
    assert [answer.status for answer in answers if not answer.ended_well] == []
    assert {answer.headers.get("connection") for answer in answers} <= {"close", None}
    events = recorded(gateway.data_dir)
    assert len(events) == 100
    assert_recorded_exactly(answers, events)


def test_the_drain_time_is_a_bound(tmp_path: Path) -> None:
    """What does not end in time is cut, visibly, and recorded and charged all the same."""
    with simulator_thread() as simulator:
        simulator.change(MODEL, tokens=40, perToken="30s")
        text = config(simulator.port, gateway="{timeouts: {drain: 300ms}}")
        gateway = start_gateway(tmp_path, text, env=ENV)

        async def main() -> Answer:
            client = Client(gateway.address, KEY)
            await client.send(chat(MODEL, stream=True, max_tokens=30))
            answer = asyncio.create_task(client.answer())
            await asyncio.to_thread(
                eventually, lambda: worker_state(gateway)["calls_in_flight"], lambda count: count == 1
            )
            gateway.process.send_signal(signal.SIGTERM)
            return await answer

        answer = asyncio.run(main())
        assert gateway.process.wait(30) == 0, gateway.output()
    assert not answer.ended_well
    (event,) = recorded(gateway.data_dir)
    assert event.outcome in ("cut", "cancelled")
    assert event.charged_nano > 0


def _accepts(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
