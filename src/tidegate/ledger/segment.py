"""One file of a spool while it is being written: preallocated, mapped into memory, locked by its writer.

A record is appended by a copy into the map: no system call, and the page cache keeps it when the process is killed.
The lock (`flock`) is held for as long as the writer lives, so one that can be locked is closed, or its writer dead.
Preallocation makes a full disk known when the segment is made, not when a page of it is first written. (File systems
that copy on write, such as ZFS, cannot promise that.)
"""

import fcntl
import mmap
import os
from contextlib import suppress
from pathlib import Path

MAGIC = b"TGSPOOL1"
HEADER_BYTES = 16
SUFFIX = ".seg"
_PARTIAL = ".partial"
_ZEROS = bytes(1 << 18)


class Segment:
    """Made by `Segment.create`; `position` is where the next frame goes."""

    __slots__ = ("_fd", "_map", "capacity", "left", "path", "position")

    def __init__(self, path: Path, fd: int, capacity: int) -> None:
        self.path = path
        self.capacity = capacity
        self.position = HEADER_BYTES
        self.left = capacity - HEADER_BYTES
        self._fd = fd
        self._map = mmap.mmap(fd, capacity)

    @classmethod
    def create(cls, path: Path, capacity: int) -> "Segment":
        """Raises OSError when the disk has no room; nothing is left behind then."""
        partial = path.with_suffix(_PARTIAL)
        fd = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _allocate(fd, capacity)
            os.pwrite(fd, MAGIC.ljust(HEADER_BYTES, b"\0"), 0)
            segment = cls(path, fd, capacity)
            os.rename(partial, path)  # seen by readers only now, when it is locked
        except BaseException:
            os.close(fd)
            partial.unlink(missing_ok=True)
            raise
        return segment

    def write(self, frame: bytes) -> None:
        """The caller has made sure that `len(frame) <= left`."""
        end = self.position + len(frame)
        self._map[self.position : end] = frame
        self.position = end
        self.left = self.capacity - end

    def sync(self) -> None:
        """Waits until what was written is on the disk. On Linux this covers pages dirtied through the map."""
        getattr(os, "fdatasync", os.fsync)(self._fd)

    def close(self) -> None:
        """Gives back the room that was not used, and the lock. A segment without a record is removed."""
        self._map.close()
        try:
            if self.position == HEADER_BYTES:
                self.path.unlink(missing_ok=True)
            else:
                os.ftruncate(self._fd, self.position)
        finally:
            os.close(self._fd)


def remove_partial(directory: Path) -> None:
    """Removes what a writer left that was killed while it made a segment."""
    for path in directory.glob("*" + _PARTIAL):
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            path.unlink(missing_ok=True)


def bytes_held(directory: Path) -> int:
    """The sizes of the files in it, while ingestion may delete some of them."""
    total = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                total += entry.stat().st_size if entry.is_file() else 0
    return total


def sync_directory(directory: Path) -> None:
    """Makes the names of new files in it durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _allocate(fd: int, size: int) -> None:
    """Reserves the blocks and writes zeros, lest the first touch of each page fault into the file system."""
    allocate = getattr(os, "posix_fallocate", None)  # not on macOS
    if allocate is not None:
        allocate(fd, 0, size)
    for start in range(0, size, len(_ZEROS)):
        os.pwrite(fd, _ZEROS[: size - start], start)
