"""The Anthropic SDK's message batches through the gateway to a provider of that dialect."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from tests.interop.test_files_and_batches import CONFIG, ENV, KEYS, settled
from tests.support.gateway import Gateway, gateway_process
from tests.support.simulator import SimulatorThread, simulator_thread

BUDGETED = """
---
kind: Consumer
metadata: {name: thrifty}
spec: {team: files, keys: [{value: {env: THRIFTY_KEY}}], models: [thinker], budget: {usd: 0.05, period: month}}
"""

OPENED: list[anthropic.Anthropic] = []
"""Clients of a test, closed at its end."""


@pytest.fixture(scope="module")
def provider() -> Iterator[SimulatorThread]:
    with simulator_thread() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def gateway(provider: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = CONFIG.replace("URL", provider.url) + BUDGETED
    environment = {**ENV, "THRIFTY_KEY": "tg-files-thrifty"}
    with gateway_process(tmp_path_factory.mktemp("messages"), config, env=environment) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def _as_usual(provider: SimulatorThread) -> Iterator[None]:
    provider.run(lambda simulator: simulator.kept.set({"seconds": 0, "ending": "completed"}))
    yield
    while OPENED:
        OPENED.pop().close()


def client(gateway: Gateway, key: str = KEYS["ANN_KEY"], prefix: str = "") -> anthropic.Anthropic:
    OPENED.append(anthropic.Anthropic(base_url=gateway.url + prefix, api_key=key, max_retries=0))
    return OPENED[-1]


def asked(*numbers: int, model: str = "thinker", bound: int = 40) -> Any:
    return [
        {
            "custom_id": f"r{number}",
            "params": {
                "model": model,
                "max_tokens": bound,
                "messages": [{"role": "user", "content": f"Say {number}."}],
            },
        }
        for number in numbers
    ]


@pytest.mark.parametrize("prefix", ["", "/anthropic"])
def test_a_batch_is_made_read_and_paid_for(gateway: Gateway, provider: SimulatorThread, prefix: str) -> None:
    sdk = client(gateway, prefix=prefix)
    provider.run(lambda simulator: simulator.kept.set({"seconds": 1e9}))
    batch = sdk.messages.batches.create(requests=asked(1, 2, 3))
    assert (batch.processing_status, batch.request_counts.processing, batch.results_url) == ("in_progress", 3, None)
    with pytest.raises(anthropic.AnthropicError, match="No `results_url`"):
        sdk.messages.batches.results(batch.id)
    with pytest.raises(anthropic.BadRequestError, match="still being processed"):
        sdk.messages.batches.delete(batch.id)
    sdk.messages.batches.cancel(batch.id)  # the simulator has run one of three by then
    done = sdk.messages.batches.retrieve(batch.id)
    assert (done.processing_status, done.request_counts.succeeded, done.request_counts.canceled) == ("ended", 1, 2)
    assert done.results_url == f"/v1/messages/batches/{batch.id}/results"  # the SDK puts its base URL in front
    results = list(sdk.messages.batches.results(batch.id))
    assert [one.result.type for one in results] == ["succeeded", "canceled", "canceled"]
    message = results[0].result
    assert message.type == "succeeded"
    usage = message.message.usage
    event = settled(gateway, batch.id)
    assert event.cost_nano == (usage.input_tokens * 1000 + usage.output_tokens * 5000) // 2 > 0
    assert (event.dialect, event.operation, event.model, event.upstream_model) == (
        "anthropic",
        "batch",
        "thinker",
        "claude-haiku-5-5",
    )
    assert batch.id in [one.id for one in sdk.messages.batches.list()]
    assert sdk.messages.batches.delete(batch.id).type == "message_batch_deleted"
    assert batch.id not in [one.id for one in sdk.messages.batches.list()]
    with pytest.raises(anthropic.NotFoundError):
        sdk.messages.batches.retrieve(batch.id)


def test_what_was_used_is_read_before_a_batch_is_removed(gateway: Gateway) -> None:
    """Nobody has asked for it since it was made: removing it is the first that the gateway hears."""
    sdk = client(gateway)
    batch = sdk.messages.batches.create(requests=asked(1))
    assert batch.processing_status == "in_progress"
    sdk.messages.batches.delete(batch.id)
    event = settled(gateway, batch.id)
    assert event.usage.source == "reported"
    assert event.cost_nano


def test_pages_go_both_ways(gateway: Gateway) -> None:
    sdk = client(gateway)
    made = [sdk.messages.batches.create(requests=asked(n)).id for n in range(5)][::-1]
    first = sdk.messages.batches.list(limit=2)
    assert ([one.id for one in first.data], first.has_more) == (made[:2], True)
    assert [one.id for one in sdk.messages.batches.list(limit=2, after_id=made[1]).data] == made[2:4]
    assert [one.id for one in sdk.messages.batches.list(limit=2, before_id=made[3]).data] == made[1:3]
    assert [one.id for one in first][:5] == made


def test_what_another_consumer_owns_is_not_there(gateway: Gateway) -> None:
    batch = client(gateway).messages.batches.create(requests=asked(1))
    bob = client(gateway, KEYS["BOB_KEY"])
    for refused in (bob.messages.batches.retrieve, bob.messages.batches.cancel, bob.messages.batches.delete):
        with pytest.raises(anthropic.NotFoundError, match="There is no message batch"):
            refused(batch.id)
    assert bob.messages.batches.list().data == []
    with pytest.raises(anthropic.NotFoundError):
        bob.get(f"/v1/messages/batches/{batch.id}/results", cast_to=object)


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        ([], "`requests` is empty"),
        ([{"custom_id": "a"}], r"`requests\[0\].params` is missing"),
        ([*asked(1), *asked(2, model="nobody")], r"`requests\[1\].params`: There is no model `nobody`"),
        (asked(1, model="writer"), r"`requests\[0\].params`: No target of model `writer` is at a provider"),
        ("none", "`requests` must be a list"),
    ],
)
def test_what_cannot_be_taken(gateway: Gateway, provider: SimulatorThread, requests: Any, message: str) -> None:
    before = len(provider.calls())
    with pytest.raises(anthropic.APIStatusError, match=message):
        client(gateway).post("/v1/messages/batches", body={"requests": requests}, cast_to=object)
    assert len(provider.calls()) == before


def test_a_budget_holds(gateway: Gateway) -> None:
    sdk = client(gateway, "tg-files-thrifty")
    with pytest.raises(anthropic.RateLimitError, match="Budget `consumer/thrifty/money/month` would be exceeded"):
        sdk.messages.batches.create(requests=asked(1, 2, bound=6000))
    batch = sdk.messages.batches.create(requests=asked(1, 2, bound=4000))
    assert sdk.messages.batches.retrieve(batch.id).processing_status == "ended"
    assert settled(gateway, batch.id).charged_nano < 50_000_000
    sdk.messages.batches.create(requests=asked(1, 2, bound=4000))  # what was held is free again
