"""`make soak`: minutes at full load with faults; then memory is flat, nothing is reserved, and the ledger is exact.

The simulator fails, cuts, stalls and lies; clients leave in the middle. Each client reckons from the usage that it saw
what its calls must have cost. At the end every call that a client saw whole has one record with that cost to the nano-USD.
"""

import argparse
import http.client
import json
import os
import shutil
import socket
import statistics
import sys
import time
from pathlib import Path

from rig.checking_client import LEFT, UNSEEN
from rig.processes import GATEWAY_CORE, LOAD_CORE, Running, accepts, answers, free_port, start, wait_until

from tidegate.core.usage import UsageEvent
from tidegate.store.ledger import Ledger

HERE = Path(__file__).parent
WORK = HERE / ".work" / "soak"
KEY, UPSTREAM_KEY, MODEL = "tg-soak-client-key", "sk-soak-upstream-key", "gpt-4.1"
PROFILE = """\
requireKey: false
models:
  gpt-4.1:
    tokens: uniform(5, 60)
    firstByte: 1ms
    errors: {"503": 0.01, "500": 0.005, "429": 0.0002}
    faults:
      reset-mid-answer: 0.005
      cut-clean: 0.005
      no-usage: 0.002
      bad-json: 0.002
      stall-mid-answer: 0.0005
      reset-before-head: 0.005
    retryAfter: 20ms
"""
CONFIG = """\
kind: Provider
metadata: {{name: sim}}
spec:
  dialect: openai
  baseUrl: http://127.0.0.1:{port}/v1
  credentials: [{{apiKey: {{env: SOAK_UPSTREAM_KEY}}}}]
  timeouts: {{connect: 2s, firstByte: 2s, idle: 1s, total: 10s}}
---
kind: Model
metadata: {{name: gpt-4.1}}
spec:
  targets: [{{provider: sim, model: gpt-4.1}}]
  routing: {{attempts: 3, breaker: {{minRequests: 1000000}}}}
  price: {{inputPerMillion: 2.00, cachedInputPerMillion: 0.50, outputPerMillion: 8.00}}
---
kind: Team
metadata: {{name: soak}}
spec: {{budget: {{usd: 1000000, period: month}}}}
---
kind: Consumer
metadata: {{name: soak}}
spec:
  team: soak
  keys: [{{value: {{env: SOAK_KEY}}}}]
  limits: {{requestsPerMinute: 100000000, tokensPerMinute: 10000000000, concurrent: 5000}}
  budget: {{usd: 900000, period: month}}
"""


class UnixConnection(http.client.HTTPConnection):
    """To the worker's own socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("worker", timeout=30)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self.path))


def worker_state(data_dir: Path) -> dict[str, object]:
    connection = UnixConnection(data_dir / "worker-0.sock")
    try:
        connection.request("GET", "/state")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def start_all(work: Path) -> tuple[Running, Running, str]:
    """Simulator and gateway, and the gateway's address."""
    tidegate = Path(sys.executable).with_name("tidegate")
    simulator_port, port = free_port(), free_port()
    (work / "profile.yaml").write_text(PROFILE)
    (work / "config.yaml").write_text(CONFIG.format(port=simulator_port))
    address = f"127.0.0.1:{port}"
    command = [tidegate, "simulate", "--listen", f"127.0.0.1:{simulator_port}", "--profile", work / "profile.yaml"]
    simulator = start("simulator", command, LOAD_CORE, work)
    wait_until(simulator, lambda: accepts(simulator_port))
    command = [tidegate, "serve", "-c", work / "config.yaml", "--listen", address, "--data-dir", work / "data"]
    command += ["--admin-listen", f"127.0.0.1:{free_port()}"]
    env = {"SOAK_KEY": KEY, "SOAK_UPSTREAM_KEY": UPSTREAM_KEY}
    gateway = start("gateway", command, GATEWAY_CORE, work, env=env, stdout=work / "access.log")
    wait_until(gateway, lambda: accepts(port) and answers(f"http://{address}/readyz", {}, None))
    return simulator, gateway, address


