"""`tidegate simulate` as a process, and what it refuses."""

import json
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tidegate.cli.main import main

COMMAND = [sys.executable, "-m", "tidegate.cli.main", "simulate", "--listen", "127.0.0.1:0"]


@contextmanager
def simulate(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0


def read_until(process: "subprocess.Popen[str]", start: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip().startswith(start):
            return line.strip()
    raise AssertionError(f"ended without a line that starts with {start}")


def test_the_printed_line_works_as_pasted() -> None:
    with simulate() as process:
        line = read_until(process, "curl -s http")
        answer = subprocess.run(shlex.split(line), capture_output=True, text=True, timeout=15, check=True).stdout
    assert json.loads(answer)["choices"][0]["message"]["content"]


def test_a_profile_and_flags(tmp_path: Path) -> None:
    profile = tmp_path / "profile.yaml"
    profile.write_text("models: {mine: {}, other: {tokens: 9}}\n")
    with simulate(
        "--profile", str(profile), "--tokens", "5", "--error", "503=0.5", "--seed", "3", "--per-token", "2ms", "--json"
    ) as process:
        told = json.loads(read_until(process, "{"))
        assert told["models"] == ["mine", "other"]
        asked = ["curl", "-s", f"{told['url']}/_sim/models"]
        models = json.loads(subprocess.run(asked, capture_output=True, timeout=15, check=True).stdout)
    assert (models["mine"]["tokens"], models["other"]["tokens"]) == ("5", "9")
    assert models["other"]["errors"] == {"503": 0.5}
    assert models["mine"]["perToken"] == "2ms"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--error", "503"], 1, "--error 503 is not NAME=SHARE"),
        (["--error", "200=1"], 1, "`200` is neither"),
        (["--fault", "explode=1"], 1, "explode"),
        (["--first-byte", "soon"], 1, "`soon` is not a duration"),
        (["--profile", "/no/such/file"], 1, "No such file"),
        (["--listen", "9100"], 2, "is not HOST:PORT"),
        (["--listen", "127.0.0.1:99999"], 2, "is not HOST:PORT"),
    ],
)
def test_what_cannot_be_served(arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", *arguments]) == code
    assert told in capsys.readouterr().err


def test_a_taken_port_is_told_with_a_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["simulate", "--listen", address]) == 2
    assert f"--listen {address}: Address already in use. Choose another with --listen" in capsys.readouterr().err
