"""`make interop`: a real inference server that nobody here wrote, behind the gateway, called with the official SDK.

`transformers serve` runs a tiny model with random weights, made on the spot. Every call's usage as the server reported it
is compared with the gateway's ledger. Prints a table; exits 1 on any difference.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
from openai.types import CompletionUsage
from tests.support.gateway import Gateway, gateway_process

from tidegate.store.ledger import Ledger

_ROOT = Path(__file__).parents[2]
_VENV = _ROOT / ".tools" / "interop"
_TORCH = "torch==2.13.0"  # a plain `torch` brings several GB for graphics cards
_TRANSFORMERS = "transformers[serving]>=5.20,<6"
_KEY = "tg-interop-0123456789abcdef0123456789"
_START_SECONDS = 180.0
_CONFIG = """
kind: Provider
metadata: {{name: local}}
spec: {{dialect: openai, baseUrl: {url}/v1}}
---
kind: Model
metadata: {{name: tiny}}
spec:
  targets: [{{provider: local, model: "{model}"}}]
  maxOutputTokens: 64
  price: {{inputPerMillion: 1.25, outputPerMillion: 5}}
---
kind: Team
metadata: {{name: lab}}
spec: {{budget: {{usd: 1, period: month}}}}
---
kind: Consumer
metadata: {{name: notebook}}
spec: {{team: lab, keys: [{{value: {key}}}]}}
"""
_QUESTION = [{"role": "user", "content": "When does the tide turn?"}]


class Table:
    """What was checked, line by line."""

    def __init__(self) -> None:
        self.failed = False

    def line(self, what: str, good: bool, told: str) -> None:
        self.failed |= not good
        print(f"{'ok  ' if good else 'FAIL'}  {what:<44} {told}", flush=True)


def install() -> Path:
    """The server's own virtual environment; returns its folder of commands."""
    commands = _VENV / "bin"
    if not (commands / "transformers").exists():
        print(f"installing {_TORCH} and {_TRANSFORMERS} into {_VENV.relative_to(_ROOT)} …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", _VENV], check=True)
        for requirement in (_TORCH, _TRANSFORMERS):
            subprocess.run([commands / "pip", "install", "--quiet", requirement], check=True)
    return commands


@contextmanager
def served_model(commands: Path, folder: Path) -> Iterator[str]:
    """`transformers serve` on a free port; its base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub"), "TRANSFORMERS_VERBOSITY": "error"}
    command = [commands / "transformers", "serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=offline, stdout=log, stderr=log, cwd=folder)
    try:
        wait_until_answers(f"http://127.0.0.1:{port}/health", server, folder / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_until_answers(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Ends the run, with the log, if it never does."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise SystemExit(f"the server did not start:\n{log.read_text()[-3000:]}")


def plain(client: openai.OpenAI) -> CompletionUsage | None:
    answer = client.chat.completions.create(model="tiny", messages=_QUESTION, max_tokens=12)
    assert answer.model == "tiny", answer.model
    assert answer.choices[0].message.role == "assistant"
    return answer.usage


def streamed(client: openai.OpenAI, *, ask_usage: bool) -> tuple[str, CompletionUsage | None]:
    options = {"stream_options": {"include_usage": True}} if ask_usage else {}
    stream = client.chat.completions.create(model="tiny", messages=_QUESTION, max_tokens=12, stream=True, **options)
    text, usage = "", None
    for chunk in stream:
        assert chunk.model == "tiny", chunk.model
        usage = chunk.usage or usage
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
    return text, usage


def check(gateway: Gateway, table: Table) -> None:
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=_KEY, max_retries=0)
    reported: list[CompletionUsage | None] = []
    for number in (1, 2, 3):
        usage = plain(client)
        reported.append(usage)
        table.line(f"chat, whole answer {number}", usage is not None, str(usage and usage.total_tokens) + " tokens")
    text, usage = streamed(client, ask_usage=True)
    reported.append(usage)
    table.line("chat, stream that asks for usage", usage is not None, f"{len(text)} characters")
    text, _ = streamed(client, ask_usage=False)
    table.line("chat, stream that does not", True, f"{len(text)} characters")
    try:
        client.chat.completions.create(model="huge", messages=_QUESTION)
        table.line("unknown model", False, "no error")
    except openai.NotFoundError as error:
        table.line("unknown model", error.code == "model_not_found", str(error.code))
    _compare(gateway, reported, table)


def _compare(gateway: Gateway, reported: list[CompletionUsage | None], table: Table) -> None:
    with Ledger.open(gateway.data_dir) as ledger:
        ledger.ingest()
        events = sorted(ledger.events(), key=lambda event: event.time_ns)
    served = [event for event in events if event.outcome == "ok"]
    table.line("one event for each answered call", len(served) == len(reported) + 1, f"{len(served)} events")
    for event, usage in zip(served, reported, strict=False):
        told = (event.usage.input_total, event.usage.output_total, event.usage.source)
        said = None if usage is None else (usage.prompt_tokens, usage.completion_tokens, "reported")
        cost = None if usage is None else usage.prompt_tokens * 1250 + usage.completion_tokens * 5000
        good = said == told and event.cost_nano == cost
        table.line("ledger = what the server reported", good, f"{told}, {event.cost_nano} nano-USD; server {said}")
    last = served[-1]
    table.line("stream that did not ask: metered all the same", last.usage.source == "reported", str(last.usage.source))


def main() -> int:
    commands, table = install(), Table()
    with tempfile.TemporaryDirectory(prefix="tidegate-interop-") as name:
        folder = Path(name)
        model = folder / "tiny"
        subprocess.run([commands / "python", Path(__file__).with_name("tiny_model.py"), model], check=True)
        with served_model(commands, folder) as url:
            config = _CONFIG.format(url=url, model=model, key=_KEY)
            with gateway_process(folder / "gateway", config) as gateway:
                check(gateway, table)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
