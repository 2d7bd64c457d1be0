"""From spools into the ledger, exactly once.

A batch of events and how far its segment was read are committed in one transaction, and an event's id is unique:
killed anywhere, ingestion goes on where the last commit ended. A segment is deleted only when it is closed, wholly
read, and the commit that says so is on the disk. The ledger's lock file lets any number of processes call it.
"""

import logging
import sqlite3
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from tidegate.ledger.reader import SegmentReader, segments
from tidegate.ledger.record import SpoolRecord
from tidegate.store import rows

log = logging.getLogger("tidegate.store")

BATCH = 1000


def _insert(table: str, columns: Sequence[str], *, adding: Sequence[str] = ()) -> str:
    """An INSERT; a row that is there already gets the columns `adding` added to its own."""
    words = ["INSERT INTO", table, f"({', '.join(columns)})", f"VALUES ({', '.join('?' * len(columns))})"]
    if adding:
        words += ["ON CONFLICT DO UPDATE SET", ", ".join(f"{name} = {name} + excluded.{name}" for name in adding)]
    return " ".join(words)


_INSERT_EVENT = _insert("events", rows.EVENT_COLUMNS)
_INSERT_DECISION = "INSERT INTO decisions (seq, body) SELECT seq, ? FROM events WHERE id = ?"
_ADD_ROLLUP = _insert("rollups", ("slot", *rows.ROLLUP_DIMENSIONS, *rows.MEASURES), adding=rows.MEASURES)
_ADD_SPEND = _insert("spend", ("scope", "name", "slot", "charged_nano"), adding=("charged_nano",))
_SET_PROGRESS = (
    "INSERT INTO progress (segment, offset) VALUES (?, ?) "
    "ON CONFLICT DO UPDATE SET offset = max(offset, excluded.offset)"
)


def ingest_spool(connection: sqlite3.Connection, spool: Path, limit: int | None) -> int:
    """Reads every segment on from where the last commit ended; answers how many events were new. Hold the lock."""
    count = 0
    for path in segments(spool):
        try:
            with SegmentReader(path) as segment:
                count += _ingest_segment(connection, segment, str(path.relative_to(spool)), limit and limit - count)
        except FileNotFoundError:
            continue  # an empty segment, removed by its writer meanwhile
        if limit is not None and count >= limit:
            break
    _forget_deleted(connection, spool)
    return count


def _ingest_segment(connection: sqlite3.Connection, segment: SegmentReader, name: str, limit: int | None) -> int:
    found = connection.execute("SELECT offset FROM progress WHERE segment = ?", (name,)).fetchone()
    records = segment.records(found[0] if found else 0)
    count = seen = 0
    while limit is None or seen < limit:
        batch = list(islice(records, BATCH))
        if not batch:
            _finish_segment(connection, segment, name)
            break
        seen += len(batch)
        count += add(connection, [record for record, _ in batch], (name, batch[-1][1]))
    return count


def add(connection: sqlite3.Connection, batch: Sequence[SpoolRecord], progress: tuple[str, int] | None = None) -> int:
    """One transaction: events, decisions, rollups, spend and progress. Answers how many events were new."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        new = {record.event.id: record for record in reversed(batch)}
        ids = msgspec.json.encode(list(new)).decode()
        for (known,) in connection.execute(
            "SELECT id FROM events WHERE id IN (SELECT value FROM json_each(?))", (ids,)
        ):
            del new[known]
        fresh = list(reversed(new.values()))
        event_rows: list[tuple[Any, ...]] = [rows.event_row(record.event) for record in fresh]
        connection.executemany(_INSERT_EVENT, event_rows)
        connection.executemany(
            _INSERT_DECISION,
            [(rows.decision_blob(record.decision), record.event.id) for record in fresh if record.decision],
        )
        connection.executemany(_ADD_ROLLUP, rows.rollup_rows(event_rows))
        connection.executemany(_ADD_SPEND, rows.spend_rows(event_rows))
        if progress:
            connection.execute(_SET_PROGRESS, progress)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return len(new)


def _finish_segment(connection: sqlite3.Connection, segment: SegmentReader, name: str) -> None:
    """Deletes a closed segment, or keeps it aside where it is damaged."""
    if not segment.closed:
        return
    connection.execute("PRAGMA synchronous = FULL")  # this commit waits for the disk, and so for all commits before it
    connection.execute(_SET_PROGRESS, (name, 0))
    connection.execute("PRAGMA synchronous = NORMAL")
    if not segment.damage:
        segment.path.unlink(missing_ok=True)
        return
    aside = segment.path.with_suffix(".damaged")
    segment.path.rename(aside)
    log.warning("%s; all before that was ingested, the file is kept as %s", segment.damage, aside)


def _forget_deleted(connection: sqlite3.Connection, spool: Path) -> None:
    gone = [(name,) for (name,) in connection.execute("SELECT segment FROM progress") if not (spool / name).exists()]
    if gone:
        connection.executemany("DELETE FROM progress WHERE segment = ?", gone)
