"""Reloads while streams run: nothing breaks, nothing is lost, and what is invalid changes nothing."""

import asyncio
import signal
from pathlib import Path

from tests.support.chat_client import Answer, ask, chat
from tests.support.gateway import Gateway, gateway_process
from tests.support.inspection import eventually, recorded, settled, worker_state
from tests.support.load import assert_recorded_exactly, call_at_once
from tests.support.simulator import simulator_thread
from tests.support.trial_config import ENV, KEY, MODEL, config

STREAMS = 500
NEW_MODEL = """
---
kind: Model
metadata: {{name: gpt-new-{number}}}
spec:
  targets: [{{provider: upstream, model: gpt-4.1-mini}}]
  price: {{inputPerMillion: 1.00, outputPerMillion: 1.00}}
"""


def reload(gateway: Gateway, text: str) -> None:
    gateway.config.write_text(text)
    gateway.process.send_signal(signal.SIGHUP)


def storm(gateway: Gateway, text: str) -> None:
    """Valid and invalid configurations in turn, each seen to be taken or refused."""
    for number in range(3):
        before = worker_state(gateway)["snapshot"]
        reload(gateway, text + NEW_MODEL.format(number=number))
        eventually(lambda: worker_state(gateway)["snapshot"], lambda version, was=before: version != was)
        refused = gateway.output().count("configuration refused")
        held = worker_state(gateway)["snapshot"]
        reload(gateway, text + "\n---\nkind: Modell\nmetadata: {name: broken}\nspec: {}\n")
        eventually(lambda: gateway.output().count("configuration refused"), lambda count, was=refused: count > was)
        assert worker_state(gateway)["snapshot"] == held


def test_a_reload_storm_during_500_streams(tmp_path: Path) -> None:
    with simulator_thread() as simulator:
        simulator.change(MODEL, tokens=50, perToken="300ms")
        text = config(simulator.port)
        with gateway_process(tmp_path, text, env=ENV) as gateway:

            async def main() -> list[Answer]:
                requests = [chat(MODEL, f"stream {number}", stream=True) for number in range(STREAMS)]
                running = asyncio.create_task(call_at_once(gateway.address, KEY, requests))
                await asyncio.to_thread(
                    eventually, lambda: worker_state(gateway)["calls_in_flight"], lambda count: count == STREAMS
                )
                await asyncio.to_thread(storm, gateway, text)
                assert not running.done(), "the streams must outlast the storm"
                return await running

            answers = asyncio.run(main())
            simulator.change(MODEL, perToken="0s")
            listed = asyncio.run(ask(gateway.address, KEY, chat("gpt-new-2")))
            state = settled(gateway)
    assert [answer for answer in answers if not answer.ended_well] == []
    assert listed.status == 200
    assert state["reserved"] == 0
    events = recorded(gateway.data_dir)
    assert_recorded_exactly([*answers, listed], events)
    assert len(events) == STREAMS + 1
    used = {bucket["used"] for bucket in state["buckets"] if bucket["kind"] == "money"}
    assert used == {sum(event.charged_nano for event in events)}, "counters go on across reloads"


def test_an_invalid_configuration_says_where_and_why(tmp_path: Path) -> None:
    with simulator_thread() as simulator, gateway_process(tmp_path, config(simulator.port), env=ENV) as gateway:
        reload(gateway, config(simulator.port).replace("maxOutputTokens", "maxOutputToken"))
        eventually(lambda: "configuration refused" in gateway.output())
        told = gateway.output()
        assert "tidegate.yaml:" in told
        assert "maxOutputTokens" in told
        assert asyncio.run(ask(gateway.address, KEY, chat(MODEL))).status == 200


def test_a_revoked_key_is_refused_after_the_reload(tmp_path: Path) -> None:
    with simulator_thread() as simulator:
        text = config(simulator.port)
        with gateway_process(tmp_path, text, env={**ENV, "OTHER_KEY": "tg-another-key"}) as gateway:
            before = worker_state(gateway)["snapshot"]
            reload(gateway, text.replace("env: FAULT_KEY", "env: OTHER_KEY"))
            eventually(lambda: worker_state(gateway)["snapshot"], lambda version: version != before)
            assert asyncio.run(ask(gateway.address, KEY, chat(MODEL))).status == 401
            assert asyncio.run(ask(gateway.address, "tg-another-key", chat(MODEL))).status == 200
