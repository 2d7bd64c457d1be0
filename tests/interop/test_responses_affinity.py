"""Whoever made it gets it back: stored responses, their items and sealed thoughts, at a provider with two credentials.

The simulated provider knows nothing of what the other credential made, as two organisations at OpenAI know nothing of each
other.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process, start_gateway
from tests.support.simulator import SimulatorThread

from tidegate.core.usage import UsageEvent
from tidegate.store.ledger import Ledger

KEYS = {"KEY_A": "sk-up-a", "KEY_B": "sk-up-b", "ONE": "tg-one", "TWO": "tg-two"}
CONFIG = """
kind: Provider
metadata: {{name: sim}}
spec:
  dialect: openai
  baseUrl: {url}/v1
  quirks: [responses]
  credentials: [{{name: a, apiKey: {{env: KEY_A}}}}, {{name: b, apiKey: {{env: KEY_B}}}}]
---
kind: Model
metadata: {{name: gpt-4.1}}
spec:
  targets: [{{provider: sim, model: gpt-4.1}}]
  routing: {{attempts: 1}}
  price: {{inputPerMillion: 1.00, outputPerMillion: 4.00}}
---
kind: Provider
metadata: {{name: elsewhere}}
spec: {{dialect: openai, baseUrl: "{url}/v1", quirks: [responses], credentials: [{{apiKey: {{env: KEY_B}}}}]}}
---
kind: Model
metadata: {{name: other}}
spec: {{targets: [{{provider: elsewhere, model: gpt-4.1}}], price: {{inputPerMillion: 1.00, outputPerMillion: 4.00}}}}
---
kind: Team
metadata: {{name: harbour}}
---
kind: Consumer
metadata: {{name: one}}
spec: {{team: harbour, keys: [{{value: {{env: ONE}}}}], budget: {{usd: 10, period: month}}}}
---
kind: Consumer
metadata: {{name: two}}
spec: {{team: harbour, keys: [{{value: {{env: TWO}}}}]}}
"""
ASKED = "When does the tide turn?"
TIMES = 6
"""How often each thing is tried: with two credentials chance alone would pass one in 64."""


@dataclass
class Ends:
    gateway: Gateway
    one: OpenAI
    two: OpenAI
    simulator: SimulatorThread

    def keys(self) -> list[str]:
        """Which credentials were used, oldest first."""
        return [call.key for call in self.simulator.calls()]


def client_of(gateway: Gateway, key: str) -> OpenAI:
    return OpenAI(base_url=f"{gateway.url}/v1", api_key=KEYS[key], timeout=10, max_retries=0)


@pytest.fixture(scope="module")
def gateway(provider: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("affinity")
    with gateway_process(folder, CONFIG.format(url=provider.url), env=KEYS) as gateway:
        yield gateway


@pytest.fixture
def ends(gateway: Gateway, provider: SimulatorThread) -> Iterator[Ends]:
    provider.reset()
    with client_of(gateway, "ONE") as one, client_of(gateway, "TWO") as two:
        yield Ends(gateway, one, two, provider)


def create(client: OpenAI, **fields: Any) -> Any:
    asked: dict[str, Any] = {"model": "gpt-4.1", "input": ASKED, **fields}
    if not fields.get("stream"):
        return client.responses.create(**asked)
    with client.responses.create(**asked) as stream:
        return list(stream)[-1].response


@pytest.mark.parametrize("stream", [False, True])
def test_going_on_from_a_response(ends: Ends, stream: bool) -> None:
    for number in range(TIMES):
        first = create(ends.one, input=f"{ASKED} {number}", stream=stream)
        second = create(ends.one, previous_response_id=first.id, stream=stream)
        assert second.previous_response_id == first.id
    keys = ends.keys()
    assert keys[::2] == keys[1::2]


@pytest.mark.parametrize("stream", [False, True])
def test_sealed_thoughts(ends: Ends, stream: bool) -> None:
    options: Any = {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"], "store": False}
    for number in range(TIMES):
        first = create(ends.one, input=f"{ASKED} {number}", stream=stream, **options)
        items = [*first.output, {"role": "user", "content": "And then?"}]
        assert create(ends.one, input=items, stream=stream, **options).output_text


def test_of_two_makers_the_latest_is_asked(ends: Ends) -> None:
    options: Any = {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"], "store": False}
    told: dict[str, Any] = {}
    while len(told) < 2:
        answer = create(ends.one, input=f"{ASKED} {len(ends.keys())}", **options)
        told[ends.keys()[-1]] = answer.output
    for first, last in (("sk-up-a", "sk-up-b"), ("sk-up-b", "sk-up-a")):
        items = [*told[first], {"role": "user", "content": "Well?"}, *told[last], {"role": "user", "content": "And?"}]
        with pytest.raises(openai.BadRequestError):  # nothing is left out: the other's is the upstream's to refuse
            create(ends.one, input=items, **options)
        assert ends.keys()[-1] == last


def test_references_to_items(ends: Ends) -> None:
    for number in range(TIMES):
        first = create(ends.one, input=f"{ASKED} {number}")
        reference = {"type": "item_reference", "id": first.output[0].id}
        assert create(ends.one, input=[reference, {"role": "user", "content": "And?"}]).output_text
    thought = create(ends.one, reasoning={"effort": "low"}).output[0].to_dict()
    for reference in (
        {"type": "item_reference", "id": first.output[0].id},
        {"id": first.output[0].id},
        {"type": "reasoning", "id": thought["id"], "summary": []},
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            create(ends.two, input=[reference, {"role": "user", "content": "And?"}])
        assert caught.value.param == "input"


@pytest.mark.parametrize("name", ["another's", "resp_nobodys"])
def test_what_is_not_ones_own_is_not_there(ends: Ends, name: str) -> None:
    if name == "another's":
        name = create(ends.one).id
    asked = len(ends.keys())
    with pytest.raises(openai.BadRequestError) as caught:
        create(ends.two, previous_response_id=name)
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")
    assert "Send the whole conversation" in caught.value.message
    with pytest.raises(openai.NotFoundError):
        create(ends.two, conversation="conv_1")
    assert len(ends.keys()) == asked
    assert last_event(ends.gateway).outcome == "refused"


def test_another_model_cannot_go_on(ends: Ends) -> None:
    first = create(ends.one)
    with pytest.raises(openai.BadRequestError) as caught:
        create(ends.one, model="other", previous_response_id=first.id)
    assert caught.value.param == "previous_response_id"
    assert "no target at sim" in caught.value.message
    told = ends.gateway.command("explain", caught.value.response.headers["x-tidegate-decision"]).stdout
    assert "names a response that it keeps" in told


def test_another_models_thoughts_are_left_to_the_upstream(ends: Ends) -> None:
    options: Any = {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"], "store": False}
    told = create(ends.one, **options)
    with pytest.raises(openai.BadRequestError) as caught:
        while True:  # until the first was made with the credential that the other provider has not
            create(ends.one, model="other", input=[*told.output, {"role": "user", "content": "And?"}], **options)
            told = create(ends.one, input=f"{ASKED} {len(ends.keys())}", **options)
    assert caught.value.code == "invalid_encrypted_content"


def test_a_credential_that_rests_is_not_replaced(ends: Ends, tmp_path: Path) -> None:
    """A gateway of its own: others would feel the rest."""
    with gateway_process(tmp_path, CONFIG.format(url=ends.simulator.url), env=KEYS) as gateway:
        with client_of(gateway, "ONE") as client:
            first = create(client)
            ends.simulator.change("gpt-4.1", script=["429"])
            with pytest.raises(openai.RateLimitError):
                create(client, previous_response_id=first.id)
            with pytest.raises(openai.InternalServerError) as caught:
                create(client, previous_response_id=first.id)
            assert caught.value.code == "no_healthy_target"
            assert "no other credential will do" in caught.value.message
            assert create(client).output_text


def test_responses_are_known_after_a_restart(ends: Ends, tmp_path: Path) -> None:
    config = CONFIG.format(url=ends.simulator.url)
    before = start_gateway(tmp_path / "before", config, env=KEYS, data_dir=tmp_path / "data")
    with client_of(before, "ONE") as client:
        told = [create(client, input=f"{ASKED} {number}") for number in range(TIMES)]
    assert before.stop() == 0
    after = start_gateway(tmp_path / "after", config, env=KEYS, data_dir=tmp_path / "data")
    with client_of(after, "ONE") as client:
        for one in told:
            assert create(client, previous_response_id=one.id).output_text
    assert after.stop() == 0


def test_a_lone_consumer_may_name_what_is_not_known(ends: Ends, tmp_path: Path) -> None:
    lone = CONFIG[: CONFIG.rindex("---")].format(url=ends.simulator.url)
    with gateway_process(tmp_path, lone, env=KEYS) as gateway, client_of(gateway, "ONE") as client:
        with OpenAI(base_url=f"{ends.simulator.url}/v1", api_key=KEYS["KEY_A"]) as direct:
            earlier = create(direct)
        for _ in range(30):
            try:
                assert create(client, previous_response_id=earlier.id).output_text
                break
            except openai.BadRequestError as error:  # the upstream's: the other credential does not have it
                assert "Send the whole" not in error.message
        else:
            pytest.fail("it was never sent with the credential that has it")
    assert json.loads(ends.simulator.calls()[-1].body)["previous_response_id"] == earlier.id


# Stored responses themselves.


def events_of(gateway: Gateway, operation: str) -> list[UsageEvent]:
    with Ledger.open(gateway.data_dir) as ledger:
        ledger.ingest()
        found = [event for event in ledger.events() if event.operation == operation]
    return sorted(found, key=lambda event: event.time_ns)


def budget_left(client: OpenAI) -> float:
    raw = client.responses.with_raw_response.create(model="gpt-4.1", input="x", store=False, max_output_tokens=16)
    return float(raw.headers["x-tidegate-budget-remaining-usd"])


def test_a_stored_response_is_asked_for_again(ends: Ends) -> None:
    for number in range(TIMES):
        told = create(ends.one, input=f"{ASKED} {number}")
        assert ends.one.responses.retrieve(told.id) == told
        with ends.one.responses.retrieve(told.id, stream=True, starting_after=1) as stream:
            events = list(stream)
        assert events[0].sequence_number == 2
        assert events[-1].type == "response.completed"
        assert events[-1].response.model == "gpt-4.1"
        (item,) = ends.one.responses.input_items.list(told.id, limit=5, order="asc")
        assert f"{ASKED} {number}" in str(item)
        ends.one.responses.delete(told.id)
        with pytest.raises(openai.NotFoundError):
            ends.one.responses.retrieve(told.id)
    assert ends.simulator.calls()[-1].target.endswith(told.id.encode())
    event = events_of(ends.gateway, "response_read")[-1]
    assert (event.outcome, event.cost_nano, event.usage.total, event.model) == ("ok", 0, 0, "gpt-4.1")


def test_a_stored_response_is_its_owners_alone(ends: Ends) -> None:
    told = create(ends.one, background=True)
    asked = len(ends.keys())
    for refused in (
        lambda: ends.two.responses.retrieve(told.id),
        lambda: ends.two.responses.retrieve(told.id, stream=True),
        lambda: ends.two.responses.input_items.list(told.id),
        lambda: ends.two.responses.cancel(told.id),
        lambda: ends.two.responses.delete(told.id),
        lambda: ends.one.responses.retrieve("resp_nobodys"),
        lambda: ends.one.responses.retrieve(told.id + "/../" + told.id),
    ):
        with pytest.raises(openai.NotFoundError):
            refused()
    with pytest.raises(openai.AuthenticationError):
        ends.one.with_options(api_key="sk-wrong").responses.cancel(told.id)
    assert len(ends.keys()) == asked
    assert ends.one.responses.cancel(told.id).status == "cancelled"


def test_an_upstreams_refusal_passes(ends: Ends) -> None:
    told = create(ends.one)
    with pytest.raises(openai.BadRequestError, match="synchronous"):
        ends.one.responses.cancel(told.id)
    with OpenAI(base_url=f"{ends.simulator.url}/v1", api_key=ends.keys()[-1]) as direct:
        direct.responses.delete(told.id)
    for _ in range(8):  # what is not there is nobody's fault: no circuit opens
        with pytest.raises(openai.NotFoundError):
            ends.one.responses.retrieve(told.id)
    assert create(ends.one).output_text


def test_the_background_is_paid_for_once(ends: Ends) -> None:
    before = budget_left(ends.one)
    told = create(ends.one, background=True, max_output_tokens=30_000)
    assert (told.status, told.usage) == ("queued", None)
    made = events_of(ends.gateway, "chat")[-1]
    assert (made.usage.source, made.cost_nano) == ("unknown", None)
    assert before - budget_left(ends.one) > 0.1
    assert ends.one.responses.retrieve(told.id).status == "in_progress"
    done = ends.one.responses.retrieve(told.id)
    assert (done.status, ends.one.responses.retrieve(told.id).status) == ("completed", "completed")
    assert before - budget_left(ends.one) < 0.01
    asked = events_of(ends.gateway, "response_read")[-3:]
    assert {(one.usage.total, one.cost_nano, one.charged_nano) for one in asked} == {(0, 0, 0)}
    (settled,) = [one for one in events_of(ends.gateway, "background") if one.time_ns == made.time_ns]
    assert done.usage is not None
    assert (settled.usage.total, settled.usage.source) == (done.usage.total_tokens, "reported")
    cost = done.usage.input_tokens * 1_000 + done.usage.output_tokens * 4_000
    assert (settled.cost_nano, made.charged_nano + settled.charged_nano) == (cost, cost)


def test_the_background_streamed(ends: Ends) -> None:
    told = create(ends.one, background=True, stream=True)
    event = events_of(ends.gateway, "chat")[-1]
    assert (event.usage.total, event.usage.source) == (told.usage.total_tokens, "reported")
    assert ends.one.responses.retrieve(told.id).status in ("in_progress", "completed")
    assert events_of(ends.gateway, "response_read")[-1].usage.total == 0


def test_counting_and_compacting(ends: Ends) -> None:
    counted = ends.one.responses.input_tokens.count(model="gpt-4.1", input=ASKED)
    assert counted.input_tokens == create(ends.one).usage.input_tokens
    for number in range(TIMES):
        raw = ends.one.responses.with_raw_response.compact(model="gpt-4.1", input=f"{ASKED} {number}")
        assert raw.parse().usage.output_tokens > 0
        items = [*json.loads(raw.text)["output"], {"role": "user", "content": "And?"}]
        assert create(ends.one, input=items).output_text  # only the credential that sealed it can read it
    event = events_of(ends.gateway, "compaction")[-1]
    assert event.usage.output > 0
    assert event.cost_nano
