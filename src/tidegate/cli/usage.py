"""`tidegate usage`: what was spent, by whom, on what."""

import argparse
import csv
import json
import re
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tidegate.cli.data_dir import LedgerUnavailable, add_data_dir, fresh_ledger
from tidegate.core.clock import Clock, SystemClock
from tidegate.store.usage_report import DIMENSIONS, UnknownDimension

_NS = 1_000_000_000
_SPAN = re.compile(r"(\d+)([smhdw])")
_SPAN_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_COLUMNS = {
    "requests": "requests",
    "refused": "refused",
    "input_tokens": "input tokens",
    "cached_input_tokens": "cached",
    "output_tokens": "output tokens",
    "cost_usd": "cost USD",
    "unknown_cost_requests": "cost unknown",
}
_ONLY_WHEN_ANY = ("refused", "unknown_cost_requests")


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "usage",
        help="what was spent, by any dimensions",
        description="What was spent. `requests` are calls that reached an upstream; refused ones are counted apart.",
        epilog=f"Dimensions: {', '.join(DIMENSIONS)}, tag:NAME. Days and hours are UTC. "
        "Exit codes: 0 done, 1 no ledger, 2 wrong arguments.",
    )
    parser.add_argument(
        "--by", default="", metavar="DIM,...", help="one row for each, e.g. team,model (default: one row)"
    )
    parser.add_argument("--since", metavar="WHEN", help="30m, 12h, 7d, 2w, 2026-11-01 or 2026-11-01T12:00 (UTC)")
    parser.add_argument("--until", metavar="WHEN", help="the same; not included")
    parser.add_argument(
        "--where", action="append", default=[], metavar="DIM=VALUE", help="only these calls; repeatable"
    )
    add_data_dir(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="an array of objects; cost as a decimal string")
    form.add_argument("--csv", action="store_true", help="a header and rows")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    by = [name.strip() for name in args.by.split(",") if name.strip()]
    clock = SystemClock()
    try:
        since_ns, until_ns = moment(args.since, clock), moment(args.until, clock)
        where = dict(_filter(text) for text in args.where)
        with fresh_ledger(args.data_dir) as ledger:
            rows = ledger.usage(by, since_ns, until_ns, where)
    except (UnknownDimension, ValueError) as error:
        print(f"tidegate usage: {error}", file=sys.stderr)
        return 2
    except LedgerUnavailable as error:
        print(f"tidegate usage: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    elif args.csv:
        writer = csv.DictWriter(sys.stdout, [*by, *_COLUMNS], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        print("\n".join(table(by, rows)))
    return 0


def moment(text: str | None, clock: Clock) -> int | None:
    """`7d` (before now) or an ISO date or time (UTC unless it says) to ns since the epoch. Raises ValueError."""
    if text is None:
        return None
    if span := _SPAN.fullmatch(text.strip()):
        return clock.now_ns() - int(span[1]) * _SPAN_SECONDS[span[2]] * _NS
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"`{text}` is no time: write 30m, 12h, 7d, 2w, 2026-11-01 or 2026-11-01T12:00") from None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    since_epoch = when - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_epoch.days * 86_400 + since_epoch.seconds) * _NS + since_epoch.microseconds * 1000


def table(by: list[str], rows: list[dict[str, Any]]) -> list[str]:
    """Aligned lines with a total; columns that are all 0 and seldom matter are left out."""
    if by and not rows:
        return ["no calls in that time"]
    total = _total(rows)
    columns = [name for name in _COLUMNS if name not in _ONLY_WHEN_ANY or total[name]]
    decimals = max(2, *(len(str(row["cost_usd"]).partition(".")[2]) for row in [*rows, total]))
    cells = [[*by, *(_COLUMNS[name] for name in columns)]]
    for row in rows:
        cells.append([*(_label(row[name]) for name in by), *(_cell(name, row[name], decimals) for name in columns)])
    if by:
        lead = ["total", *[""] * (len(by) - 1)]
        cells.append([*lead, *(_cell(name, total[name], decimals) for name in columns)])
    widths = [max(len(line[index]) for line in cells) for index in range(len(cells[0]))]
    lines = ["  ".join(_aligned(line, widths, len(by))).rstrip() for line in cells]
    rule = "  ".join("─" * width for width in widths)
    lines.insert(1, rule)
    if by:
        lines.insert(len(lines) - 1, rule)
    if unknown := total["unknown_cost_requests"]:
        lines += [
            "",
            f"{unknown:,} of the requests have an unknown cost, which is not in the sum: give their models a price.",
        ]
    return lines


def _filter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--where {text}: write DIM=VALUE, e.g. team=support")
    return name.strip(), value


def _total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {name: sum(row[name] for row in rows) for name in _COLUMNS if name != "cost_usd"}
    total["cost_usd"] = f"{sum((Decimal(row['cost_usd']) for row in rows), Decimal(0)):f}"
    return total


def _label(value: Any) -> str:
    """Names come from clients too: no control character reaches the terminal."""
    return "".join(char if char.isprintable() else "?" for char in str(value)) or "-"


def _cell(name: str, value: Any, decimals: int) -> str:
    return f"{Decimal(value):,.{decimals}f}" if name == "cost_usd" else f"{value:,}"


def _aligned(line: list[str], widths: list[int], left: int) -> list[str]:
    """Dimensions to the left, numbers to the right."""
    return [
        cell.ljust(width) if index < left else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
