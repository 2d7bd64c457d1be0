"""LiteLLM's proxy: one worker, no database."""

from pathlib import Path

from rig.load import Endpoint

from peers.peer import Launch, Peer, venv_install

_CONF = """\
model_list:
  - model_name: gpt-4o-mini
    litellm_params:
      model: openai/gpt-4o-mini
      api_base: http://127.0.0.1:{upstream}/v1
      api_key: bench
litellm_settings:
  telemetry: false
"""


def _launch(installed: Path, work: Path, port: int, upstream_port: int) -> Launch:
    conf = work / "litellm.yaml"
    conf.write_text(_CONF.format(upstream=upstream_port))
    command: list[str | Path] = [installed / "bin" / "litellm", "--config", conf, "--host", "127.0.0.1"]
    command += ["--port", str(port), "--num_workers", "1", "--telemetry", "False"]
    env = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    env["LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"] = "true"
    return Launch(command, Endpoint(port, "/v1/chat/completions"), env=env)


PEER = Peer(
    "litellm",
    "proxy, one worker, no database, no keys",
    lambda folder: venv_install(folder, "litellm[proxy]", "litellm"),
    _launch,
)
