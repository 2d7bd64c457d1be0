"""The ledger's other questions: single calls, iteration, spend for budgets, retention, schema."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.usage_records import START_NS, make_decision, make_event, make_record

from tidegate.core.clock import ManualClock
from tidegate.ledger.record import SpoolRecord
from tidegate.store.file_lock import LockBusy, file_lock
from tidegate.store.ledger import FILE_NAME, Ledger
from tidegate.store.schema import GRAIN_NS, MIGRATIONS, SchemaError

DAY_NS = 86_400 * 1_000_000_000


def test_an_event_and_its_decision_come_back_as_they_were(tmp_path: Path) -> None:
    record = SpoolRecord(
        make_event(3, stream=True, cost_nano=None, first_byte_ms=None, tags={"a": "é"}, code="upstream_error"),
        make_decision("call-3", notes=["spilled"]),
    )
    with Ledger.open(tmp_path) as ledger:
        ledger.add([record])
        assert ledger.event("call-3") == record.event
        assert ledger.decision("call-3") == record.decision


def test_unknown_calls_and_calls_without_decision_have_none(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.add([SpoolRecord(make_event(1))])
        assert (ledger.event("call-0"), ledger.decision("call-0")) == (None, None)
        assert ledger.event("call-1")
        assert ledger.decision("call-1") is None


def test_events_come_in_order_of_arrival(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.add([make_record(number) for number in (5, 1, 3, 2, 4)])
        assert [event.id for event in ledger.events(START_NS + 2, START_NS + 5)] == ["call-2", "call-3", "call-4"]


def test_spent_is_by_scope_and_name_in_whole_slots(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        for slot in range(4):
            when = START_NS + slot * GRAIN_NS + 5
            ledger.add([SpoolRecord(make_event(slot, time_ns=when, charged_nano=10**slot, consumer=f"app-{slot % 2}"))])
        ledger.add([SpoolRecord(make_event(9, team="other", consumer="app-9", cost_nano=5, charged_nano=7))])
        whole = (START_NS, START_NS + 4 * GRAIN_NS)
        assert ledger.spent("team", "support", *whole) == 1111
        assert ledger.spent("consumer", "app-1", *whole) == 1010
        assert ledger.spent("team", "other", *whole) == 7, "what was charged, not the cost"
        assert ledger.spent("team", "support", START_NS + GRAIN_NS, START_NS + 3 * GRAIN_NS) == 110
        assert ledger.spent("team", "support", START_NS, START_NS + 2 * GRAIN_NS + 1) == 111
        assert ledger.spent("team", "nobody", *whole) == 0


def test_prune_deletes_old_calls_but_neither_reports_nor_budgets(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, ManualClock(START_NS + 10 * DAY_NS)) as ledger:
        ledger.add([make_record(number, time_ns=START_NS + number * DAY_NS) for number in range(10)])
        before = ledger.usage(["day"]), ledger.spent("team", "support", START_NS, START_NS + 10 * DAY_NS)
        assert ledger.prune(7) == 3
        assert ledger.prune(7) == 0
        assert (ledger.event("call-2"), ledger.decision("call-2")) == (None, None)
        assert ledger.event("call-3") and ledger.decision("call-3")
        assert (ledger.usage(["day"]), ledger.spent("team", "support", START_NS, START_NS + 10 * DAY_NS)) == before


def test_a_ledger_is_found_again_with_what_it_held(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "new" / "dir") as ledger:
        ledger.add([make_record(0)])
    with Ledger.open(tmp_path / "new" / "dir") as ledger:
        assert ledger.event("call-0")


def test_many_may_open_a_new_ledger_at_once(tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def opened(attempt: int) -> bool:
        together.wait()
        with Ledger.open(tmp_path / str(attempt)) as ledger:
            return ledger.event("call-0") is None

    with ThreadPoolExecutor(4) as pool:
        for attempt in range(15):
            assert all(pool.map(opened, [attempt] * 4))


def test_opening_waits_for_another_that_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The race itself is rare (SQLite answers "locked" when two change a new file to WAL); this pins what prevents it."""
    monkeypatch.setattr("tidegate.store.ledger._PATIENCE_SECONDS", 0.0)
    with file_lock(tmp_path / "open.lock", 0), pytest.raises(LockBusy, match=r"another process has held .*open\.lock"):
        Ledger.open(tmp_path)
    Ledger.open(tmp_path).close()


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    Ledger.open(tmp_path).close()
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_newer_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    Ledger.open(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(SchemaError, match="use a newer tidegate"):
        Ledger.open(tmp_path)


def test_a_migration_that_fails_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.add([make_record(0)])
    failing = "CREATE TABLE more (x INTEGER);\nINSERT INTO nowhere VALUES (1);\n"
    monkeypatch.setattr("tidegate.store.schema.MIGRATIONS", (*MIGRATIONS, failing))
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        Ledger.open(tmp_path)
    monkeypatch.setattr("tidegate.store.schema.MIGRATIONS", (*MIGRATIONS, "CREATE TABLE more (x INTEGER);\n"))
    with Ledger.open(tmp_path) as ledger:
        assert ledger.event("call-0")


def test_the_schema_of_each_release_is_pinned() -> None:
    """Editing a released migration would leave old files as they are: add a new one, and pin it here."""
    assert len(MIGRATIONS) == 1


def test_questions_use_indexes(tmp_path: Path) -> None:
    questions = (
        "SELECT 1 FROM events WHERE id = 'x'",
        "SELECT 1 FROM events WHERE time_ns >= 1 AND time_ns < 2",
        "SELECT 1 FROM rollups WHERE slot >= 1 AND slot < 2",
        "SELECT 1 FROM spend WHERE scope = 'team' AND name = 'x' AND slot >= 1 AND slot < 2",
    )
    with Ledger.open(tmp_path) as ledger:
        for question in questions:
            [plan] = ledger._connection.execute(f"EXPLAIN QUERY PLAN {question}").fetchall()
            assert plan[3].startswith("SEARCH"), question
