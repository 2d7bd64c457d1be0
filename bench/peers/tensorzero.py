"""TensorZero (Rust): the HTTP gateway that its Python package starts for OpenAI clients. It chooses its port itself."""

from pathlib import Path

from rig.load import Endpoint

from peers.peer import Launch, Peer, venv_install

_CONF = """\
[gateway]
observability.enabled = false

[models.gpt-4o-mini]
routing = ["upstream"]

[models.gpt-4o-mini.providers.upstream]
type = "openai"
model_name = "gpt-4o-mini"
api_base = "http://127.0.0.1:{upstream}/v1/"
api_key_location = "env::BENCH_KEY"
"""
_PROGRAM = """\
import sys
import threading

import tensorzero

config, wanted = sys.argv[1:]
gateway = tensorzero._start_http_gateway(
    config_file=config, clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
open(wanted, "w").write(gateway.base_url.rstrip("/") + "/")
threading.Event().wait()
"""


def _launch(installed: Path, work: Path, port: int, upstream_port: int) -> Launch:
    conf, program = work / "tensorzero.toml", work / "tensorzero_gateway.py"
    conf.write_text(_CONF.format(upstream=upstream_port))
    program.write_text(_PROGRAM)
    command = [installed / "bin" / "python", program, conf, work / "base_url"]
    headers = ("Authorization: Bearer bench",)
    endpoint = Endpoint(port, "/openai/v1/chat/completions", headers, "tensorzero::model_name::gpt-4o-mini")
    env = {"BENCH_KEY": "bench", "RUST_LOG": "off"}
    (work / "base_url").unlink(missing_ok=True)
    return Launch(command, endpoint, env=env, base_url_file=work / "base_url")


PEER = Peer(
    "tensorzero",
    "no database, observability and logging off",
    lambda folder: venv_install(folder, "tensorzero", "tensorzero"),
    _launch,
)
