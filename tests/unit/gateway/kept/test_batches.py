"""Batches whose making or whose answers go wrong."""

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from tests.support.snapshots import compiled, model, target

from tidegate.core.claims import Bucket, Claims, Window
from tidegate.core.clock import ManualClock
from tidegate.core.problem import Problem
from tidegate.core.usage import Price, Rates, Tariff
from tidegate.dialects.dialect import UnreadableAnswer, UnreadableRequest
from tidegate.dialects.registry import DIALECTS
from tidegate.gateway.ids import CallIds
from tidegate.gateway.kept import batches
from tidegate.gateway.kept.batch_answers import AnswerLines, LineUsage, read_state
from tidegate.gateway.kept.batch_plan import Plan, Share, price_in_batch
from tidegate.gateway.kept.batch_record import record_of
from tidegate.gateway.kept.errand import Told
from tidegate.gateway.kept.object_call import ObjectCall
from tidegate.gateway.metrics import Metrics
from tidegate.state.memory import MemoryState
from tidegate.state.owned import NoRoom
from tidegate.state.windows import period_bounds
from tidegate.wire.client import Failure
from tidegate.wire.message import Request

PLACE = SimpleNamespace(provider="house", credential="one")
PLAN = Plan("/v1/chat/completions", [Share("m", "up", None)], bounded=True)


class State:
    """Notes how a grant ends."""

    def __init__(self) -> None:
        self.ends: list[str] = []

    def release(self, grant: object) -> None:
        self.ends.append("released")

    def settle(self, grant: object, *, tokens: int | None, money_nano: int | None) -> None:
        assert (tokens, money_nano) == (None, None)
        self.ends.append("charged as reserved")


def making(state: State, ask: Any, lost: list[Any] | None = None) -> Any:
    def put(one: object) -> None:
        raise NoRoom("the disk is full")

    owned = SimpleNamespace(make_room=lambda owner, kind: None, put=put)
    runtime = SimpleNamespace(owned=owned, state=state, ids=SimpleNamespace(next=lambda: "id"))
    return SimpleNamespace(
        runtime=runtime,
        ask=ask,
        asked=SimpleNamespace(kind="batch"),
        consumer=SimpleNamespace(name="ann", team="files", tags={}),
        record=SimpleNamespace(time_ns=0, key="", notes=[]),
        watch=SimpleNamespace(
            take=lambda owner, plan: SimpleNamespace(money_nano=5),
            lose=lambda *told: [] if lost is None else lost.append(told),
        ),
        pass_fault=lambda told: None,
    )


def test_a_batch_that_cannot_be_asked_for_gives_back_what_it_took() -> None:
    def ask(*_: object, **more: object) -> None:
        raise UnreadableRequest(Problem(status=404, code="not_found", message="no longer configured"))

    state = State()
    with pytest.raises(UnreadableRequest):
        batches._create(making(state, ask), PLACE, PLAN, b"{}")  # type: ignore[arg-type] - what it reads of a call
    assert state.ends == ["released"]


def answered(told: Told) -> tuple[list[str], list[Any]]:
    """How its grant ends, and what of it is recorded as lost."""
    waiting: list[Any] = []

    def ask(place: object, method: bytes, path: str, then: Any, **more: object) -> None:
        waiting.append(then)

    state = State()
    lost: list[Any] = []
    batches._create(making(state, ask, lost), PLACE, PLAN, b"{}")  # type: ignore[arg-type] - what it reads of a call
    try:
        waiting[0](told)
    except UnreadableRequest:
        assert told.status == 200
    return state.ends, lost


@pytest.mark.parametrize("body", [b'{"id": "batch_1"}', b'{"id": "\xff"}', b"nonsense"])
def test_a_batch_that_runs_unregistered_is_charged_and_recorded(body: bytes) -> None:
    ends, ((one, details, _, status),) = answered(Told(200, [], body))
    assert ends == ["charged as reserved"]
    assert one.id == ("batch_1" if b"1" in body else "?")
    record = record_of(one, details, None, status, Claims((), []), 1, "v")
    assert (record.event.cost_nano, record.event.charged_nano, record.event.outcome) == (None, 5, "cut")


