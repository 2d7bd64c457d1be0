"""Looking into a running gateway, and into what one left behind."""

import http.client
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tests.support.gateway import Gateway

from tidegate.core.usage import UsageEvent
from tidegate.store.ledger import Ledger

T = TypeVar("T")
_PATIENCE = 15.0


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("worker", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(str(self._path))


def worker_state(gateway: Gateway) -> dict[str, Any]:
    """Buckets, reserved amounts, calls in flight, as the worker tells them on its own socket."""
    connection = _UnixConnection(gateway.data_dir / "worker-0.sock")
    try:
        connection.request("GET", "/state")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def metrics(gateway: Gateway) -> str:
    """What Prometheus would read."""
    host, _, port = gateway.admin_address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def metric(gateway: Gateway, name: str) -> float:
    """The sum of all series of one metric."""
    lines = [line for line in metrics(gateway).splitlines() if line.startswith((name + " ", name + "{"))]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def eventually(look: Callable[[], T], wanted: Callable[[T], bool] = bool) -> T:
    """What `look` gives once it is as wanted; bounded in time."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        seen = look()
        if wanted(seen):
            return seen
        assert time.monotonic() < deadline, f"still {seen!r}"
        time.sleep(0.01)


def settled(gateway: Gateway) -> dict[str, Any]:
    """The worker's state once nothing is in flight any more."""
    return eventually(lambda: worker_state(gateway), lambda state: state["calls_in_flight"] == 0)


def recorded(data_dir: Path) -> list[UsageEvent]:
    """Every event of a data directory, those that still lie in the spool included."""
    with Ledger.open(data_dir) as ledger:
        ledger.ingest()
        return list(ledger.events())


def descendants(pid: int) -> list[int]:
    """The processes under `pid`, by command order: for a gateway its worker and its control process."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children]


def worker_pid(gateway: Gateway) -> int:
    """The child that holds the worker's socket."""
    inode = str((gateway.data_dir / "worker-0.sock").resolve())
    for line in Path("/proc/net/unix").read_text().splitlines():
        if line.endswith(inode):
            wanted = f"socket:[{line.split()[6]}]"
            for pid in descendants(gateway.process.pid):
                links = (link for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink())
                if any(str(link.readlink()) == wanted for link in links):
                    return pid
    raise AssertionError("no process holds the worker's socket")
