"""What a start learns from the ledger: what was spent in the periods that run now, and what was settled before a crash."""

from collections.abc import Collection, Iterator

from tidegate.core.claims import Bucket
from tidegate.core.snapshot import Snapshot
from tidegate.server.options import ServeOptions
from tidegate.state.memory import MemoryState
from tidegate.state.windows import period_bounds
from tidegate.store.ledger import Ledger


def restore_budgets(
    state: MemoryState, snapshot: Snapshot, options: ServeOptions, now_ns: int, *, known: set[str]
) -> None:
    """Loads every budget of `snapshot` that is not in `known` (those run already).

    Records still in the spool are taken into the ledger first, so nothing that a client was answered is missed.
    """
    budgets = {bucket.key: bucket for bucket in _budgets(snapshot) if bucket.key not in known}
    if not budgets:
        return
    with Ledger.open(options.data_dir) as ledger:
        ledger.ingest(options.spool_dir)
        for bucket in budgets.values():
            period = bucket.window.period
            if period is None:
                continue
            start_ns, end_ns = period_bounds(period, bucket.window.timezone, now_ns)
            scope, name = bucket.key.split("/")[:2]
            spent = ledger.spent("team" if scope == "team" else "consumer", name, start_ns, end_ns)
            state.load_spent(bucket, start_ns, spent)


def recorded_events(options: ServeOptions, ids: Collection[str]) -> set[str]:
    """Which of these events are recorded: in the ledger, or in the spool."""
    if not ids:
        return set()
    with Ledger.open(options.data_dir) as ledger:
        ledger.ingest(options.spool_dir)
        return ledger.known(ids)


def _budgets(snapshot: Snapshot) -> Iterator[Bucket]:
    for consumer in snapshot.consumers:
        yield from (bucket for bucket in consumer.buckets if bucket.kind == "money")
