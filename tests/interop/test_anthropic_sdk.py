"""The official Anthropic SDK, sync and async, through the gateway to an OpenAI-speaking provider."""

import asyncio
import http.client
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import Message, MessageTokensCount, ModelInfo
from pydantic import BaseModel
from tests.support.dialect_gateway import dialect_gateway, last_event
from tests.support.gateway import Gateway
from tests.support.services import CLIENT_KEY, UPSTREAM_KEY
from tests.support.simulator import SimulatorThread
from tests.support.strict_models import read_strictly

HELLO: Any = [{"role": "user", "content": "When does the tide turn?"}]
SCHEMA: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
}
TOOLS: Any = [{"name": name, "description": name, "input_schema": SCHEMA} for name in ("get_weather", "get_tide")]


@pytest.fixture(scope="module")
def gateway(provider: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with dialect_gateway(tmp_path_factory.mktemp("anthropic"), provider.url, "anthropic") as gateway:
        yield gateway


@pytest.fixture
def simulator(provider: SimulatorThread) -> SimulatorThread:
    provider.reset()
    return provider


@pytest.fixture
def client(gateway: Gateway, simulator: SimulatorThread) -> Iterator[Anthropic]:
    with Anthropic(base_url=gateway.url, api_key=CLIENT_KEY, timeout=10, max_retries=0) as client:
        yield client


def ask(client: Anthropic, **fields: Any) -> Message:
    return client.messages.create(**({"model": "gpt-4.1", "max_tokens": 200, "messages": HELLO} | fields))


def test_whole(client: Anthropic, gateway: Gateway, simulator: SimulatorThread) -> None:
    answer = client.messages.with_raw_response.create(
        model="gpt-4.1", max_tokens=200, system="Be brief.", messages=HELLO, metadata={"user_id": "ann@example.org"}
    )
    found = read_strictly(Message, answer.text())  # type: ignore[type-var]
    assert (found.model, found.role, found.stop_reason) == ("gpt-4.1", "assistant", "end_turn")
    assert found.content[0].type == "text"
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    call = simulator.calls()[-1]
    assert call.key == UPSTREAM_KEY
    assert (found.usage.input_tokens, found.usage.output_tokens) == (call.prompt_tokens, call.completion_tokens)
    event = last_event(gateway)
    assert (event.dialect, event.usage.input_total, event.usage.output_total) == (
        "anthropic",
        call.prompt_tokens,
        call.completion_tokens,
    )
    assert event.cost_nano


def test_the_stream_says_what_the_whole_answer_says(client: Anthropic, gateway: Gateway) -> None:
    whole = ask(client)
    with client.messages.stream(model="gpt-4.1", max_tokens=200, messages=HELLO) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert final.content[0].text == whole.content[0].text  # type: ignore[union-attr]
    assert (final.stop_reason, final.model) == ("end_turn", "gpt-4.1")
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    assert (final.usage.input_tokens, final.usage.output_tokens) == (
        whole.usage.input_tokens,
        whole.usage.output_tokens,
    )
    event = last_event(gateway)
    assert (event.stream, event.usage.source, event.usage.output_total) == (True, "reported", final.usage.output_tokens)


def test_bounds_of_an_answer(client: Anthropic) -> None:
    short = ask(client, max_tokens=3)
    assert (short.stop_reason, short.usage.output_tokens) == ("max_tokens", 3)
    whole = ask(client).content[0].text  # type: ignore[union-attr]
    word = whole.split()[2]
    stopped = ask(client, stop_sequences=[word])
    assert stopped.content[0].text == whole[: whole.index(word)]  # type: ignore[union-attr]


def test_parallel_tools_and_their_results(client: Anthropic) -> None:
    messages: Any = [{"role": "user", "content": "weather and tide, please"}]
    first = ask(client, messages=messages, tools=TOOLS)
    assert first.stop_reason == "tool_use"
    calls = [block for block in first.content if block.type == "tool_use"]
    assert [call.name for call in calls] == ["get_weather", "get_tide"]
    with client.messages.stream(model="gpt-4.1", max_tokens=200, messages=messages, tools=TOOLS) as stream:
        streamed = [block for block in stream.get_final_message().content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in streamed] == [(call.name, call.input) for call in calls]
    assert len({call.id for call in streamed}) == 2
    results: Any = [{"type": "tool_result", "tool_use_id": call.id, "content": "14 °C"} for call in calls]
    history = [*messages, first.to_param(), {"role": "user", "content": [{"type": "text", "text": "So?"}, *results]}]
    second = ask(client, messages=history, tools=TOOLS)
    assert (second.stop_reason, second.content[0].type) == ("end_turn", "text")


def test_one_named_tool_and_no_parallel_calls(client: Anthropic) -> None:
    answer = ask(
        client,
        tools=TOOLS,
        tool_choice={"type": "tool", "name": "get_tide", "disable_parallel_tool_use": True},
    )
    assert [block.name for block in answer.content if block.type == "tool_use"] == ["get_tide"]
    assert answer.stop_reason == "tool_use"


def test_structured_output(client: Anthropic) -> None:
    class Harbour(BaseModel):
        name: str
        depth: int

    answer = client.messages.parse(model="gpt-4.1", max_tokens=200, messages=HELLO, output_format=Harbour)
    assert isinstance(answer.parsed_output, Harbour)


def test_what_claude_code_sends(gateway: Gateway, simulator: SimulatorThread) -> None:
    """`HEAD /`, then a call with everything that it puts into one."""
    connection = http.client.HTTPConnection(gateway.address, timeout=10)
    connection.request("HEAD", "/")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"")
    marked = {"type": "ephemeral"}
    body = {
        "model": "gpt-4.1",
        "max_tokens": 32000,
        "stream": True,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197; cch=00000;"},
            {"type": "text", "text": "You are an agent.", "cache_control": marked},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "<reminder>"}, {"type": "text", "text": "Hi"}]},
            {"role": "system", "content": "The date has changed."},
        ],
        "tools": [*TOOLS, {"name": "Bash", "input_schema": SCHEMA, "eager_input_streaming": True}],
        "metadata": {"user_id": "user_0_account__session_1"},
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "medium"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "diagnostics": {"previous_message_id": None},
    }
    headers = {
        "authorization": f"Bearer {CLIENT_KEY}",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14",
        "x-app": "cli",
        "content-type": "application/json",
    }
    connection.request("POST", "/v1/messages?beta=true", json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.status == 200
    assert text.startswith("event: message_start\n")
    assert text.endswith('event: message_stop\ndata: {"type":"message_stop"}\n\n')
    assert "context_management" in (answer.getheader("x-tidegate-dropped") or "")
    sent = simulator.calls()[-1]
    assert b"anthropic-beta" not in {name for name, _ in sent.headers}


def test_models(client: Anthropic, gateway: Gateway) -> None:
    listed = client.models.list()
    assert {"gpt-4.1", "native"} <= {model.id for model in listed}
    one = client.models.with_raw_response.retrieve("meta-llama/Llama-3.1-8B-Instruct")
    assert read_strictly(ModelInfo, one.text()).lifecycle == "active"  # type: ignore[type-var]
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("no-such-model")
    request = urllib.request.Request(gateway.url + "/v1/models", headers={"authorization": f"Bearer {CLIENT_KEY}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["object"] == "list"


def test_a_count_is_estimated_and_free(client: Anthropic, gateway: Gateway, simulator: SimulatorThread) -> None:
    image: Any = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo=" * 1000}
    content: Any = [{"type": "text", "text": "tide " * 400}, {"type": "image", "source": image}]
    counted = client.messages.with_raw_response.count_tokens(
        model="gpt-4.1", system="Be brief.", messages=[{"role": "user", "content": content}], tools=TOOLS
    )
    assert counted.headers["x-tidegate-estimated"] == "true"
    assert 500 < read_strictly(MessageTokensCount, counted.text()).input_tokens < 3000  # type: ignore[type-var]
    assert simulator.calls() == []
    event = last_event(gateway, lambda event: event.operation == "token_count")
    assert (event.status, event.outcome, event.cost_nano, event.charged_nano) == (200, "ok", 0, 0)
    with pytest.raises(anthropic.NotFoundError):
        client.messages.count_tokens(model="no-such-model", messages=HELLO)


# Errors.


def test_errors_are_the_sdks_own(client: Anthropic, gateway: Gateway) -> None:
    with pytest.raises(anthropic.NotFoundError) as unknown:
        ask(client, model="no-such-model")
    assert (unknown.value.type, unknown.value.error_code) == ("not_found_error", "model_not_found")
    assert unknown.value.request_id
    with pytest.raises(anthropic.BadRequestError) as refused:
        ask(client, tools=[{"type": "web_search_20250305", "name": "web_search"}])
    assert refused.value.error_code == "unsupported_field"
    assert "web_search_20250305" in (refused.value.api_message or "")
    with Anthropic(base_url=gateway.url, api_key="wrong", max_retries=0) as stranger:
        with pytest.raises(anthropic.AuthenticationError) as denied:
            ask(stranger)
    assert denied.value.type == "authentication_error"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"messages": [{"role": "usr", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}, "messages[0].content[0]"),
        ({"extra_body": {"unheard_of": 1}}, "`unheard_of`"),
        ({"inference_geo": "eu"}, "`inference_geo`"),
        ({"extra_body": {"max_tokens": "many"}}, "max_tokens"),
    ],
)
def test_a_bad_request_names_its_field(client: Anthropic, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(client, **fields)
    assert says in (caught.value.api_message or "")
    assert caught.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("script", "error"),
    [("429", anthropic.RateLimitError), ("503", anthropic.ServiceUnavailableError), ("500", anthropic.APIStatusError)],
)
def test_an_upstreams_errors(
    client: Anthropic, simulator: SimulatorThread, unused_trials: Iterator[str], script: str, error: Any
) -> None:
    model = next(unused_trials)
    simulator.change(model, script=[script])
    with pytest.raises(error) as caught:
        ask(client, model=model)
    assert caught.value.status_code == int(script)
    assert caught.value.api_message


def test_an_error_within_a_stream_is_raised(
    client: Anthropic, gateway: Gateway, simulator: SimulatorThread, unused_trials: Iterator[str]
) -> None:
    model = next(unused_trials)
    simulator.change(model, faults={"error-event": 1})
    with client.messages.stream(model=model, max_tokens=200, messages=HELLO) as stream:
        with pytest.raises(anthropic.APIStatusError) as caught:
            list(stream)
    assert caught.value.type == "api_error"
    assert last_event(gateway).outcome == "cut"


def test_a_cut_stream_is_not_taken_for_whole(
    client: Anthropic, simulator: SimulatorThread, unused_trials: Iterator[str]
) -> None:
    model = next(unused_trials)
    simulator.change(model, faults={"reset-mid-answer": 1})
    with client.messages.stream(model=model, max_tokens=200, messages=HELLO) as stream:
        with pytest.raises(anthropic.APIError):
            list(stream)


def test_async_calls_and_streams_at_once(gateway: Gateway, simulator: SimulatorThread) -> None:
    async def main() -> None:
        async with AsyncAnthropic(base_url=gateway.url + "/anthropic", auth_token=CLIENT_KEY, api_key=None) as client:

            async def streamed(number: int) -> str:
                messages: Any = [{"role": "user", "content": f"Question {number}"}]
                async with client.messages.stream(model="gpt-4.1", max_tokens=200, messages=messages) as stream:
                    return await stream.get_final_text()

            async def whole(number: int) -> str:
                messages: Any = [{"role": "user", "content": f"Question {number}"}]
                answer = await client.messages.create(model="gpt-4.1", max_tokens=200, messages=messages)
                return answer.content[0].text  # type: ignore[union-attr]

            streams = await asyncio.gather(*map(streamed, range(8)))
            assert streams == await asyncio.gather(*map(whole, range(8)))
            assert len(set(streams)) == 8

    asyncio.run(main())
