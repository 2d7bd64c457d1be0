"""Distributions of times and counts, written as short texts: `200ms`, `uniform(100ms, 300ms)`, `lognormal(300ms, 0.5)`.

One notation for profile files, flags, run-time changes and steering. Randomness is the caller's.
"""

import math
import random
import re
from typing import Final, Self

from tidegate.config.scalars import read_duration, read_number

_CALL: Final = re.compile(r"(uniform|lognormal)\(\s*([^,()]+?)\s*,\s*([^,()]+?)\s*\)")


class Spread:
    """A distribution of non-negative numbers."""

    __slots__ = ("_first", "_kind", "_second", "text")

    def __init__(self, text: str, kind: str, first: float, second: float) -> None:
        self.text = text
        self._kind = kind
        self._first = first
        self._second = second

    @classmethod
    def parse(cls, written: object) -> Self:
        """Reads `60`, `"200ms"`, `"uniform(LOW, HIGH)"` or `"lognormal(MEDIAN, SIGMA)"`. Raises ValueError."""
        if isinstance(written, int | float) and not isinstance(written, bool):
            written = str(written)
        if not isinstance(written, str):
            raise ValueError(f"`{written}` is not a distribution such as 200ms or uniform(100ms, 300ms)")
        text = written.strip()
        match = _CALL.fullmatch(text)
        if match is None:
            value = _quantity(text)
            return cls(text, "constant", value, value)
        kind, first, second = match[1], _quantity(match[2]), _quantity(match[3])
        if kind == "uniform" and first > second:
            raise ValueError(f"`{text}`: the lower bound is above the upper one")
        if kind == "lognormal" and first <= 0:
            raise ValueError(f"`{text}`: the median of a lognormal distribution is above 0")
        return cls(text, kind, first, second)

    @property
    def constant(self) -> float | None:
        """The one value there is, if there is only one."""
        return self._first if self._kind == "constant" else None

    def draw(self, rng: random.Random) -> float:
        """One value. Seconds for a distribution of times."""
        if self._kind == "constant":
            return self._first
        if self._kind == "uniform":
            return rng.uniform(self._first, self._second)
        return rng.lognormvariate(math.log(self._first), self._second)

    def draw_count(self, rng: random.Random) -> int:
        """One whole number."""
        return round(self.draw(rng))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spread) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Spread({self.text})"


def _quantity(text: str) -> float:
    """A plain number, or a duration in seconds. Raises ValueError."""
    value = read_duration(text) if text[-1:].isalpha() else read_number(text)
    if value < 0:
        raise ValueError(f"`{text}` is negative")
    return value
