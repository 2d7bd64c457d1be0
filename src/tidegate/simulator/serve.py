"""Runs a simulator on a socket, within an event loop that somebody else owns."""

import asyncio
import socket
from dataclasses import dataclass

from tidegate.core.clock import Clock
from tidegate.simulator.app import Simulator
from tidegate.simulator.behaviour import Profile
from tidegate.wire.server import Server, ServerSettings

_SETTINGS = ServerSettings(
    max_body_bytes=268_435_456, max_head_bytes=262_144, max_headers=1000, write_stall_timeout=600, idle_timeout=600
)


@dataclass(frozen=True)
class Running:
    """A simulator that accepts calls."""

    simulator: Simulator
    host: str
    port: int
    server: Server

    @property
    def url(self) -> str:
        """`http://127.0.0.1:9100`, without a path."""
        return f"http://{self.host}:{self.port}"

    async def stop(self) -> None:
        """Ends everything now, running calls too."""
        await self.server.close()


async def start(
    profile: Profile | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    sock: socket.socket | None = None,
    clock: Clock | None = None,
) -> Running:
    """Serves `profile` (None: the default models) on a bound socket, or on host and port. Raises OSError."""
    loop = asyncio.get_running_loop()
    if sock is None:
        sock = socket.create_server((host, port), backlog=1024)
        sock.setblocking(False)
    host, port = sock.getsockname()[:2]
    simulator = Simulator(profile, loop=loop, clock=clock)
    server = Server(simulator, _SETTINGS, loop=loop)
    await server.listen(sock)
    return Running(simulator, host, port, server)
