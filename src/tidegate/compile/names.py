"""Which names a list of globs means."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase


def is_glob(pattern: str) -> bool:
    return "*" in pattern or "?" in pattern


def matches(pattern: str, name: str) -> bool:
    """`*` is any run of characters, `?` any one; everything else, brackets too, stands for itself."""
    return pattern == name or (is_glob(pattern) and fnmatchcase(name, pattern.replace("[", "[[]")))


def selected(patterns: Sequence[str] | None, names: Iterable[str]) -> frozenset[str]:
    """The names that a list means; None means all of them."""
    if patterns is None:
        return frozenset(names)
    return frozenset(name for name in names if any(matches(pattern, name) for pattern in patterns))
