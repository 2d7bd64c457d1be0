"""Processes of the rig: started pinned to one core, watched through /proc, ended by their id."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GATEWAY_CORE = 0
LOAD_CORE = 1
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class NotStarted(Exception):
    """A program of the rig did not come up; the message holds the end of its log."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody holds now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port: int) -> bool:
    """Whether somebody listens on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Running:
    """One program with all its children."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def pids(self) -> list[int]:
        """The program and its descendants that live now."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    stat = (entry / "stat").read_text()
                except OSError:
                    continue
                children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
        found, queue = [], [self.process.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            queue.extend(children.get(pid, ()))
        return found

    def cpu_seconds(self) -> float:
        """User and system time of all of them until now, those that ended included."""
        total = 0
        for pid in self.pids():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += sum(map(int, fields[11:15]))
        return total / _TICKS_PER_SECOND

    def memory_mb(self) -> tuple[float, float]:
        """(PSS, RSS) of all of them. PSS shares out pages that several hold; RSS counts those each time."""
        pss = rss = 0
        for pid in self.pids():
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            for line in lines:
                if line.startswith("Pss:"):
                    pss += int(line.split()[1])
                elif line.startswith("Rss:"):
                    rss += int(line.split()[1])
        return pss / 1024, rss / 1024

    def stop(self) -> None:
        """SIGTERM, then SIGKILL to what is left."""
        pids = self.pids()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def start(
    name: str,
    command: Sequence[str | Path],
    core: int,
    work: Path,
    *,
    env: Mapping[str, str] | None = None,
    stdout: Path | None = None,
) -> Running:
    """Starts `command` pinned to `core`; what it says goes to `work`/NAME.log (and `stdout`, if given)."""
    log = work / f"{name}.log"
    with log.open("wb") as errors, (stdout or log).open("ab") as output:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env={**os.environ, **(env or {})},
            cwd=work,
        )
    return Running(name, process, log)


def wait_until(running: Running, ready: Callable[[], bool], seconds: float = 90.0) -> float:
    """Seconds until `ready`. Raises NotStarted."""
    begun = time.monotonic()
    while not ready():
        if running.process.poll() is not None or time.monotonic() - begun > seconds:
            running.stop()
            told = running.log.read_text(errors="replace").splitlines()[-5:]
            raise NotStarted("\n    ".join([f"{running.name} did not come up; its log ends:", *told]))
        time.sleep(0.01)
    return time.monotonic() - begun


def answers(url: str, headers: Mapping[str, str], body: bytes | None) -> bool:
    """Whether `url` answers 200 now."""
    request = urllib.request.Request(url, data=body, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
