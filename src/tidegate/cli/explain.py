"""`tidegate explain ID`: why a call was allowed or refused, where it went, and what it cost."""

import argparse
import json
import os
import sys
from typing import Any

from msgspec import structs

from tidegate.cli.data_dir import LedgerUnavailable, add_data_dir, fresh_ledger
from tidegate.cli.decision_tree import ansi, plain, tree
from tidegate.core.decision import Decision
from tidegate.core.money import usd_from_nano
from tidegate.core.usage import UsageEvent

LAST = "last"
"""Stands for the id of the call that arrived last."""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "explain",
        help="why a call went as it did: its Decision as a readable tree",
        description="Why a call was allowed or refused, where it went, what it cost.",
        epilog="Exit codes: 0, 1 no such call or no ledger.",
    )
    parser.add_argument("id", metavar="ID", help="the value of the response header x-tidegate-decision, or `last`")
    add_data_dir(parser)
    parser.add_argument("--json", action="store_true", help="the Decision as an object, its usage event under `event`")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        with fresh_ledger(args.data_dir) as ledger:
            call_id = (ledger.latest_id() or "") if args.id == LAST else args.id
            event, decision = ledger.event(call_id), ledger.decision(call_id)
    except LedgerUnavailable as error:
        print(f"tidegate explain: {error}", file=sys.stderr)
        return 1
    if event is None:
        print(
            f"tidegate explain: no call {args.id} in {args.data_dir}: take the id from the response header "
            "x-tidegate-decision, and the gateway's own --data-dir; calls older than the retention are deleted",
            file=sys.stderr,
        )
        return 1
    if args.json:
        print(json.dumps(as_json(event, decision), indent=2, ensure_ascii=False))
        return 0
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print("\n".join(tree(event, decision, ansi if coloured else plain)))
    return 0


def as_json(event: UsageEvent, decision: Decision | None) -> dict[str, Any]:
    """The Decision's fields (only `id` when none was kept) and `event` with `cost_usd`, `charged_usd`."""
    fields: dict[str, Any] = {"id": event.id}
    if decision is not None:
        fields = structs.asdict(decision)
        for name in ("claims", "candidates", "attempts"):
            fields[name] = [structs.asdict(record) for record in fields[name]]
    told = structs.asdict(event)
    told["usage"] = structs.asdict(event.usage) | {"raw": _json_or_text(event.usage.raw)}
    told["cost_usd"] = None if event.cost_nano is None else usd_from_nano(event.cost_nano)
    told["charged_usd"] = usd_from_nano(event.charged_nano)
    return fields | {"event": told}


def _json_or_text(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode("utf-8", "replace")
