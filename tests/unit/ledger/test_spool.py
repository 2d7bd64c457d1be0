"""The spool's guarantees: what was appended is there after anything; a full disk is known while there is room left."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from tests.support.usage_records import make_record

from tidegate.core.clock import ManualClock
from tidegate.ledger.reader import SegmentReader, read_segment, segments
from tidegate.ledger.record import frame
from tidegate.ledger.segment import Segment, bytes_held
from tidegate.ledger.spool import Spool, SpoolFull

ROOT = Path(__file__).parents[3]
SIZE = len(frame(make_record(1000)))


class Disk:
    """Makes segments until it is told to be full."""

    def __init__(self) -> None:
        self.full = False

    def create(self, path: Path, capacity: int) -> Segment:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return Segment.create(path, capacity)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def spool(tmp_path: Path, clock: ManualClock) -> Iterator[Spool]:
    made = Spool(tmp_path, clock=clock, segment_bytes=16_384, fsync="none")
    yield made
    made.close()


def numbers(directory: Path) -> list[int]:
    found = [record for path in segments(directory) for record, _ in read_segment(path)]
    return [int(record.event.id.removeprefix("call-")) for record in found]


def fill_until_not_ready(spool: Spool, start: int = 0) -> int:
    number = start
    while spool.ready:
        spool.append(make_record(number))
        spool.tick()
        spool.wait()
        number += 1
        assert number - start < 10_000
    return number


def test_records_are_readable_at_once_and_in_order_over_segments(spool: Spool, tmp_path: Path) -> None:
    for number in range(100):
        spool.append(make_record(number))
        assert numbers(tmp_path)[-1] == number
    assert numbers(tmp_path) == list(range(100))
    assert len(segments(tmp_path)) > 3
    assert spool.appended == 100


def test_a_segment_is_closed_when_it_is_left_and_the_live_one_is_not(spool: Spool, tmp_path: Path) -> None:
    while len(segments(tmp_path)) < 3:
        spool.append(make_record(0))
        spool.wait()
    states = []
    for path in segments(tmp_path):
        with SegmentReader(path) as segment:
            states.append(segment.closed)
    assert states == [True, False, False]


def test_closing_gives_the_unused_room_back(spool: Spool, tmp_path: Path) -> None:
    spool.append(make_record(0))
    spool.close()
    spool.close()
    assert [path.stat().st_size for path in segments(tmp_path)] == [16 + len(frame(make_record(0)))]


def test_closing_an_unused_spool_leaves_nothing(spool: Spool, tmp_path: Path) -> None:
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_an_append_after_closing_is_refused(spool: Spool) -> None:
    spool.close()
    with pytest.raises(SpoolFull):
        spool.append(make_record(0))


def test_a_restart_begins_a_new_segment_and_leaves_the_old_ones(tmp_path: Path, clock: ManualClock) -> None:
    for run in range(3):
        spool = Spool(tmp_path, clock=clock, segment_bytes=16_384)
        spool.append(make_record(run))
        spool.close()
        clock.advance(1)
    assert numbers(tmp_path) == [0, 1, 2]
    assert len(segments(tmp_path)) == 3


def test_what_a_writer_left_that_died_while_making_a_segment_is_removed(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "old.partial").write_bytes(b"\0" * 100)
    Spool(tmp_path, clock=clock, segment_bytes=16_384).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("full", [False, True])
def test_the_bound_makes_it_not_ready_and_ingestion_ready_again(tmp_path: Path, clock: ManualClock, full: bool) -> None:
    bound = 100_000
    spool = Spool(tmp_path, clock=clock, segment_bytes=16_384, max_bytes=bound, reserve_bytes=10_000)
    count = fill_until_not_ready(spool)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= bound
    assert "may hold 100000" in spool.reason
    if full:
        with pytest.raises(SpoolFull):
            while True:
                spool.append(make_record(count))
                count += 1
        assert spool.lost == 1
    for path in segments(tmp_path)[:-1]:
        path.unlink()
    clock.advance(1.0)
    spool.tick()
    spool.wait()
    assert (spool.ready, spool.reason) == (True, "")
    spool.append(make_record(count))
    assert numbers(tmp_path)[-1] == count
    spool.close()


def test_a_full_disk_is_known_while_the_reserve_is_left(tmp_path: Path, clock: ManualClock) -> None:
    disk = Disk()
    spool = Spool(tmp_path, clock=clock, segment_bytes=16_384, reserve_bytes=8_000, create=disk.create)
    disk.full = True
    count = fill_until_not_ready(spool)
    assert "No space left on device" in spool.reason
    in_flight = 8_000 // SIZE - 1
    assert in_flight > 5
    for number in range(count, count + in_flight):
        spool.append(make_record(number))
    assert numbers(tmp_path) == list(range(count + in_flight))
    disk.full = False
    clock.advance(1.0)
    spool.tick()
    spool.wait()
    assert spool.ready
    spool.close()


def test_a_full_disk_at_the_start_is_not_ready_until_there_is_room(tmp_path: Path, clock: ManualClock) -> None:
    disk = Disk()
    disk.full = True
    spool = Spool(tmp_path, clock=clock, segment_bytes=16_384, create=disk.create)
    assert not spool.ready
    with pytest.raises(SpoolFull, match="No space left"):
        spool.append(make_record(0))
    disk.full = False
    clock.advance(1.0)
    spool.tick()
    spool.wait()
    assert spool.ready
    spool.append(make_record(1))
    assert numbers(tmp_path) == [1]
    spool.close()


def test_a_segment_deleted_while_sizes_are_summed_is_no_lack_of_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept.seg").write_bytes(b"12345")
    (tmp_path / "gone.seg").write_bytes(b"12345")
    listed = list(os.scandir(tmp_path))
    (tmp_path / "gone.seg").unlink()
    monkeypatch.setattr("os.scandir", lambda _: nullcontext(listed))
    assert bytes_held(tmp_path) == 5


def test_a_file_size_limit_of_the_system_is_a_full_disk(tmp_path: Path, clock: ManualClock) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    spool = Spool(tmp_path, clock=clock, segment_bytes=16_384, reserve_bytes=8_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_192, hard))
    try:
        count = fill_until_not_ready(spool)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in spool.reason
    assert numbers(tmp_path) == list(range(count))
    assert not list(tmp_path.glob("*.partial"))
    spool.close()


def _tmpfs_child(directory: Path, *arguments: str) -> list[str] | None:
    """The command in a small tmpfs of its own, or None where this user may not mount one."""
    if not (unshare := shutil.which("unshare")):
        return None
    mount = f"mount -t tmpfs -o size=1m tmpfs {directory}"
    if subprocess.run([unshare, "-rm", "sh", "-c", mount], capture_output=True, check=False).returncode:
        return None
    command = " ".join([sys.executable, "-m", "tests.support.spool_child", *arguments])
    return [unshare, "-rm", "sh", "-c", f"{mount} && exec {command}"]


def test_a_really_full_disk(tmp_path: Path) -> None:
    command = _tmpfs_child(tmp_path, "fill", str(tmp_path / "w0"), "50")
    if command is None:
        pytest.skip("no tmpfs can be mounted here; the full disk is tried above with a limit of the system")
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
    not_ready, kept, full = told.stdout.splitlines()
    assert "No space left on device" in not_ready
    assert int(kept.removeprefix("kept ")) * SIZE > 800_000
    assert "No space left on device" in full


@pytest.mark.parametrize("fsync", ["none", "interval", "always"])
def test_every_acknowledged_record_survives_kill_9(tmp_path: Path, fsync: str) -> None:
    command = [sys.executable, "-m", "tests.support.spool_child", "append", str(tmp_path), fsync]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        told = b""
        while told.count(b"\n") < 1500:
            told += child.stdout.read1()
        os.kill(child.pid, signal.SIGKILL)
        told += child.stdout.read()
    acknowledged = [int(line.removeprefix(b"call-")) for line in told.split(b"\n")[:-1] if line]
    kept = numbers(tmp_path)
    assert acknowledged == list(range(len(acknowledged)))
    assert kept == list(range(len(kept)))
    assert len(acknowledged) <= len(kept) <= len(acknowledged) + 1
    assert len(segments(tmp_path)) > 5
    for path in segments(tmp_path):
        with SegmentReader(path) as segment:
            assert segment.closed


class Recording(Segment):
    """A segment that counts its syncs, and fails them when told."""

    __slots__ = ()
    syncs = 0
    broken = False

    def sync(self) -> None:
        if Recording.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        Recording.syncs += 1


@pytest.fixture
def recording() -> Iterator[type[Recording]]:
    Recording.syncs, Recording.broken = 0, False
    yield Recording


@pytest.mark.parametrize(
    ("fsync", "after_append", "after_tick"), [("none", 0, 0), ("interval", 0, 1), ("always", 1, 1)]
)
def test_what_each_policy_syncs(
    tmp_path: Path, clock: ManualClock, recording: type[Recording], fsync: str, after_append: int, after_tick: int
) -> None:
    spool = Spool(tmp_path, clock=clock, segment_bytes=16_384, fsync=fsync, create=recording.create)  # type: ignore[arg-type]
    spool.append(make_record(0))
    assert recording.syncs == after_append
    clock.advance(0.05)
    spool.tick()
    spool.wait()
    assert recording.syncs == after_tick
    clock.advance(0.05)
    spool.tick()
    spool.wait()
    assert recording.syncs == after_tick, "nothing new was written"
    spool.close()


def test_within_the_interval_there_is_one_sync(tmp_path: Path, clock: ManualClock, recording: type[Recording]) -> None:
    spool = Spool(tmp_path, clock=clock, segment_bytes=65_536, create=recording.create)
    for number in range(12):
        spool.append(make_record(number))
        clock.advance(1 / 64)
        spool.tick()
        spool.wait()
    assert recording.syncs == 4, "each third tick is 47 ms after the last sync"
    spool.close()


def test_a_disk_that_cannot_sync_makes_it_not_ready_until_it_can(
    tmp_path: Path, clock: ManualClock, recording: type[Recording]
) -> None:
    spool = Spool(tmp_path, clock=clock, segment_bytes=16_384, create=recording.create)
    recording.broken = True
    for broken, ready in ((True, False), (False, True)):
        recording.broken = broken
        spool.append(make_record(0))
        clock.advance(0.05)
        spool.tick()
        spool.wait()
        assert spool.ready is ready
        assert ("cannot be made durable: Input/output error" in spool.reason) is broken
    spool.close()
