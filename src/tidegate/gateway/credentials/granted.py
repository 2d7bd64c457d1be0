"""Access tokens of Google's as proofs: one request to the server that a grant names."""

import asyncio
from typing import Final

from tidegate.core.clock import Clock
from tidegate.gateway.credentials.grants import Grant, Refused, read_token
from tidegate.gateway.credentials.proof import Over, Proof
from tidegate.wire.client import Call as WireCall
from tidegate.wire.client import Failure, Pool, PoolSettings, Resolver
from tidegate.wire.message import Headers

_MAX_ANSWER_BYTES: Final = 65_536


class GrantIssuer:
    """Is an Issuer: asks with one grant, over a connection of its own."""

    def __init__(self, grant: Grant, *, loop: asyncio.AbstractEventLoop, resolver: Resolver, clock: Clock) -> None:
        self._grant = grant
        self._clock = clock
        self._pool = Pool(grant.origin, _settings(grant), loop=loop, resolver=resolver)

    def ask(self, over: Over) -> "_Asked":
        head, body = self._grant.request(self._clock.now_ns())
        asked = _Asked(over)
        asked.wire = self._pool.send(head, body, asked, replayable=True)
        return asked

    def forget(self) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        self._pool.close()


class _Asked:
    """Is a Sink: one request for a token."""

    def __init__(self, over: Over) -> None:
        self._over = over
        self._status = 0
        self._body = b""
        self.wire: WireCall | None = None

    def cancel(self) -> None:
        if self.wire is not None:
            self.wire.cancel()

    def on_head(self, status: int, headers: Headers) -> None:
        self._status = status

    def on_data(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > _MAX_ANSWER_BYTES:
            self.cancel()
            self._over(Failure("credential", "the answer to the request for an access token is too large"))

    def on_end(self) -> None:
        try:
            token = read_token(self._status, self._body)
        except Refused as error:
            # A server that fails may do better at once; one that says no will go on to.
            kind = "connect" if self._status >= 500 or self._status == 429 else "credential"
            self._over(Failure(kind, f"no access token: {error}"))
        else:
            line = token.line
            self._over(Proof(lambda head, body: line, token.seconds))

    def on_failure(self, failure: Failure) -> None:
        self._over(Failure("connect", f"no access token: {failure.message}"))


def _settings(grant: Grant) -> PoolSettings:
    return PoolSettings(
        connect_timeout=5.0,
        first_byte_timeout=10.0,
        idle_timeout=10.0,
        total_timeout=15.0,
        max_connections=1,
        use_environment_proxy=grant.through_proxy,
    )
