"""What providers keep for consumers: files, batches, stored responses, conversations. Whose each is, and where it lies.

An id passes as its provider gave it; here it is looked up under its owner, so that what another consumer owns is as what is
not there. In memory, bounded, and in a journal from which a restart makes it again.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal

import msgspec
from msgspec import Struct

from tidegate.core.clock import Clock
from tidegate.state.journal import Journal

Kind = Literal[
    "file",
    "message_file",
    "batch",
    "message_batch",
    "upload",
    "response",
    "conversation",
    "vector_store",
    "container",
]

MAX_DETAILS_BYTES: Final = 16_384
_LEAST_LINES: Final = 4_096
"""A log shorter than this is never worth a rewrite."""


class Bound(Struct, frozen=True):
    """Of one kind: how many of all consumers, of which one may have a quarter."""

    most: int
    forgets: bool
    """Beyond the bound the oldest is forgotten; else a new one is refused."""

    @property
    def most_each(self) -> int:
        return self.most // 4


BOUNDS: Final[Mapping[Kind, Bound]] = {
    "file": Bound(20_000, forgets=False),
    "message_file": Bound(20_000, forgets=False),
    "batch": Bound(8_000, forgets=False),
    "message_batch": Bound(8_000, forgets=False),
    "response": Bound(40_000, forgets=True),
    "conversation": Bound(40_000, forgets=True),
    "upload": Bound(8_000, forgets=True),
    "vector_store": Bound(8_000, forgets=False),
    "container": Bound(20_000, forgets=True),
}


class NoRoom(Exception):
    """The object cannot be registered, and so must not be made; the message says the remedy."""


class Owned(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One object at a provider."""

    kind: Kind
    id: str
    """The provider's own."""
    owner: str
    """The consumer."""
    provider: str
    credential: str
    created_ns: int
    expires_ns: int = 0
    """When the provider forgets it; 0: never."""
    model: str = ""
    """The public model that it was made with, where there is one."""
    purpose: str = ""
    """Of a file or upload, what its maker said that it is for."""
    details: bytes = b""
    """What its kind alone knows of it, encoded by those who read it; at most `MAX_DETAILS_BYTES`."""


class _Put(Struct, tag="put", tag_field="do", frozen=True):
    object: Owned


class _Drop(Struct, tag="drop", tag_field="do", frozen=True):
    kind: Kind
    owner: str
    id: str


_Shelf = tuple[str, Kind]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Put | _Drop).decode


def _at_once(act: Callable[[], None]) -> None:
    act()


