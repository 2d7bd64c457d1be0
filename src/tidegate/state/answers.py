"""Answers that clients may ask for again or go on from: in memory, bounded by number, bytes and age, each for its owner."""

from collections import OrderedDict
from typing import Final

from msgspec import Struct

from tidegate.core.clock import Clock

MAX_COUNT: Final = 2_000
MAX_BYTES: Final = 64 * 1024 * 1024
MAX_ONE: Final = 8 * 1024 * 1024
KEPT_SECONDS: Final = 3_600.0


class KeptAnswer(Struct, frozen=True):
    body: bytes
    """As the client got it."""
    asked: bytes
    """What it was the answer to, all earlier turns included: a JSON list of items."""
    items: tuple[str, ...] = ()
    """Names of its parts, by which a client may mean them."""

    @property
    def size(self) -> int:
        return len(self.body) + len(self.asked)


class KeptAnswers:
    """The oldest go first. An answer that nobody may see is as one that is not there."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], tuple[float, KeptAnswer]] = OrderedDict()
        self._whole: dict[tuple[str, str], str] = {}
        """(owner, name of a part) → name of the answer; of two with a part of one name, the later."""
        self._bytes = 0

    def keep(self, owner: str, name: str, answer: KeptAnswer) -> None:
        """One that is too large by itself is not kept."""
        self.drop(owner, name)
        if answer.size > MAX_ONE:
            return
        self._kept[owner, name] = (self._clock.monotonic() + KEPT_SECONDS, answer)
        self._bytes += answer.size
        for item in answer.items:
            self._whole[owner, item] = name
        self._expire()
        while len(self._kept) > MAX_COUNT or self._bytes > MAX_BYTES:
            self._forget(next(iter(self._kept)))

    def find(self, owner: str, name: str) -> KeptAnswer | None:
        self._expire()
        found = self._kept.get((owner, name))
        return None if found is None else found[1]

    def find_whole(self, owner: str, item: str) -> KeptAnswer | None:
        """The answer that has the part."""
        name = self._whole.get((owner, item))
        return None if name is None else self.find(owner, name)

    def drop(self, owner: str, name: str) -> bool:
        """Whether it was there."""
        there = self.find(owner, name) is not None
        if there:
            self._forget((owner, name))
        return there

    @property
    def held(self) -> tuple[int, int]:
        """(answers, bytes)"""
        return len(self._kept), self._bytes

    def _expire(self) -> None:
        """All are kept equally long, so the first are the first to go."""
        now = self._clock.monotonic()
        while self._kept:
            key, (until, _) = next(iter(self._kept.items()))
            if until > now:
                return
            self._forget(key)

    def _forget(self, key: tuple[str, str]) -> None:
        _, answer = self._kept.pop(key)
        self._bytes -= answer.size
        owner, name = key
        for item in answer.items:
            if self._whole.get((owner, item)) == name:
                del self._whole[owner, item]
