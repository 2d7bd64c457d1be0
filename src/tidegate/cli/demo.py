"""`tidegate demo`: the gateway with simulated providers, and lines to paste that show what it does."""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvloop

from tidegate.cli.serve import add_addresses
from tidegate.server.lifeline import watch
from tidegate.server.options import BadOption, ServeOptions, address_of, listening_socket
from tidegate.server.supervisor import serve
from tidegate.simulator.demo import POOR_BUDGET_USD, POOR_KEY, RICH_KEY, demo_profile, demo_resources
from tidegate.simulator.serve import start

_READY_SECONDS: Final = 30.0
_NEXT_PORTS: Final = 20


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "demo",
        help="run the gateway with simulated providers and sample keys",
        description="Three simulated providers, four models, two teams, and lines to paste. Nothing leaves this machine.",
        epilog="Exit codes: 0 stopped, 2 an option cannot be served.",
    )
    add_addresses(parser)
    parser.add_argument(
        "--data-dir", type=Path, help="kept after the demo; default a temporary one, removed at its end"
    )
    parser.add_argument("--json", action="store_true", help="print addresses and keys as one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Blocks until stopped."""
    try:
        listen = _free_address(args.listen, "--listen", taken="")
        admin_listen = _free_address(args.admin_listen, "--admin-listen", taken=listen)
    except BadOption as error:
        print(f"tidegate: {error}", file=sys.stderr)
        return 2
    _keep_off_proxies()
    with _data_dir(args.data_dir) as data_dir:
        upstream = listening_socket("127.0.0.1:0", "simulator")
        config = data_dir / "tidegate.yaml"
        config.write_text(demo_resources(f"http://{address_of(upstream)}"))
        options = ServeOptions(
            config=config, listen=listen, admin_listen=admin_listen, data_dir=data_dir, access_log=False
        )
        with _companion(upstream, options, _as_json(options) if args.json else _as_text(options)):
            return serve(options)


def _keep_off_proxies() -> None:
    """The simulated providers are on this machine: a proxy in the environment cannot reach them."""
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = f"{known},127.0.0.1" if known else "127.0.0.1"


def _free_address(address: str, option: str, taken: str) -> str:
    """The address, or one of the next free ports; what port 0 became. Raises BadOption."""
    try:
        return _bound(address, option)
    except BadOption:
        host, _, port = address.rpartition(":")
        if not port.isdecimal():
            raise
        for following in range(int(port) + 1, min(int(port) + _NEXT_PORTS, 65_536)):
            candidate = f"{host}:{following}"
            with contextlib.suppress(BadOption):
                if candidate != taken:
                    found = _bound(candidate, option)
                    print(f"{address} is taken: using {found}", file=sys.stderr)
                    return found
        raise


def _bound(address: str, option: str) -> str:
    """Raises BadOption if it is not free."""
    with listening_socket(address, option) as listener:
        return address_of(listener)


@contextlib.contextmanager
def _data_dir(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield given
        return
    made = Path(tempfile.mkdtemp(prefix="tidegate-demo-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def _companion(upstream: socket.socket, options: ServeOptions, announcement: str) -> Iterator[None]:
    """A process with the simulated providers, which also announces the gateway once it is ready.

    It ends with this process, however that ends.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        status = 70
        try:
            status = _run_companion(upstream, reading, options.listen, announcement)
        finally:
            os._exit(status)
    os.close(reading)
    upstream.close()
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        os.close(writing)


def _run_companion(upstream: socket.socket, lifeline: int, gateway: str, announcement: str) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all: the gateway ends first, its calls finish
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_simulate(upstream, lifeline, gateway, announcement))
    return 0


async def _simulate(upstream: socket.socket, lifeline: int, gateway: str, announcement: str) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    watch(loop, lifeline, stop.set)
    running = await start(demo_profile(), sock=upstream)
    if await asyncio.to_thread(_wait_until_ready, gateway):
        print(announcement, flush=True)
    await stop.wait()
    await running.stop()


def _wait_until_ready(gateway: str) -> bool:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(gateway, timeout=1)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return True
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    return False


def _as_json(options: ServeOptions) -> str:
    return json.dumps(
        {
            "url": f"http://{options.listen}/v1",
            "admin_url": f"http://{options.admin_listen}",
            "data_dir": str(options.data_dir),
            "keys": {"harbour": RICH_KEY, "jetty": POOR_KEY},
        }
    )


def _as_text(options: ServeOptions) -> str:
    """Each line that is not a comment works as it is pasted."""
    tidegate = shlex.quote(sys.argv[0]) if sys.argv[0].endswith("tidegate") else "tidegate"
    data = f"--data-dir {shlex.quote(str(options.data_dir))}"
    root = f"http://{options.listen}"
    base = f"{root}/v1"

    def curl(flags: str, key: str, body: str, url: str = f"{base}/chat/completions") -> str:
        headers = f"-H 'Authorization: Bearer {key}' -H 'Content-Type: application/json'"
        return f"curl {flags} {url} {headers} -d '{body}'"

    question = '{"model":"gpt-4.1","messages":[{"role":"user","content":"When does the tide turn?"}]}'
    streamed = question.replace('"gpt-4.1"', '"gpt-4.1-mini","stream":true')
    flowers = '{"inputs":[{"name":"petals","shape":[2,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2,6.7,3.0,5.2,2.3]}]}'
    spend = curl("-s -o /dev/null -w '%{http_code} '", POOR_KEY, question)
    return f"""
Tidegate is ready. Nothing leaves this machine; Ctrl-C stops it.

  SDKs     OPENAI_BASE_URL={base} OPENAI_API_KEY={RICH_KEY}
  models   gpt-4.1, gpt-4.1-mini, text-embedding-3-small, iris
  metrics  http://{options.admin_listen}/metrics
  config   {options.config}

# An answer. Its first provider fails, the second one serves it: see x-tidegate-attempts and x-tidegate-target.
{curl("-si", RICH_KEY, question)}

# Why it went that way.
{tidegate} explain last {data}

# A stream.
{curl("-sN", RICH_KEY, streamed)}

# A predictive model (Open Inference Protocol), priced by the row: two of them.
{curl("-si", RICH_KEY, flowers, f"{root}/v2/models/iris/infer")}

# Team jetty has {POOR_BUDGET_USD} USD a day: it is served until that is spent, then refused and told why.
for i in 1 2 3 4 5 6 7 8 9; do {spend}; done; echo
{curl("-s", POOR_KEY, question)}

# Who spent what.
{tidegate} usage --by team,model {data}
"""
