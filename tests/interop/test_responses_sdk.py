"""The official OpenAI SDK's `client.responses`: through the hub to a provider that has only chat, and natively.

Natively the simulated provider's own Responses API answers, which is as strict as the real one.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import Response
from pydantic import BaseModel
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process
from tests.support.services import CLIENT_KEY, TRIALS, UPSTREAM_KEY, gateway_config
from tests.support.simulator import SimulatorThread
from tests.support.strict_models import read_strictly

ENVIRONMENT = {"SIM_KEY": UPSTREAM_KEY, "CLIENT_KEY": CLIENT_KEY}
ASKED = "When does the tide turn?"
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
TIDE: Any = {**WEATHER, "name": "get_tide"}


class Harbour(BaseModel):
    harbour: str
    depth: int


@dataclass
class Way:
    """A gateway, and the client of it."""

    gateway: Gateway
    client: OpenAI
    simulator: SimulatorThread
    native: bool


@pytest.fixture(scope="module")
def gateways(provider: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Gateway]]:
    config = gateway_config(provider.url)
    serving = config.replace("dialect: openai\n", "dialect: openai\n  quirks: [responses]\n")
    with (
        gateway_process(tmp_path_factory.mktemp("hub"), config, env=ENVIRONMENT) as hub,
        gateway_process(tmp_path_factory.mktemp("native"), serving, env=ENVIRONMENT) as native,
    ):
        yield {"hub": hub, "native": native}


@pytest.fixture(params=["hub", "native"])
def way(request: pytest.FixtureRequest, gateways: dict[str, Gateway], provider: SimulatorThread) -> Iterator[Way]:
    provider.reset()
    gateway = gateways[request.param]
    with OpenAI(base_url=f"{gateway.url}/v1", api_key=CLIENT_KEY, timeout=10, max_retries=0) as client:
        yield Way(gateway, client, provider, request.param == "native")


@pytest.fixture
def client(way: Way) -> OpenAI:
    return way.client


def test_an_answer(client: OpenAI, way: Way) -> None:
    raw = client.responses.with_raw_response.create(
        model="gpt-4.1", input=ASKED, instructions="Be brief.", temperature=0.3, metadata={"run": "7"}
    )
    found = read_strictly(Response, raw.content)
    assert (found.model, found.status, found.object) == ("gpt-4.1", "completed", "response")
    assert (found.instructions, found.temperature, found.metadata) == ("Be brief.", 0.3, {"run": "7"})
    assert found.output_text
    assert found.usage is not None
    call = way.simulator.calls()[-1]
    assert (call.prompt_tokens, call.completion_tokens) == (found.usage.input_tokens, found.usage.output_tokens)
    assert raw.headers["x-request-id"]


def test_the_stream_says_what_the_whole_answer_says(client: OpenAI) -> None:
    whole = client.responses.create(model="gpt-4.1", input=ASKED)
    with client.responses.stream(model="gpt-4.1", input=ASKED) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == whole.output_text
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == whole.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert final.usage == whole.usage
    assert final.model == "gpt-4.1"


def test_a_raw_stream(client: OpenAI) -> None:
    with client.responses.create(model="gpt-4.1", input=ASKED, stream=True) as stream:
        events = list(stream)
    assert events[0].type == "response.created"
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text


def test_a_bound_makes_it_incomplete(client: OpenAI) -> None:
    found = client.responses.create(model="gpt-4.1", input=ASKED, max_output_tokens=16)
    assert found.status == "incomplete"
    assert found.incomplete_details is not None
    assert found.incomplete_details.reason == "max_output_tokens"
    with client.responses.create(model="gpt-4.1", input=ASKED, max_output_tokens=16, stream=True) as stream:
        assert [event.type for event in stream][-1] == "response.incomplete"


def test_a_tool_call_and_its_result(client: OpenAI) -> None:
    history: Any = [{"role": "user", "content": "What is the weather in Kōbe?"}]
    first = client.responses.create(model="gpt-4.1", input=history, tools=[WEATHER])
    (call,) = first.output
    assert call.type == "function_call"
    history += first.output
    history.append({"type": "function_call_output", "call_id": call.call_id, "output": "14 °C"})
    second = client.responses.create(model="gpt-4.1", input=history, tools=[WEATHER])
    assert second.output_text


def test_parallel_tool_calls_in_a_stream(client: OpenAI) -> None:
    asked: Any = {"model": "gpt-4.1", "input": "weather and tide, please", "tools": [WEATHER, TIDE]}
    with client.responses.stream(**asked) as stream:
        final = stream.get_final_response()
    assert [item.name for item in final.output if item.type == "function_call"] == ["get_weather", "get_tide"]
    assert all(item.parsed_arguments for item in final.output if item.type == "function_call")
    whole = client.responses.create(**asked)
    assert [item.to_dict()["arguments"] for item in whole.output] == [one.arguments for one in final.output]  # type: ignore[union-attr]


def test_structured_output(client: OpenAI) -> None:
    found = client.responses.parse(model="gpt-4.1", input=ASKED, text_format=Harbour)
    assert isinstance(found.output_parsed, Harbour)
    with client.responses.stream(model="gpt-4.1", input=ASKED, text_format=Harbour) as stream:
        assert stream.get_final_response().output_parsed == found.output_parsed


def test_the_ledger_has_what_the_client_was_told(client: OpenAI, way: Way) -> None:
    with client.responses.stream(model="gpt-4.1-mini", input="Anything") as stream:
        usage = stream.get_final_response().usage
    assert usage is not None
    event = last_event(way.gateway, lambda event: event.model == "gpt-4.1-mini")
    assert (event.dialect, event.operation, event.outcome, event.stream) == ("openai-responses", "chat", "ok", True)
    assert (event.usage.input_total, event.usage.output_total) == (usage.input_tokens, usage.output_tokens)
    assert event.cost_nano


def test_a_provider_that_serves_it_is_called_in_it(client: OpenAI, way: Way) -> None:
    client.responses.create(model="gpt-4.1", input="Native?")
    assert way.simulator.calls()[-1].target.endswith(b"/responses") == way.native
    client.chat.completions.create(model="gpt-4.1", messages=[{"role": "user", "content": "Chat?"}])
    assert way.simulator.calls()[-1].target.endswith(b"/chat/completions")


@pytest.mark.parametrize(
    ("options", "kind", "code", "field"),
    [
        ({"model": "no-such-model"}, openai.NotFoundError, "model_not_found", "model"),
        ({"temperature": "hot"}, openai.BadRequestError, "invalid_request", "temperature"),
        ({"tools": [{"type": "code_interpreter"}]}, openai.BadRequestError, "unsupported_field", "tools"),
        ({"previous_response_id": "resp_x"}, openai.BadRequestError, "unsupported_field", "previous_response_id"),
        ({"background": True}, openai.BadRequestError, "unsupported_field", "background"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_refusals_are_the_sdks_own(
    gateways: dict[str, Gateway],
    options: dict[str, Any],
    kind: type[openai.APIStatusError],
    code: str,
    field: str,
    stream: bool,
) -> None:
    with OpenAI(base_url=f"{gateways['hub'].url}/v1", api_key=CLIENT_KEY, max_retries=0) as client:
        with pytest.raises(kind) as caught:
            client.responses.create(**{"model": "gpt-4.1", "input": ASKED, "stream": stream, **options})
    assert (caught.value.code, caught.value.param) == (code, field)


def test_a_providers_own_refusal_passes(gateways: dict[str, Gateway]) -> None:
    with OpenAI(base_url=f"{gateways['native'].url}/v1", api_key=CLIENT_KEY, max_retries=0) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model="gpt-4.1", input=ASKED, temperature="hot")  # type: ignore[arg-type]
        assert (caught.value.code, caught.value.param) == ("invalid_type", "temperature")


def test_going_on_from_a_response(gateways: dict[str, Gateway], provider: SimulatorThread) -> None:
    with OpenAI(base_url=f"{gateways['hub'].url}/v1", api_key=CLIENT_KEY, max_retries=0) as client:
        go_on(client, provider)


def go_on(client: OpenAI, simulator: SimulatorThread) -> None:
    first = client.responses.create(model="gpt-4.1", input="What is the weather in Kōbe?", tools=[WEATHER])
    (call,) = first.output
    assert call.type == "function_call"
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "14 °C"}
    options: Any = {"model": "gpt-4.1", "tools": [WEATHER]}
    second = client.responses.create(input=[result], previous_response_id=first.id, **options)
    assert second.output_text
    assert second.previous_response_id == first.id
    assert len(json.loads(simulator.calls()[-1].body)["messages"]) == 3
    with client.responses.stream(input="And then?", previous_response_id=second.id, **options) as stream:
        third = stream.get_final_response()
    assert len(json.loads(simulator.calls()[-1].body)["messages"]) == 5
    assert third.previous_response_id == second.id


def test_asking_for_a_response_again(gateways: dict[str, Gateway]) -> None:
    with OpenAI(base_url=f"{gateways['hub'].url}/v1", api_key=CLIENT_KEY, max_retries=0) as client:
        told = client.responses.create(model="gpt-4.1", input=[{"role": "user", "content": ASKED}])
        assert client.responses.retrieve(told.id) == told
        (item,) = client.responses.input_items.list(told.id, order="asc")
        assert item.to_dict()["content"] == [{"type": "input_text", "text": ASKED}]
        client.responses.delete(told.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(told.id)
        private = client.responses.create(model="gpt-4.1", input=ASKED, store=False)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(private.id)
        with pytest.raises(openai.BadRequestError):
            client.responses.create(model="gpt-4.1", input="x", previous_response_id=private.id)
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="sk-wrong").responses.retrieve(told.id)


def test_counting_without_an_upstream_that_counts(gateways: dict[str, Gateway]) -> None:
    with OpenAI(base_url=f"{gateways['hub'].url}/v1", api_key=CLIENT_KEY, max_retries=0) as client:
        raw = client.responses.input_tokens.with_raw_response.count(model="gpt-4.1", input=ASKED)
        assert raw.headers["x-tidegate-estimated"] == "true"
        assert 3 < raw.parse().input_tokens < 20
        with pytest.raises(openai.BadRequestError):
            client.responses.compact(model="gpt-4.1", input=ASKED)
        told = client.responses.create(model="gpt-4.1", input=ASKED)
        with pytest.raises(openai.BadRequestError, match="background"):
            client.responses.cancel(told.id)


def test_a_wrong_key(way: Way) -> None:
    with OpenAI(base_url=f"{way.gateway.url}/v1", api_key="sk-wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            client.responses.create(model="gpt-4.1", input=ASKED)


def test_the_explicit_prefix(way: Way) -> None:
    with OpenAI(base_url=f"{way.gateway.url}/openai/v1", api_key=CLIENT_KEY, max_retries=0) as client:
        assert client.responses.create(model="gpt-4.1", input=ASKED).output_text


# One trial of the simulator for each: a gateway rests targets that failed.


def test_an_upstream_that_fails(way: Way, request: pytest.FixtureRequest) -> None:
    trial = TRIALS[-1 if "hub" in request.node.name else -2]
    way.simulator.change(trial, script=["503", "503"])
    with pytest.raises(openai.InternalServerError):
        way.client.responses.create(model=trial, input=ASKED)


def test_a_stream_that_breaks_fails_visibly(way: Way, request: pytest.FixtureRequest) -> None:
    trial = TRIALS[-3 if "hub" in request.node.name else -4]
    way.simulator.change(trial, script=["cut-clean", "cut-clean"])
    with way.client.responses.create(model=trial, input=ASKED, stream=True) as stream:
        events = list(stream)
    assert events[-1].type in ("response.failed", "error")
    assert not [event for event in events if event.type == "response.completed"]
    assert last_event(way.gateway, lambda event: event.model == trial).outcome == "cut"


def test_async(way: Way) -> None:
    async def main() -> None:
        async with AsyncOpenAI(base_url=f"{way.gateway.url}/v1", api_key=CLIENT_KEY, timeout=10) as client:

            async def streamed(number: int) -> str:
                async with client.responses.stream(model="gpt-4.1", input=f"Say {number}") as stream:
                    return (await stream.get_final_response()).output_text

            texts = await asyncio.gather(*map(streamed, range(8)))
            wholes = [await client.responses.create(model="gpt-4.1", input=f"Say {one}") for one in range(8)]
            assert texts == [one.output_text for one in wholes]

    asyncio.run(main())
