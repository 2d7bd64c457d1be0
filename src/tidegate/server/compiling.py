"""Compiles a configuration to a snapshot file, in a process of its own: what it needs is not kept in memory afterwards.

`python -m tidegate.server.compiling OUT [CONFIG]` writes OUT atomically, or prints what is wrong and exits 1.
"""

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from tidegate.core.snapshot import Snapshot


class ConfigurationRefused(Exception):
    """The configuration is not valid; the message is the findings, one a line."""


def command(out: Path, config: Path | None) -> list[str]:
    """The command line of the compiling process."""
    words = [sys.executable, "-m", "tidegate.server.compiling", str(out)]
    return words if config is None else [*words, str(config)]


def compile_apart(out: Path, config: Path | None) -> str:
    """Runs it and waits; returns warnings. Raises ConfigurationRefused."""
    done = subprocess.run(command(out, config), capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    if done.returncode:
        raise ConfigurationRefused(done.stderr.strip() or f"the compiler ended with {done.returncode}")
    return done.stderr.strip()


def read_snapshot(path: Path) -> Snapshot:
    """Raises OSError, or msgspec.DecodeError for a file of another version."""
    return msgspec.msgpack.decode(path.read_bytes(), type=Snapshot)


def _compile(out: Path, config: Path | None) -> int:
    from tidegate.compile import compile_snapshot  # the heavy half of this module's work
    from tidegate.config import ConfigErrors, from_environment, load

    try:
        resources = from_environment(os.environ) if config is None else load(config, os.environ)
        snapshot = compile_snapshot(resources, env=os.environ)
    except ConfigErrors as errors:
        print(errors, file=sys.stderr)
        return 1
    draft = out.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.msgpack.encode(snapshot))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(out)
    return 0


def _main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 2:
        print("usage: python -m tidegate.server.compiling OUT [CONFIG]", file=sys.stderr)
        return 2
    return _compile(Path(arguments[0]), Path(arguments[1]) if len(arguments) == 2 else None)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
