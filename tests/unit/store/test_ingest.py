"""Ingestion: each event once, whatever is killed, repeated or damaged, and only then is a segment deleted."""

import logging
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.usage_records import START_NS, make_event, make_record

from tidegate.core.clock import ManualClock
from tidegate.ledger.reader import segments
from tidegate.ledger.record import SpoolRecord
from tidegate.ledger.segment import HEADER_BYTES
from tidegate.ledger.spool import Spool
from tidegate.store.file_lock import LockBusy, file_lock
from tidegate.store.ledger import Ledger

ROOT = Path(__file__).parents[3]


def make_spool(data_dir: Path, worker: str = "worker-0", segment_bytes: int = 65_536) -> Spool:
    return Spool(data_dir / "spool" / worker, clock=ManualClock(), segment_bytes=segment_bytes, fsync="none")


def spool_closed(data_dir: Path, count: int, *, start: int = 0, worker: str = "worker-0") -> None:
    spool = make_spool(data_dir, worker)
    for number in range(start, start + count):
        spool.append(make_record(number))
    spool.close()


def assert_holds(ledger: Ledger, count: int) -> None:
    """Events, decisions, rollups and spend all tell of the calls 0 to `count`, once each."""
    assert Counter(event.id for event in ledger.events()) == Counter(f"call-{number}" for number in range(count))
    [row] = ledger.usage()
    assert (row["requests"], row["cost_usd"]) == (count, f"{count * 1_500 / 1e9:.9f}".rstrip("0").rstrip("."))
    end = START_NS + 3_600_000_000_000
    assert (
        ledger.spent("team", "support", START_NS, end)
        == ledger.spent("consumer", "chatbot", START_NS, end)
        == count * 1_500
    )
    assert all(ledger.decision(f"call-{number}") for number in range(count))


def test_closed_segments_are_ingested_and_deleted(tmp_path: Path) -> None:
    spool_closed(tmp_path, 500)
    with Ledger.open(tmp_path) as ledger:
        assert ledger.ingest() == 500
        assert segments(tmp_path / "spool") == []
        assert ledger.ingest() == 0
        assert_holds(ledger, 500)


def test_a_live_segment_is_tailed(tmp_path: Path) -> None:
    spool = make_spool(tmp_path)
    with Ledger.open(tmp_path) as ledger:
        for number in range(5):
            spool.append(make_record(number))
            assert ledger.ingest() == 1
        assert segments(tmp_path / "spool")
        spool.close()
        assert ledger.ingest() == 0
        assert segments(tmp_path / "spool") == []
        assert_holds(ledger, 5)


def test_segments_that_the_writer_leaves_are_deleted_while_it_goes_on(tmp_path: Path) -> None:
    spool = make_spool(tmp_path)
    with Ledger.open(tmp_path) as ledger:
        for number in range(600):
            spool.append(make_record(number))
            if not number % 97:
                ledger.ingest()
        spool.wait()
        ledger.ingest()
        assert len(segments(tmp_path / "spool")) <= 2
        assert_holds(ledger, 600)
    spool.close()


def test_all_workers_are_ingested(tmp_path: Path) -> None:
    spool_closed(tmp_path, 10, worker="worker-0")
    spool_closed(tmp_path, 10, start=10, worker="worker-1")
    with Ledger.open(tmp_path) as ledger:
        assert ledger.ingest() == 20
        assert_holds(ledger, 20)


def test_a_copy_of_a_segment_is_counted_once(tmp_path: Path) -> None:
    spool_closed(tmp_path, 20)
    [path] = segments(tmp_path / "spool")
    (tmp_path / "spool" / "restored").mkdir()
    (tmp_path / "spool" / "restored" / path.name).write_bytes(path.read_bytes())
    with Ledger.open(tmp_path) as ledger:
        assert ledger.ingest() == 20
        assert_holds(ledger, 20)


