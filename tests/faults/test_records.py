"""When records cannot be kept, calls are refused before money is spent; when the database is busy, records wait."""

import asyncio
import os
import signal
import sqlite3
from pathlib import Path

from tests.support.chat_client import Answer, Client, ask, chat
from tests.support.gateway import gateway_process
from tests.support.inspection import descendants, eventually, metric, recorded, settled, worker_pid, worker_state
from tests.support.load import assert_recorded_exactly, call_at_once
from tests.support.simulator import simulator_thread
from tests.support.trial_config import ENV, KEY, MODEL, config


def test_a_full_spool_refuses_before_the_upstream_is_asked(tmp_path: Path) -> None:
    """Nobody takes records away: 503 and why. As soon as somebody does, calls are served again."""
    text = config(0, gateway="{spool: {size: 64KiB}}")
    with simulator_thread() as simulator:
        text = text.replace("127.0.0.1:0/", f"127.0.0.1:{simulator.port}/")
        with gateway_process(tmp_path, text, env=ENV) as gateway:
            (control,) = set(descendants(gateway.process.pid)) - {worker_pid(gateway)}
            os.kill(control, signal.SIGSTOP)
            answers = asyncio.run(_until_refused(gateway.address))
            assert not worker_state(gateway)["spool"]["ready"]
            asked = len(simulator.calls(MODEL))
            refused = answers[-1]
            assert refused.error["code"] == "ledger_unavailable"
            assert "retry-after" in refused.headers
            assert refused.error["message"].count("recorded")
            assert asyncio.run(ask(gateway.address, KEY, chat(MODEL))).status == 503
            assert len(simulator.calls(MODEL)) == asked
            os.kill(control, signal.SIGCONT)
            eventually(lambda: worker_state(gateway)["spool"]["ready"])
            answers.append(asyncio.run(ask(gateway.address, KEY, chat(MODEL))))
            assert answers[-1].status == 200
            assert metric(gateway, "tidegate_records_lost_total") == 0
    served = [answer for answer in answers if answer.status == 200]
    assert_recorded_exactly(served, [event for event in recorded(gateway.data_dir) if event.status == 200])


async def _until_refused(address: str) -> list[Answer]:
    client = Client(address, KEY)
    answers: list[Answer] = []
    while not answers or answers[-1].status != 503:
        answers.append(await client.ask(chat(MODEL, f"call {len(answers)}", max_tokens=10)))
        assert answers[-1].status in (200, 503)
        assert len(answers) < 2000, "the bound of the spool is not kept"
    client.close()
    return answers


def test_a_locked_database_holds_nobody_up(tmp_path: Path) -> None:
    with simulator_thread() as simulator, gateway_process(tmp_path, config(simulator.port), env=ENV) as gateway:
        requests = [chat(MODEL, f"call {number}", max_tokens=10) for number in range(40)]
        answers = asyncio.run(call_at_once(gateway.address, KEY, requests))
        other = sqlite3.connect(gateway.data_dir / "ledger.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        answers += asyncio.run(call_at_once(gateway.address, KEY, requests))
        other.execute("ROLLBACK")
        other.close()
        assert [answer.status for answer in answers] == [200] * 80
    assert_recorded_exactly(answers, recorded(gateway.data_dir))


def test_the_ledger_moved_away_comes_back_empty_and_nothing_breaks(tmp_path: Path) -> None:
    """Whoever deletes the database loses history, not service."""
    with simulator_thread() as simulator, gateway_process(tmp_path, config(simulator.port), env=ENV) as gateway:
        assert asyncio.run(ask(gateway.address, KEY, chat(MODEL))).status == 200
        eventually(lambda: len(recorded(gateway.data_dir)) == 1)
        for name in ("ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm"):
            (gateway.data_dir / name).unlink(missing_ok=True)
        answer = asyncio.run(ask(gateway.address, KEY, chat(MODEL)))
        assert answer.status == 200
        assert settled(gateway)["reserved"] == 0
    assert answer.id in {event.id for event in recorded(gateway.data_dir)}
