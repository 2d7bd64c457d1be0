"""This gateway, as a user starts it, with everything on (`bench/config.yaml`) and its access log in a file.

Supervisor, worker and control process all share the gateway core.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from rig.load import Endpoint
from rig.processes import free_port

from peers.peer import Launch, NotInstallable, Peer
from tidegate import __version__

_CONFIG = Path(__file__).parents[1] / "config.yaml"
_KEY = "tg-bench-0123456789abcdef"


_ROOT = Path(__file__).parents[2]


def _install(folder: Path) -> str:
    """This checkout, in an environment of its own with the distribution's Python.

    Debian's is built with profile-guided optimisation; an interpreter compiled by hand often is not, and costs a sixth.
    """
    python = folder / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([_python(), "-m", "venv", folder], check=True, capture_output=True, text=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--editable", _ROOT], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotInstallable(f"pip install of this checkout: {error}") from error
    version = subprocess.run([python, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    return f"{__version__} on {version}"


def _python() -> str:
    """The first of the usual interpreters that is new enough."""
    for name in ("/usr/bin/python3.13", "/usr/bin/python3.12", "/usr/bin/python3.11"):
        if Path(name).exists():
            return name
    return sys.executable


def _launch(installed: Path, work: Path, port: int, upstream_port: int) -> Launch:
    data_dir = work / "data"
    shutil.rmtree(data_dir, ignore_errors=True)
    command: list[str | Path] = [installed / "bin" / "tidegate", "serve", "-c", _CONFIG]
    command += ["--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{free_port()}", "--data-dir", data_dir]
    env = {
        "BENCH_UPSTREAM": f"http://127.0.0.1:{upstream_port}/v1",
        "BENCH_UPSTREAM_KEY": "bench-upstream-key",
        "BENCH_KEY": _KEY,
    }
    endpoint = Endpoint(port, "/v1/chat/completions", (f"Authorization: Bearer {_KEY}",))
    return Launch(command, endpoint, env=env, stdout=work / "access.log")


PEER = Peer(
    "tidegate",
    "everything on: key, allow-list, request, token and concurrency limits, two budgets, ledger, metrics, access log",
    _install,
    _launch,
)
