"""What the rig asks of a program: how to install it, how to start it before an upstream, where it takes requests."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from rig.load import Endpoint
from rig.processes import GATEWAY_CORE, Running, accepts, answers, start, wait_until


class NotInstallable(Exception):
    """The program is not on this machine and could not be put there; the message says why."""


@dataclass(frozen=True)
class Launch:
    """How one instance is started, and where it will listen."""

    command: Sequence[str | Path]
    endpoint: Endpoint
    env: dict[str, str] | None = None
    stdout: Path | None = None
    base_url_file: Path | None = None
    """For a program that chooses its port itself: the file that it writes its base URL to."""


@dataclass(frozen=True)
class Peer:
    """`launch(work, port, upstream_port)` writes what files it needs into `work`."""

    name: str
    about: str
    """One line for the record: what it is and how plain it runs."""
    install: Callable[[Path], str]
    """Puts it under the folder given if it is not there, and returns its version. Raises NotInstallable."""
    launch: Callable[[Path, Path, int, int], Launch]
    """(installed under, folder for files, port, upstream's port) → how to start it."""
    streams: bool = True
    bodies: bool = True


@dataclass
class Instance:
    peer: Peer
    running: Running
    endpoint: Endpoint
    ready_seconds: float


def start_peer(peer: Peer, installed: Path, work: Path, port: int, upstream_port: int, body: bytes) -> Instance:
    """Starts it pinned to the gateway core and waits until a chat request is answered."""
    work.mkdir(parents=True, exist_ok=True)
    launch = peer.launch(installed, work, port, upstream_port)
    running = start(peer.name, launch.command, GATEWAY_CORE, work, env=launch.env, stdout=launch.stdout)
    headers = {"content-type": "application/json"}
    headers |= {name: value for name, _, value in (line.partition(": ") for line in launch.endpoint.headers)}
    told, endpoint, asked = launch.base_url_file, launch.endpoint, 0.0
    if told is not None:
        asked = wait_until(running, lambda: told.exists() and told.read_text().endswith("/"))
        endpoint = replace(endpoint, port=urlsplit(told.read_text()).port or 0)
    ready = wait_until(running, lambda: accepts(endpoint.port) and answers(endpoint.url, headers, body))
    return Instance(peer, running, endpoint, asked + ready)


def venv_install(folder: Path, requirement: str, distribution: str) -> str:
    """A virtual environment of its own in `folder`; returns the distribution's version."""
    python = folder / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True, text=True)
        if not list(folder.glob(f"lib/python3*/site-packages/{distribution.replace('-', '_')}-*.dist-info")):
            subprocess.run([python, "-m", "pip", "install", "--quiet", requirement], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotInstallable(f"pip install {requirement}: {error}") from error
    code = f"import importlib.metadata as m; print(m.version({distribution!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def apt_install(package: str, version_command: Sequence[str]) -> str:
    """From Debian, when run as root; returns the first line that `version_command` prints."""
    try:
        return _first_line(version_command)
    except OSError:
        pass
    try:
        subprocess.run(["apt-get", "install", "--yes", package], check=True, capture_output=True)
        return _first_line(version_command)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotInstallable(f"install the Debian package {package} (apt-get needs root): {error}") from error


def npm_install(folder: Path, package: str) -> str:
    """Into `folder`; returns the package's version."""
    manifest = folder / "node_modules" / package / "package.json"
    try:
        if not manifest.exists():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "package.json").write_text('{"private": true}')
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", package], cwd=folder, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotInstallable(f"npm install {package}: {error}") from error
    return json.loads(manifest.read_text())["version"]


def _first_line(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0]
