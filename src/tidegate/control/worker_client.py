"""Asks a worker on its unix socket."""

import asyncio
from pathlib import Path

_MAX_ANSWER = 64 * 1024 * 1024
_PATIENCE_SECONDS = 5.0


class WorkerAway(Exception):
    """No worker answers on the socket."""


async def ask_worker(path: Path, method: str, target: str) -> tuple[int, bytes]:
    """(status, body). Raises WorkerAway."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                writer.write(f"{method} {target} HTTP/1.1\r\nhost: worker\r\nconnection: close\r\n\r\n".encode())
                answer = await reader.read(_MAX_ANSWER)
                while chunk := await reader.read(_MAX_ANSWER):
                    answer += chunk
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise WorkerAway(f"no worker answers on {path}") from error
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        raise WorkerAway(f"the worker on {path} broke off")
    return int(head.split(b" ", 2)[1]), body
