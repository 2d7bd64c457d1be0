"""Every refusal through the whole gateway: status, code, the shape of the dialect, and nothing spent."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.chat_client import Answer, ask, chat
from tests.support.gateway import Gateway, gateway_process
from tests.support.http_server import RecordingApp, run, serving
from tests.support.inspection import metric, metrics, recorded, settled
from tests.support.simulator import SimulatorThread, simulator_thread
from tests.support.trial_config import ENV, KEY, MODEL, config

from tidegate.gateway.metrics import HELP
from tidegate.simulator.behaviour import profile_from
from tidegate.wire.server import Exchange

MORE = """
---
kind: Model
metadata: {name: other-model}
spec:
  targets: [{provider: upstream, model: gpt-4.1-mini}]
  price: {inputPerMillion: 1, outputPerMillion: 1}
---
kind: Consumer
metadata: {name: somebody}
spec: {team: trial, models: ["other-model"], keys: [{value: {env: OTHER_KEY}}], limits: {requestsPerMinute: 2}}
---
kind: Consumer
metadata: {name: poor}
spec: {team: trial, models: ["other-model"], keys: [{value: {env: POOR_KEY}}], budget: {usd: 0.005, period: day}}
"""
UNPRICED = """
---
kind: Model
metadata: {name: gpt-unpriced}
spec: {targets: [{provider: upstream, model: house-blend}]}
---
kind: Team
metadata: {name: free}
---
kind: Consumer
metadata: {name: free}
spec: {team: free, keys: [{value: {env: OTHER_KEY}}]}
"""
OTHER, POOR = "tg-fault-other-client", "tg-fault-poor-client-1"
HEAD = f"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\n"


@dataclass
class Trial:
    simulator: SimulatorThread
    gateway: Gateway

    def ask(self, key: str, fields: object) -> Answer:
        return asyncio.run(ask(self.gateway.address, key, fields))

    def raw(self, request: str) -> tuple[int, str]:
        """Status line and the rest, of one request as it stands."""
        host, _, port = self.gateway.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as sock:
            sock.sendall(request.encode())
            answer = b""
            while more := sock.recv(65_536):
                answer += more
        head, _, body = answer.decode().partition("\r\n\r\n")
        return int(head.split()[1]), body


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    env = {**ENV, "OTHER_KEY": OTHER, "POOR_KEY": POOR}
    limits = "{limits: {maxHeadBytes: 4KiB, maxBodyBytes: 8KiB}}"
    with simulator_thread() as simulator:
        text = config(simulator.port, gateway=limits).replace('models: ["gpt-*"]', 'models: ["gpt-4*"]')
        with gateway_process(tmp_path_factory.mktemp("refusals"), text + MORE, env=env) as gateway:
            yield Trial(simulator, gateway)


def test_a_model_of_somebody_else(trial: Trial) -> None:
    answer = trial.ask(KEY, chat("other-model"))
    assert (answer.status, answer.error["code"], answer.error["param"]) == (403, "model_not_allowed", "model")


def test_a_model_that_is_not(trial: Trial) -> None:
    answer = trial.ask(KEY, chat("gpt-5000"))
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")


def test_a_key_that_is_not(trial: Trial) -> None:
    answer = trial.ask("sk-somebody", chat(MODEL))
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_key_that_is_not_is_counted_before_its_body_too(trial: Trial) -> None:
    before = metric(trial.gateway, "tidegate_unauthenticated_total")
    head = HEAD.replace(KEY, "sk-somebody") + "expect: 100-continue\r\ncontent-length: 9\r\n\r\n"
    status, _ = trial.raw(head)
    assert status == 401
    assert metric(trial.gateway, "tidegate_unauthenticated_total") == before + 1


def test_another_method(trial: Trial) -> None:
    status, body = trial.raw(HEAD.replace("POST", "GET") + "connection: close\r\n\r\n")
    error = json.loads(body)["error"]
    assert (status, error["type"], error["code"]) == (405, "invalid_request_error", "invalid_request")


def test_a_rate(trial: Trial) -> None:
    answers = [trial.ask(OTHER, chat("other-model")) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].error["code"] == "rate_limit_exceeded"
    assert 1 <= int(answers[2].headers["retry-after"]) <= 61
    assert "consumer/somebody" in answers[2].error["message"]
    assert answers[2].headers["x-ratelimit-remaining-requests"] == "0"


def test_a_budget(trial: Trial) -> None:
    answer = trial.ask(POOR, chat("other-model", max_tokens=30_000))
    assert (answer.status, answer.error["code"]) == (429, "budget_exceeded")
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["x-tidegate-budget-remaining-usd"] == "0.005"


@pytest.mark.parametrize(
    ("request_text", "status", "code"),
    [
        pytest.param(HEAD + "content-length: 9000\r\n\r\n", 413, "request_too_large", id="body"),
        pytest.param(HEAD + "x-long: " + "h" * 5000 + "\r\n\r\n", 431, "request_too_large", id="head"),
        pytest.param(HEAD + "expect: miracles\r\ncontent-length: 0\r\n\r\n", 417, "expectation_failed", id="expect"),
        pytest.param(HEAD + "transfer-encoding: gzip, chunked\r\n\r\n", 501, "not_implemented", id="coding"),
        pytest.param(HEAD.replace("1.1", "1.7") + "\r\n", 505, "http_version_not_supported", id="version"),
        pytest.param(HEAD + "content-length: 5\r\nconnection: close\r\n\r\n[1,2]", 400, "invalid_request", id="array"),
        pytest.param("GET /v2/x HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n", 404, "not_found", id="path"),
    ],
)
def test_of_the_wire(trial: Trial, request_text: str, status: int, code: str) -> None:
    told, body = trial.raw(request_text)
    assert told == status
    assert f'"code":"{code}"' in body


def test_a_fault_of_our_own_says_nothing_of_its_cause() -> None:
    def fails(exchange: Exchange) -> None:
        raise ValueError("a secret")

    app = RecordingApp(fails)

    async def main() -> None:
        async with serving(app) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n")
            assert b"a secret" not in await reader.read()
            writer.close()

    run(main())
    assert app.errors == [(500, "internal_error")]


def test_an_unknown_price_is_told_and_counted(tmp_path: Path) -> None:
    with simulator_thread(profile_from({"models": {"house-blend": {}}})) as simulator:
        text = config(simulator.port).replace("period: month", "period: month, soft: true") + UNPRICED
        with gateway_process(tmp_path, text, env={**ENV, "OTHER_KEY": OTHER}) as gateway:
            answer = asyncio.run(ask(gateway.address, OTHER, chat("gpt-unpriced")))
            unknown = metric(gateway, "tidegate_unknown_cost_calls_total")
    assert (answer.status, answer.headers["x-tidegate-cost-usd"]) == (200, "unknown")
    assert unknown == 1
    (event,) = recorded(gateway.data_dir)
    assert event.cost_nano is None
    assert event.usage.source == "reported"


def test_every_metric_is_there(trial: Trial) -> None:
    """After calls of every outcome, each metric of the reference has a series, and bounded labels."""
    trial.ask(KEY, chat(MODEL))
    trial.ask(KEY, chat(MODEL, stream=True))
    trial.simulator.change(MODEL, script=["503"] * 30)
    for _ in range(25):
        trial.ask(KEY, chat(MODEL))
    trial.simulator.change(MODEL, script=[])
    trial.ask(KEY, chat("a-name-that-nobody-knows"))
    settled(trial.gateway)
    text = metrics(trial.gateway)
    told = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    told |= {name.removesuffix("_bucket") for name in told}
    expected = {
        *("gen_ai_server_request_duration_seconds", "gen_ai_server_time_to_first_token_seconds"),
        *("tidegate_calls_total", "tidegate_tokens_total", "tidegate_cost_usd_total", "tidegate_attempts_total"),
        *(
            "tidegate_unauthenticated_total",
            "tidegate_calls_in_flight",
            "tidegate_bucket_used",
            "tidegate_bucket_limit",
        ),
        *("tidegate_reserved", "tidegate_upstream_connections", "tidegate_client_connections", "tidegate_spool_ready"),
        *(
            "tidegate_remote_files_total",
            "tidegate_snapshot_info",
            "tidegate_records_lost_total",
            "process_cpu_seconds_total",
        ),
        *("process_resident_memory_bytes", "tidegate_unknown_cost_calls_total", "tidegate_breaker_open"),
    }
    elsewhere = {"tidegate_breaker_open"}  # the circuit of these tests never opens
    assert expected - told <= elsewhere
    assert set(HELP) <= expected | {name for name in HELP if name.startswith("tidegate_access_log")}
    assert "a-name-that-nobody-knows" not in text
    assert KEY not in text


def test_more_workers_need_what_is_not_there_yet(tmp_path: Path) -> None:
    done = serve("--workers", "2", "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert "Redis" in done.stderr


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    done = serve("--config", str(tmp_path / "none.yaml"), "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert "none.yaml" in done.stderr


def test_no_access_log_when_told(tmp_path: Path) -> None:
    with simulator_thread() as simulator:
        text = config(simulator.port)
        with gateway_process(tmp_path / "with", text, env=ENV) as gateway:
            answer = asyncio.run(ask(gateway.address, KEY, chat(MODEL)))
        assert gateway.output().count(f'"id":"{answer.id}"') == 1
        with gateway_process(tmp_path / "without", text, env=ENV, arguments=("--no-access-log",)) as gateway:
            answer = asyncio.run(ask(gateway.address, KEY, chat(MODEL)))
        assert answer.id not in gateway.output()


def serve(*arguments: str) -> "subprocess.CompletedProcess[str]":
    env = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
    return subprocess.run(
        [sys.executable, "-m", "tidegate.cli.main", "serve", "--listen", "127.0.0.1:0", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
