"""What a start learns from the ledger: what was spent in the periods that run now, and what was settled before a crash."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Set
from contextlib import contextmanager
from typing import NamedTuple

from tidegate.core.claims import Bucket, Window
from tidegate.core.snapshot import Snapshot
from tidegate.server.options import ServeOptions
from tidegate.state.memory import MemoryState
from tidegate.state.windows import period_bounds
from tidegate.store.file_lock import LockBusy
from tidegate.store.ledger import Ledger
from tidegate.store.schema import SchemaError


class Spent(NamedTuple):
    bucket: Bucket
    period_start_ns: int
    nano: int


def read_spent(
    snapshot: Snapshot, options: ServeOptions, now_ns: int, *, known: Set[tuple[str, Window]]
) -> list[Spent]:
    """Of every budget of `snapshot` whose key and window are not in `known` (those are counted already). Raises OSError.

    Records still in the spool are taken into the ledger first, so nothing that a client was answered is missed.
    """
    budgets = {bucket.key: bucket for bucket in _budgets(snapshot) if (bucket.key, bucket.window) not in known}
    if not budgets:
        return []
    with _ledger(options) as ledger:
        return [_spent(ledger, bucket, now_ns) for bucket in budgets.values() if bucket.window.period]


def load_spent(state: MemoryState, found: Iterable[Spent]) -> None:
    """Cannot fail: nothing is ever loaded by half, nor twice."""
    for one in found:
        state.load_spent(one.bucket, one.period_start_ns, one.nano)


def recorded_events(options: ServeOptions, ids: Collection[str]) -> set[str]:
    """Which of these events are recorded: in the ledger, or in the spool. Raises OSError."""
    if not ids:
        return set()
    with _ledger(options) as ledger:
        return ledger.known(ids)


@contextmanager
def _ledger(options: ServeOptions) -> Iterator[Ledger]:
    try:
        with Ledger.open(options.data_dir) as ledger:
            ledger.ingest(options.spool_dir)
            yield ledger
    except (sqlite3.Error, SchemaError, LockBusy) as error:
        raise OSError(f"the ledger cannot be read: {error}") from error


def _spent(ledger: Ledger, bucket: Bucket, now_ns: int) -> Spent:
    start_ns, end_ns = period_bounds(bucket.window.period or "month", bucket.window.timezone, now_ns)
    scope, name = bucket.key.split("/")[:2]
    return Spent(bucket, start_ns, ledger.spent("team" if scope == "team" else "consumer", name, start_ns, end_ns))


def _budgets(snapshot: Snapshot) -> Iterator[Bucket]:
    for consumer in snapshot.consumers:
        yield from (bucket for bucket in consumer.buckets if bucket.kind == "money")
