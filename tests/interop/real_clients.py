"""`make interop`, third part: coding agents that nobody here wrote, on a provider of another dialect.

Claude Code (Anthropic's dialect) and Codex (OpenAI Responses), each in its own npm folder, run through the gateway against
a simulated OpenAI provider: a question, then a task that makes the model call a tool whose result goes back to it. Needs
npm. Prints a table; exits 1 on any difference.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.interop.real_server import Table
from tests.support.gateway import Gateway, gateway_process
from tests.support.simulator import SimulatorThread, simulator_thread

from tidegate.store.ledger import Ledger

_ROOT = Path(__file__).parents[2]
_FOLDER = _ROOT / ".tools" / "agents"
_PACKAGES = ("@anthropic-ai/claude-code@^2", "@openai/codex@^0.169")
_KEY = "tg-interop-0123456789abcdef0123456789"
_CONFIG = """
kind: Provider
metadata: {{name: sim}}
spec: {{dialect: openai, baseUrl: "{url}/v1", credentials: [{{apiKey: sk-interop-0123456789abcdef}}]}}
---
kind: Model
metadata: {{name: claude-sonnet-4-5}}
spec: {{targets: [{{provider: sim, model: gpt-4.1}}], price: {{inputPerMillion: 1, outputPerMillion: 2}}}}
---
kind: Team
metadata: {{name: lab}}
---
kind: Consumer
metadata: {{name: agent}}
spec: {{team: lab, keys: [{{value: {key}}}]}}
"""
_CODEX = """
model = "claude-sonnet-4-5"
model_provider = "tidegate"
[model_providers.tidegate]
name = "tidegate"
base_url = "{url}/v1"
env_key = "TIDEGATE_KEY"
wire_api = "responses"
"""
_TOOL = b'"role":"tool"'
_TOLD = '"type":"tool_result"'
_QUESTION = "When does the tide turn?"


def install() -> Path:
    """The agents' folder of commands."""
    commands = _FOLDER / "node_modules" / ".bin"
    if not all((commands / name).exists() for name in ("claude", "codex")):
        if shutil.which("npm") is None:
            raise SystemExit("npm is not here: install Node.js 20 or newer to run the agents")
        print(f"installing {', '.join(_PACKAGES)} into {_FOLDER.relative_to(_ROOT)} …", flush=True)
        _FOLDER.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--no-fund", "--no-audit", "--silent", *_PACKAGES], check=True, cwd=_FOLDER)
    return commands


class Agents:
    """Runs them in an empty folder with a home of their own."""

    def __init__(self, commands: Path, gateway: Gateway, home: Path) -> None:
        self._commands = commands
        self._work = home / "work"
        self._work.mkdir(parents=True)
        (self._work / "notes.txt").write_text("High water at six.\n")
        (home / ".codex").mkdir()
        (home / ".codex" / "config.toml").write_text(_CODEX.format(url=gateway.url))
        self._env = {
            **os.environ,
            "HOME": str(home),
            "TIDEGATE_KEY": _KEY,
            "ANTHROPIC_BASE_URL": gateway.url,
            "ANTHROPIC_AUTH_TOKEN": _KEY,
            "ANTHROPIC_MODEL": "claude-sonnet-4-5",
            "ANTHROPIC_SMALL_FAST_MODEL": "claude-sonnet-4-5",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self._commands / arguments[0], *arguments[1:]],
            env=self._env,
            cwd=self._work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def claude(self, prompt: str) -> "subprocess.CompletedProcess[str]":
        """Its output has each message, tool results too, on a line."""
        return self.run("claude", "-p", prompt, "--allowedTools", "Read", "--output-format", "stream-json", "--verbose")

    def codex(self, prompt: str) -> "subprocess.CompletedProcess[str]":
        return self.run("codex", "exec", "--skip-git-repo-check", "--sandbox", "read-only", prompt)


def check(agents: Agents, simulator: SimulatorThread, table: Table) -> None:
    for name, ask, task in (
        ("Claude Code", agents.claude, "Please Read the file notes.txt"),
        ("Codex", agents.codex, "Use exec_command for a shell command"),
    ):
        command = "claude" if ask == agents.claude else "codex"
        version = agents.run(command, "--version").stdout.strip().splitlines()
        done = ask(_QUESTION)
        said = done.stdout.strip().splitlines()[-1:] or [done.stderr.strip()[-200:]]
        table.line(f"{name}: a question", done.returncode == 0, f"{said[0][:60]}…")
        simulator.reset()
        done = ask(task)
        results = sum(_TOOL in call.body for call in simulator.calls()) or done.stdout.count(_TOLD)
        table.line(f"{name}: a tool's result went back", done.returncode == 0 and bool(results), f"{results} of them")
        table.line("  version", bool(version), version[-1] if version else "")


def main() -> int:
    commands, table = install(), Table()
    with tempfile.TemporaryDirectory(prefix="tidegate-interop-") as name:
        folder = Path(name)
        with simulator_thread() as simulator:
            with gateway_process(folder / "gateway", _CONFIG.format(url=simulator.url, key=_KEY)) as gateway:
                check(Agents(commands, gateway, folder / "home"), simulator, table)
                with Ledger.open(gateway.data_dir) as ledger:
                    ledger.ingest()
                    events = list(ledger.events())
                unmetered = [event.id for event in events if event.outcome != "ok" or event.cost_nano is None]
                table.line("every call is metered and priced", bool(events) and not unmetered, f"{len(events)} events")
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
