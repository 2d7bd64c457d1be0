"""A bug in the midst of a call's beginning: nothing that it has taken stays taken."""

from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.snapshots import KEY, compiled, model, target

from tidegate.core.claims import Bucket, Window
from tidegate.core.clock import SystemClock
from tidegate.dialects.openai import OpenAI
from tidegate.gateway import begin as module
from tidegate.gateway.endpoints import Endpoint
from tidegate.gateway.metrics import Metrics
from tidegate.state.memory import MemoryState
from tidegate.wire.message import Request

BUDGET = Bucket(key="team/t/money/month", kind="money", limit=10**9, window=Window(period="month"))


def test_what_a_call_holds_is_given_back_when_its_start_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, **_: object) -> None:
        raise KeyError("bug")

    monkeypatch.setattr(module.Call, "_next", fail)
    kept: list[Any] = []
    state = MemoryState(SystemClock())
    to = compiled(model("m", target("a"), max_output=50), buckets=(BUDGET,))
    consumer = to.consumer_for(KEY)
    assert consumer is not None
    runtime: Any = SimpleNamespace(
        ids=SimpleNamespace(next=lambda: "call"),
        clock=SystemClock(),
        snapshot=SimpleNamespace(version="v"),
        compiled=to,
        state=state,
        health=SimpleNamespace(count_call=lambda: None),
        metrics=Metrics(),
        upstreams=None,
        spool=SimpleNamespace(append=kept.append),
        access_log=None,
        answers=None,
    )
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    path = b"/v1/chat/completions"
    request = Request(b"POST", path, path, b"", "1.1", headers=[])
    request.body = body
    exchange: Any = SimpleNamespace(request=request, listener=None)
    with pytest.raises(KeyError):
        module.begin(runtime, exchange, Endpoint(OpenAI(), "chat"), consumer, b"d" * 32)
    assert state.reserved_total() == 0
    assert runtime.metrics.in_flight == 0
    assert [one.event.code for one in kept] == ["internal_error"]
    assert exchange.listener is None