def watch_memory(gateway: Running, seconds: float) -> list[float]:
    """PSS of all of the gateway's processes in MB, every few seconds."""
    samples: list[float] = []
    ends = time.monotonic() + seconds
    pause = max(1.0, min(10.0, seconds / 60))
    while time.monotonic() < ends:
        time.sleep(pause)
        samples.append(gateway.memory_mb()[0])
        print(f"{max(0.0, ends - time.monotonic()):5.0f} s left, {samples[-1]:.1f} MB", file=sys.stderr, flush=True)
    return samples


def compare(seen: Path, events: dict[str, UsageEvent]) -> tuple[int, list[str]]:
    """What clients saw against the ledger: (calls seen whole, faults in words)."""
    faults: list[str] = []
    whole = left = broken = 0
    total = 0
    for line in seen.read_text().splitlines():
        call, status_text, whole_text, cost_text = line.split()
        status, cost = int(status_text), int(cost_text)
        if cost == LEFT:
            left += 1
            continue
        if not int(whole_text):
            broken += 1
            continue
        whole += 1
        event = events.get(call)
        if event is None:
            faults.append(f"{call}: answered {status}, not recorded")
        elif event.status != status:
            faults.append(f"{call}: answered {status}, recorded {event.status}")
        elif cost != UNSEEN and event.cost_nano != cost:
            faults.append(f"{call}: the client reckons {cost}, recorded {event.cost_nano}")
        elif status == 200 and cost == UNSEEN and event.usage.source == "reported":
            faults.append(f"{call}: no usage was reported, recorded as if it had been: {event.cost_nano}")
        else:
            total += max(cost, 0)
    print(f"{whole:,} calls seen whole, {broken:,} broken, {left:,} left; {total:,} nano-USD reckoned by clients")
    return whole, faults


def check(work: Path, samples: list[float], state: dict[str, object], seen: Path) -> bool:
    """Prints each assertion with what was found."""
    with Ledger.open(work / "data") as ledger:
        ledger.ingest()
        events = {event.id: event for event in ledger.events()}
    whole, faults = compare(seen, events)
    quarter = max(1, len(samples) // 4)
    early = statistics.median(samples[quarter : 2 * quarter] or samples)
    late = statistics.median(samples[-quarter:])
    spent = sum(event.charged_nano for event in events.values())
    buckets = state["buckets"]
    assert isinstance(buckets, list)
    used = {bucket["used"] for bucket in buckets if bucket["kind"] == "money"}
    outcomes: dict[str, int] = {}
    for event in events.values():
        outcomes[event.outcome] = outcomes.get(event.outcome, 0) + 1
    print(f"{len(events):,} records: {', '.join(f'{count:,} {name}' for name, count in sorted(outcomes.items()))}")
    verdicts = {
        f"calls were answered: {whole:,}": whole > 0,
        f"memory is flat: {early:.1f} MB in the second quarter, {late:.1f} MB in the last": late - early < 8,
        f"nothing is reserved: {state['reserved']}": state["reserved"] == 0,
        f"each call seen whole is recorded exactly: {len(faults)} differ": not faults,
        f"budgets hold what the ledger charged: {spent:,} nano-USD": used == {spent},
    }
    for verdict, holds in verdicts.items():
        print(("ok    " if holds else "FAILED ") + verdict)
    for fault in faults[:20]:
        print("       " + fault)
    return all(verdicts.values())


def settled(data_dir: Path) -> dict[str, object]:
    """The worker's state once nothing is in flight, or after a minute."""
    ends = time.monotonic() + 60
    while (state := worker_state(data_dir))["calls_in_flight"] and time.monotonic() < ends:
        time.sleep(0.1)
    return state


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--callers", type=int, default=48)
    options = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    os.chdir(HERE.parent)
    simulator, gateway, address = start_all(WORK)
    seen = WORK / "seen.txt"
    program = HERE / "rig" / "checking_client.py"
    command = [sys.executable, program, address, KEY, MODEL, str(options.callers), "1", seen]
    try:
        client = start("client", command, LOAD_CORE, WORK)
        samples = watch_memory(gateway, options.minutes * 60)
        client.stop()
        state = settled(WORK / "data")
    finally:
        gateway.stop()
        simulator.stop()
    return 0 if check(WORK, samples, state, seen) else 1


if __name__ == "__main__":
    sys.exit(main())