def test_a_batch_whose_answer_is_lost_may_run() -> None:
    """As with any call that was cut off: it is given back, and recorded with an unknown cost, to alarm on."""
    ends, ((one, details, _, status),) = answered(Told(0, [], b"", Failure("reset", "gone")))
    assert ends == ["released"]
    record = record_of(one, details, None, status, Claims((), []), 1, "v")
    assert (record.event.cost_nano, record.event.charged_nano, record.event.outcome) == (None, 0, "failed")


@pytest.mark.parametrize("told", [Told(400, [], b"{}"), Told(0, [], b"", Failure("connect", "refused"))])
def test_a_batch_that_was_never_made_leaves_no_record_of_its_own(told: Told) -> None:
    assert answered(told) == (["released"], [])


@pytest.mark.parametrize("body", [b"", b"[]", b'{"status": "\xff"}', b"[" * 9000])
def test_a_state_that_cannot_be_read(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        read_state("batch", body)


@pytest.mark.parametrize(
    "line", [b'{"response": {"status_code": 200, "body": {"model": "\xff", "usage": {"prompt_tokens": 1}}}}', b"[]"]
)
def test_lines_that_cannot_be_read_make_the_whole_unknown(line: bytes) -> None:
    told: list[LineUsage] = []
    lines = AnswerLines("batch", "/v1/chat/completions", told.append)
    lines.take(line)
    lines.end()
    assert lines.broken


def test_a_line_without_a_status_was_answered() -> None:
    told: list[LineUsage] = []
    lines = AnswerLines("batch", "/v1/chat/completions", told.append)
    body = b'{"object": "chat.completion", "model": "m", "choices": [], "usage": {"prompt_tokens": 7}}'
    lines.take(b'{"response": {"body": ' + body + b"}}\n")
    assert [(one.model, one.usage.input) for one in told] == [("m", 7)]


def test_a_batch_holds_what_it_is_charged_by() -> None:
    half = Rates(input=1, output=2)
    batch, flex = Tariff(rates=half), Tariff(rates=Rates(input=3, output=3))
    price = Price(version="v", rates=half, tiers=((9, half),), service={"batch": batch, "flex": flex})
    assert price_in_batch(price) == Price(version="v", rates=half, service={"batch": batch})
    assert price_in_batch(Price(version="v", rates=half)) == Price(version="v", rates=half)
    assert price_in_batch(None) is None


def test_an_answer_after_a_reload_leaves_the_new_counters_as_they_are() -> None:
    before = Bucket(key="consumer/c/money/month", kind="money", limit=10**9, window=Window(period="month"))
    after = replace(before, window=Window(period="month", timezone="Etc/GMT-1"))
    clock = ManualClock()
    state = MemoryState(clock)
    to = compiled(model("m", target("a")), buckets=(before,))
    asked: Any = SimpleNamespace(dialect=DIALECTS["openai"])
    runtime: Any = SimpleNamespace(
        state=state, clock=clock, metrics=Metrics(), ids=CallIds(), snapshot=SimpleNamespace(version="v")
    )
    exchange: Any = SimpleNamespace(request=Request(b"GET", b"/v1/files", b"/v1/files", b"", "1.1", headers=[]))
    consumer = to.consumer("c")
    assert consumer is not None
    call = ObjectCall(runtime, making(State(), None).watch, exchange, asked, consumer, b"d" * 32)
    assert call.claim()
    state.load_spent(after, period_bounds("month", "Etc/GMT-1", clock.now_ns())[0], 700)
    assert b"x-tidegate-decision" in call._head("")
    assert [level.used for level in state.levels((after,))] == [700]
