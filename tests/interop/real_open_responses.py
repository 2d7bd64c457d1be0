"""`make interop`, fifth part: the Open Responses compliance suite, against providers of every dialect.

The suite is that of github.com/openresponses/openresponses, at one commit: its requests to `/v1/responses`, and its Zod
schemas of answers and events. It is taken from the folder in OPEN_RESPONSES_SUITE if that is set, else fetched with git into
`.tools`. Its packages, and Bun, which runs it, come from npm. Prints a table; exits 1 if a check failed that is not known to
be what a provider cannot do, and at once if the suite cannot be had.

    python -m tests.interop.real_open_responses [UPSTREAM ...]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from msgspec import Struct
from tests.interop.real_server import Table
from tests.support.gateway import Gateway, gateway_process
from tests.support.simulator import simulator_thread

from tidegate.simulator.behaviour import profile_from

_ROOT = Path(__file__).parents[2]
_FETCHED = _ROOT / ".tools" / "openresponses"
_REPOSITORY = "https://github.com/openresponses/openresponses.git"
_COMMIT = "1e33c10fb3c19480751658eae966dad8e9c91514"
_BUN = "bun@1.4.5"
_RUNNER = Path("bin") / "compliance-test.ts"
_SCHEMAS = Path("src") / "generated" / "kubb" / "zod"
_KEY = "tg-interop-0123456789abcdef0123456789"
_SUITE_SECONDS = 300
_NO_WEBSOCKET = "websocket-"
"""Checks of Responses over WebSocket, which the gateway does not serve."""


class _Upstream(Struct, frozen=True):
    """A provider as the simulator plays it."""

    dialect: str
    model: str
    path: str = ""
    quirks: str = ""
    cannot: dict[str, str] = {}
    """Checks that it must refuse: a part of the refusal's text."""


_BARE = {"compact-response": "cannot serve a call of openai-responses for compaction"}
_TEXTS = {**_BARE, "file-input": "takes texts and pictures: no sounds, no documents"}
_NO_TOOLS = "takes a history with tool calls only along with its tools"
UPSTREAMS = {
    "responses": _Upstream("openai", "gpt-4.1", "/v1", "responses"),
    "openai-chat": _Upstream("openai", "gpt-4.1", "/v1", cannot=_BARE),
    "anthropic": _Upstream(
        "anthropic", "claude-sonnet-5-5", cannot={**_BARE, "assistant-phase": "first message must use"}
    ),
    "gemini": _Upstream("gemini", "gemini-2.5-flash", cannot=_BARE),
    "cohere": _Upstream("cohere", "command-a-03-2025", cannot=_TEXTS),
    "bedrock": _Upstream(
        "bedrock",
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        cannot={
            **_BARE,
            "assistant-phase": "must start with a user message",
            "function-call-roundtrip": _NO_TOOLS,
        },
    ),
    "mistral": _Upstream(  # the simulator plays its chat as OpenAI's, which has no `document_url`
        "mistral", "mistral-large-latest", "/v1", cannot={**_BARE, "file-input": "document_url"}
    ),
    "ollama": _Upstream(
        "ollama", "llama3.2", cannot={**_TEXTS, "function-call-roundtrip": "Ollama cannot be made to call a tool"}
    ),
}
_PROVIDER = """
kind: Provider
metadata: {{name: {name}}}
spec:
  dialect: {dialect}
  baseUrl: "{url}"
  credentials: [{{apiKey: sk-interop-0123456789abcdef}}]
  quirks: [{quirks}]
---
kind: Model
metadata: {{name: "{name}"}}
spec:
  targets: [{{provider: {name}, model: "{model}"}}]
  maxOutputTokens: 4096
  price: {{inputPerMillion: 1, outputPerMillion: 2}}
---"""
_CLIENT = f"""
kind: Team
metadata: {{name: lab}}
---
kind: Consumer
metadata: {{name: suite}}
spec: {{team: lab, keys: [{{value: {_KEY}}}]}}
"""


