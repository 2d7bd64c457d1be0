"""A strict reader of Prometheus' text format, version 0.0.4: whatever the format does not allow is an error."""

import re
from dataclasses import dataclass, field

Labels = frozenset[tuple[str, str]]

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_UNESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
_TYPES = ("counter", "gauge", "histogram", "summary", "untyped")


@dataclass
class Family:
    """One metric: its type, its help, and every sample by (name, labels)."""

    name: str
    help: str
    type: str = ""
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)

    def owns(self, name: str) -> bool:
        endings = ("_bucket", "_sum", "_count") if self.type == "histogram" else ("",)
        return name in {self.name + ending for ending in endings}

    def values(self, ending: str = "") -> dict[Labels, float]:
        return {labels: value for (name, labels), value in self.samples.items() if name == self.name + ending}


def read_exposition(text: bytes) -> dict[str, Family]:
    """Every family by name. Raises AssertionError, naming the line."""
    decoded = text.decode()
    assert decoded.endswith("\n"), "the last line has no end"
    families: dict[str, Family] = {}
    family: Family | None = None
    for line in decoded[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, _, told = line.removeprefix("# HELP ").partition(" ")
            assert _NAME.fullmatch(name) and told, line
            assert name not in families, f"told twice, or apart: {line}"
            family = families[name] = Family(name, told)
        elif line.startswith("# TYPE "):
            name, _, kind = line.removeprefix("# TYPE ").partition(" ")
            assert family is not None and name == family.name and not family.type and not family.samples, line
            assert kind in _TYPES, line
            family.type = kind
        else:
            assert family is not None and family.type, f"a sample before its type: {line}"
            _sample(family, line)
    for family in families.values():
        assert family.samples, f"{family.name} has no samples"
        if family.type == "histogram":
            _check_histogram(family)
    return families


def _sample(family: Family, line: str) -> None:
    named = _NAME.match(line)
    assert named and family.owns(named[0]), f"not a sample of {family.name}: {line}"
    rest = line[named.end() :]
    labels: dict[str, str] = {}
    if rest.startswith("{"):
        rest = rest[1:]
        while True:
            label = _LABEL.match(rest)
            assert label and label[1] not in labels, line
            labels[label[1]] = re.sub(r"\\.", lambda found: _UNESCAPED[found[0]], label[2])
            rest = rest[label.end() :]
            if rest.startswith("}"):
                break
            assert rest.startswith(","), line
            rest = rest[1:]
        rest = rest[1:]
    assert rest.startswith(" ") and _NUMBER.fullmatch(rest[1:]), line
    key = (named[0], frozenset(labels.items()))
    assert key not in family.samples, f"a series twice: {line}"
    family.samples[key] = float(rest[1:])


def _check_histogram(family: Family) -> None:
    """Buckets rise, the last is +Inf and equals the count."""
    rows: dict[Labels, list[tuple[float, float]]] = {}
    for labels, value in family.values("_bucket").items():
        bounds = [float(told) for name, told in labels if name == "le"]
        assert len(bounds) == 1, f"{family.name}: {labels}"
        others = frozenset(pair for pair in labels if pair[0] != "le")
        rows.setdefault(others, []).append((bounds[0], value))
    counts, sums = family.values("_count"), family.values("_sum")
    assert rows.keys() == counts.keys() == sums.keys(), family.name
    for labels, buckets in rows.items():
        assert buckets == sorted(buckets), f"{family.name}: buckets out of order"
        assert [value for _, value in buckets] == sorted(value for _, value in buckets), f"{family.name}: buckets fall"
        assert buckets[-1] == (float("inf"), counts[labels]), f"{family.name}: +Inf is not the count"
