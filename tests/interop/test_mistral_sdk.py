"""The official Mistral SDK through the gateway to an OpenAI-speaking provider, and to one of its own dialect."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from mistralai.client import Mistral
from mistralai.client.errors import MistralError, ResponseValidationError
from tests.support.dialect_gateway import dialect_gateway, last_event
from tests.support.gateway import Gateway
from tests.support.services import CLIENT_KEY
from tests.support.simulator import SimulatorThread

HELLO: Any = [{"role": "user", "content": "When does the tide turn?"}]
PARAMETERS: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "parameters": PARAMETERS}} for name in ("get_weather", "get_tide")
]


@pytest.fixture(scope="module")
def gateway(provider: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with dialect_gateway(tmp_path_factory.mktemp("mistral"), provider.url, "mistral", "/v1") as gateway:
        yield gateway


@pytest.fixture
def simulator(provider: SimulatorThread) -> SimulatorThread:
    provider.reset()
    return provider


@pytest.fixture
def client(gateway: Gateway, simulator: SimulatorThread) -> Iterator[Mistral]:
    with Mistral(api_key=CLIENT_KEY, server_url=gateway.url + "/mistral", timeout_ms=10_000) as client:
        yield client


@pytest.mark.parametrize("model", ["gpt-4.1", "native"])
def test_whole_and_streamed_say_the_same(client: Mistral, gateway: Gateway, model: str) -> None:
    whole = client.chat.complete(model=model, messages=HELLO)
    assert whole.model == model
    assert whole.choices[0].finish_reason == "stop"
    with client.chat.stream(model=model, messages=HELLO) as stream:
        chunks = [event.data for event in stream]
    assert whole.choices[0].message is not None
    text = "".join(str(chunk.choices[0].delta.content or "") for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert {chunk.model for chunk in chunks} == {model}
    event = last_event(gateway)
    assert (event.dialect, event.stream, event.model) == ("mistral", True, model)
    if model == "native":  # the simulated provider speaks OpenAI's dialect there: it does not report usage unasked
        return
    assert chunks[-1].choices[0].finish_reason == "stop"
    usage = chunks[-1].usage
    assert usage is not None
    assert (event.usage.input_total, event.usage.output_total) == (usage.prompt_tokens, usage.completion_tokens)
    assert event.usage.source == "reported"
    assert usage.completion_tokens == whole.usage.completion_tokens
    assert event.cost_nano is not None


def test_settings(client: Mistral, simulator: SimulatorThread) -> None:
    answer = client.chat.complete(
        model="gpt-4.1", messages=HELLO, max_tokens=3, random_seed=7, temperature=0.2, safe_prompt=False
    )
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 3


def test_tools_in_parallel(client: Mistral) -> None:
    messages: Any = [{"role": "user", "content": "weather and tide, please"}]
    whole = client.chat.complete(model="gpt-4.1", messages=messages, tools=TOOLS, tool_choice="any")
    assert whole.choices[0].finish_reason == "tool_calls"
    message = whole.choices[0].message
    assert message is not None
    assert message.tool_calls
    names = [call.function.name for call in message.tool_calls]
    with client.chat.stream(model="gpt-4.1", messages=messages, tools=TOOLS, tool_choice="any") as stream:
        streamed = [call for event in stream for call in event.data.choices[0].delta.tool_calls or ()]
    assert [call.function.name for call in streamed] == names
    assert [call.index for call in streamed] == list(range(len(names)))
    assert all(set(json.loads(str(call.function.arguments))) == {"city"} for call in streamed)
    results: Any = [{"role": "tool", "tool_call_id": call.id, "content": "14"} for call in message.tool_calls]
    after = client.chat.complete(model="gpt-4.1", messages=[*messages, message, *results], tools=TOOLS)
    assert after.choices[0].finish_reason == "stop"


def test_errors_are_the_sdks_own(client: Mistral, gateway: Gateway, simulator: SimulatorThread) -> None:
    with pytest.raises(MistralError) as unknown:
        client.chat.complete(model="no-such-model", messages=HELLO)
    assert unknown.value.status_code == 404
    assert json.loads(unknown.value.body)["object"] == "error"
    with pytest.raises(MistralError) as refused:
        client.chat.complete(model="gpt-4.1", messages=HELLO, safe_prompt=True)
    assert (refused.value.status_code, json.loads(refused.value.body)["param"]) == (400, "safe_prompt")
    with Mistral(api_key="wrong", server_url=gateway.url + "/mistral") as stranger:
        with pytest.raises(MistralError) as denied:
            stranger.chat.complete(model="gpt-4.1", messages=HELLO)
    assert denied.value.status_code == 401


def test_an_error_in_a_stream(client: Mistral, simulator: SimulatorThread) -> None:
    simulator.change("trial-0", faults={"error-event": 1})
    with client.chat.stream(model="trial-0", messages=HELLO) as stream:
        with pytest.raises((ResponseValidationError, ValueError)):
            list(stream)


def test_embeddings(client: Mistral) -> None:
    found = client.embeddings.create(model="text-embedding-3-small", inputs=["tide", "moon"])
    assert [len(one.embedding or ()) for one in found.data] == [1536, 1536]
    assert found.usage.prompt_tokens


def test_async(gateway: Gateway, simulator: SimulatorThread) -> None:
    async def main() -> None:
        async with Mistral(api_key=CLIENT_KEY, server_url=gateway.url + "/mistral") as client:
            stream = await client.chat.stream_async(model="gpt-4.1", messages=HELLO)
            text = "".join([str(event.data.choices[0].delta.content or "") async for event in stream])
            whole = await client.chat.complete_async(model="gpt-4.1", messages=HELLO)
            assert whole.choices[0].message is not None
            assert text == whole.choices[0].message.content

    asyncio.run(main())


def test_without_the_prefix_it_is_served_as_an_openai_client(gateway: Gateway, simulator: SimulatorThread) -> None:
    with Mistral(api_key=CLIENT_KEY, server_url=gateway.url) as client:
        assert client.chat.complete(model="gpt-4.1", messages=HELLO).choices[0].finish_reason == "stop"


def test_the_openai_sdk_at_a_mistral_provider(gateway: Gateway, simulator: SimulatorThread) -> None:
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=CLIENT_KEY) as client:
        answer = client.chat.completions.create(model="native", messages=HELLO, max_completion_tokens=4)
        with client.chat.completions.create(model="native", messages=HELLO, max_tokens=4, stream=True) as stream:
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert answer.choices[0].finish_reason == "length"
    assert text == answer.choices[0].message.content
    event = last_event(gateway, lambda event: not event.stream and event.model == "native")
    assert answer.usage is not None
    assert (event.dialect, event.usage.output_total) == ("openai", answer.usage.completion_tokens)
