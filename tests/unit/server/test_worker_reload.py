"""A reload is taken whole or not at all: above all no budget is loaded by half, or twice."""

import asyncio
import logging
import sqlite3
import time
from pathlib import Path

import msgspec
import pytest
from tests.support.snapshots import ONE_CREDENTIAL
from tests.support.usage_records import make_record

from tidegate.config.secret import SecretMissing
from tidegate.core.claims import Bucket, Window
from tidegate.core.snapshot import (
    ConsumerSpec,
    ModelSpec,
    ProviderSpec,
    RoutingSpec,
    SecretRef,
    ServerSpec,
    Snapshot,
    TargetSpec,
    Timeouts,
)
from tidegate.server.options import ServeOptions
from tidegate.server.worker import Worker
from tidegate.store.ledger import Ledger

SPENT = 700
BUDGETS = tuple(
    Bucket(key=key, kind="money", limit=10**9, window=Window(period="month"))
    for key in ("team/support/money/month", "consumer/chatbot/money/month")
)
PROVIDER = ProviderSpec(
    name="p",
    dialect="openai",
    base_url="http://127.0.0.1:1/v1",
    credentials=ONE_CREDENTIAL,
    region=None,
    timeouts=Timeouts(),
)


def snapshot(version: str, *buckets: Bucket, server: ServerSpec | None = None) -> Snapshot:
    model = ModelSpec(
        name="m", task="chat", targets=(TargetSpec(name="a", provider="p", model="a"),), routing=RoutingSpec()
    )
    consumer = ConsumerSpec(name="chatbot", team="support", models=frozenset({"m"}), buckets=buckets)
    return Snapshot(
        version=version,
        providers=(PROVIDER,),
        models=(model,),
        consumers=(consumer,),
        keys=((b"k" * 32, 0),),
        server=server or ServerSpec(),
    )


def write(options: ServeOptions, one: Snapshot) -> None:
    options.snapshot_file.write_bytes(msgspec.msgpack.encode(one))


def used(worker: Worker) -> list[int]:
    return [level.used for level in worker._runtime.state.levels(BUDGETS)]


async def _worker(options: ServeOptions) -> Worker:
    worker = Worker(options, asyncio.get_running_loop())
    assert worker.reload() == "one"
    return worker


@pytest.fixture
def options(tmp_path: Path) -> ServeOptions:
    found = ServeOptions(None, "127.0.0.1:0", "127.0.0.1:0", tmp_path, access_log=False)
    write(found, snapshot("one"))
    with Ledger.open(tmp_path) as ledger:
        ledger.add([make_record(charged_nano=SPENT, time_ns=time.time_ns())])
    return found


def test_a_reload_that_lacks_a_secret_changes_nothing(options: ServeOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        worker = await _worker(options)
        lacking = ServerSpec(aws_access=SecretRef(env="NO_SUCH_SECRET"))
        write(options, snapshot("two", *BUDGETS, server=lacking))
        for _ in range(2):
            with pytest.raises(SecretMissing):
                worker.reload()
        assert (worker._runtime.snapshot.version, used(worker)) == ("one", [0, 0])
        monkeypatch.setenv("NO_SUCH_SECRET", "x" * 64)
        assert worker.reload() == "two"
        assert used(worker) == [SPENT, SPENT]
        assert worker.reload() == "two"
        assert used(worker) == [SPENT, SPENT]

    asyncio.run(main())


def test_a_budget_that_counts_by_another_time_zone_knows_what_was_spent(options: ServeOptions) -> None:
    elsewhere = tuple(
        msgspec.structs.replace(one, window=Window(period="month", timezone="Etc/GMT-1")) for one in BUDGETS
    )

    async def main() -> None:
        worker = await _worker(options)
        write(options, snapshot("two", *BUDGETS))
        assert worker.reload() == "two"
        write(options, snapshot("three", *elsewhere))
        assert worker.reload() == "three"
        assert [level.used for level in worker._runtime.state.levels(elsewhere)] == [SPENT, SPENT]

    asyncio.run(main())


def test_a_reload_that_cannot_read_the_ledger_changes_nothing(
    options: ServeOptions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    spent = Ledger.spent
    seen: list[str] = []

    def failing(ledger: Ledger, scope: str, name: str, start_ns: int, end_ns: int) -> int:
        seen.append(scope)
        if scope == "consumer":
            raise sqlite3.OperationalError("disk I/O error")
        return spent(ledger, "team", name, start_ns, end_ns)

    async def main() -> None:
        worker = await _worker(options)
        write(options, snapshot("two", *BUDGETS))
        monkeypatch.setattr(Ledger, "spent", failing)
        with pytest.raises(OSError, match="disk I/O error"):
            worker.reload()
        assert (seen, worker._runtime.snapshot.version, used(worker)) == (["team", "consumer"], "one", [0, 0])
        monkeypatch.undo()
        assert worker.reload() == "two"
        assert used(worker) == [SPENT, SPENT]

    asyncio.run(main())
