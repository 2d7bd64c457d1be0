"""The official Ollama SDK through the gateway to an OpenAI-speaking provider."""

import asyncio
import http.client
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from ollama import AsyncClient, Client, ResponseError
from tests.support.dialect_gateway import dialect_gateway, last_event
from tests.support.gateway import Gateway
from tests.support.services import CLIENT_KEY
from tests.support.simulator import SimulatorThread

HELLO: Any = [{"role": "user", "content": "When does the tide turn?"}]
PARAMETERS: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "description": name, "parameters": PARAMETERS}}
    for name in ("get_weather", "get_tide")
]
HEADERS = {"Authorization": f"Bearer {CLIENT_KEY}"}


@pytest.fixture(scope="module")
def gateway(provider: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with dialect_gateway(tmp_path_factory.mktemp("ollama"), provider.url, "ollama") as gateway:
        yield gateway


@pytest.fixture
def simulator(provider: SimulatorThread) -> SimulatorThread:
    provider.reset()
    return provider


@pytest.fixture(params=["", "/ollama"])
def client(gateway: Gateway, simulator: SimulatorThread, request: pytest.FixtureRequest) -> Iterator[Client]:
    """By itself, and under the explicit prefix."""
    with Client(host=gateway.url + request.param, headers=HEADERS, timeout=10) as client:
        yield client


@pytest.mark.parametrize("model", ["gpt-4.1", "native"])
def test_whole_and_streamed_say_the_same(client: Client, gateway: Gateway, model: str) -> None:
    whole = client.chat(model=model, messages=HELLO)
    assert (whole.model, whole.done, whole.done_reason) == (model, True, "stop")
    parts = list(client.chat(model=model, messages=HELLO, stream=True))
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    last, event = parts[-1], last_event(gateway)
    assert (event.dialect, event.operation, event.stream) == ("ollama", "chat", True)
    assert (event.usage.input_total, event.usage.output_total) == (last.prompt_eval_count, last.eval_count)
    assert last.eval_count == whole.eval_count
    assert event.cost_nano is not None


def test_settings(client: Client) -> None:
    options = {"num_predict": 3, "temperature": 0.1, "seed": 7, "num_ctx": 4096}
    answer = client.chat(model="gpt-4.1", messages=HELLO, options=options, keep_alive="5m", think=False)
    assert (answer.done_reason, answer.eval_count) == ("length", 3)


def test_tools_in_parallel(client: Client) -> None:
    messages: Any = [{"role": "user", "content": "weather and tide, please"}]
    whole = client.chat(model="gpt-4.1", messages=messages, tools=TOOLS)
    calls = whole.message.tool_calls
    assert calls
    parts = client.chat(model="gpt-4.1", messages=messages, tools=TOOLS, stream=True)
    assert [call for part in parts for call in part.message.tool_calls or ()] == list(calls)
    assert all(set(call.function.arguments) == {"city"} for call in calls)
    results: Any = [{"role": "tool", "tool_name": call.function.name, "content": "14"} for call in calls]
    after = client.chat(model="gpt-4.1", messages=[*messages, whole.message, *results], tools=TOOLS)
    assert after.message.content


def test_structured_output(client: Client) -> None:
    schema: Any = {"type": "object", "properties": {"depth": {"type": "integer"}}, "required": ["depth"]}
    answer = client.chat(model="gpt-4.1", messages=HELLO, format=schema)
    assert set(json.loads(answer.message.content or "")) == {"depth"}


def test_generate(client: Client) -> None:
    whole = client.generate(model="gpt-4.1", prompt="When?", system="Be brief.")
    assert whole.response
    parts = list(client.generate(model="gpt-4.1", prompt="When?", system="Be brief.", stream=True))
    assert "".join(part.response or "" for part in parts) == whole.response
    assert parts[-1].eval_count == whole.eval_count


def test_embeddings(client: Client) -> None:
    found = client.embed(model="text-embedding-3-small", input=["tide", "moon"])
    assert [len(one) for one in found.embeddings] == [1536, 1536]
    assert found.prompt_eval_count


def test_models_and_version(client: Client, gateway: Gateway) -> None:
    assert "gpt-4.1" in [model.model for model in client.list().models]
    connection = http.client.HTTPConnection(gateway.address)
    connection.request("GET", "/api/version")
    assert json.loads(connection.getresponse().read())["version"]
    connection.close()


def test_errors_are_the_sdks_own(client: Client, gateway: Gateway) -> None:
    with pytest.raises(ResponseError, match="no-such-model") as unknown:
        client.chat(model="no-such-model", messages=HELLO)
    assert unknown.value.status_code == 404
    with pytest.raises(ResponseError) as streamed:
        list(client.chat(model="no-such-model", messages=HELLO, stream=True))
    assert streamed.value.status_code == 404
    with pytest.raises(ResponseError, match="logprobs") as refused:
        client.chat(model="gpt-4.1", messages=HELLO, logprobs=True)
    assert refused.value.status_code == 400
    with pytest.raises(ResponseError, match="not served here"):
        client.show("gpt-4.1")
    with Client(host=gateway.url, headers={"Authorization": "Bearer wrong"}) as stranger:
        with pytest.raises(ResponseError) as denied:
            stranger.list()
    assert denied.value.status_code == 401


def test_an_error_in_a_stream(client: Client, simulator: SimulatorThread) -> None:
    simulator.change("trial-1", faults={"error-event": 1})
    with pytest.raises(ResponseError, match="server had an error"):
        list(client.chat(model="trial-1", messages=HELLO, stream=True))


def test_async(gateway: Gateway, simulator: SimulatorThread) -> None:
    async def main() -> None:
        async with AsyncClient(host=gateway.url, headers=HEADERS) as client:
            whole = await client.chat(model="gpt-4.1", messages=HELLO)
            stream = await client.chat(model="gpt-4.1", messages=HELLO, stream=True)
            assert "".join([part.message.content or "" async for part in stream]) == whole.message.content

    asyncio.run(main())


def test_the_openai_sdk_at_such_a_provider(gateway: Gateway, simulator: SimulatorThread) -> None:
    messages: Any = [{"role": "user", "content": "weather and tide, please"}]
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=CLIENT_KEY, max_retries=0) as client:
        whole = client.chat.completions.create(model="native", messages=HELLO)
        with client.chat.completions.create(model="native", messages=HELLO, stream=True) as stream:
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        assert text == whole.choices[0].message.content
        event = last_event(gateway)
        assert whole.usage is not None
        assert (event.stream, event.usage.total) == (True, whole.usage.total_tokens)
        first = client.chat.completions.create(model="native", messages=messages, tools=TOOLS)
        calls = first.choices[0].message.tool_calls
        assert first.choices[0].finish_reason == "tool_calls"
        assert calls
        assert len({call.id for call in calls}) == len(calls)
        with client.chat.completions.stream(model="native", messages=messages, tools=TOOLS) as stream:
            again = stream.get_final_completion().choices[0].message.tool_calls
        assert again
        assert [call.function.arguments for call in again] == [call.function.arguments for call in calls]
        results: Any = [{"role": "tool", "tool_call_id": call.id, "content": "14"} for call in calls]
        asked: Any = [*messages, first.choices[0].message, *results]
        assert client.chat.completions.create(model="native", messages=asked, tools=TOOLS).choices[0].message.content