def test_the_same_id_twice_in_one_batch_is_counted_once(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        assert ledger.add([make_record(0), make_record(1), make_record(0)]) == 2
        assert ledger.add([make_record(1)]) == 0
        assert_holds(ledger, 2)


def test_limit_bounds_one_pass(tmp_path: Path) -> None:
    spool_closed(tmp_path, 2500)
    with Ledger.open(tmp_path) as ledger:
        taken = [ledger.ingest(limit=1000), ledger.ingest(limit=1000), ledger.ingest(limit=1000), ledger.ingest()]
        assert sum(taken) == 2500
        assert max(taken) < 2000
        assert segments(tmp_path / "spool") == []
        assert_holds(ledger, 2500)


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.sampled_from(["append", "ingest", "restart", "reopen"]), max_size=40))
def test_any_interleaving_of_writer_restarts_and_ingestion_is_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    data_dir = tmp_path_factory.mktemp("data")
    spool, ledger, count, taken = make_spool(data_dir, segment_bytes=4_096), Ledger.open(data_dir), 0, 0
    for step in steps:
        match step:
            case "append":
                for _ in range(4):
                    spool.append(make_record(count))
                    count += 1
            case "ingest":
                taken += ledger.ingest()
                assert taken == count
            case "restart":
                spool.close()
                spool = make_spool(data_dir, segment_bytes=4_096)
            case _:
                ledger.close()
                ledger = Ledger.open(data_dir)
    spool.close()
    ledger.ingest()
    assert segments(data_dir / "spool") == []
    assert_holds(ledger, count)
    ledger.close()


def test_killed_at_any_statement_it_is_exactly_once(tmp_path: Path) -> None:
    """Each run is killed a little later than the one before, over the same files, until one comes through."""
    count = 1500
    spool_closed(tmp_path, count)
    command = [sys.executable, "-m", "tests.support.spool_child", "ingest", str(tmp_path)]
    killed = 0
    for statements in (4, 8, 12, 300, 700, 1003, 1600, 2015, 2030, 2035, 2040, 10**9):
        run = subprocess.run([*command, str(statements)], cwd=ROOT, capture_output=True, timeout=60, check=False)
        if run.returncode == 0:
            break
        assert run.returncode == -signal.SIGKILL, run.stderr
        killed += 1
    assert killed >= 6
    with Ledger.open(tmp_path) as ledger:
        assert ledger.ingest() == 0
        assert segments(tmp_path / "spool") == []
        assert_holds(ledger, count)


def test_what_is_before_damage_is_kept_and_the_file_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool_closed(tmp_path, 20)
    [path] = segments(tmp_path / "spool")
    broken = bytearray(path.read_bytes())
    middle = HEADER_BYTES + (len(broken) - HEADER_BYTES) // 2
    broken[middle] ^= 0xFF
    path.write_bytes(broken)
    with Ledger.open(tmp_path) as ledger, caplog.at_level(logging.WARNING, "tidegate.store"):
        kept = ledger.ingest()
        assert 8 <= kept <= 10
        assert_holds(ledger, kept)
        assert ledger.ingest() == 0
    assert path.with_suffix(".damaged").read_bytes() == broken
    assert "torn" in caplog.text
    assert "kept as" in caplog.text


def test_a_failed_batch_leaves_nothing_behind(tmp_path: Path) -> None:
    """A row that SQLite refuses: the whole batch and its progress are undone, and the segment stays."""
    spool_closed(tmp_path, 10)
    with Ledger.open(tmp_path) as ledger:
        ledger._connection.execute("CREATE TRIGGER no BEFORE INSERT ON spend BEGIN SELECT raise(ABORT, 'no'); END")
        with pytest.raises(Exception, match="no"):
            ledger.ingest()
        assert list(ledger.events()) == []
        ledger._connection.execute("DROP TRIGGER no")
        assert ledger.ingest() == 10
        assert_holds(ledger, 10)


def test_absurd_costs_are_unknown_and_do_not_stop_ingestion(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    huge = 2**63 - 1
    usage = make_event().usage.__class__(input=huge, output=huge, source="reported")
    with Ledger.open(tmp_path) as ledger, caplog.at_level(logging.WARNING, "tidegate.store"):
        ledger.add([SpoolRecord(make_event(n, usage=usage, cost_nano=huge, charged_nano=huge)) for n in range(20)])
        [row] = ledger.usage()
        assert (row["cost_usd"], row["unknown_cost_requests"]) == ("0", 20)
        assert ledger.event("call-3").usage == usage  # type: ignore[union-attr]
        assert ledger.spent("team", "support", START_NS, START_NS + 10**12) == 20 * 10**15
    assert "out of all reason" in caplog.text


def test_two_at_once_share_the_work(tmp_path: Path) -> None:
    spool_closed(tmp_path, 3000)
    taken: list[int] = []

    def work() -> None:
        with Ledger.open(tmp_path) as ledger:
            taken.append(ledger.ingest())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [0, 0, 3000]
    with Ledger.open(tmp_path) as ledger:
        assert_holds(ledger, 3000)


def test_a_lock_that_is_never_given_back_is_told(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger, file_lock(tmp_path / "ingest.lock", 0):
        with pytest.raises(LockBusy, match="another process has held"):
            ledger.ingest(patience=0.0)
