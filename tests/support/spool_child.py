"""Processes that tests of the spool and the ledger kill: `python -m tests.support.spool_child MODE DIR ARGUMENT`."""

import os
import signal
import sys
from pathlib import Path

from tests.support.usage_records import make_record

from tidegate.core.clock import SystemClock
from tidegate.ledger.spool import Spool, SpoolFull
from tidegate.store.ledger import Ledger


def append_for_ever(directory: Path, fsync: str) -> None:
    """Appends, and writes each id to stdout only when `append` has returned."""
    spool = Spool(directory, clock=SystemClock(), fsync=fsync, segment_bytes=65_536)  # type: ignore[arg-type]
    number = 0
    while True:
        record = make_record(number)
        spool.append(record)
        os.write(1, f"{record.event.id}\n".encode())
        number += 1
        if not number % 50:
            spool.tick()


def fill(directory: Path, calls_in_flight: int) -> None:
    """Appends while the spool is ready, and then as many records as there are calls in flight. Tells what was kept."""
    spool = Spool(directory, clock=SystemClock(), segment_bytes=65_536, reserve_bytes=40_000)
    number = 0
    while spool.ready:
        spool.append(make_record(number))
        number += 1
        spool.tick()
        spool.wait()
    print("not ready:", spool.reason)
    for _ in range(calls_in_flight):
        spool.append(make_record(number))
        number += 1
    print("kept", number)
    try:
        for extra in range(100_000):
            spool.append(make_record(number + extra))
    except SpoolFull as error:
        print("full:", error)
    spool.close()


def ingest_until_killed(data_dir: Path, statements: int) -> None:
    """Ingests, and kills itself when SQLite has begun that many statements."""
    with Ledger.open(data_dir) as ledger:
        left = statements

        def count(_sql: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

        ledger._connection.set_trace_callback(count)
        print(ledger.ingest())


if __name__ == "__main__":
    mode, where, argument = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if mode == "append":
        append_for_ever(where, argument)
    elif mode == "fill":
        fill(where, int(argument))
    else:
        ingest_until_killed(where, int(argument))
