"""Deliveries: pace, back-pressure, disconnects; on a loop whose time the test moves."""

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from tidegate.core.clock import ManualClock
from tidegate.simulator.behaviour import behaviour_from
from tidegate.simulator.calls import Call, CallLog
from tidegate.simulator.delivery import Delivery
from tidegate.simulator.plan import Plan
from tidegate.wire.message import Request


class Loop:
    """The few calls that a Delivery makes of an event loop."""

    def __init__(self) -> None:
        self.now = 100.0
        self._order = itertools.count()
        self._due: list[tuple[float, int, asyncio.Handle]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, act: Callable[[], None]) -> asyncio.Handle:
        handle = asyncio.Handle(act, (), self)
        heapq.heappush(self._due, (when, next(self._order), handle))
        return handle

    def call_later(self, delay: float, act: Callable[[], None]) -> asyncio.Handle:
        return self.call_at(self.now + delay, act)

    def call_soon(self, act: Callable[[], None]) -> asyncio.Handle:
        return self.call_at(self.now, act)

    def get_debug(self) -> bool:
        return False

    def run_until(self, until: float, turns: int = 1000) -> None:
        """Runs what is due up to then; at most so many callbacks."""
        while self._due and self._due[0][0] <= until and turns:
            when, _, handle = heapq.heappop(self._due)
            self.now = max(self.now, when)
            if not handle.cancelled():
                handle._run()
            turns -= 1
        self.now = max(self.now, until)


class Carrier:
    def __init__(self, wire: list[Any]) -> None:
        self._wire = wire

    def send(self, data: bytes) -> None:
        self._wire.append(data)


class Exchange:
    """Records, in order, what is done to it."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.listener: Any = None
        self.writable = True
        self.started = False
        self.wire: list[Any] = []
        self._carrier = Carrier(self.wire)

    def _note(self, *what: Any) -> None:
        self.wire.append((round(self._loop.now - 100, 6), *what))

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        self._note("respond", status, body)

    def start(self, status: int, headers: bytes) -> None:
        self.started = True
        self._note("start")

    def write(self, data: bytes) -> None:
        self._note(data)

    def finish(self) -> None:
        self._note("finish")

    def abort(self) -> None:
        self._note("abort")


class Trial:
    """One delivery on a loop of its own."""

    def __init__(self, plan: Plan, stream: bool = True, **fields: Any) -> None:
        self.loop = Loop()
        self.exchange = Exchange(self.loop)
        self.log = CallLog()
        request = Request(b"POST", b"/", b"/", b"", "1.1", headers=[])
        self.call: Call = self.log.open(request, 0)
        self.call.stream = stream
        behaviour = behaviour_from("m", fields)
        self.delivery = Delivery(
            self.exchange,
            plan,
            behaviour,
            random.Random(1),
            call=self.call,
            log=self.log,
            loop=self.loop,
            clock=ManualClock(),
        )
        self.delivery.begin(tokens=10)


def test_an_instant_stream_is_one_write() -> None:
    trial = Trial(Plan("pieces", [b"a", b"b"]))
    assert trial.exchange.wire == [(0, "start"), (0, b"ab"), (0, "finish")]
    assert (trial.call.outcome, trial.call.events_sent) == ("completed", 2)


def test_a_stream_keeps_its_pace() -> None:
    trial = Trial(Plan("pieces", [b"a", b"b", b"c"]), firstByte="2s", perToken="500ms")
    trial.loop.run_until(110)
    assert trial.exchange.wire == [(2, "start"), (2, b"a"), (2.5, b"b"), (3, b"c"), (3.5, "finish")]


def test_a_whole_answer_takes_the_time_of_all_its_tokens() -> None:
    trial = Trial(Plan("whole", [b"body"]), stream=False, firstByte="2s", perToken="100ms")
    trial.loop.run_until(110)
    assert trial.exchange.wire == [(3, "respond", 200, b"body")]
    assert trial.call.outcome == "completed"


def test_a_drip_comes_piece_by_piece() -> None:
    trial = Trial(Plan("pieces", [b"ab", b"c"]), stream=False, writeBytes=2, drip="1s")
    trial.loop.run_until(110)
    assert trial.exchange.wire == [(0, "start"), (0, b"ab"), (1, b"c"), (2, "finish")]


def test_nothing_is_written_while_the_client_does_not_read() -> None:
    trial = Trial(Plan("pieces", itertools.repeat(b"x"), endless=True))
    trial.exchange.writable = False
    trial.delivery.on_pause()
    written = len(trial.exchange.wire)
    trial.loop.run_until(200)
    assert len(trial.exchange.wire) == written
    trial.exchange.writable = True
    trial.delivery.on_resume()
    assert len(trial.exchange.wire) > written


def test_an_endless_stream_lets_others_have_their_turn() -> None:
    trial = Trial(Plan("pieces", itertools.repeat(b"x"), endless=True))
    assert len(trial.exchange.wire) < 100
    trial.loop.run_until(100, turns=3)
    assert len(trial.exchange.wire) > 100


def test_a_client_that_leaves_ends_it() -> None:
    trial = Trial(Plan("pieces", [b"a", b"b"]), perToken="1s")
    trial.delivery.on_disconnect()
    trial.loop.run_until(200)
    assert trial.exchange.wire == [(0, "start"), (0, b"a")]
    assert (trial.call.outcome, trial.call.events_sent) == ("disconnected", 1)


@pytest.mark.parametrize(
    ("plan", "wire", "outcome"),
    [
        (Plan("nothing", ending="stall"), [], "running"),
        (Plan("nothing", ending="reset"), [(1, "abort")], "reset"),
        (Plan("pieces", [b"a"], ending="stall"), [(1, "start"), (1, b"a")], "running"),
        (Plan("pieces", [b"a"], ending="reset"), [(1, "start"), (1, b"a"), (1, "abort")], "reset"),
    ],
)
def test_bad_endings(plan: Plan, wire: list[Any], outcome: str) -> None:
    trial = Trial(plan, firstByte="1s")
    trial.loop.run_until(200)
    assert trial.exchange.wire == wire
    assert trial.call.outcome == outcome


def test_a_wrong_length_claims_more_than_comes() -> None:
    trial = Trial(Plan("short", [b"body"], ending="reset", headers=b"a: b\r\n"))
    assert trial.exchange.wire == [b"HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 1004\r\n\r\nbody", (0, "abort")]
