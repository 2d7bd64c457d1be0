"""Carries out a Plan over time: first byte, pace, drip. By callbacks, with one timer per running answer.

Stops while its client does not read, so that nothing piles up here.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import Final

from tidegate.core.clock import Clock
from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.calls import Call, CallLog
from tidegate.simulator.plan import Plan
from tidegate.wire.exchange import Exchange

_BURST: Final = 64
"""Pieces written in one turn of the event loop at most."""


class Delivery:
    """One answer under way. Is the exchange's listener."""

    __slots__ = (
        "_behaviour",
        "_call",
        "_clock",
        "_due",
        "_exchange",
        "_log",
        "_loop",
        "_pieces",
        "_plan",
        "_rng",
        "_timer",
    )

    def __init__(
        self,
        exchange: Exchange,
        plan: Plan,
        behaviour: Behaviour,
        rng: random.Random,
        *,
        call: Call,
        log: CallLog,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
    ) -> None:
        self._exchange = exchange
        self._plan = plan
        self._behaviour = behaviour
        self._rng = rng
        self._call = call
        self._log = log
        self._loop = loop
        self._clock = clock
        self._pieces: Iterator[bytes] = iter(())
        self._due = 0.0
        self._timer: asyncio.Handle | None = None

    def begin(self, tokens: int) -> None:
        """Starts. A whole answer of so many tokens is there when the last of them is; a stream with the first."""
        plan = self._plan
        self._exchange.listener = self
        self._call.status = plan.status
        delay = self._behaviour.first_byte.draw(self._rng)
        if plan.form == "nothing":
            self._after(delay, self._end)
        elif plan.form == "pieces":
            if not self._call.stream:
                delay += self._generation_time(tokens)
            self._after(delay, self._start)
        else:
            delay += self._generation_time(tokens)
            self._after(delay, self._respond if plan.form == "whole" else self._respond_short)

    def _generation_time(self, tokens: int) -> float:
        pace = self._behaviour.per_token
        if pace.constant is not None:
            return pace.constant * tokens
        return sum(pace.draw(self._rng) for _ in range(tokens))

    def _respond(self) -> None:
        plan = self._plan
        self._call.events_sent = 1
        self._exchange.respond(plan.status, plan.headers, b"".join(plan.pieces))
        self._close("completed")

    def _respond_short(self) -> None:
        """The exchange frames honestly, so this goes past it; the connection ends behind what was written."""
        body = b"".join(self._plan.pieces)
        head = b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n" % (self._plan.headers, len(body) + 1000)
        self._exchange._carrier.send(head + body)
        self._end()

    def _start(self) -> None:
        self._exchange.start(self._plan.status, self._plan.headers)
        if self._is_instant():
            found = list(self._plan.pieces)
            self._call.events_sent = len(found)
            self._exchange.write(b"".join(found))
            self._end()
            return
        self._pieces = iter(self._plan.pieces)
        self._due = self._loop.time()
        self._turn()

    def _is_instant(self) -> bool:
        return not self._plan.endless and not self._behaviour.write_bytes and self._behaviour.per_token.constant == 0

    def _turn(self) -> None:
        """Writes what is due, the first piece at once; then waits for the next to be."""
        self._timer = None
        now = self._loop.time()
        left = 1 if self._behaviour.write_bytes else _BURST
        while left and self._exchange.writable and self._due <= now:
            piece = next(self._pieces, None)
            if piece is None:
                self._end()
                return
            self._exchange.write(piece)
            self._call.events_sent += 1
            self._due += self._pause()
            left -= 1
        if self._exchange.writable:
            self._timer = (
                self._loop.call_at(self._due, self._turn) if self._due > now else self._loop.call_soon(self._turn)
            )

    def _pause(self) -> float:
        return float(self._behaviour.drip) if self._behaviour.write_bytes else self._behaviour.per_token.draw(self._rng)

    def _end(self) -> None:
        if self._plan.ending == "reset":
            self._exchange.abort()
            self._close("reset")
        elif self._plan.ending == "finish":
            self._exchange.finish()
            self._close("completed")

    def _close(self, outcome: str) -> None:
        self._log.close(self._call, outcome, self._clock.now_ns())

    def _after(self, delay: float, step: Callable[[], None]) -> None:
        if delay > 0:
            self._timer = self._loop.call_later(delay, step)
        else:
            step()

    # The client.

    def on_disconnect(self) -> None:
        """It left."""
        if self._timer is not None:
            self._timer.cancel()
        self._close("disconnected")

    def on_pause(self) -> None:
        """It does not read: the next turn sees that, writes nothing and plans no other."""

    def on_resume(self) -> None:
        """It reads again."""
        if self._timer is None and self._exchange.started:
            self._due = max(self._due, self._loop.time())
            self._turn()