def config(url: str) -> str:
    """A Model of each provider's name."""
    documents = [
        _PROVIDER.format(
            name=name, dialect=upstream.dialect, url=url + upstream.path, quirks=upstream.quirks, model=upstream.model
        )
        for name, upstream in UPSTREAMS.items()
    ]
    return "".join([*documents, _CLIENT])


def suite() -> Path:
    """Its folder, ready to run. Ends the run if there is no way to have it."""
    given = os.environ.get("OPEN_RESPONSES_SUITE", "")
    folder = Path(given).resolve() if given else _FETCHED
    if not given and not (folder / _RUNNER).exists():
        _fetch(folder)
    if not (folder / _RUNNER).exists():
        raise SystemExit(f"{folder} has no {_RUNNER}: it is no checkout of {_REPOSITORY}")
    if not (folder / "node_modules" / ".bin" / "bun").exists():
        _run("npm", "install", "--no-fund", "--no-audit", "--no-save", "--ignore-scripts", _BUN, folder=folder)
        _run("node", "node_modules/bun/install.js", folder=folder)
    if not (folder / _SCHEMAS).exists():
        _run("node_modules/.bin/kubb", "generate", folder=folder)
    return folder


def _fetch(folder: Path) -> None:
    print(f"fetching {_REPOSITORY} at {_COMMIT} …", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _run("git", "init", "--quiet", folder=folder)
    _run("git", "fetch", "--quiet", "--depth", "1", _REPOSITORY, _COMMIT, folder=folder)
    _run("git", "checkout", "--quiet", "FETCH_HEAD", folder=folder)


def _run(*command: str, folder: Path) -> None:
    try:
        subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True, timeout=_SUITE_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or "")[-1000:]
        raise SystemExit(
            f"the compliance suite cannot be had: {error}\n{said}\n"
            f"Set OPEN_RESPONSES_SUITE to a checkout of {_REPOSITORY}."
        ) from error


def told_of(folder: Path, gateway: Gateway, model: str) -> list[dict[str, Any]]:
    """The suite's own results for one Model."""
    command = ["node_modules/.bin/bun", "run", str(_RUNNER), "--json"]
    command += ["--base-url", f"{gateway.url}/v1", "--api-key", _KEY, "--model", model]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SUITE_SECONDS, check=False)
    try:
        return json.loads(done.stdout)["results"]
    except (ValueError, KeyError):
        raise SystemExit(f"the suite did not come to its end: {done.stdout[-500:]}{done.stderr[-1500:]}") from None


def check(name: str, results: list[dict[str, Any]], table: Table) -> None:
    """At least one answer must have been judged."""
    cannot = UPSTREAMS[name].cannot
    for result in sorted(results, key=lambda result: str(result["id"])):
        identity, errors = str(result["id"]), " ".join(result.get("errors") or ())
        what = f"{name}: {identity}"
        if identity.startswith(_NO_WEBSOCKET):
            table.line(what, True, "not served")
        elif result["status"] == "failed" and cannot.get(identity, "\0") in errors:
            table.line(what, True, f"refused: {cannot[identity]}")
        else:
            table.line(what, result["status"] in ("passed", "skipped"), errors[:2000] or str(result["status"]))
    table.line(f"{name}: was judged", any(result["status"] == "passed" for result in results), f"{len(results)} checks")


def main() -> int:
    parser = argparse.ArgumentParser(description="The Open Responses compliance suite through the gateway.")
    parser.add_argument("upstreams", nargs="*", metavar="UPSTREAM", help=", ".join(UPSTREAMS))
    names = parser.parse_args().upstreams or list(UPSTREAMS)
    unknown = [name for name in names if name not in UPSTREAMS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(UPSTREAMS)}")
    folder, table = suite(), Table()
    profile = profile_from({"models": {upstream.model: {} for upstream in UPSTREAMS.values()}})
    with tempfile.TemporaryDirectory(prefix="tidegate-interop-") as top, simulator_thread(profile) as simulator:
        with gateway_process(Path(top), config(simulator.url)) as gateway:
            for name in names:
                check(name, told_of(folder, gateway, name), table)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
