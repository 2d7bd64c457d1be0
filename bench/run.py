"""`make bench`: measures this gateway and its peers on this machine, turn about, and writes bench/RESULTS.md.

Needs two cores, Linux, wrk and nginx; other peers are installed on demand under bench/.work.
"""

import argparse
import importlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from measures.bodies import SIZES, bodies
from measures.memory import memory
from measures.streams import streams
from measures.table import Table
from measures.throughput import latency, throughput
from measures.translation import translated_answers, translated_streams
from peers.peer import Instance, NotInstallable, Peer, apt_install, start_peer
from rig.load import Endpoint
from rig.messages import MODEL, request_body
from rig.processes import NotStarted, free_port
from rig.report import markdown, table_lines
from rig.targets import verdict_lines
from rig.upstreams import Upstreams, start_upstreams

HERE = Path(__file__).parent
WORK = HERE / ".work"
PEERS = ("nginx", "haproxy", "envoy", "tidegate", "vllm-router", "sglang-router", "tensorzero", "portkey", "litellm")
MEASURES = ("throughput", "latency", "streams", "bodies", "memory", "translation", "translated-streams")
FAST = ("nginx", "haproxy", "envoy", "tidegate", "vllm-router")
"""Peers that can carry a thousand streams and large bodies at a useful rate."""


class Bench:
    """One run: what is installed, what runs, and the files that requests are read from."""

    def __init__(self, options: argparse.Namespace, files: Path) -> None:
        self.options = options
        self.files = files
        self.upstreams: Upstreams | None = None
        self.peers: dict[str, Peer] = {}
        self.versions: dict[str, str] = {}

    def install(self) -> None:
        apt_install("wrk", ["wrk", "-v"])
        apt_install("nginx", ["nginx", "-v"])
        for name in self.options.peers:
            peer: Peer = importlib.import_module(f"peers.{name.replace('-', '_')}").PEER
            try:
                self.versions[name] = peer.install(WORK / name)
            except NotInstallable as error:
                say(f"{name}: left out: {error}")
                continue
            self.peers[name] = peer

    def start(self, names: list[str], upstream_port: int) -> dict[str, Instance]:
        """Those of `names` that come up before `upstream_port`."""
        started: dict[str, Instance] = {}
        for name in names:
            if name not in self.peers:
                continue
            model = "tensorzero::model_name::gpt-4o-mini" if name == "tensorzero" else MODEL
            try:
                started[name] = start_peer(
                    self.peers[name],
                    WORK / name,
                    self.files / name,
                    free_port(),
                    upstream_port,
                    request_body(model=model),
                )
            except NotStarted as error:
                say(f"{name}: left out: {error}")
                continue
            say(f"{name} {self.versions[name]} is up after {started[name].ready_seconds:.1f} s")
        return started

    def body(self, endpoint: Endpoint, size: int = 800, *, stream: bool = False, ask_usage: bool = True) -> Path:
        """A file with a request of that size for that endpoint's model."""
        path = self.files / f"body-{size}-{stream}-{ask_usage}-{endpoint.model.replace(':', '_')}.json"
        if not path.exists():
            path.write_bytes(request_body(size, model=endpoint.model, stream=stream, ask_usage=ask_usage))
        return path

    def run(self) -> dict[str, Table]:
        self.upstreams = start_upstreams(self.files)
        tables: dict[str, Table] = {}
        only = self.options.only
        try:
            if {"throughput", "latency", "memory", "translation"} & set(only):
                tables |= self.whole_answers(only)
            if {"streams", "bodies", "translated-streams"} & set(only):
                tables |= self.streams_and_bodies(only)
        finally:
            self.upstreams.stop()
        return tables

    def whole_answers(self, only: list[str]) -> dict[str, Table]:
        assert self.upstreams is not None
        taken: dict[str, Table] = {}
        instances = self.start(list(self.peers), self.upstreams.plain_port)
        try:
            if "memory" in only:
                taken["memory"] = memory(instances)
                show(taken["memory"])
            direct = Endpoint(self.upstreams.plain_port, "/v1/chat/completions")
            endpoints = {"direct": direct} | {name: one.endpoint for name, one in instances.items()}
            for name, measure in (("throughput", throughput), ("latency", latency)):
                if name in only:
                    say(f"{name} ...")
                    taken[name] = measure(
                        endpoints, self.body, seconds=self.options.seconds, rounds=self.options.rounds
                    )
                    show(taken[name])
            if "translation" in only and "tidegate" in instances:
                taken["translation"] = translated_answers(
                    instances["tidegate"], self.body, seconds=self.options.seconds, rounds=self.options.rounds
                )
                show(taken["translation"])
        finally:
            stop(instances)
        return taken

    def streams_and_bodies(self, only: list[str]) -> dict[str, Table]:
        assert self.upstreams is not None
        taken: dict[str, Table] = {}
        instances = self.start([name for name in self.peers if name in FAST], self.upstreams.streaming_port)
        try:
            if "bodies" in only:
                say(f"large prompts ({', '.join(SIZES)}) ...")
                taken["bodies"] = bodies(instances, self.body, seconds=self.options.seconds, rounds=self.options.rounds)
                show(taken["bodies"])
            if "streams" in only:
                say("streams ...")
                taken["streams"] = streams(
                    instances,
                    Endpoint(self.upstreams.streaming_port, "/v1/chat/completions"),
                    lambda endpoint: self.body(endpoint, stream=True),
                    count=self.options.streams,
                    seconds=self.options.seconds,
                    rounds=self.options.rounds,
                )
                show(taken["streams"])
            if "translated-streams" in only and "tidegate" in instances:
                taken["translated-streams"] = translated_streams(
                    instances["tidegate"],
                    lambda endpoint: self.body(endpoint, stream=True, ask_usage=False),
                    count=self.options.streams // 2,
                    seconds=self.options.seconds,
                    rounds=self.options.rounds,
                )
                show(taken["translated-streams"])
        finally:
            stop(instances)
        return taken


def stop(instances: dict[str, Instance]) -> None:
    for instance in instances.values():
        instance.running.stop()


def show(table: Table) -> None:
    print("\n".join(table_lines(table)), flush=True)


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def listed(allowed: tuple[str, ...]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in allowed]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(allowed)}")
        return names

    return read


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=listed(PEERS), default=list(PEERS), help="comma-separated; default: all")
    parser.add_argument("--only", type=listed(MEASURES), default=list(MEASURES), help="comma-separated; default: all")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run of the load; default 5")
    parser.add_argument("--rounds", type=int, default=5, help="turns of every program; default 5")
    parser.add_argument("--streams", type=int, default=1000, help="streams at once; default 1000")
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md", help="the record; `-` for none")
    options = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        say("the rig needs two cores: one for the gateway, one for the upstream and the load")
        return 2
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=WORK) as files:
        bench = Bench(options, Path(files))
        bench.install()
        tables = bench.run()
    verdict = verdict_lines(tables)
    print("\n".join(verdict))
    if str(options.output) != "-":
        settings = f"{options.rounds} rounds of {options.seconds:g} s each, medians, turn about"
        abouts = {name: peer.about for name, peer in bench.peers.items()}
        record = markdown([tables[name] for name in MEASURES if name in tables], bench.versions, abouts, settings)
        head, _, rest = record.partition("\n## ")
        options.output.write_text(f"{head}\n" + "\n".join(verdict) + f"\n## {rest}")
        say(f"written: {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
