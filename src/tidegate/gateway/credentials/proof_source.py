"""The proofs of one credential: asked for when first needed, renewed before they end, one request at a time.

A call with a proof at hand pays for one comparison. A call without one waits for the request under way, bounded by the
issuer's timeouts and its own, and hears its failure as it would hear a connection's.
"""

import asyncio
import logging
from typing import Final

from tidegate.core.clock import Clock
from tidegate.gateway.credentials.proof import Asking, Issuer, Proof
from tidegate.wire.client import Call as WireCall
from tidegate.wire.client import Failure, Pool, Sink

_AHEAD: Final = 0.2
"""The share of a proof's life that is left when the next one is fetched; at most `_AHEAD_SECONDS`."""
_AHEAD_SECONDS: Final = 300.0
_LEAST_SECONDS: Final = 5.0
"""A proof that ends sooner is not used: it would end on the way."""
_BACKOFF_FIRST: Final = 1.0
_BACKOFF_MOST: Final = 60.0
_FRESH_SECONDS: Final = 10.0

log = logging.getLogger(__name__)


class ProofSource:
    """One credential's. Mutable; lives on the loop."""

    def __init__(self, name: str, issuer: Issuer, *, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._name = name
        self._issuer = issuer
        self._loop = loop
        self._clock = clock
        self._proof: Proof | None = None
        self._made_at = 0.0
        self._ends_at = 0.0
        self._renew_at = 0.0
        self._asking: Asking | None = None
        self._waiting: dict[WaitingCall, None] = {}
        self._failed: Failure | None = None
        self._failures = 0
        self._rests_until = 0.0

    def send(
        self, pool: Pool, head: bytes, body: bytes, sink: Sink, *, replayable: bool, total: float
    ) -> "WireCall | WaitingCall":
        """As `pool.send`, with the proof in the head; at once, or when there is one."""
        now = self._clock.monotonic()
        if now >= self._renew_at:
            self._ask(now)
        if self._proof is None or now >= self._ends_at:
            return self._wait(_Sending(pool, head, body, sink, replayable, now + total))
        return pool.send(proven(head, body, self._proof), body, sink, replayable=replayable, total=total)

    def refused(self) -> bool:
        """The upstream refused the proof. Whether another may be better: not if this one is fresh."""
        if self._clock.monotonic() < self._made_at + _FRESH_SECONDS:
            return False
        self._renew_at = self._ends_at = 0.0
        self._issuer.forget()
        return True

    def close(self) -> None:
        """The calls that still wait end now."""
        self._issuer.close()
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
        self._release(Failure("connect", f"{self._name} was taken away while a call waited for its credential"))

    def _wait(self, sending: "_Sending") -> "WaitingCall":
        call = WaitingCall(sending, self._waiting)
        if self._asking is None and self._failed is not None:
            self._loop.call_soon(call.fail, self._failed)
            return call
        self._waiting[call] = None
        left = sending.ends_at - self._clock.monotonic()
        late = Failure("total-timeout", "no credential came in the time that the call had left")
        call.timer = self._loop.call_later(max(0.0, left), call.fail, late)
        return call

    def _ask(self, now: float) -> None:
        """Asks for a proof unless it is asking already, or rests after a failure."""
        if self._asking is not None or now < self._rests_until:
            return
        try:
            self._asking = self._issuer.ask(self._over)
        except Exception:
            log.exception("%s: its credential could not be asked for", self._name)  # a bug: it ends calls, not more
            self._over(Failure("credential", "the provider's credential could not be asked for"))

    def _over(self, told: Proof | Failure) -> None:
        self._asking = None
        now = self._clock.monotonic()
        if isinstance(told, Failure):
            self._failed = told
            self._rests_until = now + min(_BACKOFF_MOST, _BACKOFF_FIRST * 2.0**self._failures)
            self._failures = min(self._failures + 1, 16)
            log.warning("%s: %s", self._name, told.message)
        else:
            self._proof = told
            self._made_at = now
            self._ends_at = now + max(0.0, told.seconds - min(_LEAST_SECONDS, told.seconds / 2))
            self._renew_at = now + told.seconds - min(_AHEAD_SECONDS, told.seconds * _AHEAD)
            self._failures, self._failed, self._rests_until = 0, None, 0.0
        self._release(told)

    def _release(self, told: Proof | Failure) -> None:
        waiting = list(self._waiting)
        self._waiting.clear()
        for call in waiting:
            if isinstance(told, Failure):
                call.fail(told)
            else:
                call.go(told, self._clock.monotonic())


class _Sending:
    """A call that is ready but for its proof."""

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

    def go(self, proof: Proof, now: float) -> None:
        sending = self._leave()
        if sending is None:
            return
        head, left = proven(sending.head, sending.body, proof), sending.ends_at - now
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


def proven(head: bytes, body: bytes, proof: Proof) -> bytes:
    """A whole head with the lines that prove it."""
    return b"%b%b\r\n" % (head[:-2], proof.headers(head, body))
