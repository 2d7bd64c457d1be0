"""Access tokens of one credential: fetched when first needed, renewed before they end, one request at a time.

A call with a token at hand pays for one comparison. A call without one waits for the request under way, bounded by the
pool's timeouts and its own, and hears its failure as it would hear a connection's.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from tidegate.core.clock import Clock
from tidegate.gateway.credentials.grants import Grant, Refused, Token, read_token
from tidegate.wire.client import Call as WireCall
from tidegate.wire.client import Failure, Pool, PoolSettings, Resolver, Sink
from tidegate.wire.message import Headers

_AHEAD: Final = 0.2
"""The share of a token's life that is left when the next one is fetched; at most `_AHEAD_SECONDS`."""
_AHEAD_SECONDS: Final = 300.0
_LEAST_SECONDS: Final = 5.0
"""A token that ends sooner is not used: it would end on the way."""
_BACKOFF_FIRST: Final = 1.0
_BACKOFF_MOST: Final = 60.0
_MAX_ANSWER_BYTES: Final = 65_536
_FRESH_SECONDS: Final = 10.0

log = logging.getLogger(__name__)


class TokenSource:
    """One credential's. Mutable; lives on the loop."""

    def __init__(
        self, name: str, grant: Grant, *, loop: asyncio.AbstractEventLoop, resolver: Resolver, clock: Clock
    ) -> None:
        self._name = name
        self._grant = grant
        self._loop = loop
        self._clock = clock
        self._pool = Pool(grant.origin, _settings(grant), loop=loop, resolver=resolver)
        self._line = b""
        self._made_at = 0.0
        self._ends_at = 0.0
        self._renew_at = 0.0
        self._asking: _Asked | None = None
        self._waiting: dict[WaitingCall, None] = {}
        self._failed: Failure | None = None
        self._failures = 0
        self._rests_until = 0.0

    def send(
        self, pool: Pool, head: bytes, body: bytes, sink: Sink, *, replayable: bool, total: float
    ) -> "WireCall | WaitingCall":
        """As `pool.send`, with the token in the head; at once, or when there is one."""
        now = self._clock.monotonic()
        if now >= self._renew_at:
            self._ask(now)
            if now >= self._ends_at:
                return self._wait(_Sending(pool, head, body, sink, replayable, now + total))
        return pool.send(with_line(head, self._line), body, sink, replayable=replayable, total=total)

    def refused(self) -> bool:
        """The upstream refused the token. Whether another may be better: not if this one is fresh."""
        if self._clock.monotonic() < self._made_at + _FRESH_SECONDS:
            return False
        self._renew_at = self._ends_at = 0.0
        return True

    def close(self) -> None:
        """The calls that still wait end now."""
        self._pool.close()
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
        self._release(Failure("connect", f"{self._name} was taken away while a call waited for its access token"))

    def _wait(self, sending: "_Sending") -> "WaitingCall":
        call = WaitingCall(sending, self._waiting)
        if self._asking is None and self._failed is not None:
            self._loop.call_soon(call.fail, self._failed)
            return call
        self._waiting[call] = None
        left = sending.ends_at - self._clock.monotonic()
        late = Failure("total-timeout", "no access token came in the time that the call had left")
        call.timer = self._loop.call_later(max(0.0, left), call.fail, late)
        return call

    def _ask(self, now: float) -> None:
        """Asks for a token unless it is asking already, or rests after a failure."""
        if self._asking is not None or now < self._rests_until:
            return
        try:
            head, body = self._grant.request(self._clock.now_ns())
        except Exception:
            log.exception("%s: an access token could not be asked for", self._name)  # a bug: it ends calls, not more
            self._over(None, Failure("credential", "an access token could not be asked for"))
            return
        self._asking = _Asked(self._over)
        self._asking.wire = self._pool.send(head, body, self._asking, replayable=True)

    def _over(self, token: Token | None, failure: Failure | None) -> None:
        """The answer, or why there is none."""
        self._asking = None
        now = self._clock.monotonic()
        if token is not None:
            self._line = token.line
            self._made_at = now
            self._ends_at = now + max(0.0, token.seconds - min(_LEAST_SECONDS, token.seconds / 2))
            self._renew_at = now + token.seconds - min(_AHEAD_SECONDS, token.seconds * _AHEAD)
            self._failures, self._failed, self._rests_until = 0, None, 0.0
            self._release(None)
            return
        self._failed = failure or Failure("credential", "no access token came")
        self._rests_until = now + min(_BACKOFF_MOST, _BACKOFF_FIRST * 2.0**self._failures)
        self._failures = min(self._failures + 1, 16)
        log.warning("%s: %s", self._name, self._failed.message)
        self._release(self._failed)

    def _release(self, failure: Failure | None) -> None:
        waiting = list(self._waiting)
        self._waiting.clear()
        for call in waiting:
            if failure is None:
                call.go(self._line, self._clock.monotonic())
            else:
                call.fail(failure)


