"""The official OpenAI SDK, sync and async, against the simulator and against the gateway in front of it.

What it sees must be the same. Every answer is also read strictly by the SDK's own types.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from openai.types import Completion, CreateEmbeddingResponse, Model, ModerationCreateResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from tests.support.services import CLIENT_KEY, UPSTREAM_KEY, Service
from tests.support.simulator import SimulatorThread
from tests.support.strict_models import read_strictly

HELLO: Any = [{"role": "user", "content": "When does the tide turn?"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
        },
    },
}


@pytest.fixture
def client(service: Service) -> Iterator[OpenAI]:
    with OpenAI(base_url=service.base_url, api_key=service.key, timeout=10) as client:
        yield client


def async_client(service: Service, **options: Any) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=service.base_url, api_key=service.key, timeout=10, **options)


def raw_events(response: Any) -> list[str]:
    """The data of each event of a stream, as sent."""
    return [line.removeprefix("data: ") for line in response.iter_lines() if line]


# Chat.


def test_chat(client: OpenAI, service: Service) -> None:
    answer = client.chat.completions.with_raw_response.create(model="gpt-4.1", messages=HELLO)
    found = read_strictly(ChatCompletion, answer.content)
    assert found.model == "gpt-4.1"
    assert found.choices[0].finish_reason == "stop"
    assert found.choices[0].message.content
    usage = found.usage
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert answer.headers["x-request-id"]
    assert "transfer-encoding" not in answer.headers
    call = service.simulator.calls()[-1]
    assert (call.key, call.prompt_tokens, call.completion_tokens) == (
        UPSTREAM_KEY,
        usage.prompt_tokens,
        usage.completion_tokens,
    )


def test_the_stream_says_what_the_whole_answer_says(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="gpt-4.1", messages=HELLO)
    with client.chat.completions.create(model="gpt-4.1", messages=HELLO, stream=True) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.model for chunk in chunks} == {"gpt-4.1"}
    assert all("usage" not in chunk.model_fields_set for chunk in chunks)


def test_a_stream_with_usage(client: OpenAI, service: Service) -> None:
    with client.chat.completions.with_streaming_response.create(
        model="gpt-4.1", messages=HELLO, stream=True, stream_options={"include_usage": True}
    ) as response:
        events = raw_events(response)
    assert events.pop() == "[DONE]"
    chunks = [read_strictly(ChatCompletionChunk, event) for event in events]
    assert chunks[-1].choices == []
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens == service.simulator.calls()[-1].completion_tokens
    assert all(json.loads(event)["usage"] is None for event in events[:-1])
    assert all(len(chunk.choices) == 1 for chunk in chunks[:-1])


def test_several_choices(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="gpt-4.1", messages=HELLO, n=3)
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    texts: dict[int, str] = {}
    with client.chat.completions.create(model="gpt-4.1", messages=HELLO, n=3, stream=True) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
    assert texts == {choice.index: choice.message.content for choice in whole.choices}


def test_bounds_of_an_answer(client: OpenAI) -> None:
    short = client.chat.completions.create(model="gpt-4.1", messages=HELLO, max_completion_tokens=3)
    assert short.choices[0].finish_reason == "length"
    assert short.usage is not None
    assert short.usage.completion_tokens == 3
    whole = client.chat.completions.create(model="gpt-4.1", messages=HELLO).choices[0].message.content or ""
    word = whole.split()[2]
    stopped = client.chat.completions.create(model="gpt-4.1", messages=HELLO, stop=[word])
    assert stopped.choices[0].message.content == whole[: whole.index(word)]
    assert stopped.choices[0].finish_reason == "stop"


def test_log_probabilities(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="gpt-4.1", messages=HELLO, logprobs=True, top_logprobs=2, max_tokens=4
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert "".join(entry.token for entry in logprobs.content) == answer.choices[0].message.content
    assert all(len(entry.top_logprobs) == 2 for entry in logprobs.content)


def test_a_tool_call_and_its_result(client: OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "What is the weather in Kōbe?"}]
    first = client.chat.completions.create(model="gpt-4.1", messages=messages, tools=[WEATHER]).choices[0]
    assert first.finish_reason == "tool_calls"
    assert first.message.content is None
    calls = first.message.tool_calls
    assert calls is not None
    assert set(json.loads(calls[0].function.arguments)) == {"city", "unit"}
    messages += [first.message, {"role": "tool", "tool_call_id": calls[0].id, "content": "14 °C"}]
    second = client.chat.completions.create(model="gpt-4.1", messages=messages, tools=[WEATHER]).choices[0]
    assert second.finish_reason == "stop"
    assert second.message.content


def test_parallel_tool_calls_in_a_stream(client: OpenAI) -> None:
    tide: Any = {"type": "function", "function": {"name": "get_tide", "parameters": WEATHER["function"]["parameters"]}}
    messages: Any = [{"role": "user", "content": "weather and tide, please"}]
    with client.chat.completions.stream(model="gpt-4.1", messages=messages, tools=[WEATHER, tide]) as stream:
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert [call.function.name for call in calls] == ["get_weather", "get_tide"]
    assert len({call.id for call in calls}) == 2
    assert all(set(json.loads(call.function.arguments)) == {"city", "unit"} for call in calls)
    whole = client.chat.completions.create(model="gpt-4.1", messages=messages, tools=[WEATHER, tide])
    assert [call.to_dict() for call in whole.choices[0].message.tool_calls or []] == [
        {key: value for key, value in call.to_dict().items() if key != "index"}
        | {"function": {"name": call.function.name, "arguments": call.function.arguments}}
        for call in calls
    ]


def test_structured_output(client: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"harbour": {"type": "string"}, "depth": {"$ref": "#/$defs/depth"}},
        "$defs": {"depth": {"type": "integer", "minimum": 3, "maximum": 9}},
    }
    answer = client.chat.completions.create(
        model="gpt-4.1",
        messages=HELLO,
        response_format={"type": "json_schema", "json_schema": {"name": "harbour", "schema": schema}},
    )
    found = json.loads(answer.choices[0].message.content or "")
    assert set(found) == {"harbour", "depth"}
    assert 3 <= found["depth"] <= 9


def test_a_repeated_long_prompt_is_cached(client: OpenAI) -> None:
    messages: Any = [{"role": "system", "content": "Tides and gates. " * 400}, *HELLO]
    usages = [client.chat.completions.create(model="gpt-4.1", messages=messages).usage for _ in range(3)]
    cached = [usage.prompt_tokens_details.cached_tokens for usage in usages if usage and usage.prompt_tokens_details]
    assert cached[0] == 0
    assert cached[1] == cached[2] >= 1024
    assert cached[1] % 128 == 0


# The other endpoints.


def test_legacy_completions(client: OpenAI) -> None:
    answer = client.completions.with_raw_response.create(model="gpt-3.5-turbo-instruct", prompt="Once", max_tokens=8)
    whole = read_strictly(Completion, answer.content)
    assert whole.choices[0].finish_reason == "length"
    with client.completions.create(
        model="gpt-3.5-turbo-instruct", prompt="Once", max_tokens=8, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == whole.choices[0].text
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage


def test_embeddings_in_both_encodings(client: OpenAI) -> None:
    texts = ["the tide", "潮"]
    packed = client.embeddings.create(model="text-embedding-3-small", input=texts)
    answer = client.embeddings.with_raw_response.create(
        model="text-embedding-3-small", input=texts, encoding_format="float"
    )
    plain = read_strictly(CreateEmbeddingResponse, answer.content)
    assert [item.embedding for item in packed.data] == [item.embedding for item in plain.data]
    assert [len(item.embedding) for item in plain.data] == [1536, 1536]
    assert packed.usage == plain.usage
    few = client.embeddings.create(model="text-embedding-3-small", input=[[1, 2, 3]], dimensions=8)
    assert len(few.data[0].embedding) == 8
    assert few.usage.prompt_tokens == 3


def test_moderations(client: OpenAI) -> None:
    answer = client.moderations.with_raw_response.create(
        model="omni-moderation-latest", input=["lovely day", "I will kill the process"]
    )
    found = read_strictly(ModerationCreateResponse, answer.content)
    assert [result.flagged for result in found.results] == [False, True]
    assert found.results[1].categories.violence


def test_models(client: OpenAI) -> None:
    listed = {model.id for model in client.models.list()}
    assert {"gpt-4.1", "meta-llama/Llama-3.1-8B-Instruct", "text-embedding-3-small"} <= listed
    answer = client.models.with_raw_response.retrieve("meta-llama/Llama-3.1-8B-Instruct")
    assert read_strictly(Model, answer.content).id == "meta-llama/Llama-3.1-8B-Instruct"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("no-such-model")
    assert caught.value.code == "model_not_found"


def test_a_model_with_a_slash(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="meta-llama/Llama-3.1-8B-Instruct", messages=HELLO)
    assert answer.model == "meta-llama/Llama-3.1-8B-Instruct"


def test_azure_clients_reach_the_simulator(provider: SimulatorThread) -> None:
    provider.reset()
    with AzureOpenAI(azure_endpoint=provider.url, api_key="azure-key", api_version="2024-10-21") as client:
        whole = client.chat.completions.create(model="gpt-4.1", messages=HELLO)
        options: Any = {"include_usage": True}
        with client.chat.completions.create(
            model="gpt-4.1", messages=HELLO, stream=True, stream_options=options
        ) as stream:
            chunks = list(stream)
        vectors = client.embeddings.create(model="text-embedding-3-small", input="tide")
    assert chunks[0].choices == []  # the prompt's content filter results come first
    assert chunks[-1].usage == whole.usage
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == whole.choices[0].message.content
    assert len(vectors.data[0].embedding) == 1536
    assert {call.key for call in provider.calls()} == {"azure-key"}


def test_azure_clients_reach_the_gateway(provider: SimulatorThread, gateway_url: str) -> None:
    """Their deployment is a model's public name; behind it any provider of OpenAI's dialect."""
    provider.reset()
    with AzureOpenAI(azure_endpoint=gateway_url, api_key=CLIENT_KEY, api_version="2024-10-21") as client:
        whole = client.chat.completions.create(model="gpt-4.1", messages=HELLO)
        with client.chat.completions.create(model="gpt-4.1", messages=HELLO, stream=True) as stream:
            text = "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)
        vectors = client.embeddings.create(model="text-embedding-3-small", input="tide")
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="not-there", messages=HELLO)
    assert text == whole.choices[0].message.content
    assert len(vectors.data[0].embedding) == 1536
    assert caught.value.code == "model_not_found"


# Errors, retries, timeouts.


def test_a_wrong_key(service: Service) -> None:
    with (
        OpenAI(base_url=service.base_url, api_key="sk-wrong") as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.chat.completions.create(model="gpt-4.1", messages=HELLO)
    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id


def test_an_unknown_model(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=HELLO)
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "usr", "content": "hi"}]}, "messages[0].role"),
        ({"messages": HELLO, "temperature": 3}, "temperature"),
        ({"messages": HELLO, "stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"messages": HELLO, "tools": [{"type": "function"}]}, "tools[0].function"),
    ],
)
def test_a_bad_request_is_the_providers_to_refuse(client: OpenAI, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="gpt-4.1", **fields)
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"


def test_the_sdk_retries_what_may_be_retried(client: OpenAI, service: Service, trial: str) -> None:
    service.simulator.change(trial, script=["503", "503", "ok"], retryAfter="10ms")
    answer = client.chat.completions.create(model=trial, messages=HELLO)
    assert answer.choices[0].message.content
    assert [call.status for call in service.simulator.calls(trial)] == [503, 503, 200]


def test_a_rate_limit_says_when(service: Service, trial: str) -> None:
    service.simulator.change(trial, limit={"requests": 1, "window": "30s"})
    with OpenAI(base_url=service.base_url, api_key=service.key, max_retries=0) as client:
        client.chat.completions.create(model=trial, messages=HELLO)
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model=trial, messages=HELLO)
    assert caught.value.code == "rate_limit_exceeded"
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 30


def test_what_must_not_be_retried_is_not(client: OpenAI, service: Service, trial: str) -> None:
    service.simulator.change(trial, errors={"429/insufficient_quota": 1})
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model=trial, messages=HELLO)
    assert caught.value.code == "insufficient_quota"
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(service.simulator.calls(trial)) == 1


def test_a_timeout_of_the_client_ends_the_call(service: Service, trial: str) -> None:
    service.simulator.change(trial, firstByte="60s")
    with OpenAI(base_url=service.base_url, api_key=service.key, timeout=0.2, max_retries=0) as client:
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(model=trial, messages=HELLO)
    wait_for(lambda: service.simulator.calls(trial)[0].outcome == "disconnected")


def test_a_client_that_leaves_a_stream_ends_the_call(client: OpenAI, service: Service, trial: str) -> None:
    service.simulator.change(trial, faults={"endless": 1}, perToken="1ms")
    with client.chat.completions.create(model=trial, messages=HELLO, stream=True) as stream:
        for count, _ in enumerate(stream):
            if count == 5:
                break
    wait_for(lambda: service.simulator.calls(trial)[0].outcome == "disconnected")


def test_an_error_within_a_stream_is_raised(client: OpenAI, service: Service, trial: str) -> None:
    service.simulator.change(trial, faults={"error-event": 1})
    with client.chat.completions.create(model=trial, messages=HELLO, stream=True) as stream:
        with pytest.raises(openai.APIError, match="server had an error"):
            list(stream)


def test_a_cut_stream_is_not_taken_for_whole(client: OpenAI, service: Service, trial: str) -> None:
    service.simulator.change(trial, faults={"reset-mid-answer": 1})
    with client.chat.completions.create(model=trial, messages=HELLO, stream=True) as stream:
        with pytest.raises(openai.APIError):
            list(stream)


# Async.


def test_async_calls_and_streams_at_once(service: Service) -> None:
    async def main() -> None:
        async with async_client(service) as client:

            async def streamed(number: int) -> str:
                messages: Any = [{"role": "user", "content": f"Question {number}"}]
                text = ""
                async with await client.chat.completions.create(
                    model="gpt-4.1", messages=messages, stream=True
                ) as stream:
                    async for chunk in stream:
                        text += chunk.choices[0].delta.content or ""
                return text

            async def whole(number: int) -> str:
                messages: Any = [{"role": "user", "content": f"Question {number}"}]
                answer = await client.chat.completions.create(model="gpt-4.1", messages=messages)
                return answer.choices[0].message.content or ""

            numbers = range(12)
            streams = await asyncio.gather(*map(streamed, numbers))
            wholes = await asyncio.gather(*map(whole, numbers))
            assert streams == wholes
            assert len(set(streams)) == len(numbers)

    asyncio.run(main())


def test_async_errors_and_retries(service: Service, trial: str) -> None:
    service.simulator.change(trial, script=["429", "ok"], retryAfter="10ms")

    async def main() -> None:
        async with async_client(service) as client:
            answer = await client.chat.completions.create(model=trial, messages=HELLO)
            assert answer.choices[0].message.content
            with pytest.raises(openai.NotFoundError):
                await client.chat.completions.create(model="no-such-model", messages=HELLO)
            vectors = await client.embeddings.create(model="text-embedding-3-small", input="tide")
            assert len(vectors.data[0].embedding) == 1536

    asyncio.run(main())
    assert [call.status for call in service.simulator.calls(trial)] == [429, 200]


def test_the_clients_key_never_goes_upstream(client: OpenAI, service: Service) -> None:
    client.chat.completions.create(model="gpt-4.1", messages=HELLO)
    call = service.simulator.calls()[-1]
    assert call.key == UPSTREAM_KEY
    assert all(CLIENT_KEY.encode() not in value for _, value in call.headers)


def wait_for(condition: Any) -> None:
    """Until it holds; fails after ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
