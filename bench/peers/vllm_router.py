"""vLLM's router (Rust): load balancing only, no keys, limits or records."""

from pathlib import Path

from rig.load import Endpoint
from rig.processes import free_port

from peers.peer import Launch, Peer, venv_install


def _launch(installed: Path, work: Path, port: int, upstream_port: int) -> Launch:
    command: list[str | Path] = [installed / "bin" / "vllm-router", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--worker-urls", f"http://127.0.0.1:{upstream_port}", "--policy", "round_robin"]
    command += ["--prometheus-port", str(free_port()), "--log-level", "error", "--disable-retries"]
    return Launch(command, Endpoint(port, "/v1/chat/completions"))


PEER = Peer(
    "vllm-router",
    "load balancing only (round robin), logging at error",
    lambda folder: venv_install(folder, "vllm-router", "vllm-router"),
    _launch,
)
