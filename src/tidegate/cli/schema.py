"""`tidegate schema`: the JSON Schema of configuration files, for editors."""

import argparse
import json

from tidegate.config import json_schema


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "schema",
        help="print the JSON Schema of configuration files",
        description="Prints one JSON Schema (draft 2020-12) for every kind of resource. Editors check and complete "
        "with it: save it, and begin a YAML file with `# yaml-language-server: $schema=FILE`.",
        epilog="Exit codes: 0 printed.",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Returns the exit code."""
    print(json.dumps(json_schema(), indent=2))
    return 0
