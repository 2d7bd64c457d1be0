"""Reads segments, live ones too, and trusts nothing in them: the valid prefix is what counts.

Never writes to a segment. Damage is reported in words and ends the reading of that segment, never the process.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tidegate.ledger.record import FRAME, SpoolRecord, checksum, decode
from tidegate.ledger.segment import HEADER_BYTES, MAGIC, SUFFIX

_CHUNK_BYTES = 1 << 20


def segments(spool: Path) -> list[Path]:
    """All segments of `spool` and of the workers' directories in it, oldest first within each."""
    return sorted([*spool.glob("*" + SUFFIX), *spool.glob("*/*" + SUFFIX)])


class SegmentReader:
    """One segment, opened for reading; a context manager.

    `closed` is found at opening: True when no writer has it, so that what is read afterwards is all there will be.
    Any number of readers may be open at once. Raises OSError at opening.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage = ""
        """What was wrong, for people; set while `records` runs. Always "" for a live segment (a tail half written)."""
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            self.closed = True
        except BlockingIOError:
            self.closed = False
        self._size = os.fstat(self._fd).st_size
        self._window = b""
        self._start = 0

    def __enter__(self) -> "SegmentReader":
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._fd)

    def records(self, offset: int = 0) -> Iterator[tuple[SpoolRecord, int]]:
        """The records from `offset` (0: the first) and for each the offset that follows it."""
        position = max(offset, HEADER_BYTES)
        header = self._read(0, HEADER_BYTES)
        if header[: len(MAGIC)] != MAGIC:
            if header.strip(b"\0"):
                self._report("it is not a spool segment", 0)
            return
        while True:
            length, crc = self._frame_at(position)
            if not length:
                self._check_tail(position)
                return
            end = position + FRAME.size + length
            payload = self._read(position + FRAME.size, length) if end <= self._size else b""
            if len(payload) != length or checksum(payload) != crc:
                self._report("a record is torn", position)
                return
            try:
                yield decode(payload), end
            except (msgspec.MsgspecError, RecursionError):
                self._report("a record is not of this version", position)
            position = end

    def _frame_at(self, position: int) -> tuple[int, int]:
        head = self._read(position, FRAME.size)
        return FRAME.unpack(head) if len(head) == FRAME.size else (0, 0)

    def _check_tail(self, position: int) -> None:
        """A clean end is followed by zeros only. Looked at in closed segments alone."""
        at = position
        while self.closed and at < self._size:
            chunk = self._read(at, min(_CHUNK_BYTES, self._size - at))
            if not chunk or chunk.strip(b"\0"):
                self._report("there is something after its end", position)
                return
            at += len(chunk)

    def _report(self, what: str, position: int) -> None:
        if self.closed:
            self.damage = f"{self.path.name}: {what} at byte {position} of {self._size}"

    def _read(self, position: int, size: int) -> bytes:
        lead = position - self._start
        if lead < 0 or lead + size > len(self._window):
            self._window = os.pread(self._fd, max(size, _CHUNK_BYTES), position)
            self._start, lead = position, 0
        return self._window[lead : lead + size]


def read_segment(path: Path, offset: int = 0) -> Iterator[tuple[SpoolRecord, int]]:
    """The records of the segment's valid prefix from `offset`, each with the offset that follows it."""
    with SegmentReader(path) as segment:
        yield from segment.records(offset)
