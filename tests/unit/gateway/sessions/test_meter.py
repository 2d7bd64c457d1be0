"""What a session holds and spends: one reservation ahead, each response settled alone, nothing left at the end."""

from itertools import count
from types import SimpleNamespace
from typing import Any

from tests.support.snapshots import KEY, compiled, model, target

from tidegate.core.claims import Bucket, Refusal, Window
from tidegate.core.clock import ManualClock
from tidegate.core.problem import Problem
from tidegate.core.usage import UNKNOWN_USAGE, Usage, UsageEvent
from tidegate.decide.admit import Admission, admit
from tidegate.decide.route import Candidate
from tidegate.dialects.openai import OpenAI
from tidegate.dialects.openai.realtime import view_of
from tidegate.gateway.metrics import Metrics
from tidegate.gateway.record import CallRecord
from tidegate.gateway.sessions.meter import RESPONSE_CLAIMS, SESSION_CLAIMS, Meter, Reservation, lease_of, part_of
from tidegate.state.health import Health
from tidegate.state.memory import MemoryState
from tidegate.wire.message import Request

WORST = 2_000 * (1_000 + 4 * 50)
"""Of a response: a context of 1,000 tokens at 2 USD per million, 50 of output at 8; in nano-USD."""
SPOKEN = Usage(input=100, output=10, source="reported")
COST = 2_000 * (100 + 4 * 10)
MONEY = Bucket(key="m", kind="money", limit=2 * WORST + COST, window=Window(period="month"))
TOKENS = Bucket(key="t", kind="tokens", limit=100_000, window=Window(seconds=60))
PLACES = Bucket(key="c", kind="concurrency", limit=1, window=Window())


class Scene:
    """A session that has just begun."""

    def __init__(self) -> None:
        clock = ManualClock()
        ids = count(1)
        self.kept: list[Any] = []
        self.state = MemoryState(clock)
        to = compiled(
            model("m", target("a", window=1_000), max_output=50, task="realtime"), buckets=(MONEY, TOKENS, PLACES)
        )
        consumer = to.consumer_for(KEY)
        assert consumer is not None
        self.health = Health(clock)
        self.runtime: Any = SimpleNamespace(
            ids=SimpleNamespace(next=lambda: f"id-{next(ids)}"),
            clock=clock,
            snapshot=SimpleNamespace(version="v", server=SimpleNamespace(session_timeout=10.0, drain_timeout=1.0)),
            compiled=to,
            state=self.state,
            health=self.health,
            metrics=Metrics(),
            spool=SimpleNamespace(append=self.kept.append),
            access_log=None,
        )
        request = Request(b"GET", b"/v1/realtime", b"/v1/realtime", b"", "1.1", headers=[])
        record = CallRecord(self.runtime, OpenAI(), "realtime", consumer, KEY, request)
        view = view_of("m")
        admission = admit(view, consumer, to, None)
        assert isinstance(admission, Admission)
        record.admitted(admission)
        route = admission.route
        candidate = Candidate(route.targets[0], self.health.target(("m", "a"), route.spec.routing.breaker))
        session = self.state.take(part_of(admission.claims, SESSION_CLAIMS), 10)
        claims = part_of(admission.claims, RESPONSE_CLAIMS)
        first = self.state.take(claims, lease_of(self.runtime))
        assert not isinstance(session, Refusal)
        assert not isinstance(first, Refusal)
        record.claims = part_of(admission.claims, SESSION_CLAIMS)
        self.runtime.metrics.in_flight += 1
        self.meter = Meter(self.runtime, record, view, session, Reservation(first, claims), candidate, KEY, None)

    @property
    def money(self) -> int:
        """Spent and reserved."""
        return self.state.levels((MONEY,))[0].used

    @property
    def events(self) -> list[UsageEvent]:
        return [one.event for one in self.kept]

    def end(self, outcome: Any = "ok") -> None:
        self.meter.end(outcome, "over")
        assert self.state.reserved_total() == 0
        assert self.runtime.metrics.in_flight == 0
        assert len({event.id for event in self.events}) == len(self.events)
        assert all(one.decision.id == one.event.id for one in self.kept)


def test_a_session_without_responses_leaves_one_record_of_nothing() -> None:
    scene = Scene()
    assert scene.money == WORST
    scene.end()
    (event,) = scene.events
    assert (event.id, event.status, event.outcome, event.cost_nano, event.charged_nano) == ("id-1", 101, "ok", 0, 0)
    assert scene.money == 0
    scene.meter.end("cut", "again")
    assert len(scene.events) == 1


