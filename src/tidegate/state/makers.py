"""Which credential made what passed by: sealed thoughts, items of stored responses. In memory, bounded by number.

Only digests are held: what is looked up is compared, never read back.
"""

from collections import OrderedDict
from hashlib import blake2b
from typing import Final, NamedTuple

MOST: Final = 50_000
"""About 8 MB."""
_MOST_MAKERS: Final = 10_000


class Maker(NamedTuple):
    provider: str
    credential: str
    owner: str
    """The consumer whose call it was."""


class Makers:
    """The oldest are forgotten first."""

    def __init__(self) -> None:
        self._by_digest: OrderedDict[bytes, Maker] = OrderedDict()
        self._same: dict[Maker, Maker] = {}

    def note(self, name: str, maker: Maker) -> None:
        if len(self._same) >= _MOST_MAKERS:
            self._same.clear()
        key = _digest(name)
        self._by_digest[key] = self._same.setdefault(maker, maker)
        self._by_digest.move_to_end(key)
        if len(self._by_digest) > MOST:
            self._by_digest.popitem(last=False)

    def find(self, name: str) -> Maker | None:
        return self._by_digest.get(_digest(name))

    def __len__(self) -> int:
        return len(self._by_digest)


def _digest(name: str) -> bytes:
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
