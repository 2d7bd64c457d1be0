"""Names to addresses, off the hot path: looked up in a thread, cached, refreshed in the background, last good kept."""

import asyncio
import socket
from ipaddress import ip_address
from typing import Final

Address = tuple[str, int]
_Key = tuple[str, int]

_FRESH_SECONDS: Final = 30.0
_MAX_NAMES: Final = 1024


class ResolutionFailed(Exception):
    """The name has no address now and had none before."""


class Resolver:
    """One per event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._known: dict[_Key, tuple[list[Address], float]] = {}
        self._looking: dict[_Key, asyncio.Task[list[Address] | ResolutionFailed]] = {}

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
            # Shared by all who ask meanwhile; one that gives up must not end it for the others.
            found = await asyncio.shield(self._look(key))
            if isinstance(found, ResolutionFailed):
                raise ResolutionFailed(str(found))
        else:
            found, fresh_until = known
            if self._loop.time() > fresh_until:
                self._look(key)
        found.append(found.pop(0))  # rotate: load spreads over the addresses of a name
        return list(found)

    def close(self) -> None:
        for task in self._looking.values():
            task.cancel()

    def _look(self, key: _Key) -> "asyncio.Task[list[Address] | ResolutionFailed]":
        task = self._looking.get(key)
        if task is None:
            task = self._looking[key] = self._loop.create_task(self._looked(key))
            task.add_done_callback(lambda _: self._looking.pop(key, None))
        return task

    async def _looked(self, key: _Key) -> list[Address] | ResolutionFailed:
        host, port = key
        found: list[Address] = []
        reason = "it has no address"
        try:
            told = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys((str(one[4][0]), port) for one in told))
        except (OSError, UnicodeError) as error:  # UnicodeError: no name of a host can be like this
            reason = str(getattr(error, "strerror", None) or error)
        if not found:
            found = self._known.get(key, (found, 0.0))[0]
        if not found:
            return ResolutionFailed(f"{host} cannot be resolved: {reason}")
        if len(self._known) >= _MAX_NAMES:
            self._known.clear()
        self._known[key] = (found, self._loop.time() + _FRESH_SECONDS)
        return found
