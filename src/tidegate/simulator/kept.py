"""Files, batches and conversations that the simulated provider keeps, each for the API key that made it.

A batch runs its lines through the simulator's own handlers when its time has come and somebody asks for it.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from msgspec import Struct

from tidegate.core.clock import Clock
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.surface import Need

MAX_LINES: Final = 10_000
MAX_KEPT: Final = 1_000

Ending = Literal["completed", "expired", "failed"]
Run = Callable[[bytes, bytes], tuple[int, bytes]]
"""(path, body) of a call → (status, body) of its answer."""


class Line(Struct):
    """One request of a batch, and what came of it."""

    custom_id: str
    path: bytes
    body: bytes
    status: int = 0
    """0: it was not run."""
    answer: bytes = b""


class KeptFile(Struct):
    id: str
    key: str
    purpose: str
    """OpenAI's; of Anthropic's files the media type."""
    name: str
    content: bytes
    created: int
    expires: int = 0
    """0: never."""


class KeptBatch(Struct):
    id: str
    key: str
    asked: dict[str, Any]
    lines: list[Line]
    created: int
    due: float
    """On the monotonic clock."""
    status: str = "in_progress"
    ended: int = 0
    cancelled: int = 0
    errors: list[dict[str, Any]] = []
    output: str = ""
    """File of the answers."""
    failures: str = ""
    """File of the errors."""


class Thing(Struct):
    """What is kept alike: a conversation, a vector store, a container, an upload."""

    id: str
    key: str
    kind: str
    told: dict[str, Any]
    inside: dict[str, dict[str, Any]] = {}
    """Its items, files or parts, by id."""


class Kept:
    """`seconds` is how long a batch takes, `ending` how the next one ends: whole, or half of its lines not run."""

    def __init__(self, clock: Clock, run: Run, seed: int) -> None:
        self._clock = clock
        self._run = run
        self._ids = random.Random(seed)
        self._files: dict[str, KeptFile] = {}
        self._batches: dict[str, KeptBatch] = {}
        self._things: dict[str, Thing] = {}
        self.seconds = 0.0
        self.ending: Ending = "completed"

    def set(self, fields: Mapping[str, object]) -> dict[str, object]:
        """`{"seconds": 5, "ending": "expired"}`; answers how it is set. Raises ValueError."""
        seconds, ending = fields.get("seconds", self.seconds), fields.get("ending", self.ending)
        if not isinstance(seconds, int | float) or seconds < 0 or ending not in ("completed", "expired", "failed"):
            raise ValueError("`seconds` is a number from 0, `ending` one of completed, expired, failed")
        self.seconds, self.ending = float(seconds), ending
        return {"seconds": self.seconds, "ending": self.ending}

    def name(self, prefix: str) -> str:
        return f"{prefix}{self._ids.getrandbits(96):024x}"

    def seconds_now(self) -> int:
        return self._clock.now_ns() // 1_000_000_000

    # Files.

    def add_file(self, key: str, purpose: str, name: str, content: bytes, prefix: str = "file-") -> KeptFile:
        file = KeptFile(self.name(prefix), key, purpose, name, content, self.seconds_now())
        self._files[file.id] = file
        _bound(self._files)
        return file

    def file(self, key: str, name: str) -> KeptFile:
        """Raises Rejection: another key's is as one that is not there."""
        found = self._files.get(name)
        if found is None or found.key != key:
            raise Rejection(404, f"No such File object: {name}", param="id")
        return found

    def files(self, key: str, prefix: str = "file-") -> list[KeptFile]:
        return [one for one in self._files.values() if one.key == key and one.id.startswith(prefix)]

    def check(self, key: str, needs: tuple[Need, ...]) -> None:
        """Raises Rejection for what is not there, or another key's."""
        for need in needs:
            if need.kind == "file":
                self.file(key, need.name)
            elif need.kind in ("conversation", "vector_store", "container"):
                self.thing(key, need.kind, need.name)

    # Conversations, vector stores, containers, uploads.

    def add_thing(self, prefix: str, key: str, kind: str, told: dict[str, Any]) -> Thing:
        thing = Thing(self.name(prefix), key, kind, told)
        self._things[thing.id] = thing
        _bound(self._things)
        return thing

    def thing(self, key: str, kind: str, name: str) -> Thing:
        """Raises Rejection: another key's is as one that is not there."""
        found = self._things.get(name)
        if found is None or (found.key, found.kind) != (key, kind):
            raise Rejection(404, f"{kind.replace('_', ' ').capitalize()} with id '{name}' not found.")
        return found

    def things(self, key: str, kind: str) -> list[Thing]:
        return [one for one in self._things.values() if (one.key, one.kind) == (key, kind)]

    def drop_thing(self, thing: Thing) -> None:
        del self._things[thing.id]

    def drop_file(self, key: str, name: str) -> None:
        del self._files[self.file(key, name).id]

    # Batches.

    def add_batch(self, prefix: str, key: str, asked: dict[str, Any], lines: list[Line]) -> KeptBatch:
        due = self._clock.monotonic() + self.seconds
        batch = KeptBatch(self.name(prefix), key, asked, lines, self.seconds_now(), due)
        self._batches[batch.id] = batch
        _bound(self._batches)
        return batch

    def batch(self, key: str, name: str) -> KeptBatch:
        """As it is now. Raises Rejection."""
        found = self._batches.get(name)
        if found is None or found.key != key:
            raise Rejection(404, f"No batch found with id '{name}'.")
        if found.status == "cancelling":
            self._end(found, "cancelled", found.lines[: len(found.lines) // 2])
        elif found.status == "in_progress" and self._clock.monotonic() >= found.due:
            whole = self.ending == "completed"
            self._end(found, self.ending, found.lines if whole else found.lines[: len(found.lines) // 2])
        return found

    def batches(self, key: str) -> list[KeptBatch]:
        return [self.batch(key, one.id) for one in list(self._batches.values()) if one.key == key]

    def cancel(self, batch: KeptBatch) -> None:
        """What runs is finished: half of the lines."""
        batch.status = "cancelling"
        batch.cancelled = self.seconds_now()

    def drop_batch(self, batch: KeptBatch) -> None:
        del self._batches[batch.id]

    def _end(self, batch: KeptBatch, status: str, lines: list[Line]) -> None:
        batch.status, batch.ended = status, self.seconds_now()
        if status == "failed":
            batch.errors = [{"code": "invalid_request", "message": "The batch failed.", "param": None, "line": None}]
            return
        for line in lines:
            line.status, line.answer = self._run(line.path, line.body)


def _bound(kept: dict[str, Any]) -> None:
    while len(kept) > MAX_KEPT:
        del kept[next(iter(kept))]
