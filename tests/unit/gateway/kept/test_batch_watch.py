"""Batches that nobody asks for: looked at in time, settled once, tried again when their answers cannot be had."""

import logging
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from tests.support.snapshots import compiled, model, price, target

from tidegate.core.claims import Bucket, Claims, Window
from tidegate.core.clock import ManualClock
from tidegate.gateway.kept.batch_plan import BatchDetails, Plan, Share, details_of
from tidegate.gateway.kept.batch_watch import LOOK_SECONDS, BatchWatch
from tidegate.gateway.metrics import Metrics
from tidegate.state.memory import Grant, MemoryState
from tidegate.state.owned import Owned, OwnedObjects
from tidegate.wire.client import Failure

BUDGET = Bucket(key="consumer/c/money/month", kind="money", limit=10**9, window=Window(period="month"))
SHARE = Share("m", "up", price(2), requests=2, tokens=100, worst_nano=5_000_000)
RUNNING = b'{"id":"b1","status":"in_progress"}'
DONE = b'{"id":"b1","status":"completed","output_file_id":"f1"}'
LINE = (
    b'{"response":{"status_code":200,"body":{"model":"up-2026","usage":{"prompt_tokens":10,"completion_tokens":5}}}}\n'
)


class Upstream:
    """Answers each request by the next of `answers`: (status, body), or None for a failure."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes] | None] = []
        self.asked: list[str] = []
        self.defaults = b""
        self.pool = self

    def credential(self, provider: str, credential: str) -> "Upstream":
        return self

    def object_head(self, method: bytes, path: str) -> bytes:
        self.asked.append(path)
        return b""

    def send(self, head: bytes, body: bytes, sink: Any, **_: Any) -> None:
        answer = self.answers.pop(0)
        if answer is None:
            sink.on_failure(Failure("reset", "gone"))
            return
        sink.on_head(answer[0], [])
        for at in range(len(answer[1])):
            sink.on_data(answer[1][at : at + 1])
        sink.on_end()


class World:
    """A watch with all that it needs, and one batch that is under way."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.upstream = Upstream()
        self.kept: list[Any] = []
        self.state = MemoryState(self.clock)
        self.owned = OwnedObjects(self.clock)
        to = compiled(model("m", target("a")), buckets=(BUDGET,))
        self.runtime: Any = SimpleNamespace(
            clock=self.clock,
            compiled=to,
            state=self.state,
            owned=self.owned,
            upstreams=self.upstream,
            snapshot=SimpleNamespace(version="v"),
            spool=SimpleNamespace(append=self.kept.append, ready=True),
            metrics=Metrics(),
            access_log=None,
        )
        self.watch = BatchWatch(self.runtime)
        plan = Plan("/v1/chat/completions", [SHARE], bounded=True)
        details = BatchDetails(Raw(RUNNING), plan, "tg_event", "t", "aabb", SHARE.worst_nano)
        self.owned.put(
            Owned(
                kind="batch",
                id="b1",
                owner="c",
                provider="p",
                credential="0",
                created_ns=self.clock.now_ns(),
                model="m",
                details=msgspec.json.encode(details),
            )
        )

    def began(self) -> "World":
        found = self.owned.find("c", "batch", "b1")
        taken = self.watch.take("c", Plan("/v1/chat/completions", [SHARE], bounded=True))
        assert found is not None and isinstance(taken, Grant)
        self.watch.watch(found, taken)
        return self

    def look(self, *answers: tuple[int, bytes] | None) -> None:
        self.upstream.answers = list(answers)
        self.clock.advance(LOOK_SECONDS)
        self.watch.tick()
        assert self.upstream.answers == []

    @property
    def metered(self) -> bool:
        found = self.owned.find("c", "batch", "b1")
        return found is not None and details_of(found).metered

    @property
    def spent(self) -> tuple[int, int]:
        """(used of the budget, of which is reserved)."""
        (level,) = self.state.levels((BUDGET,))
        return level.used, self.state.reserved_total()


