"""`tidegate`: the one command, and its subcommands by module."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from tidegate import __version__
from tidegate.cli import check, demo, explain, keys, schema, serve, simulate, usage

COMMANDS: Final = (serve, demo, simulate, check, schema, usage, explain, keys)
"""In the order of the help; each module has `register(subparsers)` and `run(args) -> int`."""


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    top = argparse.ArgumentParser(prog="tidegate", description="AI API gateway and AI API management platform.")
    top.add_argument("--version", action="version", version=f"tidegate {__version__}")
    subparsers = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.register(subparsers)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; wrong usage exits 2."""
    args = parser().parse_args(arguments)
    try:
        code = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # `tidegate explain ID | head`: the reader has what it wants
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
