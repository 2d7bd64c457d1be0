"""Memory of an idle program, all its processes, and how long it takes until it serves."""

from peers.peer import Instance

from measures.table import Table


def memory(fresh: dict[str, Instance]) -> Table:
    """`fresh`: just started, one call answered."""
    table = Table("Idle after start, all processes", "", ["PSS MB", "RSS MB", "processes", "ready after s"], "lower")
    for name, instance in fresh.items():
        pss, rss = instance.running.memory_mb()
        table.add(name, "PSS MB", pss)
        table.add(name, "RSS MB", rss)
        table.add(name, "processes", len(instance.running.pids()))
        table.add(name, "ready after s", instance.ready_seconds)
    return table
