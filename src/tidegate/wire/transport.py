"""What a connection needs of its transport beyond asyncio: who is there, does it still read, end it hard."""

import asyncio
import contextlib
import socket
import struct
from typing import cast

_RESET = struct.pack("ii", 1, 0)


def peer_address(transport: asyncio.Transport) -> str:
    """The address of the other end, without its port; `unix` for a socket that has none."""
    name: object = transport.get_extra_info("peername")
    return str(cast(tuple[object], name)[0]) if isinstance(name, tuple) else "unix"


def reset(transport: asyncio.Transport) -> None:
    """Ends the connection by a RST, so that a body which ends with its connection cannot look complete."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):  # the client was first
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


class WriteWatch:
    """Tells a client that reads slowly from one that has stopped."""

    __slots__ = ("_flushed", "_since", "sent")

    def __init__(self) -> None:
        self.sent = 0
        """Bytes given to the transport so far."""
        self._flushed = -1
        self._since = 0.0

    def stalled_for(self, unflushed: int, now: float) -> float:
        """Seconds for which not a byte has left, of which `unflushed` wait."""
        flushed = self.sent - unflushed
        if flushed != self._flushed:
            self._flushed = flushed
            self._since = now
        return now - self._since
