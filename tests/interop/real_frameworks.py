"""`make interop`, fourth part: frameworks and client libraries that nobody here wrote, on providers of other dialects.

Each is installed into a folder of its own below `.tools/clients` and runs a small session (`clients/`) through a gateway
whose models are all at one simulated provider; then the same at the next provider. Needs npm for some. Prints a table; exits
1 if a check failed that is not known to be the client's own fault.

    python -m tests.interop.real_frameworks [CLIENT ...] [--upstream NAME ...]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.interop.framework_list import CHAT_NAMES, CLIENTS, EMBEDDING_NAMES, UPSTREAMS, Client, Upstream
from tests.support.gateway import Gateway, gateway_process
from tests.support.simulator import simulator_thread

from tidegate.store.ledger import Ledger

_ROOT = Path(__file__).parents[2]
_SESSIONS = Path(__file__).parent / "clients"
_TOOLS = _ROOT / ".tools" / "clients"
_KEY = "tg-interop-0123456789abcdef0123456789"
_AT_ONCE = 2
_SESSION_SECONDS = 180
_PROVIDER = """
kind: Provider
metadata: {{name: {name}}}
spec: {{dialect: {dialect}, baseUrl: "{url}", credentials: [{{apiKey: sk-interop-0123456789abcdef}}]}}
---"""
_MODEL = """
kind: Model
metadata: {{name: "{name}"}}
spec:
  task: {task}
  targets: [{{provider: {provider}, model: "{model}"}}]
  price: {{inputPerMillion: 1, outputPerMillion: 2}}{more}
