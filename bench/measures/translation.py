"""What a translation costs: the same call of this gateway from a client of the upstream's dialect and from one of another.

The chat request of the rig is also one of Anthropic's: the path alone makes the difference.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from peers.peer import Instance
from rig.load import Endpoint, StreamLoad, wrk

from measures.table import Table

ROWS = (("OpenAI client", "/v1/chat/completions"), ("Anthropic client", "/v1/messages"))


def translated_answers(gateway: Instance, body_of: Callable[[Endpoint], Path], *, seconds: float, rounds: int) -> Table:
    """Whole answers of an OpenAI upstream, 32 connections."""
    table = Table("Translation, 32 connections, OpenAI upstream", "", ["requests/s"], "higher")
    for _ in range(rounds):
        for name, path in ROWS:
            endpoint = replace(gateway.endpoint, path=path)
            result = wrk(endpoint, body_of(endpoint), connections=32, seconds=seconds)
            table.add(name, "requests/s", result.requests_per_second)
            if result.errors:
                table.notes.append(f"{name}: {result.errors} of {result.requests} calls failed")
    return table


def translated_streams(
    gateway: Instance, body_of: Callable[[Endpoint], Path], *, count: int, seconds: float, rounds: int
) -> Table:
    """`count` streams of an OpenAI upstream at once."""
    table = Table(f"Translation, {count} streams at once, OpenAI upstream", "", ["CPU µs per chunk"], "lower")
    for _ in range(rounds):
        for name, path in ROWS:
            endpoint = replace(gateway.endpoint, path=path)
            load = StreamLoad(endpoint, body_of(endpoint), streams=count, seconds=seconds)
            load.counting()
            before = gateway.running.cpu_seconds()
            told = load.report()
            if told["chunks"]:
                table.add(name, "CPU µs per chunk", (gateway.running.cpu_seconds() - before) / told["chunks"] * 1e6)
            if told["broken"]:
                table.notes.append(f"{name}: {told['broken']} streams broke")
    return table
