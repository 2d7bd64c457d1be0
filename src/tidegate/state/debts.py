"""Calls that were charged as reserved because what they use is told later: the grants to correct then, and when to ask.

In memory, bounded by number. Of one that is forgotten what was reserved stays spent.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from tidegate.state.memory import Grant

MOST: Final = 40_000
"""As many responses as the registry of owned objects has room for."""

Key = tuple[str, str]
"""(owner, name)."""


class OpenDebt:
    __slots__ = ("asking", "grant", "key", "look_at", "looks")

    def __init__(self, key: Key, grant: Grant | None, look_at: float) -> None:
        self.key = key
        self.grant = grant
        """None where the call was made before this process began."""
        self.look_at = look_at
        """When to ask for it, by the monotonic clock."""
        self.looks = 0
        """How often it has been asked for in vain."""
        self.asking = False


class Debts:
    """The oldest are forgotten first."""

    def __init__(self) -> None:
        self._open: OrderedDict[Key, OpenDebt] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def put(self, owner: str, name: str, grant: Grant | None, look_at: float) -> None:
        self._open[owner, name] = OpenDebt((owner, name), grant, look_at)
        if len(self._open) > MOST:
            self._open.popitem(last=False)

    def find(self, owner: str, name: str) -> OpenDebt | None:
        return self._open.get((owner, name))

    def take(self, owner: str, name: str) -> OpenDebt | None:
        """It is not there afterwards."""
        return self._open.pop((owner, name), None)

    def due(self, now: float) -> Iterator[OpenDebt]:
        """Those to be asked for, the oldest first."""
        return iter([one for one in self._open.values() if one.look_at <= now and not one.asking])
