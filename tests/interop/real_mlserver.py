"""`make interop`, second part: a scikit-learn model behind mlserver, called, limited and metered through the gateway.

The model is fitted on the spot. Every answer is compared with what mlserver itself answers, and the ledger with the rows
that were sent. mlserver brings Triton's client along: it calls too, with binary tensors, which mlserver itself does not have
over HTTP, at a simulated provider. Prints a table; exits 1 on any difference.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.interop.real_server import Table, wait_until_answers
from tests.support.gateway import Gateway, gateway_process
from tests.support.simulator import simulator_thread

from tidegate.store.ledger import Ledger

_ROOT = Path(__file__).parents[2]
_VENV = _ROOT / ".tools" / "mlserver"
_REQUIREMENTS = ("mlserver>=1.7,<2", "mlserver-sklearn>=1.7,<2")
_KEY = "tg-interop-0123456789abcdef0123456789"
_FIT = """
import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
rows, kinds = load_iris(return_X_y=True)
joblib.dump(LogisticRegression(max_iter=500).fit(rows, kinds), "model.joblib")
"""
_MODEL = {
    "name": "iris",
    "implementation": "mlserver_sklearn.SKLearnModel",
    "parameters": {"uri": "./model.joblib", "version": "v1"},
}
_CONFIG = """
kind: Provider
metadata: {{name: models}}
spec: {{dialect: oip, baseUrl: "{url}"}}
---
kind: Model
metadata: {{name: flowers}}
spec:
  task: inference
  targets: [{{provider: models, model: iris}}]
  price: {{inputPerMillion: 100, perRequest: 0.001}}
---
kind: Provider
metadata: {{name: simulated}}
spec: {{dialect: oip, baseUrl: "{simulator}"}}
---
kind: Model
metadata: {{name: petals}}
spec:
  task: inference
  targets: [{{provider: simulated, model: iris}}]
  price: {{inputPerMillion: 100}}
---
kind: Team
metadata: {{name: lab}}
---
kind: Consumer
metadata: {{name: greenhouse}}
spec:
  team: lab
  keys: [{{value: {key}}}]
  limits: {{tokensPerMinute: 23}}
  budget: {{usd: 1, period: month}}
"""
_ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3], [5.9, 3.0, 4.2, 1.5]]
_TRITON_CLIENT = """
import sys
import numpy
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
address, key, model, name, binary = sys.argv[1:]
rows = numpy.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3], [5.9, 3.0, 4.2, 1.5]], dtype=numpy.float32)
tensor = InferInput("predict", [3, 4], "FP32")
tensor.set_data_from_numpy(rows, binary_data=bool(binary))
output = InferRequestedOutput(name, binary_data=bool(binary))
headers = {"authorization": f"Bearer {key}"}
answer = InferenceServerClient(address).infer(model, [tensor], outputs=[output], headers=headers)
print(answer.get_response()["model_name"], *answer.as_numpy(name).flatten().tolist())
"""


def install() -> Path:
    """The server's own virtual environment; returns its folder of commands."""
    commands = _VENV / "bin"
    if not (commands / "mlserver").exists():
        print(f"installing {', '.join(_REQUIREMENTS)} into {_VENV.relative_to(_ROOT)} …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", _VENV], check=True)
        subprocess.run([commands / "pip", "install", "--quiet", *_REQUIREMENTS], check=True)
    return commands


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@contextmanager
def mlserver(commands: Path, folder: Path) -> Iterator[str]:
    """The fitted model behind mlserver; its base URL."""
    http, grpc, metrics = free_ports(3)
    subprocess.run([commands / "python", "-c", _FIT], check=True, cwd=folder)
    (folder / "model-settings.json").write_text(json.dumps(_MODEL))
    settings = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    (folder / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0}))
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [commands / "mlserver", "start", "."], stdout=log, stderr=log, cwd=folder, env=dict(os.environ)
        )
    try:
        wait_until_answers(f"http://127.0.0.1:{http}/v2/models/iris/ready", server, folder / "server.log")
        yield f"http://127.0.0.1:{http}"
    finally:
        server.terminate()
        server.wait(30)


