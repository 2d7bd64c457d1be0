"""`tidegate keys`: what follows from consumers' keys."""

import argparse
import os
import sys
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from tidegate.compile.keys import key_digest
from tidegate.config import ConfigErrors, Resources, load
from tidegate.config.secret import SecretMissing, read_secret
from tidegate.gateway.credentials.signed_access import AccessPair, issue

_KEY: Final = "TIDEGATE_KEY"


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "keys",
        help="the AWS access key of a consumer's key",
        description="Prints the AWS access key that belongs to a consumer's key, for clients that sign their requests "
        "(boto3). The gateway needs `awsAccess` in its configuration.",
        epilog=f"The key is read from {_KEY}, else from standard input. "
        "Exit codes: 0 printed, 1 not possible, 2 wrong usage.",
    )
    parser.add_argument("action", choices=("aws-access",), help="what to print")
    parser.add_argument(
        "-c", "--config", type=Path, default=os.environ.get("TIDEGATE_CONFIG"), metavar="FILE_OR_DIR",
        help="the gateway's configuration (default: TIDEGATE_CONFIG)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Returns the exit code."""
    if args.config is None:
        print("tidegate keys: name the configuration with -c", file=sys.stderr)
        return 2
    try:
        resources = load(Path(args.config), os.environ)
        pair = _pair(resources, os.environ.get(_KEY) or sys.stdin.readline().strip())
    except (ConfigErrors, SecretMissing, ValueError) as error:
        print(f"tidegate keys: {error}", file=sys.stderr)
        return 1
    if args.json:
        told = {"access_key_id": pair.id, "secret_access_key": pair.secret}
        print(msgspec.json.encode(told).decode())
    else:
        print(f"AWS_ACCESS_KEY_ID={pair.id}\nAWS_SECRET_ACCESS_KEY={pair.secret}")
    return 0


def _pair(resources: Resources, key: str) -> AccessPair:
    """Raises SecretMissing or ValueError, neither with a secret in it."""
    gateway = resources.gateway
    if gateway is None or gateway.spec.aws_access is None:
        raise ValueError("the configuration has no `awsAccess`: add it to the Gateway")
    if not key:
        raise ValueError(f"no key: set {_KEY}, or write it to standard input")
    digest = sha256(key.encode()).digest()
    known = {key_digest(one, os.environ) for consumer in resources.consumers for one in consumer.spec.keys}
    if digest not in known:
        raise ValueError("no consumer of the configuration has this key")
    return issue(read_secret(gateway.spec.aws_access.secret, os.environ), digest)
