"""What a model remembers: windows, scripts, shares of errors, its prompt cache."""

from collections import Counter
from typing import Any

import pytest

from tidegate.simulator.behaviour import behaviour_from
from tidegate.simulator.model_state import ModelState
from tidegate.simulator.openai.rejection import Rejection


def state(**fields: Any) -> ModelState:
    return ModelState("m", behaviour_from("m", fields), seed=1)


def outcome(model: ModelState, tokens: int = 10, now: float = 0.0) -> str:
    return model.outcome(model.behaviour, tokens, now)


def headers(model: ModelState, now: float = 0.0, azure: bool = False) -> dict[str, str]:
    block = model.rate_headers(model.behaviour, now, azure).decode()
    return dict(line.split(": ") for line in block.splitlines())


def test_a_script_comes_first_and_once() -> None:
    model = state(script=["503", "cut-clean", "ok"])
    assert [outcome(model) for _ in range(5)] == ["503", "cut-clean", "", "", ""]


def test_shares_are_kept_and_depend_on_the_seed() -> None:
    def run(seed: int) -> list[str]:
        model = ModelState("m", behaviour_from("m", {"errors": {"503": 0.1}, "faults": {"empty": 0.2}}), seed)
        return [outcome(model) for _ in range(5000)]

    found = Counter(run(1))
    assert found["503"] == pytest.approx(500, rel=0.2)
    assert found["empty"] == pytest.approx(900, rel=0.2)
    assert run(1) == run(1) != run(2)


def test_requests_beyond_the_window_are_refused_until_it_is_over() -> None:
    model = state(limit={"requests": 2, "window": "10s"})
    assert [outcome(model, now=100.0), outcome(model, now=104.0)] == ["", ""]
    with pytest.raises(Rejection) as caught:
        outcome(model, now=105.5)
    assert (caught.value.status, caught.value.kind, caught.value.code) == (429, "requests", "rate_limit_exceeded")
    assert "Limit 2, Used 2, Requested 1" in caught.value.message
    assert "try again in 4.5s" in caught.value.message
    assert model.retry_after(model.behaviour, 429, 105.5) == 4.5
    assert headers(model, 105.5) == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "4.5s",
    }
    assert outcome(model, now=110.0) == ""


def test_tokens_beyond_the_window_are_refused() -> None:
    model = state(limit={"tokens": 25, "window": "90s"})
    assert [outcome(model), outcome(model)] == ["", ""]
    with pytest.raises(Rejection) as caught:
        outcome(model)
    assert caught.value.kind == "tokens"
    assert headers(model)["x-ratelimit-reset-tokens"] == "1m30s"
    assert outcome(model, tokens=5) == ""


def test_a_refused_call_takes_nothing() -> None:
    model = state(limit={"tokens": 25, "requests": 5, "window": "90s"})
    with pytest.raises(Rejection):
        outcome(model, tokens=26)
    assert headers(model)["x-ratelimit-remaining-tokens"] == "25"
    assert headers(model)["x-ratelimit-remaining-requests"] == "5"


def test_provisioned_capacity_tells_its_use_and_refuses_when_full() -> None:
    assert headers(state(utilization=0.425), azure=True) == {"azure-openai-deployment-utilization": "42.5%"}
    full = state(utilization=1.02)
    with pytest.raises(Rejection) as caught:
        outcome(full)
    assert caught.value.status == 429
    assert headers(full, azure=True) == {"azure-openai-deployment-utilization": "102.0%"}


def test_azure_tells_only_what_remains() -> None:
    assert set(headers(state(limit={"requests": 2}), azure=True)) == {"x-ratelimit-remaining-requests"}


@pytest.mark.parametrize(("status", "told"), [(429, 1.0), (503, 1.0), (500, None), (400, None)])
def test_when_to_come_back(status: int, told: float | None) -> None:
    model = state()
    assert model.retry_after(model.behaviour, status, 0.0) == told
    told_always = state(retryAfter="10ms")
    assert told_always.retry_after(told_always.behaviour, status, 0.0) == 0.01


def test_repeated_beginnings_of_long_prompts_are_cached() -> None:
    model = state()
    first = b"a" * 4096 + b"b" * 4096
    other_end = b"a" * 4096 + b"c" * 4096
    assert model.cached_tokens(first, 2048) == 0
    assert model.cached_tokens(first, 2048) == 2048
    assert model.cached_tokens(other_end, 2048) == 1024
    assert model.cached_tokens(b"b" * 4096, 1024) == 0
    assert model.cached_tokens(b"a" * 2048, 512) == 0


def test_an_outcome_is_an_error_or_a_fault() -> None:
    model = state()
    assert model.rejection("") is model.rejection("cut-clean") is None
    rejection = model.rejection("429/insufficient_quota")
    assert rejection is not None
    assert (rejection.status, rejection.code, rejection.kind) == (429, "insufficient_quota", "insufficient_quota")