def ask(url: str, body: object = None) -> tuple[int, Any, dict[str, str]]:
    """(status, parsed body, headers)."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {_KEY}", "content-type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"null"), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read()), dict(error.headers)


def tensors(rows: list[list[float]]) -> dict[str, object]:
    return {"inputs": [{"name": "predict", "shape": [len(rows), 4], "datatype": "FP32", "data": rows}]}


def check(gateway: Gateway, direct: str, commands: Path, table: Table) -> None:
    """Every call through the gateway, and the same at mlserver where there is one."""
    through = f"{gateway.url}/v2/models/flowers"
    for path in ("/infer", "/versions/v1/infer", "/generate"):
        _, here, headers = ask(through + path, tensors(_ROWS))
        _, there, _ = ask(f"{direct}/v2/models/iris{path}", tensors(_ROWS))
        table.line(f"POST {path}", here["outputs"] == there["outputs"], str(here["outputs"][0]["data"]))
        table.line("  by its public name, and priced", here["model_name"] == "flowers", headers["x-tidegate-cost-usd"])
    check_triton_client(gateway, commands, table)
    status, said, _ = ask(f"{through}/versions/v9/infer", tensors(_ROWS))
    table.line("a version that is not there", status == 404, said["error"])
    status, said, _ = ask(through)
    table.line("GET model", status == 200 and said["name"] == "flowers", str(said))
    status, _, _ = ask(f"{through}/ready")
    table.line("GET ready", status == 200, str(status))
    status, said, _ = ask(f"{through}/infer", {"inputs": [{"name": "predict", "shape": "3", "datatype": "FP32"}]})
    table.line("a malformed tensor", status == 400, said["error"])
    status, said, _ = ask(f"{through}/infer", tensors(_ROWS * 2))
    table.line("23 rows a minute: eighteen are used, six more", status == 429, said["error"][:60])
    status, said, _ = ask(f"{gateway.url}/v2/models/roses/infer", tensors(_ROWS))
    table.line("a model that is not there", (status, said["code"]) == (404, "model_not_found"), said["error"])
    _compare(gateway, table)


def check_triton_client(gateway: Gateway, commands: Path, table: Table) -> None:
    """JSON at mlserver, then the same tensors as JSON and as bytes at the simulator."""
    said = triton_client(gateway, commands, "flowers", binary=False)
    table.line("tritonclient, JSON", said == "flowers 0 2 1", said)
    plain = triton_client(gateway, commands, "petals", binary=False)
    table.line("tritonclient, JSON at a simulated Triton", plain.startswith("petals "), plain)
    said = triton_client(gateway, commands, "petals", binary=True)
    table.line("  and binary tensors: the same", said == plain, said)


def triton_client(gateway: Gateway, commands: Path, model: str, *, binary: bool) -> str:
    """The model's name and its answer, or what went wrong."""
    asked = [
        commands / "python",
        "-c",
        _TRITON_CLIENT,
        gateway.address,
        _KEY,
        model,
        "predict",
        "yes" if binary else "",
    ]
    ran = subprocess.run(asked, check=False, capture_output=True, text=True, timeout=60)
    return ran.stdout.strip() or ran.stderr[-300:]


def _compare(gateway: Gateway, table: Table) -> None:
    with Ledger.open(gateway.data_dir) as ledger:
        ledger.ingest()
        events = sorted(ledger.events(), key=lambda event: event.time_ns)
    served = [event for event in events if event.outcome == "ok" and event.operation in ("inference", "generation")]
    rows = [event.usage.input for event in served]
    table.line("the ledger has the rows of each inference", rows == [3] * 6, str(rows))
    costs = [event.cost_nano for event in served]
    table.line("  and their cost", costs == [1_300_000] * 4 + [300_000] * 2, f"{costs} nano-USD")
    free = [event.cost_nano for event in events if event.operation == "description"]
    table.line("descriptions are free", free == [0, 0], str(free))


def main() -> int:
    commands, table = install(), Table()
    with tempfile.TemporaryDirectory(prefix="tidegate-interop-") as name:
        folder = Path(name)
        (folder / "server").mkdir()
        with mlserver(commands, folder / "server") as url:
            with simulator_thread() as simulator:
                config = _CONFIG.format(url=url, simulator=simulator.url, key=_KEY)
                with gateway_process(folder / "gateway", config) as gateway:
                    check(gateway, url, commands, table)
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
