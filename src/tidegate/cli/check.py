"""`tidegate check`: validates and lints a configuration offline."""

import argparse
import os
import sys
from pathlib import Path

import msgspec

from tidegate.compile import check
from tidegate.config import Finding


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "check",
        help="validate and lint a configuration",
        description="Reads a configuration as `serve` would, without the network, and says what is wrong with it and "
        "what in it can never take effect.",
        epilog="Exit codes: 0 no errors (there may be warnings), 1 errors, 2 wrong usage.",
    )
    parser.add_argument("config", type=Path, metavar="FILE_OR_DIR", help="a YAML file, or a folder of them")
    parser.add_argument("--json", action="store_true", help="print the findings as a JSON array")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Returns the exit code."""
    if not args.config.exists():
        print(f"tidegate check: {args.config}: there is no such file or folder", file=sys.stderr)
        return 2
    findings = check(args.config, os.environ)
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(findings)).decode())
    else:
        _print(findings)
    return 1 if any(one.severity == "error" for one in findings) else 0


def _print(findings: list[Finding]) -> None:
    for one in findings:
        print(one)
    errors = sum(one.severity == "error" for one in findings)
    warnings = len(findings) - errors
    if findings:
        print(f"{errors} {_plural('error', errors)}, {warnings} {_plural('warning', warnings)}")
    else:
        print("no errors, no warnings")


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
