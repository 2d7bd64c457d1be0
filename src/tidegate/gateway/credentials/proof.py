"""What a call shows its upstream where no header does that stays the same, and who issues it."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from tidegate.wire.client import Failure


class Proof(Struct, frozen=True):
    headers: Callable[[bytes, bytes], bytes]
    """The block of header lines for a whole request head and its body."""
    seconds: float
    """How long it holds from now."""


Over = Callable[[Proof | Failure], None]
"""Hears the Proof, or why there is none."""


class Asking(Protocol):
    """A request for a Proof that is under way."""

    def cancel(self) -> object:
        """Nothing is heard of it any more."""
        ...


class Issuer(Protocol):
    """One way to a Proof."""

    def ask(self, over: Over) -> Asking:
        """`over` hears how it ended, once, and not before this has returned."""
        ...

    def forget(self) -> None:
        """What it gave last was refused: the next must not be the same out of a memory of its own."""
        ...

    def close(self) -> None: ...
