"""What is wrong in a configuration, where, and how to mend it."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Literal

from msgspec import Struct

Severity = Literal["error", "warning"]
Path = tuple[str | int, ...]
"""Keys and indexes from the top of a document."""


class Finding(Struct, frozen=True, kw_only=True):
    """One message. `line` counts from 1; 0 where there is none."""

    file: str
    line: int
    path: str
    """`$.spec.targets[1].weight`; "" where the whole file is meant."""
    message: str
    """What is wrong."""
    hint: str = ""
    """How to mend it."""
    severity: Severity = "error"
    rule: str = ""
    """The lint rule's name; "" for what the loader found."""

    def __str__(self) -> str:
        """`gateway.yaml:14: error: $.spec.weigth: unknown key. Did you mean `weight`?`"""
        place = f"{self.file}:{self.line}" if self.line else self.file
        parts = [f"{place}: {self.severity}:"]
        if self.path:
            parts.append(f"{self.path}:")
        parts.append(f"{self.message}.")
        if self.hint:
            parts.append(self.hint)
        if self.rule:
            parts.append(f"[{self.rule}]")
        return " ".join(parts)


class ConfigErrors(Exception):
    """A configuration that is refused whole. `findings` holds everything found, warnings too, in reading order."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings: list[Finding] = sorted(findings, key=lambda one: (one.file, one.line))
        super().__init__("\n".join(str(one) for one in self.findings))


def render_path(path: Path) -> str:
    """`("spec", "targets", 1)` → `$.spec.targets[1]`; a key that is no plain word is quoted in brackets."""
    text = "$"
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.isidentifier():
            text += f".{step}"
        else:
            text += f'["{step}"]'
    return text


def did_you_mean(word: str, known: Sequence[str], noun: str) -> str:
    """A hint: the closest known word, else all of them while they are few, else nothing."""
    by_lower = {one.lower(): one for one in known}
    close = get_close_matches(word.lower(), by_lower, n=1)
    if close:
        return f"Did you mean `{by_lower[close[0]]}`?"
    if 0 < len(known) <= 25:
        return f"Known {noun}: {', '.join(known)}."
    return ""