def test_it_is_settled_when_it_has_ended() -> None:
    world = World().began()
    assert world.spent == (5_000_000, 5_000_000)
    world.watch.tick()
    assert world.upstream.asked == []  # not yet
    world.look((200, RUNNING))
    assert not world.metered
    world.look((200, DONE), (200, LINE + LINE[:-1]))
    assert world.upstream.asked[-1] == "/files/f1/content"
    (record,) = world.kept
    assert (record.event.cost_nano, record.event.usage.input, record.event.usage.output) == (None, 20, 10)
    assert record.event.charged_nano == 5_000_000  # this price knows no tier `batch`: what it cost is unknown
    assert (record.event.id, record.decision.id, record.event.usage.tier) == ("tg_event", "tg_event", "batch")
    assert world.metered
    assert world.owned.find("c", "file", "f1") is not None
    world.look()
    assert len(world.kept) == 1


def test_it_is_tried_again_when_the_provider_cannot_be_reached() -> None:
    world = World().began()
    for answers in ((None,), ((500, b"{}"),), ((200, b"no json"),), ((200, DONE), None), ((200, DONE), (503, b""))):
        world.look(*answers)
        assert not world.metered
        assert world.spent == (5_000_000, 5_000_000)
    world.look((200, DONE), (200, b'{"response":{"status_code":400,"body":{}}}\n{"response":null}\n'))
    (record,) = world.kept
    assert (record.event.cost_nano, record.event.charged_nano) == (0, 0)
    assert world.spent == (0, 0)


@pytest.mark.parametrize("answers", [[(404, b"{}")], [(200, DONE), (404, b"{}")], [(200, DONE), (200, b"{broken\n")]])
def test_what_cannot_be_known_is_charged_as_reserved(
    answers: list[tuple[int, bytes]], caplog: pytest.LogCaptureFixture
) -> None:
    world = World().began()
    caplog.set_level(logging.CRITICAL)
    world.look(*answers)
    (record,) = world.kept
    assert (record.event.cost_nano, record.event.charged_nano, record.event.usage.source) == (
        None,
        5_000_000,
        "unknown",
    )
    assert world.spent == (5_000_000, 0)
    assert world.metered


def test_after_a_restart_it_is_held_again_even_where_it_no_longer_fits() -> None:
    world = World()
    (bucket,) = world.runtime.compiled.buckets
    assert isinstance(world.state.take(Claims((bucket,), [10**9 - 1]), 1e6), Grant)
    world.watch.restore(frozenset())
    assert world.spent == (10**9 + 4_999_999, 10**9 + 4_999_999)
    world.look((200, DONE), (200, b""))
    assert len(world.kept) == 1


def test_after_a_crash_behind_its_record_it_is_settled() -> None:
    """The ledger has its event, the registry does not know: nothing is held or charged again."""
    world = World()
    assert world.watch.open_events() == ["tg_event"]
    world.watch.restore(frozenset({"tg_event"}))
    assert world.metered and world.spent == (0, 0)
    world.look()
    assert (world.kept, world.watch.open_events()) == ([], [])


def test_one_that_another_version_wrote_stops_no_start() -> None:
    world = World()
    (one,) = world.runtime.owned
    world.runtime.owned.put(msgspec.structs.replace(one, details=b'{"plan":7}'))
    world.watch.restore(frozenset())
    assert not any(world.spent)


def test_a_provider_that_speaks_another_dialect_now_stops_no_watch() -> None:
    world = World().began()
    head = world.upstream.object_head

    def unspoken(method: bytes, path: str) -> bytes:
        raise KeyError("gemini")

    world.upstream.object_head = unspoken  # type: ignore[method-assign]
    for _ in range(20):
        world.look()
    world.upstream.object_head = head  # type: ignore[method-assign]
    world.look((200, DONE), (200, b""))
    assert (len(world.kept), world.spent) == (1, (0, 0))


def test_one_that_never_ends_is_given_up() -> None:
    world = World().began()
    world.clock.advance(9 * 86_400)
    world.look()
    (record,) = world.kept
    assert (record.event.cost_nano, record.event.charged_nano) == (None, 5_000_000)
    assert "is lost" in record.decision.reason
