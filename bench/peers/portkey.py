"""Portkey's gateway (Node): no keys, limits or records."""

from pathlib import Path

from rig.load import Endpoint

from peers.peer import Launch, Peer, npm_install

_PACKAGE = "@portkey-ai/gateway"


def _launch(installed: Path, work: Path, port: int, upstream_port: int) -> Launch:
    program = installed / "node_modules" / _PACKAGE / "build" / "start-server.js"
    headers = (
        "Authorization: Bearer bench",
        "x-portkey-provider: openai",
        f"x-portkey-custom-host: http://127.0.0.1:{upstream_port}/v1",
    )
    env = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
    return Launch(
        ["node", program, f"--port={port}", "--headless"], Endpoint(port, "/v1/chat/completions", headers), env=env
    )


PEER = Peer("portkey", "no keys, limits or records", lambda folder: npm_install(folder, _PACKAGE), _launch)
