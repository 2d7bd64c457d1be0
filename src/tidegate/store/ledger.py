"""The Ledger: one SQLite file in the data directory. The only door to it for the control process and the CLI."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tidegate.core.clock import Clock, SystemClock
from tidegate.core.decision import Decision
from tidegate.core.money import NANO_PER_USD
from tidegate.core.usage import UsageEvent
from tidegate.ledger.record import SpoolRecord
from tidegate.store import ingest, usage_report
from tidegate.store.file_lock import file_lock
from tidegate.store.rows import EVENT_COLUMNS, decision_of, event_of
from tidegate.store.schema import GRAIN_NS, migrate

FILE_NAME = "ledger.sqlite3"
SPOOL_NAME = "spool"
_DAY_NS = 86_400 * 1_000_000_000
_SELECT_EVENTS = " ".join(("SELECT", ", ".join(EVENT_COLUMNS), "FROM events"))
_SPENT = """
    SELECT coalesce(sum(charged_nano / 1000000000), 0), coalesce(sum(charged_nano % 1000000000), 0)
    FROM spend WHERE scope = ? AND name = ? AND slot >= ? AND slot < ?
"""
_PRUNE_BATCH = 5000
_PATIENCE_SECONDS = 30.0


class Ledger:
    """One connection: use it from one thread at a time; any number of Ledgers may be open on one file, in any process.

    Times are ns since the epoch, money is nano-USD but in `usage` (decimal strings of USD). Raises sqlite3.Error when
    the file cannot be used and SchemaError when a newer version wrote it.
    """

    def __init__(self, connection: sqlite3.Connection, data_dir: Path, clock: Clock) -> None:
        self._connection = connection
        self._data_dir = data_dir
        self._clock = clock

    @classmethod
    def open(cls, data_dir: Path, clock: Clock | None = None) -> "Ledger":
        """Opens the ledger of a data directory; makes both where missing."""
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = data_dir / FILE_NAME
        with file_lock(data_dir / "open.lock", _PATIENCE_SECONDS):  # SQLite cannot wait for the change to WAL by itself
            os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o600))  # who spent what is nobody else's affair
            connection = sqlite3.connect(path, timeout=_PATIENCE_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                migrate(connection)
            except BaseException:
                connection.close()
                raise
        return cls(connection, data_dir, clock or SystemClock())

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def ingest(
        self, spool_dir: Path | None = None, *, limit: int | None = None, patience: float = _PATIENCE_SECONDS
    ) -> int:
        """Takes in what the spools hold (DATA/spool by default), live segments too; answers how many events were new.

        At most about `limit` of them. Safe from any number of processes: waits `patience` seconds for another, then
        raises LockBusy.
        """
        with file_lock(self._data_dir / "ingest.lock", patience):
            return ingest.ingest_spool(self._connection, spool_dir or self._data_dir / SPOOL_NAME, limit)

    def add(self, records: Sequence[SpoolRecord]) -> int:
        """Takes in records directly; answers how many were new."""
        return ingest.add(self._connection, records)

    def usage(
        self,
        by: Sequence[str] = (),
        since_ns: int | None = None,
        until_ns: int | None = None,
        where: Mapping[str, str] | None = None,
    ) -> list[dict[str, Any]]:
        """The contract's rows for [since, until): dimensions, `requests` (`refused` ones apart), tokens, `cost_usd`.

        Raises UnknownDimension.
        """
        return usage_report.usage(self._connection, by, since_ns, until_ns, where or {})

    def decision(self, call_id: str) -> Decision | None:
        """None when the call is unknown, or none was kept for it (see `event`)."""
        sql = "SELECT body FROM decisions JOIN events USING (seq) WHERE id = ?"
        found = self._connection.execute(sql, (call_id,)).fetchone()
        return decision_of(found[0]) if found else None

    def event(self, call_id: str) -> UsageEvent | None:
        found = self._connection.execute(f"{_SELECT_EVENTS} WHERE id = ?", (call_id,)).fetchone()
        return event_of(found) if found else None

    def known(self, ids: Iterable[str]) -> set[str]:
        """Those of `ids` that are events here."""
        sql = "SELECT id FROM events WHERE id IN (SELECT value FROM json_each(?))"
        return {found for (found,) in self._connection.execute(sql, (json.dumps(list(ids)),))}

    def latest_id(self) -> str | None:
        """Of the call that arrived last; None in an empty ledger."""
        found = self._connection.execute("SELECT id FROM events ORDER BY time_ns DESC, seq DESC LIMIT 1").fetchone()
        return found[0] if found else None

    def events(self, since_ns: int = 0, until_ns: int = 2**63 - 1) -> Iterator[UsageEvent]:
        """Events that arrived in [since, until), in order of arrival."""
        sql = f"{_SELECT_EVENTS} WHERE time_ns >= ? AND time_ns < ? ORDER BY time_ns, seq"
        for found in self._connection.execute(sql, (since_ns, until_ns)):
            yield event_of(found)

    def spent(self, scope: Literal["team", "consumer"], name: str, start_ns: int, end_ns: int) -> int:
        """What was charged to a budget in [start, end); both are told to 15 minutes, as each calendar period is."""
        slots = (start_ns // GRAIN_NS, -(-end_ns // GRAIN_NS))
        whole, rest = self._connection.execute(_SPENT, (scope, name, *slots)).fetchone()
        return whole * NANO_PER_USD + rest

    def prune(self, retention_days: int) -> int:
        """Deletes events and Decisions older than that; answers how many. Rollups and what budgets count stay."""
        before = (self._clock.now_ns() - retention_days * _DAY_NS) // GRAIN_NS * GRAIN_NS
        self._connection.execute(
            "INSERT INTO facts (name, value) VALUES ('pruned_before_ns', ?) "
            "ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
            (before,),
        )
        deleted = 0
        while batch := self._prune_batch(before):
            deleted += batch
        return deleted

    def _prune_batch(self, before_ns: int) -> int:
        """One short transaction, so that ingestion need not wait long."""
        sql = "SELECT seq FROM events WHERE time_ns < ? ORDER BY time_ns LIMIT ?"
        doomed = self._connection.execute(sql, (before_ns, _PRUNE_BATCH)).fetchall()
        if doomed:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("DELETE FROM decisions WHERE seq = ?", doomed)
            self._connection.executemany("DELETE FROM events WHERE seq = ?", doomed)
            self._connection.execute("COMMIT")
        return len(doomed)