def test_responses_are_settled_one_by_one() -> None:
    scene = Scene()
    for number in range(1, 3):
        assert scene.meter.ask(None) is None
        assert scene.meter.created(f"r{number}") is None
        scene.meter.first_byte(f"r{number}")
        assert scene.meter.done(f"r{number}", SPOKEN, "completed") is None
        assert scene.money == number * COST + WORST
    scene.end()
    assert [event.charged_nano for event in scene.events] == [COST, COST]
    assert scene.events[0].id == "id-1"
    assert scene.kept[1].decision.notes[-1] == "2 of session id-1"
    assert scene.money == 2 * COST


def test_one_that_nobody_asked_for_has_the_reservation_ahead() -> None:
    scene = Scene()
    assert scene.meter.created("r") is None
    assert scene.money == WORST
    assert scene.meter.done("r", SPOKEN, "completed") is None
    scene.end()
    assert scene.money == COST


def test_two_at_once_have_two_reservations_and_a_third_is_refused() -> None:
    scene = Scene()
    assert scene.meter.ask(None) is None
    assert scene.meter.ask(None) is None
    assert scene.money == 2 * WORST
    problem = scene.meter.ask(None)
    assert isinstance(problem, Problem)
    assert problem.bucket == "m"
    scene.meter.created("a")
    scene.meter.created("b")
    scene.meter.created("b")
    assert scene.meter.done("a", SPOKEN, "completed") is None
    assert scene.meter.done("b", SPOKEN, "completed") is None
    scene.end()
    assert [event.outcome for event in scene.events] == ["refused", "ok", "ok"]
    assert scene.money == 2 * COST


def test_one_that_begins_without_anything_held_ends_the_session() -> None:
    """The upstream has begun what no budget allows: it is recorded as unknown, and cannot be charged."""
    scene = Scene()
    scene.meter.ask(None)
    scene.meter.ask(None)
    scene.meter.created("a")
    scene.meter.created("b")
    problem = scene.meter.created("c")
    assert isinstance(problem, Problem)
    scene.end("cut")
    told = {event.outcome: event for event in scene.events}
    assert set(told) == {"refused", "cut"}
    assert scene.money == 2 * WORST


def test_in_the_middle_of_a_response_it_is_charged_as_reserved() -> None:
    scene = Scene()
    scene.meter.created("r")
    scene.end("cancelled")
    (event,) = scene.events
    assert (event.outcome, event.status, event.cost_nano, event.charged_nano) == ("cancelled", 499, None, WORST)
    assert scene.money == WORST


def test_what_was_asked_for_may_have_begun() -> None:
    scene = Scene()
    scene.meter.ask(None)
    scene.end("cancelled")
    assert [event.charged_nano for event in scene.events] == [WORST]


def test_what_the_upstream_refused_is_given_back() -> None:
    scene = Scene()
    scene.meter.ask(None)
    scene.meter.ask(None)
    scene.meter.unasked()
    assert scene.money == WORST
    scene.meter.unasked()
    assert not scene.meter.busy
    scene.end()
    assert scene.money == 0


def test_unknown_usage_is_charged_as_reserved() -> None:
    scene = Scene()
    scene.meter.ask(None)
    scene.meter.created("r")
    assert scene.meter.done("r", UNKNOWN_USAGE, "completed") is None
    scene.end()
    assert [(event.cost_nano, event.charged_nano) for event in scene.events] == [(None, WORST)]


def test_a_larger_bound_is_reserved_for_and_a_smaller_one_waits_for_the_upstream() -> None:
    scene = Scene()
    assert scene.meter.widen(60) is None
    assert scene.money == WORST + 10 * 8_000
    assert scene.meter.widen(20) is None
    assert scene.money == WORST + 10 * 8_000
    assert scene.meter.rebind(20) is None
    assert scene.money == WORST - 30 * 8_000
    assert isinstance(scene.meter.widen(10**6), Problem)
    assert scene.meter.bound == 20
    scene.end()


def test_a_key_that_is_taken_away_ends_it_at_the_next_response() -> None:
    scene = Scene()
    scene.runtime.compiled = compiled(model("m", target("a"), task="realtime"), allowed=frozenset())
    problem = scene.meter.ask(None)
    assert isinstance(problem, Problem)
    assert problem.code == "model_not_allowed"
    scene.end()


def test_what_is_billed_apart_has_an_unknown_cost() -> None:
    scene = Scene()
    scene.meter.aside(Usage(raw=b'{"type":"duration","seconds":3}'), "transcribed")
    scene.end()
    (event,) = scene.events
    assert (event.cost_nano, event.charged_nano, event.usage.raw) == (None, 0, b'{"type":"duration","seconds":3}')
