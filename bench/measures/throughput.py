"""Whole answers at full load: `wrk -t1 -c32`, and the latency of one connection alone."""

from collections.abc import Callable
from pathlib import Path

from rig.load import Endpoint, wrk

from measures.table import Table

Bodies = Callable[[Endpoint], Path]


def throughput(endpoints: dict[str, Endpoint], body_of: Bodies, *, seconds: float, rounds: int) -> Table:
    """Requests per second and p99 with 32 connections."""
    table = Table("Throughput, 32 connections", "", ["requests/s", "p50 ms", "p99 ms"], "higher")
    for endpoint in endpoints.values():
        wrk(endpoint, body_of(endpoint), connections=32, seconds=1)
    for _ in range(rounds):
        for name, endpoint in endpoints.items():
            result = wrk(endpoint, body_of(endpoint), connections=32, seconds=seconds)
            table.add(name, "requests/s", result.requests_per_second)
            table.add(name, "p50 ms", result.p50_ms)
            table.add(name, "p99 ms", result.p99_ms)
            if result.errors:
                table.notes.append(f"{name}: {result.errors} of {result.requests} calls failed")
    return table


def latency(endpoints: dict[str, Endpoint], body_of: Bodies, *, seconds: float, rounds: int) -> Table:
    """One connection: what a call takes, and what the program adds to the upstream's own time."""
    table = Table("Latency, 1 connection", "", ["p50 ms", "p99 ms", "added p50 ms"], "lower")
    for _ in range(rounds):
        direct = 0.0
        for name, endpoint in endpoints.items():
            result = wrk(endpoint, body_of(endpoint), connections=1, seconds=seconds)
            direct = result.p50_ms if name == "direct" else direct
            table.add(name, "p50 ms", result.p50_ms)
            table.add(name, "p99 ms", result.p99_ms)
            if name != "direct":
                table.add(name, "added p50 ms", result.p50_ms - direct)
    return table
