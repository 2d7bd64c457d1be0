"""Load: wrk for whole answers, `stream_client.py` for streams. Both on the load core."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.processes import LOAD_CORE

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Endpoint:
    """Where a peer takes chat requests, and with what headers and body fields."""

    port: int
    path: str
    headers: tuple[str, ...] = ()
    model: str = "gpt-4o-mini"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"


@dataclass(frozen=True)
class WrkResult:
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    requests: int
    errors: int


def wrk(endpoint: Endpoint, body: Path, *, connections: int, seconds: float) -> WrkResult:
    """One run of `wrk -t1`."""
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
    command += ["--timeout", "20s", "-s", str(HERE / "post.lua"), endpoint.url, "--", str(body), *endpoint.headers]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    told = json.loads(output.strip().splitlines()[-1])
    return WrkResult(
        requests_per_second=told["requests"] / told["seconds"],
        p50_ms=told["p50_ms"],
        p99_ms=told["p99_ms"],
        requests=told["requests"],
        errors=told["status_errors"] + told["other_errors"],
    )


class StreamLoad:
    """`stream_client.py`, running: `counting()` returns when the counted time begins, `report()` at its end."""

    def __init__(self, endpoint: Endpoint, body: Path, *, streams: int, seconds: float) -> None:
        command = ["taskset", "-c", str(LOAD_CORE), sys.executable, str(HERE / "stream_client.py"), str(endpoint.port)]
        command += [endpoint.path, str(streams), str(seconds), str(body), *endpoint.headers]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def counting(self) -> None:
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def report(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self._process.wait()
        return json.loads(line)
