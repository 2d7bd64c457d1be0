"""One old release of the official SDK, apart from the current one: installed once into `.tools/`, run as a process."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

_PINS = ("openai==1.40.0", "httpx==0.27.2")
"""httpx too: that SDK passes an argument which httpx 0.28 took away."""
_TOOLS = Path(__file__).parents[2] / ".tools"
_INSTALL_SECONDS = 300


class NoOldSdk(AssertionError):
    """It could not be installed; with pip's words."""


def old_sdk() -> Path:
    """The folder to put on PYTHONPATH. The first call installs; raises NoOldSdk if that fails."""
    name = "-".join(pin.replace("==", "-") for pin in _PINS)
    folder = _TOOLS / f"{name}-py{sys.version_info.major}{sys.version_info.minor}"
    _TOOLS.mkdir(exist_ok=True)
    with (_TOOLS / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _install(folder)
    return folder


def _install(folder: Path) -> None:
    """Into a folder beside it first: a broken installation is never taken for a whole one."""
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]
    done = subprocess.run(
        [*pip, str(unfinished), *_PINS], capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
    )
    if done.returncode != 0:
        raise NoOldSdk(f"cannot install {', '.join(_PINS)}:\n{done.stderr or done.stdout}")
    unfinished.rename(folder)


def run_with_old_sdk(script: Path, *arguments: str) -> str:
    """Runs a script with the old SDK first on its path; what it prints. Fails with its output if it fails."""
    environment = {**os.environ, "PYTHONPATH": str(old_sdk())}
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{script.name} failed:\n{done.stdout}{done.stderr}"
    return done.stdout
