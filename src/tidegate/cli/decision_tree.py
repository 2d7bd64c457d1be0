"""A Decision and its UsageEvent as lines of a tree for people. Pure: no terminal, no files."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from textwrap import wrap
from typing import Any, NamedTuple

from msgspec import Struct, structs

from tidegate.core.decision import AttemptRecord, CandidateRecord, ClaimRecord, Decision
from tidegate.core.money import usd_from_nano
from tidegate.core.usage import Units, Usage, UsageEvent

Paint = Callable[[str, str], str]
"""(style, text) → text; the styles are `good`, `bad`, `warn`, `dim` and `strong`."""

_OUTCOMES = {
    "ok": ("good", "✓ answered"),
    "refused": ("bad", "✗ refused"),
    "failed": ("bad", "✗ failed"),
    "cancelled": ("warn", "○ cancelled by the client"),
    "cut": ("warn", "○ cut after its first byte"),
}
_BUCKETS = {
    "input": "input",
    "cache_read": "cached input",
    "cache_read_audio": "cached audio",
    "cache_read_image": "cached images",
    "cache_write_5m": "cache write (5 m)",
    "cache_write_1h": "cache write (1 h)",
    "input_audio": "audio input",
    "input_image": "image input",
    "output": "output",
    "reasoning": "reasoning",
    "output_audio": "audio output",
    "output_image": "image output",
}
_UNITS = {
    "images": "images",
    "characters": "characters",
    "searches": "search units",
    "web_searches": "web searches",
    "file_searches": "file searches",
}
_REASON_COLUMNS = 100
_ANSI = {"good": "32", "bad": "31", "warn": "33", "dim": "2", "strong": "1"}


class Branch(NamedTuple):
    title: str
    lines: list[str]


def plain(_style: str, text: str) -> str:
    return text


def ansi(style: str, text: str) -> str:
    return f"\x1b[{_ANSI[style]}m{text}\x1b[0m" if text else text


def tree(event: UsageEvent, decision: Decision | None, paint: Paint = plain) -> list[str]:
    """The lines; `paint` colours them. What clients and upstreams named is shown without control characters."""
    event = _printable(event)
    decision = decision and _printable(decision)
    branches = [Branch("call", _call(event, paint))]
    if decision is None:
        branches.append(Branch("decision", ["none was kept: logging is off for this consumer"]))
    else:
        branches += [
            Branch(f"claims {paint('dim', 'worst case, reserved before the call')}", _claims(decision, paint)),
            Branch(f"candidates {paint('dim', decision.strategy)}".rstrip(), _candidates(decision.candidates, paint)),
            Branch("attempts", _attempts(decision.attempts, paint)),
        ]
    branches += [Branch("usage", _usage(event.usage, paint)), Branch("cost", _cost(event, paint))]
    branches.append(Branch("time", _times(event, paint)))
    if decision is not None and decision.notes:
        branches.append(Branch("notes", list(decision.notes)))
    return [*_head(event, decision, paint), *_drawn([branch for branch in branches if branch.lines], paint)]


def _head(event: UsageEvent, decision: Decision | None, paint: Paint) -> list[str]:
    style, words = _OUTCOMES.get(event.outcome, ("warn", event.outcome))
    code = f" {paint(style, event.code)}" if event.code else ""
    lines = [f"{paint(style, words)} {paint('strong', str(event.status))}{code}  {paint('dim', event.id)}"]
    if decision is not None and decision.reason:
        lines += [f"│ {line}" for line in wrap(decision.reason, _REASON_COLUMNS)]
    return lines


def _drawn(branches: Sequence[Branch], paint: Paint) -> list[str]:
    drawn: list[str] = []
    for number, branch in enumerate(branches, 1):
        last = number == len(branches)
        drawn.append(f"{paint('dim', '└─' if last else '├─')} {paint('strong', branch.title)}")
        stem = " " if last else paint("dim", "│")
        drawn += [f"{stem}    {line}" for line in branch.lines]
    return drawn


def _call(event: UsageEvent, paint: Paint) -> list[str]:
    when = datetime.fromtimestamp(event.time_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    millis = event.time_ns // 1_000_000 % 1000
    target = f"{event.provider}/{event.upstream_model}" if event.provider else paint("dim", "no upstream")
    rows = [
        ("when", f"{when}.{millis:03d} UTC"),
        ("who", f"{event.consumer or '?'} of team {event.team or '?'}{f', key {event.key}…' if event.key else ''}"),
        ("asked", f"{event.model or '?'} ({event.operation}, {event.dialect}{', stream' if event.stream else ''})"),
        ("served by", target),
        ("snapshot", event.snapshot),
    ]
    if event.tags:
        rows.append(("tags", ", ".join(f"{name}={value}" for name, value in sorted(event.tags.items()))))
    return _pairs(rows, paint)


def _claims(decision: Decision, paint: Paint) -> list[str]:
    refused = decision.outcome == "refused"
    cells: list[list[str]] = []
    marks: list[str] = []
    for claim in decision.claims:
        if claim.used < 0:
            marks.append(paint("dim", "·"))
        elif claim.used + claim.amount <= claim.limit:
            marks.append(paint("good", "✓"))
        else:
            marks.append(paint("bad", "✗") if refused else paint("warn", "!"))
        cells.append([claim.bucket, f"+{_amount(claim, claim.amount)}", *_level(claim)])
    return _marked(marks, cells)


def _level(claim: ClaimRecord) -> list[str]:
    """How full the bucket was before (below 0: nobody looked), and by how much a claim that does not fit is over."""
    if claim.used < 0:
        return [f"of {_amount(claim, claim.limit)}", "not taken"]
    over = claim.used + claim.amount - claim.limit
    share = f"{100 * claim.used / claim.limit:.0f} % used before" if claim.limit > 0 else ""
    used = _amount(claim, claim.used).split(" ")[0]
    return [f"{used} of {_amount(claim, claim.limit)}", f"{_amount(claim, over)} too much" if over > 0 else share]


def _amount(claim: ClaimRecord, amount: int) -> str:
    if claim.kind == "money":
        return f"${usd_from_nano(amount)}"
    unit = {"requests": "request", "tokens": "token", "concurrency": "call"}.get(claim.kind, claim.kind)
    return f"{amount:,} {unit}{'' if amount == 1 else 's'}"


def _candidates(candidates: Sequence[CandidateRecord], paint: Paint) -> list[str]:
    marks = [paint("bad", "✗") if candidate.excluded else paint("good", "✓") for candidate in candidates]
    cells = [
        [
            candidate.target,
            f"{candidate.provider}/{candidate.upstream_model}",
            f"priority {candidate.priority}",
            candidate.excluded or f"score {candidate.score:.4g}",
        ]
        for candidate in candidates
    ]
    for line in cells:
        if line[0] == line[1]:
            line[1] = ""
    return _marked(marks, cells)


def _attempts(attempts: Sequence[AttemptRecord], paint: Paint) -> list[str]:
    marks = [paint("good", "✓") if attempt.outcome == "ok" else paint("bad", "✗") for attempt in attempts]
    cells = [
        [
            str(number),
            attempt.target,
            f"credential {attempt.credential}" if attempt.credential else "",
            f"at {_duration(attempt.started_ms)}",
            f"took {_duration(attempt.ended_ms - attempt.started_ms)}",
            f"{attempt.status or ''} {attempt.outcome}".strip(),
            attempt.detail,
        ]
        for number, attempt in enumerate(attempts, 1)
    ]
    return _marked(marks, cells)


def _usage(usage: Usage, paint: Paint) -> list[str]:
    units = [] if usage.units is None else _units(usage.units)
    if not usage.total and not units and usage.source != "unknown":
        return []
    if usage.source == "unknown":
        return [paint("warn", "unknown: the upstream told none")] if usage.raw != b"null" or usage.total else []
    rows = [(words, f"{getattr(usage, name):>9,} tokens") for name, words in _BUCKETS.items() if getattr(usage, name)]
    rows += units
    rows.append(("total", f"{usage.total:>9,} tokens, {usage.source}"))
    if usage.tier:
        rows.append(("service tier", usage.tier))
    return _pairs(rows, paint)


def _units(units: Units) -> list[tuple[str, str]]:
    counts = {words: getattr(units, name) for name, words in _UNITS.items()}
    rows = [(words, f"{count:>9,}") for words, count in counts.items() if count]
    return [*rows, ("sound", f"{units.audio_ms / 1000:>9,.3f} s")] if units.audio_ms else rows


def _cost(event: UsageEvent, paint: Paint) -> list[str]:
    if event.outcome == "refused" and not event.charged_nano:
        return []
    charged = f"${usd_from_nano(event.charged_nano)}"
    if event.cost_nano is None:
        return _pairs([("cost", paint("warn", "unknown")), ("charged", f"{charged} to the budgets")], paint)
    cost = f"${usd_from_nano(event.cost_nano)}"
    rows = [("cost", f"{cost}  {paint('dim', event.price_version)}".rstrip())]
    if event.charged_nano != event.cost_nano:
        rows.append(("charged", f"{charged} to the budgets"))
    return _pairs(rows, paint)


def _times(event: UsageEvent, paint: Paint) -> list[str]:
    rows = [("total", _duration(event.total_ms))]
    if event.first_byte_ms is not None:
        rows.insert(0, ("first byte", _duration(event.first_byte_ms)))
    return _pairs(rows, paint)


def _duration(millis: float) -> str:
    return f"{millis / 1000:.2f} s" if millis >= 1000 else f"{millis:.1f} ms".replace(".0 ", " ")


def _printable(value: Any) -> Any:
    """The same value, each string in it without control characters: a terminal would obey them."""
    if isinstance(value, str):
        return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in value)
    if isinstance(value, Struct):
        return structs.replace(value, **{name: _printable(inner) for name, inner in structs.asdict(value).items()})
    if isinstance(value, list):
        return [_printable(inner) for inner in value]
    if isinstance(value, dict):
        return {_printable(key): _printable(inner) for key, inner in value.items()}
    return value


def _pairs(rows: Sequence[tuple[str, str]], paint: Paint) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"{paint('dim', name.ljust(width))}  {value}" for name, value in rows]


def _marked(marks: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """Cells in columns as wide as their widest, behind their marks."""
    if not cells:
        return []
    widths = [max(len(line[index]) for line in cells) for index in range(len(cells[0]))]
    lines: list[str] = []
    for mark, line in zip(marks, cells, strict=True):
        columns = [cell.ljust(width) for cell, width in zip(line, widths, strict=True) if width]
        lines.append(f"{mark} {'  '.join(columns)}".rstrip())
    return lines
