"""The official Cohere SDK through the gateway to an OpenAI-speaking provider."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import cohere
import openai
import pytest
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


@pytest.fixture(scope="module")
def gateway(provider: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with dialect_gateway(tmp_path_factory.mktemp("cohere"), provider.url, "cohere") as gateway:
        yield gateway


@pytest.fixture
def simulator(provider: SimulatorThread) -> SimulatorThread:
    provider.reset()
    return provider


@pytest.fixture(params=["", "/cohere"])
def client(gateway: Gateway, simulator: SimulatorThread, request: pytest.FixtureRequest) -> Iterator[cohere.ClientV2]:
    """By itself, and under the explicit prefix."""
    with cohere.ClientV2(api_key=CLIENT_KEY, base_url=gateway.url + request.param, timeout=10) as client:
        yield client


def said(events: list[Any]) -> str:
    return "".join(event.delta.message.content.text for event in events if event.type == "content-delta")


@pytest.mark.parametrize("model", ["gpt-4.1", "native"])
def test_whole_and_streamed_say_the_same(client: cohere.ClientV2, gateway: Gateway, model: str) -> None:
    whole = client.chat(model=model, messages=HELLO)
    assert whole.finish_reason == "COMPLETE"
    assert whole.message.content
    events: list[Any] = list(client.chat_stream(model=model, messages=HELLO))
    assert said(events) == whole.message.content[0].text  # type: ignore[union-attr]
    assert (events[0].type, events[-1].type) == ("message-start", "message-end")
    units = events[-1].delta.usage.billed_units
    event = last_event(gateway)
    assert (event.dialect, event.stream, event.usage.source) == ("cohere", True, "reported")
    assert (event.usage.input_total, event.usage.output_total) == (units.input_tokens, units.output_tokens)
    assert whole.usage == events[-1].delta.usage
    assert event.cost_nano is not None


def test_settings(client: cohere.ClientV2) -> None:
    answer = client.chat(model="gpt-4.1", messages=HELLO, max_tokens=3, temperature=0.2, p=0.9, seed=7, k=0)
    assert answer.finish_reason == "MAX_TOKENS"
    assert answer.usage is not None
    assert answer.usage.billed_units is not None
    assert answer.usage.billed_units.output_tokens == 3


def test_tools_in_parallel(client: cohere.ClientV2) -> None:
    messages: Any = [{"role": "user", "content": "weather and tide, please"}]
    whole = client.chat(model="gpt-4.1", messages=messages, tools=TOOLS, tool_choice="REQUIRED")
    assert whole.finish_reason == "TOOL_CALL"
    calls = whole.message.tool_calls
    assert calls
    events: list[Any] = list(
        client.chat_stream(model="gpt-4.1", messages=messages, tools=TOOLS, tool_choice="REQUIRED")
    )
    started = [event.delta.message.tool_calls for event in events if event.type == "tool-call-start"]
    assert [(call.id, call.function.name) for call in started] == [
        (call.id, call.function and call.function.name) for call in calls
    ]
    for index, call in enumerate(calls):
        pieces = [
            event.delta.message.tool_calls.function.arguments
            for event in events
            if event.type == "tool-call-delta" and event.index == index
        ]
        assert call.function is not None
        assert "".join(pieces) == call.function.arguments
        assert set(json.loads("".join(pieces))) == {"city"}
    results: Any = [{"role": "tool", "tool_call_id": call.id, "content": "14"} for call in calls]
    after = client.chat(model="gpt-4.1", messages=[*messages, whole.message, *results], tools=TOOLS)
    assert after.finish_reason == "COMPLETE"


def test_structured_output(client: cohere.ClientV2) -> None:
    schema: Any = {"type": "object", "properties": {"depth": {"type": "integer"}}, "required": ["depth"]}
    answer: Any = client.chat(
        model="gpt-4.1",
        messages=HELLO,
        response_format={"type": "json_object", "json_schema": schema},  # type: ignore[arg-type]
    )
    assert set(json.loads(answer.message.content[0].text)) == {"depth"}


def test_errors_are_the_sdks_own(client: cohere.ClientV2, gateway: Gateway) -> None:
    with pytest.raises(cohere.NotFoundError) as unknown:
        client.chat(model="no-such-model", messages=HELLO)
    assert "no-such-model" in unknown.value.body["message"]
    with pytest.raises(cohere.NotFoundError):
        list(client.chat_stream(model="no-such-model", messages=HELLO))
    with pytest.raises(cohere.BadRequestError) as refused:
        client.chat(model="gpt-4.1", messages=HELLO, documents=["a tide table"])
    assert (refused.value.body["code"], refused.value.body["field"]) == ("unsupported_field", "documents")
    with cohere.ClientV2(api_key="wrong", base_url=gateway.url) as stranger:
        with pytest.raises(cohere.UnauthorizedError):
            stranger.chat(model="gpt-4.1", messages=HELLO)


def test_an_error_in_a_stream(client: cohere.ClientV2, simulator: SimulatorThread) -> None:
    """The SDK raises nothing: that it went wrong is in the last event."""
    simulator.change("trial-2", faults={"error-event": 1})
    events: list[Any] = list(client.chat_stream(model="trial-2", messages=HELLO))
    assert (events[-1].type, events[-1].delta.finish_reason) == ("message-end", "ERROR")
    assert "server had an error" in events[-1].delta.error


def test_async(gateway: Gateway, simulator: SimulatorThread) -> None:
    async def main() -> None:
        async with cohere.AsyncClientV2(api_key=CLIENT_KEY, base_url=gateway.url) as client:
            whole = await client.chat(model="gpt-4.1", messages=HELLO)
            events: list[Any] = [event async for event in client.chat_stream(model="gpt-4.1", messages=HELLO)]
            assert whole.message.content
            assert said(events) == whole.message.content[0].text  # type: ignore[union-attr]

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
        first = client.chat.completions.create(model="native", messages=messages, tools=TOOLS, tool_choice="required")
        calls = first.choices[0].message.tool_calls
        assert first.choices[0].finish_reason == "tool_calls"
        assert calls
        assert len({call.id for call in calls}) == len(calls)
        with client.chat.completions.stream(
            model="native", messages=messages, tools=TOOLS, tool_choice="required"
        ) as stream:
            again = stream.get_final_completion().choices[0].message.tool_calls
        assert again
        assert [call.function.arguments for call in again] == [call.function.arguments for call in calls]
        results: Any = [{"role": "tool", "tool_call_id": call.id, "content": "14"} for call in calls]
        asked: Any = [*messages, first.choices[0].message, *results]
        assert client.chat.completions.create(model="native", messages=asked, tools=TOOLS).choices[0].message.content
