"""`tidegate demo` as a newcomer meets it: start it, paste each line that it prints, stop it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TIDEGATE = Path(sys.executable).with_name("tidegate")
FREE = ("--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")


class Demo:
    """A running demo, and what it has printed."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self.process = process
        self.log = log

    def output(self) -> str:
        return self.log.read_text()

    def wait_for(self, pattern: str) -> str:
        """What it printed, once the pattern is in it."""
        deadline = time.monotonic() + 30
        while re.search(pattern, self.output()) is None:
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.02)
        return self.output()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@contextmanager
def demo(directory: Path, *arguments: str) -> Iterator[Demo]:
    """Its temporary files go to `directory`, so that a test sees whether they are removed."""
    log = directory / "demo.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(TIDEGATE), "demo", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**environment, "TMPDIR": str(directory)},
            text=True,
        )
    try:
        yield Demo(process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)


def paste(line: str) -> str:
    """What the line prints."""
    done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_every_printed_line_works_as_pasted(tmp_path: Path) -> None:
    with demo(tmp_path, *FREE) as running:
        printed = running.wait_for(r"usage --by")
        lines = [line for line in printed.splitlines() if re.match(r"curl |for |\S*tidegate (explain|usage)", line)]
        answer, explained, stream, predicted, spending, refusal, usage = (paste(line) for line in lines)
        assert "x-tidegate-attempts: 2" in answer
        assert "x-tidegate-target: azure-eu/gpt-4.1-eu" in answer
        assert "azure-eu/gpt-4.1-eu" in explained
        assert "503" in explained
        assert stream.rstrip().endswith("data: [DONE]")
        assert "x-tidegate-cost-usd: 0.0002" in predicted
        assert json.loads(predicted.splitlines()[-1])["outputs"][0]["shape"] == [2]
        statuses = spending.split()
        assert statuses[0] == "200"
        assert statuses[-1] == "429"
        assert statuses == sorted(statuses)
        assert json.loads(refusal)["error"]["code"] == "budget_exceeded"
        assert "jetty" in usage
        assert "harbour" in usage
        assert running.stop() == 0
    assert list(tmp_path.glob("tidegate-demo-*")) == []


def test_a_taken_port_gives_way_to_the_next(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with demo(tmp_path, "--listen", address, *FREE[2:]) as running:
            printed = running.wait_for(r"usage --by")
            found = re.search(rf"{re.escape(address)} is taken: using (\S+)", printed)
            assert found is not None, printed
            assert f"curl -si http://{found[1]}/v1/chat/completions" in printed
            assert running.stop() == 0


def test_an_address_that_cannot_be_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(TIDEGATE), "demo", "--listen", "nowhere"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert "--listen 'nowhere' is not HOST:PORT" in done.stderr


def test_json_names_addresses_and_keys(tmp_path: Path) -> None:
    data_dir = tmp_path / "kept"
    arguments = [*FREE, "--data-dir", str(data_dir), "--json"]
    with demo(tmp_path, *arguments) as running:
        printed = running.wait_for(r"\"keys\"")
        told = json.loads(next(line for line in printed.splitlines() if line.startswith("{")))
        key = told["keys"]["harbour"]
        assert '"gpt-4.1-mini"' in paste(f"curl -s {told['url']}/models -H 'Authorization: Bearer {key}'")
        assert running.stop() == 0
    assert (data_dir / "ledger.sqlite3").exists()
