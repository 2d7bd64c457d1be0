"""Names to addresses, off the hot path: looked up in a thread, cached, refreshed in the background, last good kept."""

import asyncio
import socket
from ipaddress import ip_address
from typing import Final

Address = tuple[str, int]

_FRESH_SECONDS: Final = 30.0
_MAX_NAMES: Final = 1024


class ResolutionFailed(Exception):
    """The name has no address now and had none before."""


class Resolver:
    """One per event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._known: dict[tuple[str, int], tuple[list[Address], float]] = {}
        self._refreshing: dict[tuple[str, int], asyncio.Task[None]] = {}

    async def lookup(self, host: str, port: int) -> list[Address]:
        """Addresses in the order to try them. A stale answer is given at once and refreshed behind.

        Raises ResolutionFailed.
        """
        try:
            return [(str(ip_address(host)), port)]
        except ValueError:
            pass
        key = (host, port)
        known = self._known.get(key)
        if known is None:
            await self._refresh(key, first=True)
            known = self._known[key]
        elif self._loop.time() > known[1] and key not in self._refreshing:
            self._refreshing[key] = self._loop.create_task(self._refresh(key, first=False))
        addresses = known[0]
        addresses.append(addresses.pop(0))  # rotate: load spreads over the addresses of a name
        return list(addresses)

    def close(self) -> None:
        for task in self._refreshing.values():
            task.cancel()

    async def _refresh(self, key: tuple[str, int], *, first: bool) -> None:
        host, port = key
        try:
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            if first:
                raise ResolutionFailed(f"{host} cannot be resolved: {error.strerror or error}") from error
            self._known[key] = (self._known[key][0], self._loop.time() + _FRESH_SECONDS)
            return
        finally:
            self._refreshing.pop(key, None)
        if len(self._known) >= _MAX_NAMES:
            self._known.clear()
        addresses = list(dict.fromkeys((str(one[4][0]), port) for one in found))
        self._known[key] = (addresses, self._loop.time() + _FRESH_SECONDS)