---"""
_CLIENTS = f"""
kind: Team
metadata: {{name: lab}}
---
kind: Consumer
metadata: {{name: framework}}
spec: {{team: lab, keys: [{{value: {_KEY}}}]}}
"""


def config(upstream: Upstream, url: str) -> str:
    """Every public name at the one provider."""
    embedding_path = "/v1" if upstream.embedding_dialect == "openai" else ""
    documents = [
        _PROVIDER.format(name="chat", dialect=upstream.dialect, url=url + upstream.path),
        _PROVIDER.format(name="embedding", dialect=upstream.embedding_dialect, url=url + embedding_path),
    ]
    bound = f"\n  maxOutputTokens: {upstream.most_tokens}"
    for task, names, model, more in (
        ("chat", CHAT_NAMES, upstream.model, bound),
        ("embedding", EMBEDDING_NAMES, upstream.embedding_model, ""),
    ):
        documents += [_MODEL.format(name=name, task=task, provider=task, model=model, more=more) for name in names]
    return "".join([*documents, _CLIENTS])


def install(name: str, client: Client) -> str:
    """Into its folder, if its packages are not those that are there; why it could not be, "" if it is there."""
    folder = _TOOLS / name
    mark = folder / "installed.txt"
    wanted = "\n".join(client.packages)
    if mark.exists() and mark.read_text() == wanted:
        return ""
    print(f"installing {' '.join(client.packages)} …", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        if client.npm:
            _done("npm", "install", "--no-fund", "--no-audit", *client.packages, folder=folder)
        else:
            _done(sys.executable, "-m", "venv", str(folder), folder=folder)
            pip = str(folder / "bin" / "pip")
            _done(pip, "install", "--quiet", "--disable-pip-version-check", *client.packages, folder=folder)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{error} {getattr(error, 'stderr', '')[-500:]}"
    mark.write_text(wanted)
    return ""


def _done(*command: str, folder: Path) -> None:
    subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True)


def script_of(name: str, client: Client) -> Path:
    return _SESSIONS / f"{name.replace('-', '_')}_session.{'mjs' if client.npm else 'py'}"


def session(name: str, client: Client, gateway: Gateway, home: Path) -> list[dict[str, str]]:
    """The checks that it told of, and one more if it did not come to its end."""
    script = script_of(name, client)
    home.mkdir(parents=True)
    if client.npm:  # modules are looked up from where a script lies
        for file in (script, _SESSIONS / "checks.mjs"):
            shutil.copy(file, _TOOLS / name)
        command = ["node", str(_TOOLS / name / script.name)]
    else:
        command = [str(_TOOLS / name / "bin" / "python"), str(script)]
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "LC_ALL")}
    environment = {**kept, "HOME": str(home), "GATEWAY": gateway.url, "GATEWAY_KEY": _KEY}
    with (home / "told").open("w") as told, (home / "errors").open("w") as errors:
        running = subprocess.Popen(
            command, env=environment, cwd=home, stdin=subprocess.DEVNULL, stdout=told, stderr=errors
        )
        try:
            ended = f"ended with {running.wait(_SESSION_SECONDS)}"
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
            ended = f"not done after {_SESSION_SECONDS} s"
    lines = (home / "told").read_text().splitlines()
    found = [json.loads(line) for line in lines if line.startswith('{"check"')]
    if running.returncode or not found:
        said = (home / "errors").read_text().strip()[-1500:]
        found.append({"check": "session", "failed": f"{ended}: {said}", "told": ""})
    return found


def unmetered(gateway: Gateway) -> list[str]:
    """Calls that were answered, and of which the ledger has no cost."""
    with Ledger.open(gateway.data_dir) as ledger:
        ledger.ingest()
        return [event.id for event in ledger.events() if event.outcome == "ok" and event.cost_nano is None]


@contextmanager
def served(name: str, folder: Path) -> Iterator[Gateway]:
    """The gateway, with the simulated provider behind it."""
    with simulator_thread() as simulator:
        with gateway_process(folder, config(UPSTREAMS[name], simulator.url)) as gateway:
            yield gateway


class Outcome:
    """The table, line by line, and what did not hold."""

    def __init__(self) -> None:
        self.failures = 0

    def lines(self, name: str, upstream: str, found: Sequence[dict[str, str]]) -> None:
        theirs = CLIENTS[name].theirs if name in CLIENTS else {}
        cannot = UPSTREAMS[upstream].cannot if upstream else ()
        for line in found:
            check = line["check"]
            mark, told = _judged(line, theirs.get(f"{upstream}/{check}") or theirs.get(check, ""), cannot)
            self.failures += mark == "FAIL"
            told = told.replace("\n", " ")
            print(f"{mark:<8} {name:<16} {upstream:<10} {check:<36} {told}", flush=True)


def _judged(line: dict[str, str], theirs: str, cannot: tuple[str, ...]) -> tuple[str, str]:
    if not line["failed"]:
        return "ok", line["told"][:60]
    if theirs:
        return "theirs", theirs
    refusals = [text for text in cannot if text in line["failed"]]
    return ("refused", refusals[0]) if refusals else ("FAIL", line["failed"])


def run(names: Sequence[str], upstreams: Sequence[str]) -> int:
    outcome = Outcome()
    there: list[str] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool, tempfile.TemporaryDirectory(prefix="tidegate-interop-") as top:
        for name, reason in zip(names, pool.map(lambda name: install(name, CLIENTS[name]), names), strict=True):
            outcome.lines(name, "", [{"check": "install", "failed": reason, "told": CLIENTS[name].packages[0]}])
            there += [] if reason else [name]
        for upstream in upstreams:
            _run_at(upstream, there, Path(top) / upstream, pool, outcome)
    print(f"{outcome.failures} failed")
    return 1 if outcome.failures else 0


def _run_at(upstream: str, names: Sequence[str], folder: Path, pool: Executor, outcome: Outcome) -> None:
    asked = [name for name in names if UPSTREAMS[upstream].dialect not in CLIENTS[name].dialects]
    with served(upstream, folder) as gateway:
        homes = folder / "homes"
        for name, found in zip(
            asked, pool.map(lambda name: session(name, CLIENTS[name], gateway, homes / name), asked), strict=True
        ):
            outcome.lines(name, upstream, found)
        missing = unmetered(gateway)
    reason = f"no cost: {missing}" if missing else ""
    outcome.lines("the ledger", upstream, [{"check": "metered", "failed": reason, "told": "all answered calls"}])


def main() -> int:
    parser = argparse.ArgumentParser(description="Clients and frameworks through the gateway.")
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help=", ".join(CLIENTS))
    parser.add_argument("--upstream", action="append", choices=tuple(UPSTREAMS))
    arguments = parser.parse_args()
    unknown = [name for name in arguments.clients if name not in CLIENTS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(CLIENTS)}")
    return run(arguments.clients or list(CLIENTS), arguments.upstream or list(UPSTREAMS))


if __name__ == "__main__":
    sys.exit(main())
