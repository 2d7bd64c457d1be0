"""Budgets over real sockets: what is settled and reserved never exceeds a hard budget, whatever calls end as."""

import asyncio
import json
import os
import signal
from decimal import Decimal
from pathlib import Path

from tests.support.chat_client import Answer, Client, ask, chat
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.gateway import gateway_process
from tests.support.inspection import recorded, settled, worker_pid
from tests.support.load import assert_recorded_exactly, call_at_once
from tests.support.simulator import simulator_thread
from tests.support.trial_config import ENV, KEY, MODEL, config

from tidegate.core.money import nano_from_usd

ANSWER_TOKENS = 40
REQUEST = chat(MODEL, "What is left in the purse?", max_tokens=ANSWER_TOKENS)


def one_cost(directory: Path, port: int) -> tuple[int, int]:
    """(cost, worst case that is reserved for) one REQUEST, in nano-USD, as the gateway reckons them."""
    with gateway_process(directory, config(port), env=ENV) as gateway:
        answer = asyncio.run(ask(gateway.address, KEY, REQUEST))
        told = gateway.command("explain", answer.id, "--json")
        assert told.returncode == 0, told.stderr
    (event,) = recorded(gateway.data_dir)
    assert event.cost_nano
    claims = json.loads(told.stdout)["claims"]
    return event.cost_nano, max(claim["amount"] for claim in claims if claim["kind"] == "money")


def test_500_calls_at_once_against_a_budget_for_100(tmp_path: Path) -> None:
    with simulator_thread() as simulator:
        simulator.change(MODEL, tokens=ANSWER_TOKENS, firstByte="60ms", promptCache=False)
        cost, worst = one_cost(tmp_path / "first", simulator.port)
        budget = 100 * cost
        usd = str(Decimal(budget) / 10**9)
        with gateway_process(tmp_path / "second", config(simulator.port, usd=usd), env=ENV) as gateway:
            requests = [{**REQUEST, "stream": number % 3 == 0} for number in range(500)]
            answers = asyncio.run(call_at_once(gateway.address, KEY, requests))
            state = settled(gateway)
            while True:  # nothing is in flight now: spend what is left, one call at a time
                answer = asyncio.run(ask(gateway.address, KEY, REQUEST))
                answers.append(answer)
                if answer.status != 200:
                    break
            state = settled(gateway)
    assert {answer.status for answer in answers} == {200, 429}
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.error["code"] == "budget_exceeded"
    assert refused.headers["x-should-retry"] == "false"
    assert state["reserved"] == 0
    events = recorded(gateway.data_dir)
    assert len(events) == len(answers)
    assert_recorded_exactly(answers, events)
    spent = sum(event.charged_nano for event in events)
    assert budget - worst < spent <= budget
    assert len([event for event in events if event.status == 200]) == spent // cost
    used = {bucket["used"] for bucket in state["buckets"] if bucket["kind"] == "money"}
    assert used == {spent}


def test_a_budget_holds_among_faults_and_disconnects(tmp_path: Path) -> None:
    """Calls that break in every way still cannot spend more than there is, and what is kept is what is recorded."""
    timeouts = "{connect: 3s, firstByte: 1500ms, idle: 1500ms, total: 4s}"
    budget = nano_from_usd("0.02")
    with simulator_thread() as simulator, fault_proxy(simulator.port) as proxy:
        with gateway_process(tmp_path, config(proxy.port, usd="0.02", timeouts=timeouts), env=ENV) as gateway:
            asyncio.run(_break_in_every_way(gateway.address, proxy))
            state = settled(gateway)
    assert state["reserved"] == 0
    events = recorded(gateway.data_dir)
    spent = sum(event.charged_nano for event in events)
    assert {event.outcome for event in events} >= {"ok", "cut", "cancelled", "failed", "refused"}
    assert 0 < spent <= budget
    used = {bucket["used"] for bucket in state["buckets"] if bucket["kind"] == "money"}
    assert used == {spent}


async def _break_in_every_way(address: str, proxy: FaultProxy) -> None:
    faults = ("none", "reset-in-body", "stall-in-body", "bad-chunk-size", "reset-before-head", "cut-clean", "none")
    for fault in faults * 2:
        proxy.fault = fault
        await asyncio.gather(*(_one(address, number) for number in range(20)))
    for _ in range(20):
        await asyncio.gather(*(_one(address, 1) for _ in range(20)))


async def _one(address: str, number: int) -> Answer:
    client = Client(address, KEY)
    try:
        fields = chat(MODEL, max_tokens=60, stream=number % 2 == 0)
        if number % 5 == 4:
            await client.send(fields)  # and is gone
            assert client.reader is not None
            if number % 2 == 0:
                await client.reader.read(1)
            return Answer()
        return await client.ask(fields)
    finally:
        client.close()


def test_budgets_survive_a_killed_worker(tmp_path: Path) -> None:
    """The worker that takes over counts what the ledger and the spool hold."""
    with simulator_thread() as simulator:
        with gateway_process(tmp_path, config(simulator.port), env=ENV) as gateway:
            requests = [chat(MODEL, f"number {number}", max_tokens=30) for number in range(50)]
            asyncio.run(call_at_once(gateway.address, KEY, requests))
            os.kill(worker_pid(gateway), signal.SIGKILL)
            answers = asyncio.run(_until_served(gateway.address))
            assert answers[-1].status == 200
            state = settled(gateway)
    spent = sum(event.charged_nano for event in recorded(gateway.data_dir))
    used = {bucket["used"] for bucket in state["buckets"] if bucket["kind"] == "money"}
    assert used == {spent}


async def _until_served(address: str) -> list[Answer]:
    answers = [await ask(address, KEY, REQUEST)]
    async with asyncio.timeout(15):
        while answers[-1].status != 200:
            await asyncio.sleep(0.02)
            answers.append(await ask(address, KEY, REQUEST))
    return answers
