"""A bug in the midst of a call: nothing that it has taken stays taken, and its client does not wait."""

import logging
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.snapshots import KEY, compiled, model, target

from tidegate.core.claims import Bucket, Window
from tidegate.core.clock import SystemClock
from tidegate.core.decision import AttemptRecord
from tidegate.core.snapshot import ServerSpec
from tidegate.core.usage import Usage
from tidegate.dialects.openai import OpenAI
from tidegate.dialects.responses import Responses
from tidegate.gateway import begin as module
from tidegate.gateway.attempts.attempt import Attempt
from tidegate.gateway.endpoints import Endpoint
from tidegate.gateway.metrics import Metrics
from tidegate.state.debts import Debts
from tidegate.state.memory import MemoryState
from tidegate.state.owned import OwnedObjects
from tidegate.wire.client import Failure
from tidegate.wire.message import Request

BUDGET = Bucket(key="team/t/money/month", kind="money", limit=10**9, window=Window(period="month"))
CHAT = Endpoint(OpenAI(), "chat")
RELAY: Any = SimpleNamespace(native=True)
CANDIDATE: Any = SimpleNamespace(
    target=SimpleNamespace(name="a", provider=SimpleNamespace(name="p")), credential="0", health=None
)
IN_BACKGROUND = b'{"model":"m","input":"hi","background":true,"stream":true,"max_output_tokens":1000}'


class Begun:
    """A call that has begun, and what became of it."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.answers: list[int] = []
        self.state = MemoryState(SystemClock())
        self.metrics = Metrics()
        self.debts = Debts()
        self.timers: list[Callable[[], None]] = []
        self.exchange: Any = SimpleNamespace(
            listener=None, started=False, respond=lambda *one: self.answers.append(one[0])
        )

    def begin(self, endpoint: Endpoint = CHAT, body: bytes = b'{"model":"m","messages":[]}') -> None:
        to = compiled(model("m", target("a"), max_output=50), buckets=(BUDGET,))
        consumer = to.consumer_for(KEY)
        assert consumer is not None
        runtime: Any = SimpleNamespace(
            ids=SimpleNamespace(next=lambda: "call"),
            clock=SystemClock(),
            snapshot=SimpleNamespace(version="v", server=ServerSpec()),
            compiled=to,
            state=self.state,
            health=SimpleNamespace(count_call=lambda: None, ended=lambda *_: None, may_retry=lambda _: True),
            loop=SimpleNamespace(call_later=lambda _, act, *told: self.timers.append(partial(act, *told))),
            metrics=self.metrics,
            upstreams=None,
            spool=SimpleNamespace(append=self.kept.append),
            access_log=None,
            answers=None,
            owned=OwnedObjects(SystemClock()),
            debts=self.debts,
        )
        path = b"/v1/chat/completions"
        request = self.exchange.request = Request(b"POST", path, path, b"", "1.1", headers=[])
        request.body = body
        module.begin(runtime, self.exchange, endpoint, consumer, b"d" * 32)

    def assert_over(self) -> None:
        assert self.state.reserved_total() == 0
        assert self.metrics.in_flight == 0
        assert [one.event.code for one in self.kept] == ["internal_error"]
        assert self.exchange.listener is None


def test_what_a_call_holds_is_given_back_when_its_start_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, **_: object) -> None:
        raise KeyError("bug")

    monkeypatch.setattr(module.Call, "_next", fail)
    begun = Begun()
    with pytest.raises(KeyError):
        begun.begin()
    begun.assert_over()


@pytest.mark.parametrize("told", ["faulted", "settle_stream"])
def test_a_call_whose_attempt_ended_halfway_is_ended_whole(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    """The wire tells of the failure once more where the end of an attempt itself failed."""
    monkeypatch.setattr(module.Call, "_next", lambda self, **_: None)
    begun = Begun()
    begun.begin()
    attempt: Any = object()
    call = begun.exchange.listener
    assert begun.state.reserved_total() > 0
    if told == "faulted":
        call.faulted(attempt, None)
    else:
        call.settle_stream(attempt, None, "")
    begun.assert_over()
    assert begun.answers == [500]


@pytest.mark.parametrize("left", [(("response", "resp_1"),), ()])
def test_what_is_in_the_background_goes_on_when_its_client_leaves_a_stream(
    monkeypatch: pytest.MonkeyPatch, left: tuple[Any, ...]
) -> None:
    """Before its first content nobody has noted its name yet. Whether that is known or not, it is charged as reserved."""
    monkeypatch.setattr(module.Call, "_next", lambda self, **_: None)
    begun = Begun()
    begun.begin(Endpoint(Responses(), "chat"), IN_BACKGROUND)
    (reserved,) = [one.used for one in begun.state.levels((BUDGET,))]
    call = begun.exchange.listener
    call._view.left = left
    to = call._admission.route.targets[0]
    candidate: Any = SimpleNamespace(target=to, credential="0", health=None)
    call._attempt = SimpleNamespace(
        candidate=candidate,
        started=0.0,
        status=200,
        cancel=lambda: None,
        resume=lambda: None,
        partial_usage=lambda: Usage(input=20, source="estimated"),
    )
    call.on_disconnect()
    (record,) = begun.kept
    assert (record.event.usage.source, record.event.cost_nano, record.event.charged_nano) == ("unknown", None, reserved)
    assert [one.used for one in begun.state.levels((BUDGET,))] == [reserved]
    assert len(begun.debts) == len(left)


@pytest.mark.parametrize(("outcome", "cost"), [("first-byte-timeout", None), ("connect", 0)])
def test_what_may_have_cost_something_is_unknown_though_its_client_left(
    monkeypatch: pytest.MonkeyPatch, outcome: str, cost: int | None
) -> None:
    monkeypatch.setattr(module.Call, "_next", lambda self, **_: None)
    begun = Begun()
    begun.begin()
    call = begun.exchange.listener
    call._record.attempts.append(AttemptRecord("a", "p", "0", 0.0, 1.0, 0, outcome, ""))
    call.on_disconnect()
    assert [(one.event.outcome, one.event.cost_nano) for one in begun.kept] == [("cancelled", cost)]


@pytest.mark.parametrize("after", ["a wait", "a fetch", "a failure"])
def test_a_bug_between_two_attempts_leaves_no_client_waiting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, after: str
) -> None:
    def fail(self: object, *_: object, **__: object) -> None:
        raise KeyError("bug")

    caplog.set_level(logging.CRITICAL)
    with monkeypatch.context() as before:
        before.setattr(module.Call, "_next", lambda self, **_: None)
        begun = Begun()
        begun.begin()
    call = begun.exchange.listener
    if after == "a wait":
        monkeypatch.setattr(call._trials.__class__, "choose", lambda self: SimpleNamespace())
        monkeypatch.setattr(call._trials.__class__, "wait_before", lambda self, candidate: 0.1)
        monkeypatch.setattr(module.Call, "_try", fail)
        call._next(retry=True)
        (timer,) = begun.timers
        timer()
    elif after == "a fetch":
        monkeypatch.setattr(module.Call, "_next", fail)
        call._fetched(CANDIDATE, {})
    else:
        monkeypatch.setattr(module.Call, "_next", fail)
        monkeypatch.setattr(call._trials.__class__, "hold_against", lambda *_: None)
        attempt = call._attempt = Attempt(call, CANDIDATE, OpenAI(), RELAY, call._view)
        attempt.on_failure(Failure("connect", "refused"))
    begun.assert_over()
    assert begun.answers == [500]
