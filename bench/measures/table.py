"""Rows of figures by peer, and their medians."""

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median


@dataclass
class Table:
    """Figures by (row, column); a figure measured several times counts as its median."""

    title: str
    unit: str
    columns: list[str]
    better: str
    """`higher` or `lower`."""
    notes: list[str] = field(default_factory=list)
    _taken: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, row: str, column: str, value: float) -> None:
        self._taken[row, column].append(value)

    def value(self, row: str, column: str) -> float | None:
        taken = self._taken.get((row, column))
        return median(taken) if taken else None

    def rows(self) -> list[str]:
        return list(dict.fromkeys(row for row, _ in self._taken))
