"""Large prompts: bytes that pass per second of the program's CPU."""

from collections.abc import Callable
from pathlib import Path

from peers.peer import Instance
from rig.load import Endpoint, wrk

from measures.table import Table

SIZES = {"64 KB": 64 * 1024, "1 MB": 1024 * 1024}


def bodies(
    instances: dict[str, Instance], body_of: Callable[[Endpoint, int], Path], *, seconds: float, rounds: int
) -> Table:
    """For each size: megabytes per CPU second, and requests per second."""
    columns = [f"{size}: {figure}" for size in SIZES for figure in ("MB per CPU second", "requests/s")]
    table = Table("Large prompts, 8 connections", "", columns, "higher")
    for _ in range(rounds):
        for size, count in SIZES.items():
            for name, instance in instances.items():
                before = instance.running.cpu_seconds()
                result = wrk(
                    instance.endpoint, body_of(instance.endpoint, count), connections=8, seconds=max(2, seconds / 2)
                )
                spent = max(0.01, instance.running.cpu_seconds() - before)
                table.add(name, f"{size}: MB per CPU second", result.requests * count / 1e6 / spent)
                table.add(name, f"{size}: requests/s", result.requests_per_second)
                if result.errors:
                    table.notes.append(f"{name}, {size}: {result.errors} of {result.requests} calls failed")
    return table
