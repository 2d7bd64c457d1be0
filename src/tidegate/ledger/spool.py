"""The writer of a spool: one per worker, used from its event loop; one background thread does what may wait for a disk.

Guarantees:
- When `append` returns, the record survives the death of the process (kill -9). Power loss: `none` leaves it to the
  kernel, `interval` loses about the last interval at most, `always` loses nothing and makes `append` wait.
- While `ready` is True, there is room for at least `reserve_bytes` of records (6 MiB by default). When the
  disk is full or `max_bytes` is reached, `ready` turns False with that room still in hand: refuse new calls, and the
  calls in flight can still be recorded. `reserve_bytes` should be the most calls in flight x bytes per record (1 KB).
- Only when even that room is used up does `append` raise SpoolFull; `lost` counts these.
Nothing here deletes a record: ingestion deletes a segment when the ledger holds all of it, and that makes room again.
"""

import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

from tidegate.core.clock import Clock
from tidegate.ledger.record import SpoolRecord, frame
from tidegate.ledger.segment import HEADER_BYTES, SUFFIX, Segment, bytes_held, remove_partial, sync_directory

Fsync = Literal["none", "interval", "always"]

_RETRY_SECONDS = 1.0
_EARLY_SECONDS = 0.005
"""A tick that comes this little too soon still syncs: the next one would be a whole tick later."""


class SpoolFull(Exception):
    """The record could not be kept: no room was left, not even the reserve."""


class Spool:
    """See the module. `directory` (made if missing) is this worker's own, e.g. DATA/spool/worker-0.

    `max_bytes` bounds all files in it, those of earlier runs too. `interval` in seconds. Make it after a fork only.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock,
        fsync: Fsync = "interval",
        max_bytes: int = 4 << 30,
        segment_bytes: int = 8 << 20,
        reserve_bytes: int | None = None,
        interval: float = 0.05,
        create: Callable[[Path, int], Segment] = Segment.create,
    ) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_partial(directory)
        self._directory = directory
        self._clock = clock
        self._fsync: Fsync = fsync
        self._max_bytes = max_bytes
        self._segment_bytes = max(4096, min(segment_bytes, max_bytes // 2))
        self._reserve = min(reserve_bytes or self._segment_bytes * 3 // 4, self._segment_bytes - HEADER_BYTES)
        self._interval = interval
        self._create = create
        self._run = f"{clock.now_ns():020d}-{secrets.token_hex(4)}"
        self._made = 0
        self._making = False
        self._syncing = False
        self._dirty = False
        self._synced_at = self._tried_at = clock.monotonic()
        self._no_room = ""
        self._sync_fault = ""
        self.appended = 0
        self.lost = 0
        self._closed = False
        self._naming = threading.Lock()
        self._current: Segment | None = None
        self._spare: Segment | None = None
        self._make_spare()
        self._current, self._spare = self._spare, None
        if self._current is not None:
            self._make_spare()
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="tidegate-spool", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """May a new call be admitted? Cheap: ask before each call."""
        if self._sync_fault:
            return False
        return self._spare is not None or (self._current is not None and self._current.left >= self._reserve)

    @property
    def reason(self) -> str:
        """Why not ready, for people; "" when ready."""
        if self.ready:
            return ""
        return self._sync_fault or self._no_room or "the usage spool is preparing its next segment"

    def append(self, record: SpoolRecord) -> None:
        """Keeps the record. Waits for the disk only with fsync `always` (or, very rarely, to make a segment itself)."""
        data = frame(record)
        segment = self._current
        if segment is None or segment.left < len(data):
            segment = self._next_segment(len(data))
        segment.write(data)
        self.appended += 1
        self._dirty = True
        if self._fsync == "always":
            self._sync(segment)

    def tick(self) -> None:
        """To be called every 50 ms or so: hands syncs and preallocation to the background thread."""
        if self._closed:
            return
        now = self._clock.monotonic()
        if self._spare is None and not self._making and (not self._no_room or now - self._tried_at >= _RETRY_SECONDS):
            self._tried_at = now
            self._making = True
            self._jobs.put(self._make_spare)
        segment = self._current
        due = self._dirty and not self._syncing and now - self._synced_at >= self._interval - _EARLY_SECONDS
        if due and segment is not None and self._fsync == "interval":
            self._dirty = False
            self._syncing = True
            self._synced_at = now
            self._jobs.put(lambda: self._sync(segment))

    def wait(self) -> None:
        """Returns when the background thread has done all that was handed to it so far."""
        done = threading.Event()
        self._jobs.put(done.set)
        done.wait()

    def close(self) -> None:
        """Syncs, gives unused room back and ends the thread. The spool cannot be used afterwards."""
        if self._closed:
            return
        self._closed = True
        current, self._current = self._current, None
        if current is not None:
            self._jobs.put(lambda: self._retire(current))
        self._jobs.put(None)
        self._thread.join()
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.close()

    def _next_segment(self, size: int) -> Segment:
        if self._spare is None and not self._closed:
            self._make_spare()
        fresh, full = self._spare, self._current
        if fresh is None or fresh.left < size:
            self.lost += 1
            raise SpoolFull(self._no_room or "the usage spool is closed")
        self._current, self._spare = fresh, None
        if full is not None:
            self._jobs.put(lambda: self._retire(full))
        self._making = True
        self._jobs.put(self._make_spare)
        return fresh

    # What follows runs in the background thread as well; attributes are assigned whole, which is atomic.

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _make_spare(self) -> None:
        with self._naming:
            try:
                if self._spare is None:
                    self._spare = self._made_segment()
                    self._no_room = ""
            except OSError as error:
                self._no_room = f"usage cannot be recorded: {error.strerror or error} ({self._directory})"
            finally:
                self._making = False

    def _made_segment(self) -> Segment:
        used = bytes_held(self._directory)
        if used + self._segment_bytes > self._max_bytes:
            raise OSError(f"the spool holds {used} bytes and may hold {self._max_bytes}; is ingestion running?")
        name = f"{self._run}-{self._made:06d}{SUFFIX}"
        segment = self._create(self._directory / name, self._segment_bytes)
        self._made += 1
        if self._fsync != "none":
            sync_directory(self._directory)
        return segment

    def _sync(self, segment: Segment) -> None:
        try:
            segment.sync()
            self._sync_fault = ""
        except OSError as error:
            self._sync_fault = f"usage cannot be made durable: {error.strerror or error} ({segment.path})"
        finally:
            self._syncing = False

    def _retire(self, segment: Segment) -> None:
        if self._fsync != "none":
            self._sync(segment)
        try:
            segment.close()
        except OSError as error:
            self._sync_fault = f"a segment cannot be closed: {error.strerror or error} ({segment.path})"