class _Sending:
    """A call that is ready but for its token."""

    __slots__ = ("body", "ends_at", "head", "pool", "replayable", "sink")

    def __init__(self, pool: Pool, head: bytes, body: bytes, sink: Sink, replayable: bool, ends_at: float) -> None:
        self.pool = pool
        self.head = head
        self.body = body
        self.sink = sink
        self.replayable = replayable
        self.ends_at = ends_at


class WaitingCall:
    """Stands for the wire's Call until there is one."""

    __slots__ = ("_others", "_paused", "_sending", "_wire", "timer")

    def __init__(self, sending: _Sending, others: "dict[WaitingCall, None]") -> None:
        self._sending: _Sending | None = sending
        self._others = others
        self._wire: WireCall | None = None
        self._paused = False
        self.timer: asyncio.TimerHandle | None = None

    def go(self, line: bytes, now: float) -> None:
        sending = self._leave()
        if sending is None:
            return
        head, left = with_line(sending.head, line), sending.ends_at - now
        self._wire = sending.pool.send(head, sending.body, sending.sink, replayable=sending.replayable, total=left)
        if self._paused:
            self._wire.pause()

    def fail(self, failure: Failure) -> None:
        sending = self._leave()
        if sending is not None:
            sending.sink.on_failure(failure)

    def cancel(self) -> None:
        self._leave()
        if self._wire is not None:
            self._wire.cancel()

    def pause(self) -> None:
        self._paused = True
        if self._wire is not None:
            self._wire.pause()

    def resume(self) -> None:
        self._paused = False
        if self._wire is not None:
            self._wire.resume()

    def _leave(self) -> _Sending | None:
        """None when it waits no more."""
        sending, self._sending = self._sending, None
        self._others.pop(self, None)
        if self.timer is not None:
            self.timer.cancel()
        return sending


class _Asked:
    """Is a Sink: one request for a token."""

    def __init__(self, over: Callable[[Token | None, Failure | None], None]) -> None:
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
            self._over(None, Failure("credential", "the answer to the request for an access token is too large"))

    def on_end(self) -> None:
        try:
            token = read_token(self._status, self._body)
        except Refused as error:
            # A server that fails may do better at once; one that says no will go on to.
            kind = "connect" if self._status >= 500 or self._status == 429 else "credential"
            self._over(None, Failure(kind, f"no access token: {error}"))
        else:
            self._over(token, None)

    def on_failure(self, failure: Failure) -> None:
        self._over(None, Failure("connect", f"no access token: {failure.message}"))


def with_line(head: bytes, line: bytes) -> bytes:
    """A whole head with one header line more."""
    return b"%b%b\r\n" % (head[:-2], line)


def _settings(grant: Grant) -> PoolSettings:
    return PoolSettings(
        connect_timeout=5.0,
        first_byte_timeout=10.0,
        idle_timeout=10.0,
        total_timeout=15.0,
        max_connections=1,
        use_environment_proxy=grant.through_proxy,
    )
