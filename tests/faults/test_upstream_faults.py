"""Every fault of an upstream, against a plain call and against a stream: the right answer, one record, nothing reserved."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.support.chat_client import Answer, ask, chat
from tests.support.fault_proxy import FAULTS, REFUSE, FaultProxy, fault_proxy
from tests.support.gateway import Gateway, gateway_process
from tests.support.inspection import recorded, settled, worker_pid, worker_state
from tests.support.simulator import simulator_thread
from tests.support.trial_config import ENV, KEY, MODEL, config

IMPATIENT = "{connect: 2s, firstByte: 1s, idle: 500ms, total: 2s}"
HARMLESS = {
    *("none", "slow-drip", "continue-first", "hints-first", "byte-by-byte-head", "close-delimited"),
    "answer-after-answer",
}
TOO_SLOW = {"stall-before-head", "stall-in-head", "stall-after-head"}
BROKEN_STREAMS = {
    *("reset-in-body", "stall-in-body", "half-close-in-body", "truncated-chunk", "bad-chunk-size"),
    *("length-too-short", "endless-body", "cut-clean", "flood"),
}
"""Content had gone to the client before these showed."""
ALSO_TIMEOUTS = {"stall-in-body", "endless-body", "flood"}


@dataclass
class Trial:
    proxy: FaultProxy
    gateway: Gateway


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with simulator_thread() as simulator, fault_proxy(simulator.port) as proxy:
        directory = tmp_path_factory.mktemp("faults")
        with gateway_process(directory, config(proxy.port, timeouts=IMPATIENT), env=ENV) as gateway:
            yield Trial(proxy, gateway)


def call(trial: Trial, fault: str, *, stream: bool) -> Answer:
    trial.proxy.fault = fault
    fields = chat(MODEL, f"What does {fault} look like?", max_tokens=40, stream=stream)
    return asyncio.run(ask(trial.gateway.address, KEY, fields))


def event_of(trial: Trial, answer: Answer) -> tuple[str, int, int | None, int]:
    """(outcome, status, cost, charged) of the call's one record; and nothing is left reserved."""
    assert settled(trial.gateway)["reserved"] == 0
    (event,) = [event for event in recorded(trial.gateway.data_dir) if event.id == answer.id]
    return event.outcome, event.status, event.cost_nano, event.charged_nano


@pytest.mark.parametrize("fault", sorted(HARMLESS))
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_harmless(trial: Trial, fault: str, stream: bool) -> None:
    """Unusual, but right: the client gets its answer, and the usage that the upstream reported is charged."""
    answer = call(trial, fault, stream=stream)
    assert (answer.status, answer.ended_well) == (200, True), answer
    outcome, status, cost, charged = event_of(trial, answer)
    assert (outcome, status) == ("ok", 200)
    assert cost and charged == cost


def test_what_nobody_asked_for_reaches_nobody(trial: Trial) -> None:
    """Bytes behind an answer are never taken for the next call's answer."""
    call(trial, "answer-after-answer", stream=False)
    answer = call(trial, "none", stream=False)
    assert (answer.status, answer.ended_well) == (200, True)
    assert b"UNASKE" not in answer.body


@pytest.mark.parametrize("fault", sorted({*FAULTS, REFUSE} - HARMLESS - {"flood"}))
def test_plain_call(trial: Trial, fault: str) -> None:
    """502, or 504 for what is too slow; in the dialect's shape, and nothing of half an answer gets through."""
    answer = call(trial, fault, stream=False)
    timeouts = TOO_SLOW | ALSO_TIMEOUTS
    allowed = {(504, "upstream_timeout")} if fault in timeouts else {(502, "upstream_error")}
    if fault in ("endless-header", "endless-event", "huge-header"):
        allowed |= {(504, "upstream_timeout")}
    assert answer.whole, answer
    assert (answer.status, answer.error.get("code")) in allowed, answer
    outcome, status, _, _ = event_of(trial, answer)
    assert (outcome, status) == ("failed", answer.status)


def test_a_stream_is_over_at_its_end_marker(trial: Trial) -> None:
    """What was promised beyond `[DONE]` and never came takes nothing from the client."""
    answer = call(trial, "length-too-long", stream=True)
    assert (answer.status, answer.ended_well) == (200, True)
    assert event_of(trial, answer)[:2] == ("ok", 200)


@pytest.mark.parametrize("fault", sorted({*FAULTS, REFUSE} - HARMLESS - {"length-too-long"}))
def test_stream(trial: Trial, fault: str) -> None:
    """Before the first content: an error status. After it: an error frame, and no clean end marker. Never silence."""
    answer = call(trial, fault, stream=True)
    outcome, status, _, charged = event_of(trial, answer)
    if fault in BROKEN_STREAMS:
        assert answer.status == 200, answer
        assert answer.error.get("code") in ("upstream_error", "upstream_timeout"), answer
        assert "[DONE]" not in answer.events
        assert (outcome, status) == ("cut", 200)
        assert charged > 0
    else:
        assert answer.status in (502, 504), answer
        assert answer.error.get("code") in ("upstream_error", "upstream_timeout"), answer
        assert answer.whole
        assert (outcome, status) == ("failed", answer.status)


def test_a_refused_connection_costs_nothing(trial: Trial) -> None:
    answer = call(trial, REFUSE, stream=False)
    assert event_of(trial, answer) == ("failed", 502, None, 0) or event_of(trial, answer) == ("failed", 502, 0, 0)


def test_it_recovers_at_once(trial: Trial) -> None:
    """After all that, a healthy upstream is served, and no descriptor leaks with the faults."""
    for fault in ("reset-in-body", "stall-in-head", "garbage", REFUSE):
        call(trial, fault, stream=False)
    worker = worker_pid(trial.gateway)
    before = len(os.listdir(f"/proc/{worker}/fd"))
    for _ in range(5):
        for fault in ("reset-in-body", "close-before-head", "garbage"):
            call(trial, fault, stream=True)
    assert call(trial, "none", stream=False).status == 200
    assert len(os.listdir(f"/proc/{worker}/fd")) <= before + 5
    assert worker_state(trial.gateway)["reserved"] == 0
