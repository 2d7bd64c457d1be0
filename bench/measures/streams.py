"""Many streams at once: how even the chunks arrive, and what a chunk costs the program in CPU."""

from collections.abc import Callable
from pathlib import Path

from peers.peer import Instance
from rig.load import Endpoint, StreamLoad

from measures.table import Table


def streams(
    instances: dict[str, Instance],
    direct: Endpoint,
    body_of: Callable[[Endpoint], Path],
    *,
    count: int,
    seconds: float,
    rounds: int,
) -> Table:
    """`count` streams of 50 chunks a second each."""
    columns = ["gap p50 ms", "gap p99 ms", "chunks/s", "CPU µs per chunk", "CPU share"]
    table = Table(f"{count} streams at once, one chunk each 20 ms", "", columns, "lower")
    for _ in range(rounds):
        _take(table, "direct", None, direct, body_of, count, seconds)
        for name, instance in instances.items():
            _take(table, name, instance, instance.endpoint, body_of, count, seconds)
    return table


def _take(
    table: Table,
    name: str,
    instance: Instance | None,
    endpoint: Endpoint,
    body_of: Callable[[Endpoint], Path],
    count: int,
    seconds: float,
) -> None:
    load = StreamLoad(endpoint, body_of(endpoint), streams=count, seconds=seconds)
    load.counting()
    before = instance.running.cpu_seconds() if instance else 0.0
    told = load.report()
    table.add(name, "gap p50 ms", told["gap_p50_ms"])
    table.add(name, "gap p99 ms", told["gap_p99_ms"])
    table.add(name, "chunks/s", told["chunks"] / told["seconds"])
    if instance is not None and told["chunks"]:
        spent = instance.running.cpu_seconds() - before
        table.add(name, "CPU µs per chunk", spent / told["chunks"] * 1e6)
        table.add(name, "CPU share", spent / told["seconds"])
    if told["broken"] or told["streams"] < count:
        table.notes.append(f"{name}: {told['broken']} streams broke, {told['streams']} of {count} ran at the end")
