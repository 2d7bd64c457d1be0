"""The targets that this gateway sets itself, checked against one run's tables."""

from collections.abc import Iterator
from dataclasses import dataclass

from measures.table import Table

from rig.report import OWN, figure


@dataclass(frozen=True)
class Verdict:
    target: str
    measured: str
    met: bool


_THROUGHPUT = {
    "nginx": 0.33,
    "envoy": 1.1,
    "vllm-router": 1.3,
    "tensorzero": 3.5,
    "portkey": 20.0,
    "litellm": 150.0,
}


_CLIENTS = ("OpenAI client", "Anthropic client")


def verdicts(tables: dict[str, Table]) -> Iterator[Verdict]:
    """One per target whose figures were taken."""
    if table := tables.get("throughput"):
        yield from _throughput(table)
    if table := tables.get("latency"):
        own, nginx = table.value(OWN, "added p50 ms"), table.value("nginx", "added p50 ms")
        if own is not None and nginx:
            yield Verdict("added latency at c=1 at most 2.5 × nginx's", f"{own / nginx:.2f} ×", own <= 2.5 * nginx)
    if table := tables.get("streams"):
        yield from _streams(table)
    if table := tables.get("bodies"):
        for size in ("64 KB", "1 MB"):
            own, envoy = (table.value(name, f"{size}: MB per CPU second") for name in (OWN, "envoy"))
            if own and envoy:
                yield Verdict(
                    f"{size} prompts: bytes per CPU second within 1.5 × of Envoy's",
                    f"{envoy / own:.2f} × fewer",
                    own * 1.5 >= envoy,
                )
    if table := tables.get("memory"):
        pss, ready = table.value(OWN, "PSS MB"), table.value(OWN, "ready after s")
        if pss is not None and ready is not None:
            yield Verdict("idle memory at most 90 MB", f"{figure(pss)} MB PSS", pss <= 90)
            yield Verdict("ready within 1.5 s", f"{ready:.2f} s", ready <= 1.5)
    if table := tables.get("translation"):
        native, other = (table.value(name, "requests/s") for name in _CLIENTS)
        if native and other:
            share = other / native
            yield Verdict("a translated call at half the throughput of a native one", f"{share:.2f} ×", share >= 0.5)
    if table := tables.get("translated-streams"):
        native, other = (table.value(name, "CPU µs per chunk") for name in _CLIENTS)
        if native and other:
            cost = other / native
            yield Verdict("CPU per translated chunk at most 4 × a native one's", f"{cost:.2f} ×", cost <= 4)


def _throughput(table: Table) -> Iterator[Verdict]:
    own = table.value(OWN, "requests/s")
    for peer, least in _THROUGHPUT.items():
        other = table.value(peer, "requests/s")
        if own and other:
            yield Verdict(f"throughput at least {least} × {peer}", f"{own / other:.2f} ×", own >= least * other)
    mine, envoy = table.value(OWN, "p99 ms"), table.value("envoy", "p99 ms")
    if mine and envoy:
        yield Verdict("p99 at c=32 no worse than Envoy's", f"{mine:.2f} ms against {envoy:.2f} ms", mine <= envoy)


def _streams(table: Table) -> Iterator[Verdict]:
    own, direct = table.value(OWN, "gap p99 ms"), table.value("direct", "gap p99 ms")
    if own is not None and direct is not None:
        yield Verdict("p99 gap between chunks at most 10 ms over direct", f"{own - direct:.1f} ms", own - direct <= 10)
    mine, nginx = table.value(OWN, "CPU µs per chunk"), table.value("nginx", "CPU µs per chunk")
    if mine and nginx:
        yield Verdict("CPU per chunk at most 3 × nginx's", f"{mine / nginx:.2f} ×", mine <= 3 * nginx)


def verdict_lines(tables: dict[str, Table]) -> list[str]:
    lines = ["## Targets", "", "| target | measured | met |", "|---|---|---|"]
    lines += [f"| {one.target} | {one.measured} | {'yes' if one.met else 'no'} |" for one in verdicts(tables)]
    return [*lines, ""]
