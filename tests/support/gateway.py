"""`tidegate serve` as a process, on ports of its own, for tests that talk to it over sockets.

with gateway_process(tmp_path, CONFIG, env={"OPENAI_API_KEY": "sk-up"}) as gateway:
    http_get(gateway.url + "/v1/models")
"""

import http.client
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_ADDRESSES = re.compile(r"gateway https?://(?P<gateway>\S+?), admin http://(?P<admin>\S+?)[,\s]")
_START_SECONDS = 30.0
_STOP_SECONDS = 60.0


class GatewayFailed(AssertionError):
    """It did not start, or did not stop; with what it wrote."""


@dataclass
class Gateway:
    """A running gateway. `process` is its supervisor."""

    process: "subprocess.Popen[bytes]"
    data_dir: Path
    config: Path
    log: Path
    address: str = ""
    admin_address: str = ""
    env: dict[str, str] = field(default_factory=dict)
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.address}"

    @property
    def admin_url(self) -> str:
        return f"http://{self.admin_address}"

    def output(self) -> str:
        """Standard error and output so far."""
        return self.log.read_text(errors="replace")

    def stop(self) -> int:
        """SIGTERM; waits; the exit code. Once it has ended, just the code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise GatewayFailed(f"did not stop within {_STOP_SECONDS:.0f} s of SIGTERM:\n{self.output()}") from error

    def kill(self) -> None:
        """SIGKILL to the supervisor: its children end when they see that it is gone."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs another `tidegate` command with the same environment and data directory."""
        return subprocess.run(
            [sys.executable, "-m", "tidegate.cli.main", *arguments],
            env={**self.env, "TIDEGATE_DATA_DIR": str(self.data_dir)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def start_gateway(
    directory: Path,
    config: str | Path,
    *,
    env: Mapping[str, str] | None = None,
    data_dir: Path | None = None,
    arguments: tuple[str, ...] = (),
    scheme: str = "http",
) -> Gateway:
    """Starts it and waits until `/readyz` says 200. `config`: YAML, or a file or folder. Stop it yourself.

    Raises GatewayFailed with its output if it ends first, or is not ready in time.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if isinstance(config, str):
        path = directory / "tidegate.yaml"
        path.write_text(config)
        config = path
    data_dir = directory / "data" if data_dir is None else data_dir
    log = directory / "gateway.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
    environment.update(env or {})
    addresses = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
    command = [sys.executable, "-m", "tidegate.cli.main", "serve", "-c", str(config), *addresses]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--data-dir", str(data_dir), *arguments],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    gateway = Gateway(process, data_dir, config, log, env=environment, scheme=scheme)
    try:
        _wait_until_ready(gateway)
    except BaseException:
        gateway.kill()
        raise
    return gateway


@contextmanager
def gateway_process(
    directory: Path,
    config: str | Path,
    *,
    env: Mapping[str, str] | None = None,
    arguments: tuple[str, ...] = (),
    scheme: str = "http",
) -> Iterator[Gateway]:
    """As `start_gateway`; stopped at the end of the block, and its exit code must be 0 unless the test ended it.

    `scheme`: `https` where the configuration has it serve TLS.
    """
    gateway = start_gateway(directory, config, env=env, arguments=arguments, scheme=scheme)
    try:
        yield gateway
    except BaseException:
        gateway.kill()
        raise
    if gateway.process.poll() is None and gateway.stop() != 0:
        raise GatewayFailed(f"ended with {gateway.process.returncode}:\n{gateway.output()}")


def _wait_until_ready(gateway: Gateway) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if gateway.process.poll() is not None:
            raise GatewayFailed(f"ended with {gateway.process.returncode} at its start:\n{gateway.output()}")
        found = _ADDRESSES.search(gateway.output())
        if found is not None:
            gateway.address, gateway.admin_address = found["gateway"], found["admin"]
            if _is_ready(gateway):
                return
        time.sleep(0.02)
    raise GatewayFailed(f"not ready within {_START_SECONDS:.0f} s:\n{gateway.output()}")


def _is_ready(gateway: Gateway) -> bool:
    if gateway.scheme == "https":
        anyone = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(gateway.address, timeout=5, context=anyone)
    else:
        connection = http.client.HTTPConnection(gateway.address, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
