"""The `--data-dir` flag and the opening of its ledger, alike in every command that reads it."""

import argparse
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidegate.store.file_lock import LockBusy
from tidegate.store.ledger import Ledger
from tidegate.store.schema import SchemaError

INGEST_PATIENCE_SECONDS = 5.0


class LedgerUnavailable(Exception):
    """The message says why and what to do."""


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    default = Path(os.environ.get("TIDEGATE_DATA_DIR") or "tidegate-data")
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=default,
        metavar="DIR",
        help=f"where the gateway keeps its data (TIDEGATE_DATA_DIR; now {default})",
    )


@contextmanager
def fresh_ledger(data_dir: Path) -> Iterator[Ledger]:
    """The ledger, after it took in what the spools hold. If it cannot take that in now, a warning says so on stderr."""
    if not data_dir.is_dir():
        raise LedgerUnavailable(
            f"no data directory at {data_dir}: name the gateway's own with --data-dir or TIDEGATE_DATA_DIR"
        )
    try:
        with Ledger.open(data_dir) as ledger:
            try:
                ledger.ingest(patience=INGEST_PATIENCE_SECONDS)
            except (LockBusy, OSError, sqlite3.Error) as error:
                print(f"tidegate: the newest calls may be missing: {error}", file=sys.stderr)
            yield ledger
    except (sqlite3.Error, SchemaError, LockBusy, OSError) as error:
        raise LedgerUnavailable(f"the ledger in {data_dir} cannot be read: {error}") from error
