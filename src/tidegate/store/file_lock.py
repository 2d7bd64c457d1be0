"""A lock between processes and threads: an empty file held with flock. It ends with its holder, whatever becomes of it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE_SECONDS = 0.02


class LockBusy(Exception):
    """Another process kept the lock for too long."""


@contextmanager
def file_lock(path: Path, patience: float) -> Iterator[None]:
    """Holds the lock file `path`, made if missing; waits up to `patience` seconds for it, then raises LockBusy."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + patience
        while not _taken(fd):
            if time.monotonic() >= until:
                raise LockBusy(f"another process has held {path} for {patience:g} s")
            time.sleep(_PAUSE_SECONDS)
        yield
    finally:
        os.close(fd)


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
