"""Calls that were charged as reserved because what they use is told later: the grants to correct then.

In memory, bounded by number. Of one that is forgotten what was reserved stays spent.
"""

from collections import OrderedDict
from typing import Final

from tidegate.state.memory import Grant

MOST: Final = 4_096


class Debts:
    """The oldest are forgotten first."""

    def __init__(self) -> None:
        self._grants: OrderedDict[tuple[str, str], Grant] = OrderedDict()

    def put(self, owner: str, name: str, grant: Grant) -> None:
        self._grants[owner, name] = grant
        if len(self._grants) > MOST:
            self._grants.popitem(last=False)

    def take(self, owner: str, name: str) -> Grant | None:
        """It is not there afterwards."""
        return self._grants.pop((owner, name), None)
