"""Responses in the background that nobody asks for again: asked for in time, settled once, over restarts and crashes."""

import logging
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from tests.support.snapshots import compiled, model, target

from tidegate.core.claims import Bucket, Claims, Window
from tidegate.core.clock import ManualClock
from tidegate.core.snapshot import ProviderSpec, Timeouts
from tidegate.core.usage import Usage
from tidegate.gateway.ids import CallIds
from tidegate.gateway.kept import owing
from tidegate.gateway.kept.owing import LOOK_SECONDS, debt_of
from tidegate.gateway.kept.response_watch import ResponseWatch
from tidegate.gateway.metrics import Metrics
from tidegate.ledger.spool import SpoolFull
from tidegate.state.debts import Debts
from tidegate.state.memory import Grant, MemoryState
from tidegate.state.owned import MAX_DETAILS_BYTES, NoRoom, Owned, OwnedObjects
from tidegate.state.windows import period_bounds
from tidegate.wire.client import Failure

BUDGET = Bucket(key="consumer/c/money/month", kind="money", limit=10**9, window=Window(period="month"))
RESERVED = 5_000_000
RUNNING = b'{"id":"r1","status":"in_progress","usage":null}'
DONE = b'{"id":"r1","status":"completed","output":[],"usage":{"input_tokens":100,"output_tokens":50}}'
FAILED = b'{"id":"r1","status":"failed","usage":null}'
COST = 100 * 2_000 + 50 * 8_000
PROVIDER = ProviderSpec(
    name="p",
    dialect="openai",
    base_url="http://127.0.0.1:1/v1",
    credentials=(),
    region=None,
    timeouts=Timeouts(),
    quirks=frozenset({"responses"}),
)