class OwnedObjects:
    """The registry. `apart` runs what may wait for a disk, in a thread perhaps."""

    def __init__(
        self, clock: Clock, journal: Journal | None = None, apart: Callable[[Callable[[], None]], None] | None = None
    ) -> None:
        """Reads the journal and rewrites it. Raises OSError."""
        self._clock = clock
        self._journal = journal
        self._apart = apart or _at_once
        self._shelves: dict[_Shelf, dict[str, Owned]] = {}
        self._counts: dict[Kind, int] = dict.fromkeys(BOUNDS, 0)
        if journal is not None:
            for line in journal.read():
                self._replay(line)
            self._expire()
            journal.begin()(self._lines(list(self)))

    def __iter__(self) -> Iterator[Owned]:
        """All, in no order."""
        for shelf in list(self._shelves.values()):
            yield from list(shelf.values())

    def find(self, owner: str, kind: Kind, name: str) -> Owned | None:
        """None where it is not there, is another's, or has expired."""
        shelf = self._shelves.get((owner, kind))
        found = None if shelf is None else shelf.get(name)
        if found is None or 0 < found.expires_ns <= self._clock.now_ns():
            return None
        return found

    def of(self, owner: str, kind: Kind) -> list[Owned]:
        """Everything of one kind that `owner` has, the oldest first."""
        now_ns = self._clock.now_ns()
        shelf = self._shelves.get((owner, kind), {})
        return [one for one in shelf.values() if not 0 < one.expires_ns <= now_ns]

    def make_room(self, owner: str, kind: Kind) -> None:
        """To be asked before a provider makes the object. Raises NoRoom."""
        bound = BOUNDS[kind]
        if self._fits(owner, kind):
            return
        self._expire()
        while not self._fits(owner, kind):
            if not bound.forgets:
                raise NoRoom(
                    f"There is room for {bound.most_each} objects of kind {kind} of one consumer and {bound.most} of all: "
                    "delete some that are no longer needed."
                )
            mine = self._shelves.get((owner, kind), {})
            full = mine if len(mine) >= bound.most_each else self._fullest(kind)
            self._drop(next(iter(full.values())))

    def put(self, one: Owned) -> None:
        """Registers it, or what is new of it. Raises NoRoom, and ValueError for details that are too long."""
        if len(one.details) > MAX_DETAILS_BYTES:
            raise ValueError(f"{len(one.details)} bytes of details: {MAX_DETAILS_BYTES} are the most")
        if one.id not in self._shelves.get((one.owner, one.kind), {}):
            self.make_room(one.owner, one.kind)
        self._write(_encode(_Put(one)))
        self._set(one)

    def drop(self, owner: str, kind: Kind, name: str) -> bool:
        """Whether it was there. Raises NoRoom where that cannot be recorded."""
        found = self._shelves.get((owner, kind), {}).get(name)
        if found is None:
            return False
        self._drop(found)
        return True

    def count(self, kind: Kind) -> int:
        return self._counts[kind]

    def tick(self) -> None:
        """To be called every second or so: makes what was written durable. Raises OSError."""
        journal = self._journal
        if journal is not None and journal.unsynced:
            self._apart(journal.sync)
            self._compact()

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def _fits(self, owner: str, kind: Kind) -> bool:
        bound = BOUNDS[kind]
        return self._counts[kind] < bound.most and len(self._shelves.get((owner, kind), ())) < bound.most_each

    def _fullest(self, kind: Kind) -> dict[str, Owned]:
        return max((shelf for (_, held), shelf in self._shelves.items() if held == kind), key=len)

    def _expire(self) -> None:
        now_ns = self._clock.now_ns()
        for one in self:
            if 0 < one.expires_ns <= now_ns:
                self._unset(one.owner, one.kind, one.id)  # its expiry is in the journal already

    def _drop(self, one: Owned) -> None:
        self._write(_encode(_Drop(one.kind, one.owner, one.id)))
        self._unset(one.owner, one.kind, one.id)

    def _set(self, one: Owned) -> None:
        shelf = self._shelves.setdefault((one.owner, one.kind), {})
        if one.id not in shelf:
            self._counts[one.kind] += 1
        shelf[one.id] = one

    def _unset(self, owner: str, kind: Kind, name: str) -> None:
        shelf = self._shelves.get((owner, kind))
        if shelf is None or shelf.pop(name, None) is None:
            return
        self._counts[kind] -= 1
        if not shelf:
            del self._shelves[owner, kind]

    def _replay(self, line: bytes) -> None:
        try:
            told = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # torn, or of a version that knew other kinds
        if isinstance(told, _Put):
            self._set(told.object)
        else:
            self._unset(told.owner, told.kind, told.id)

    def _write(self, line: bytes) -> None:
        journal = self._journal
        if journal is None:
            return
        try:
            journal.append(line)
        except OSError as error:
            raise NoRoom(f"What is kept at providers cannot be recorded: {error.strerror or error}.") from error

    def _compact(self) -> None:
        journal = self._journal
        if journal is None or journal.lines <= max(_LEAST_LINES, 2 * sum(self._counts.values())):
            return
        rewrite, live = journal.begin(), list(self)
        self._apart(lambda: rewrite(self._lines(live)))

    @staticmethod
    def _lines(live: list[Owned]) -> Iterator[bytes]:
        return (_encode(_Put(one)) for one in live)
