"""Objects at providers: each its owner's, as many as the bounds say, the same after a restart, however that came."""

from pathlib import Path

import pytest

from tidegate.core.clock import ManualClock
from tidegate.state import owned
from tidegate.state.journal import Journal
from tidegate.state.owned import Bound, Kind, NoRoom, Owned, OwnedObjects


def made(name: str, owner: str = "ann", kind: Kind = "file", **more: object) -> Owned:
    return Owned(kind=kind, id=name, owner=owner, provider="p", credential="0", created_ns=1, **more)  # type: ignore[arg-type]


def opened(folder: Path, clock: ManualClock | None = None) -> OwnedObjects:
    return OwnedObjects(clock or ManualClock(), Journal(folder))


def names(objects: OwnedObjects, owner: str = "ann", kind: Kind = "file") -> list[str]:
    return [one.id for one in objects.of(owner, kind)]


def test_only_its_owner_sees_it() -> None:
    objects = OwnedObjects(ManualClock())
    objects.put(made("file-1"))
    assert objects.find("ann", "file", "file-1") == made("file-1")
    assert objects.find("bob", "file", "file-1") is None
    assert objects.find("ann", "batch", "file-1") is None
    assert not objects.drop("bob", "file", "file-1")
    assert objects.drop("ann", "file", "file-1")
    assert objects.find("ann", "file", "file-1") is None


def test_two_providers_may_give_two_consumers_the_same_id() -> None:
    objects = OwnedObjects(ManualClock())
    objects.put(made("file-1", "ann"))
    objects.put(made("file-1", "bob", model="other"))
    assert objects.find("ann", "file", "file-1") == made("file-1", "ann")
    assert objects.find("bob", "file", "file-1") == made("file-1", "bob", model="other")


def test_it_expires() -> None:
    clock = ManualClock()
    objects = OwnedObjects(clock)
    objects.put(made("file-1", expires_ns=clock.now_ns() + 5_000_000_000))
    objects.put(made("file-2"))
    clock.advance(5)
    assert objects.find("ann", "file", "file-1") is None
    assert names(objects) == ["file-2"]


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    objects = opened(tmp_path)
    objects.put(made("file-1", details=b'{"bytes":7}\n'))
    objects.put(made("file-2"))
    objects.put(made("batch-1", kind="batch"))
    objects.put(made("file-3", model="old"))
    objects.put(made("file-3", model="new"))
    objects.drop("ann", "file", "file-2")
    for _ in range(3):  # each start reads what the one before has rewritten
        objects = opened(tmp_path)
        assert objects.of("ann", "file") == [made("file-1", details=b'{"bytes":7}\n'), made("file-3", model="new")]
        assert names(objects, kind="batch") == ["batch-1"]
        assert (objects.count("file"), objects.count("batch")) == (2, 1)


@pytest.mark.parametrize("lost", range(1, 60, 7))
def test_a_torn_last_line_costs_that_line_alone(tmp_path: Path, lost: int) -> None:
    objects = opened(tmp_path)
    objects.put(made("file-1"))
    objects.put(made("file-2"))
    (log,) = tmp_path.glob("*.log")
    log.write_bytes(log.read_bytes()[:-lost])
    again = opened(tmp_path)
    # The last byte is the line's end, which nothing depends on.
    assert names(again) == (["file-1", "file-2"] if lost == 1 else ["file-1"])
    again.put(made("file-3"))
    assert names(opened(tmp_path))[-1] == "file-3"


def test_a_line_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    objects = opened(tmp_path)
    objects.put(made("file-1"))
    (log,) = tmp_path.glob("*.log")
    log.write_bytes(b'\xff\x00{"do":"other"}\n{"do":"drop","kind":"nobody"}\n' + log.read_bytes())
    assert names(opened(tmp_path)) == ["file-1"]


def test_a_crash_while_it_is_rewritten_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owned, "_LEAST_LINES", 3)
    left: list[object] = []
    objects = OwnedObjects(ManualClock(), Journal(tmp_path), left.append)
    for number in range(8):
        objects.put(made("file-1", model=str(number)))
        objects.tick()
    objects.put(made("file-2"))
    assert len(list(tmp_path.glob("*.log"))) > 1
    (tmp_path / "000000000099.draft").write_bytes(b"half of a")
    assert [one.model for one in opened(tmp_path).of("ann", "file")] == ["7", ""]


def test_it_is_rewritten_when_most_lines_no_longer_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owned, "_LEAST_LINES", 10)
    objects = opened(tmp_path)
    for number in range(100):
        objects.put(made("file-1", model=str(number)))
        objects.tick()
    assert sum(path.read_bytes().count(b"\n") for path in tmp_path.iterdir()) < 15
    assert [one.model for one in opened(tmp_path).of("ann", "file")] == ["99"]


def test_one_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    monkeypatch.setattr(owned, "BOUNDS", {**owned.BOUNDS, "file": Bound(8, forgets=False)})
    objects = OwnedObjects(clock)
    objects.put(made("file-1", expires_ns=clock.now_ns() + 1))
    objects.put(made("file-2"))
    with pytest.raises(NoRoom, match="2 objects of kind file of one consumer and 8 of all: delete"):
        objects.put(made("file-3"))
    objects.put(made("file-2", model="m"))  # no new one
    clock.advance(1)
    objects.put(made("file-3"))  # what has expired takes no room
    for owner in ("bob", "cat", "dan"):
        objects.put(made("file-1", owner))
        objects.put(made("file-2", owner))
    with pytest.raises(NoRoom):
        objects.make_room("eve", "file")


def test_of_some_kinds_the_oldest_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owned, "BOUNDS", {**owned.BOUNDS, "response": Bound(8, forgets=True)})
    objects = opened(tmp_path)
    for number in range(4):
        objects.put(made(f"r{number}", kind="response"))
    for owner in ("bob", "cat", "dan", "eve"):
        objects.put(made("r0", owner, "response"))
        objects.put(made("r1", owner, "response"))
    # Each has two at most. When all was full, whoever had most lost the oldest: ann, then bob.
    assert names(objects, kind="response") == ["r3"]
    assert names(objects, "bob", "response") == ["r1"]
    assert objects.count("response") == 8
    assert opened(tmp_path).count("response") == 8


def test_what_cannot_be_written_down_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    objects = OwnedObjects(ManualClock(), journal)

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.write", full)
        with pytest.raises(NoRoom, match="No space left"):
            objects.put(made("file-1"))
        assert names(objects) == []
    objects.put(made("file-2"))
    assert names(opened(tmp_path)) == ["file-2"]


def test_long_details_are_refused() -> None:
    with pytest.raises(ValueError, match="16384"):
        OwnedObjects(ManualClock()).put(made("file-1", details=b"x" * 20_000))