class Upstream:
    """Answers each request by the next of `answers`: (status, body), or None for a failure."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes] | None] = []
        self.asked: list[tuple[str, str, str]] = []
        self.defaults = b""
        self.pool = self
        self.named = ("", "")

    def credential(self, provider: str, credential: str) -> "Upstream":
        self.named = (provider, credential)
        return self

    def head(self, dialect: Any, operation: str, path: str, stream: bool) -> bytes:
        assert (dialect.name, operation, stream) == ("openai-responses", "response_read", False)
        self.asked.append((*self.named, path))
        return b""

    def send(self, head: bytes, body: bytes, sink: Any, **_: Any) -> None:
        answer = self.answers.pop(0)
        if answer is None:
            sink.on_failure(Failure("reset", "gone"))
            return
        sink.on_head(answer[0], [])
        sink.on_data(answer[1])
        sink.on_end()


class World:
    """A watch with all that it needs, and one response that runs."""

    def __init__(self, clock: ManualClock | None = None, owned: OwnedObjects | None = None) -> None:
        self.clock = clock or ManualClock()
        self.upstream = Upstream()
        self.kept: list[Any] = []
        self.state = MemoryState(self.clock)
        self.owned = owned or OwnedObjects(self.clock)
        to = compiled(model("m", target("up")), buckets=(BUDGET,))
        self.spool: Any = SimpleNamespace(append=self.kept.append, ready=True)
        self.runtime: Any = SimpleNamespace(
            clock=self.clock,
            compiled=to,
            state=self.state,
            owned=self.owned,
            debts=Debts(),
            ids=CallIds(),
            upstreams=self.upstream,
            snapshot=SimpleNamespace(version="v", providers=(PROVIDER,)),
            spool=self.spool,
            metrics=Metrics(),
            access_log=None,
        )
        self.watch = ResponseWatch(self.runtime)
        (self.bucket,) = to.buckets

    def made(self) -> "World":
        """The call that made it has ended: charged as reserved."""
        grant = self.state.take(Claims((self.bucket,), [RESERVED]), 60)
        assert isinstance(grant, Grant)
        one = Owned(
            kind="response",
            id="r1",
            owner="c",
            provider="p",
            credential="second",
            created_ns=self.clock.now_ns(),
            model="m",
        )
        self.owned.put(one)
        consumer = self.runtime.compiled.consumer("c")
        record: Any = SimpleNamespace(id="tg_call", key="aabb", snapshot="v", consumer=consumer)
        owing.owe(self.runtime, record, one, self.runtime.compiled.routes["m"].targets[0], grant)
        self.state.settle(grant, tokens=None, money_nano=RESERVED)
        return self

    def look(self, *answers: tuple[int, bytes] | None, after: float = LOOK_SECONDS) -> None:
        self.upstream.answers = list(answers)
        self.clock.advance(after)
        self.watch.tick()
        assert self.upstream.answers == []

    @property
    def one(self) -> Owned:
        found = self.owned.find("c", "response", "r1")
        assert found is not None
        return found

    @property
    def owed(self) -> bool:
        return debt_of(self.one) is not None

    @property
    def used(self) -> int:
        (level,) = self.state.levels((BUDGET,))
        return level.used


def restarted(before: World, *, counted: int) -> World:
    """A new process: what the registry holds, and a budget as the ledger has it."""
    world = World(before.clock, before.owned)
    start_ns, _ = period_bounds("month", "UTC", world.clock.now_ns())
    world.state.load_spent(BUDGET, start_ns, counted)
    return world


def test_it_is_settled_though_nobody_asks() -> None:
    world = World().made()
    made_ns = world.one.created_ns
    world.watch.tick()
    assert (world.upstream.asked, world.used) == ([], RESERVED)  # not yet
    world.look((200, RUNNING))
    assert world.owed
    world.look((200, DONE))
    assert world.upstream.asked == [("p", "second", "/r1")] * 2
    (record,) = world.kept
    event = record.event
    assert (event.cost_nano, event.charged_nano, event.usage.total) == (COST, COST - RESERVED, 150)
    assert (event.operation, event.time_ns, event.consumer, event.key) == ("background", made_ns, "c", "aabb")
    assert record.decision.id == event.id and "tg_call" in record.decision.reason
    assert (world.used, world.owed, len(world.runtime.debts)) == (COST, False, 0)
    world.look(after=10**6)


def test_a_client_that_asks_first_settles_it_and_only_once() -> None:
    world = World().made()
    used = Usage(input=100, output=50, source="reported")
    stale = world.one
    owing.pay(world.runtime, stale, Usage())
    assert world.kept == []  # it still runs
    owing.pay(world.runtime, stale, used)
    owing.pay(world.runtime, stale, used)
    world.look(after=10**6)
    assert (len(world.kept), world.used) == (1, COST)


def test_looks_become_rarer_and_end() -> None:
    world = World().made()
    gaps: list[float] = []
    waited = 0.0
    while world.owed:
        seen = len(world.upstream.asked)
        world.upstream.answers = [(500, b"{}")]
        world.clock.advance(60)
        world.watch.tick()
        waited += 60
        if len(world.upstream.asked) > seen:
            gaps.append(waited)
            waited = 0.0
    assert gaps[:5] == [60, 60, 120, 240, 480]
    assert max(gaps) == 3_600
    assert len(gaps) < 60
    assert (world.kept, world.used) == ([], RESERVED)  # two days: it stays charged as reserved


@pytest.mark.parametrize("answer", [(404, b"{}"), (200, FAILED)])
def test_what_will_never_be_told_stays_charged_as_reserved(answer: tuple[int, bytes]) -> None:
    world = World().made()
    world.look(answer)
    assert (world.kept, world.used, world.owed) == ([], RESERVED, False)
    world.look(after=10**6)


@pytest.mark.parametrize("answer", [None, (503, b""), (200, b"no json"), (200, b'{"status":"queued"}')])
def test_it_is_asked_for_again(answer: tuple[int, bytes] | None) -> None:
    world = World().made()
    world.look(answer)
    world.look((200, DONE))
    assert (len(world.kept), world.used) == (1, COST)


def test_after_a_restart_it_is_asked_for_and_the_budget_is_right() -> None:
    first = World().made()
    (event_id,) = first.watch.open_events()
    world = restarted(first, counted=RESERVED)
    world.watch.restore(frozenset())
    world.look((200, DONE))
    assert world.kept[0].event.id == event_id
    assert (world.used, world.owed) == (COST, False)


def test_after_a_crash_behind_its_record_it_is_not_settled_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    first = World().made()
    put = first.owned.put

    def crash(one: Owned) -> None:
        raise NoRoom("as if the process had ended here")

    first.owned.put = crash  # type: ignore[method-assign]
    first.look((200, DONE))
    assert (len(first.kept), first.owed) == (1, True)
    owing.pay(first.runtime, first.one, Usage(input=100, output=50, source="reported"))
    assert (len(first.kept), first.used) == (1, COST)  # in the same process it is known to be settled
    first.owned.put = put  # type: ignore[method-assign]
    world = restarted(first, counted=COST)  # the ledger has both events
    assert world.watch.open_events() == [first.kept[0].event.id]
    world.watch.restore(frozenset(world.watch.open_events()))
    world.look(after=10**6)
    assert (world.kept, world.used, world.owed) == ([], COST, False)


def test_without_room_for_its_record_it_waits() -> None:
    world = World().made()
    world.spool.ready = False
    world.look()
    world.spool.ready = True

    def full(record: object) -> None:
        raise SpoolFull("full")

    world.spool.append = full
    world.look((200, DONE), after=1)
    assert (world.used, world.owed) == (RESERVED, True)
    world.spool.append = world.kept.append
    world.look((200, DONE))
    assert (len(world.kept), world.used) == (1, COST)


def test_an_unknown_price_is_recorded_and_stays_charged() -> None:
    world = World().made()
    debt = debt_of(world.one)
    assert debt is not None
    world.owned.put(
        msgspec.structs.replace(world.one, details=msgspec.json.encode(msgspec.structs.replace(debt, price=None)))
    )
    world.look((200, DONE))
    (record,) = world.kept
    assert (record.event.cost_nano, record.event.charged_nano, record.event.usage.total) == (None, 0, 150)
    assert (world.used, world.owed) == (RESERVED, False)


def test_a_provider_that_serves_no_responses_any_more_is_not_asked() -> None:
    world = World().made()
    world.runtime.snapshot.providers = (msgspec.structs.replace(PROVIDER, quirks=frozenset()),)
    world.look()
    world.runtime.snapshot.providers = (PROVIDER,)
    world.look((200, DONE))
    assert (len(world.kept), world.used) == (1, COST)


def test_a_debt_that_is_too_large_to_note_ends_no_call() -> None:
    world = World()
    world.runtime.compiled.consumer("c").tags = {"note": "x" * MAX_DETAILS_BYTES}
    world.made()
    assert (world.used, world.owed, len(world.runtime.debts)) == (RESERVED, False, 0)


def test_details_of_another_version_stop_no_start() -> None:
    world = World().made()
    world.owned.put(msgspec.structs.replace(world.one, details=b'{"target":"a","charged_nano":7}'))
    world.watch.restore(frozenset())
    assert world.watch.open_events() == []
    world.look(after=10**6)
