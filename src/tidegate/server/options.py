"""What `tidegate serve` is told, and the names of what lies in its data directory."""

import socket
from dataclasses import dataclass
from pathlib import Path


class BadOption(Exception):
    """An option that cannot be served; the message says the remedy."""


@dataclass(frozen=True)
class ServeOptions:
    """`config` None: providers are found from the environment."""

    config: Path | None
    listen: str
    admin_listen: str
    data_dir: Path
    workers: int = 1
    access_log: bool = True

    @property
    def snapshot_file(self) -> Path:
        return self.data_dir / "snapshot.msgpack"

    @property
    def worker_socket(self) -> Path:
        """Where the worker answers the control process: metrics, state, reload."""
        return self.data_dir / "worker-0.sock"

    @property
    def spool_dir(self) -> Path:
        return self.data_dir / "spool"

    @property
    def owned_dir(self) -> Path:
        """What providers keep for consumers, and whose it is."""
        return self.data_dir / "owned"


def listening_socket(address: str, option: str) -> socket.socket:
    """Binds `host:port` (`[::1]:8080` for IPv6). Raises BadOption."""
    host, separator, port_text = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not port_text.isdecimal() or int(port_text) > 65535:
        raise BadOption(f"{option} {address!r} is not HOST:PORT, for example 127.0.0.1:8080")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host or "0.0.0.0", int(port_text)))  # noqa: S104 - the operator wrote an empty host
        listener.listen(4096)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadOption(f"{option} {address}: {reason}. Choose another with {option} HOST:PORT.") from error
    listener.setblocking(False)
    listener.set_inheritable(True)
    return listener


def address_of(listener: socket.socket) -> str:
    """`127.0.0.1:8080`, as bound: a port 0 shows what it became."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
