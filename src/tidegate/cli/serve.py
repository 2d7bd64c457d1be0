"""`tidegate serve`: the gateway and its control process."""

import argparse
import os
from pathlib import Path

from tidegate.server.options import ServeOptions
from tidegate.server.supervisor import serve


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "serve",
        help="run the gateway",
        description="Runs the gateway and its control process until SIGTERM. SIGHUP, or a changed file, reloads.",
        epilog="Exit codes: 0 stopped, 1 the configuration is invalid, 2 an option cannot be served.",
    )
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        default=_path("TIDEGATE_CONFIG"),
        metavar="FILE_OR_DIR",
        help="configuration; without it, providers are found from OPENAI_API_KEY and the like [TIDEGATE_CONFIG]",
    )
    add_addresses(parser)
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=_path("TIDEGATE_DATA_DIR") or Path("tidegate-data"),
        help="ledger, spool and snapshot; default ./tidegate-data [TIDEGATE_DATA_DIR]",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=int(os.environ.get("TIDEGATE_WORKERS") or 1),
        help="gateway processes; more than 1 needs Redis, which this version cannot use yet [TIDEGATE_WORKERS]",
    )
    parser.add_argument("--no-access-log", action="store_true", help="write no access log to standard output")
    parser.set_defaults(run=run)


def add_addresses(parser: argparse.ArgumentParser) -> None:
    """The two ports, for every command that opens them."""
    parser.add_argument(
        "--listen",
        default=os.environ.get("TIDEGATE_LISTEN") or "127.0.0.1:8080",
        metavar="HOST:PORT",
        help="the gateway; default 127.0.0.1:8080 [TIDEGATE_LISTEN]",
    )
    parser.add_argument(
        "--admin-listen",
        default=os.environ.get("TIDEGATE_ADMIN_LISTEN") or "127.0.0.1:8081",
        metavar="HOST:PORT",
        help="metrics and administration; default 127.0.0.1:8081 [TIDEGATE_ADMIN_LISTEN]",
    )


def run(args: argparse.Namespace) -> int:
    """Blocks until stopped; returns the exit code."""
    return serve(
        ServeOptions(
            config=args.config,
            listen=args.listen,
            admin_listen=args.admin_listen,
            data_dir=args.data_dir,
            workers=args.workers,
            access_log=not args.no_access_log,
        )
    )


def _path(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None
