"""SGLang's router (Rust): load balancing only, no keys, limits or records."""

from pathlib import Path

from rig.load import Endpoint
from rig.processes import free_port

from peers.peer import Launch, Peer, venv_install


def _launch(installed: Path, work: Path, port: int, upstream_port: int) -> Launch:
    command: list[str | Path] = [installed / "bin" / "python", "-m", "sglang_router.launch_router"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--worker-urls", f"http://127.0.0.1:{upstream_port}"]
    command += ["--policy", "round_robin", "--prometheus-port", str(free_port()), "--log-level", "error"]
    command += ["--disable-retries", "--disable-health-check"]
    return Launch(command, Endpoint(port, "/v1/chat/completions"))


PEER = Peer(
    "sglang-router",
    "load balancing only (round robin), logging at error",
    lambda folder: venv_install(folder, "sglang-router", "sglang-router"),
    _launch,
)
