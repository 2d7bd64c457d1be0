"""What a call costs the gateway in instructions, a figure that other load on the machine does not change.

A worker runs alone under callgrind, its client and upstream in memory (`rig/memory_gateway.py`): sockets and the kernel are
left out. Several checkouts are compared by naming them. Needs valgrind, but for `--by-function`.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rig.workloads import KEY, WORKLOADS

HERE = Path(__file__).parent
ENV = {
    "BENCH_UPSTREAM": "http://127.0.0.1:9/v1",
    "BENCH_UPSTREAM_KEY": "bench-upstream-key",
    "BENCH_KEY": KEY,
    "PYTHONHASHSEED": "0",
}
_MORE_CHUNKS = WORKLOADS["long-stream"].chunks - WORKLOADS["stream"].chunks


def run(checkout: Path, mode: str, wanted: list[str], work: Path, under: list[str]) -> list[str]:
    """Runs the worker of a checkout; returns the lines of JSON that it told."""
    env = {**os.environ, **ENV, "PYTHONPATH": str(checkout / "src")}
    compiling = ["-m", "tidegate.server.compiling", str(work / "snapshot.msgpack"), str(HERE / "config.yaml")]
    subprocess.run([sys.executable, *compiling], env=env, check=True)
    program = [sys.executable, str(HERE / "rig" / "memory_gateway.py"), mode, str(work), *wanted]
    done = subprocess.run(
        [*under, *program], check=False, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit(done.stderr)
    return [line for line in done.stderr.splitlines() if line.startswith("{")]


def instructions(checkout: Path, wanted: list[str], work: Path) -> dict[str, float]:
    """Of one call of each workload."""
    out = work / "callgrind"
    under = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--dump-before=getppid"]
    run(checkout, "mark", wanted, work, under)
    totals = [_total(out.with_name(f"callgrind.{2 * number}")) for number in range(1, len(wanted) + 1)]
    return {name: total / WORKLOADS[name].calls for name, total in zip(wanted, totals, strict=True)}


def by_function(checkout: Path, wanted: list[str], work: Path) -> None:
    """Prints the bytecodes that the functions execute for a call."""
    for line in run(checkout, "bytecodes", wanted, work, []):
        ((name, told),) = json.loads(line).items()
        print(f"{name}: {sum(told.values()):,.0f} bytecodes a call")
        for function, count in sorted(told.items(), key=lambda one: -one[1])[:40]:
            print(f"{count:9.1f}  {function.replace(str(checkout) + '/', '')}")


def show(checkout: Path, told: dict[str, float]) -> None:
    if {"stream", "long-stream"} <= told.keys():
        told = {**told, "chunk": (told["long-stream"] - told["stream"]) / _MORE_CHUNKS}
    print(f"{checkout}: " + ", ".join(f"{name} {figure:,.0f}" for name, figure in told.items()), flush=True)


def _total(part: Path) -> int:
    found = re.search(r"^totals: (\d+)", part.read_text(), re.MULTILINE)
    assert found is not None, f"{part} has no totals"
    return int(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="*", type=Path, default=[HERE.parent], help="default: this one")
    parser.add_argument("--only", default=",".join(WORKLOADS), help=f"comma-separated, of {', '.join(WORKLOADS)}")
    parser.add_argument("--by-function", action="store_true", help="which functions execute how many bytecodes a call")
    options = parser.parse_args()
    wanted = options.only.split(",")
    for checkout in options.checkouts:
        with tempfile.TemporaryDirectory(prefix="instructions-") as work:
            if options.by_function:
                by_function(checkout.resolve(), wanted, Path(work))
            else:
                show(checkout, instructions(checkout.resolve(), wanted, Path(work)))


if __name__ == "__main__":
    main()
