"""Spend by any dimensions over any time: rollups for whole slots, events for the edges and for tags.

Sums of money are taken as whole USD and the rest apart, so that they cannot overflow 64 bits; the answer is exact.
"""

import difflib
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.core.money import NANO_PER_USD, usd_from_nano
from tidegate.store.rows import ROLLUP_DIMENSIONS
from tidegate.store.schema import GRAIN_NS

_TIME_DIMENSIONS = {
    "day": "strftime('%Y-%m-%d', slot * 900, 'unixepoch')",
    "hour": "strftime('%Y-%m-%dT%H:00Z', slot * 900, 'unixepoch')",
}
DIMENSIONS = (*ROLLUP_DIMENSIONS, *_TIME_DIMENSIONS)
"""What usage may be asked by; `tag:NAME` as well. Days and hours are UTC."""

_SUMS = f"""
    sum(requests), sum(refused), sum(input_tokens), sum(cached_input_tokens), sum(output_tokens),
    sum(cost_nano / {NANO_PER_USD}), sum(cost_nano % {NANO_PER_USD}), sum(unknown_cost_requests)
"""
_MEASURES = "requests, refused, input_tokens, cached_input_tokens, output_tokens, cost_nano, unknown_cost_requests"
_EVENT_MEASURES = """
    outcome <> 'refused' AS requests, outcome = 'refused' AS refused, input_tokens, cached_input_tokens, output_tokens,
    coalesce(cost_nano, 0) AS cost_nano, cost_nano IS NULL AND outcome <> 'refused' AS unknown_cost_requests
"""
_EVENTS = " ".join(("FROM (SELECT *, time_ns /", str(GRAIN_NS), "AS slot FROM events)"))
_LAST_NS = 2**63 - 1


class UnknownDimension(ValueError):
    """The message names it, what was perhaps meant, and what there is."""


def usage(
    connection: sqlite3.Connection,
    by: Sequence[str],
    since_ns: int | None,
    until_ns: int | None,
    where: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Rows in the order of their dimensions; without dimensions one row, also when there is nothing."""
    for name in (*by, *where):
        _check(name)
    names = list(dict.fromkeys([*by, *where]))
    tagged = any(name.startswith("tag:") for name in names)
    source, parameters = _source(connection, names, tagged, since_ns or 0, _LAST_NS if until_ns is None else until_ns)
    shown = [f"d{names.index(name)}" for name in by]
    words = ["SELECT", ", ".join([*shown, _SUMS]), "FROM", f"({source})"]
    if where:
        words += ["WHERE", " AND ".join(f"CAST(d{names.index(name)} AS TEXT) = ?" for name in where)]
        parameters += where.values()
    if shown:
        words += ["GROUP BY", ", ".join(shown), "ORDER BY", ", ".join(shown)]
    return [_row(by, found) for found in connection.execute(" ".join(words), parameters)]


def _check(name: str) -> None:
    if name in DIMENSIONS or (name.startswith("tag:") and len(name) > 4):
        return
    near = difflib.get_close_matches(name, DIMENSIONS, n=1)
    hint = f"did you mean `{near[0]}`? " if near else ""
    raise UnknownDimension(f"unknown dimension `{name}`: {hint}there are {', '.join(DIMENSIONS)} and tag:NAME")


def _source(
    connection: sqlite3.Connection, names: Sequence[str], tagged: bool, since_ns: int, until_ns: int
) -> tuple[str, list[Any]]:
    """A SELECT of the dimensions as d0, d1, … and the measures, and its parameters."""
    since_ns, until_ns = max(0, since_ns), max(0, until_ns)
    first, last = -(-since_ns // GRAIN_NS), until_ns // GRAIN_NS
    pruned_before_ns = _pruned_before(connection)
    if since_ns < pruned_before_ns:
        first = since_ns // GRAIN_NS  # the events of this edge are gone: the whole slot is told
    if until_ns < pruned_before_ns:
        last = -(-until_ns // GRAIN_NS)
    if tagged or first >= last:
        return _events_part(names), [*_tag_names(names), since_ns, until_ns]
    columns = [f"{_TIME_DIMENSIONS.get(name, name)} AS d{index}" for index, name in enumerate(names)]
    parts = [" ".join(("SELECT", ", ".join([*columns, _MEASURES]), "FROM rollups WHERE slot >= ? AND slot < ?"))]
    parameters: list[Any] = [first, last]
    for start, end in ((since_ns, first * GRAIN_NS), (last * GRAIN_NS, until_ns)):
        if start < end:
            parts.append(_events_part(names))
            parameters += [start, end]
    return " UNION ALL ".join(parts), parameters


def _events_part(names: Sequence[str]) -> str:
    columns = [f"{_event_column(name)} AS d{index}" for index, name in enumerate(names)]
    return " ".join(("SELECT", ", ".join([*columns, _EVENT_MEASURES]), _EVENTS, "WHERE time_ns >= ? AND time_ns < ?"))


def _event_column(name: str) -> str:
    if name.startswith("tag:"):
        return "coalesce((SELECT value FROM json_each(tags) WHERE json_each.key = ?), '')"
    return _TIME_DIMENSIONS.get(name, name)


def _tag_names(names: Sequence[str]) -> list[str]:
    return [name.removeprefix("tag:") for name in names if name.startswith("tag:")]


def _pruned_before(connection: sqlite3.Connection) -> int:
    found = connection.execute("SELECT value FROM facts WHERE name = 'pruned_before_ns'").fetchone()
    return found[0] if found else 0


def _row(by: Sequence[str], found: Sequence[Any]) -> dict[str, Any]:
    requests, refused, inputs, cached, outputs, usd, rest, unknown = (value or 0 for value in found[len(by) :])
    return {
        **dict(zip(by, found, strict=False)),
        "requests": requests,
        "refused": refused,
        "input_tokens": inputs,
        "cached_input_tokens": cached,
        "output_tokens": outputs,
        "cost_usd": usd_from_nano(usd * NANO_PER_USD + rest),
        "unknown_cost_requests": unknown,
    }
