"""A provider that speaks Anthropic's dialect: called natively by its own SDK, and through the hub by OpenAI's.

The simulator refuses what Anthropic refuses: wrong turns, thoughts with a changed signature, fields that it does not know.
"""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from anthropic import Anthropic
from anthropic.types import Message
from openai import AsyncOpenAI, OpenAI
from tests.support.dialect_gateway import dialect_gateway, last_event
from tests.support.gateway import Gateway
from tests.support.services import CLIENT_KEY, UPSTREAM_KEY
from tests.support.simulator import SimulatorThread
from tests.support.strict_models import read_strictly

from tidegate.core.usage import UsageEvent

HELLO: Any = [{"role": "user", "content": "When does the tide turn?"}]
BOTH: Any = [{"role": "user", "content": "weather and tide, please"}]
SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("get.weather", "get.tide")
]
OWN_TOOLS: Any = [{"name": name, "input_schema": SCHEMA} for name in ("get_weather", "get_tide")]
ADAPTIVE = "claude-opus-5-5"
BUDGETED = "native"
"""Its provider calls it `gpt-4.1`: a model of which nothing is known is given a budget to think."""
_MODEL = """
---
kind: Model
metadata: {{name: "{name}"}}
spec:
  task: chat
  targets: [{{provider: {provider}, model: "{name}"}}]
  routing: {{attempts: 1}}
  price: {{inputPerMillion: 1.00, cachedInputPerMillion: 0.25, outputPerMillion: 4.00}}
"""
_PROVIDER = """
---
kind: Provider
metadata: {{name: {name}}}
spec:
  dialect: anthropic
  baseUrl: {url}
  credentials: [{{apiKey: {{env: SIM_KEY}}}}]
"""
TRIALS = tuple(f"trial-{number}" for number in range(30, 40))
"""Here at providers of this dialect."""


@pytest.fixture(scope="module")
def gateway(provider: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    more = _MODEL.format(name=ADAPTIVE, provider="native")
    for name in TRIALS:
        more += _PROVIDER.format(name=f"own-{name}", url=provider.url)
        more += _MODEL.format(name=f"own-{name}", provider=f"own-{name}").replace(
            f'model: "own-{name}"', f'model: "{name}"'
        )
    folder = tmp_path_factory.mktemp("anthropic")
    with dialect_gateway(folder, provider.url, "anthropic", more=more) as gateway:
        yield gateway


@pytest.fixture
def simulator(provider: SimulatorThread) -> SimulatorThread:
    provider.reset()
    return provider


@pytest.fixture(scope="module")
def names() -> Iterator[str]:
    return iter(TRIALS)


@pytest.fixture
def trial(names: Iterator[str]) -> str:
    """The simulator's name of a model for this test alone; the gateway's is `own-` before it."""
    return next(names)


@pytest.fixture
def client(gateway: Gateway, simulator: SimulatorThread) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.url + "/v1", api_key=CLIENT_KEY, timeout=10, max_retries=0) as client:
        yield client


@pytest.fixture
def own(gateway: Gateway, simulator: SimulatorThread) -> Iterator[Anthropic]:
    with Anthropic(base_url=gateway.url, api_key=CLIENT_KEY, timeout=10, max_retries=0) as client:
        yield client


def sent_headers(simulator: SimulatorThread) -> dict[bytes, bytes]:
    return dict(simulator.calls()[-1].headers)


def of(model: str) -> Any:
    return lambda event: event.model == model


# Its own SDK, natively.


def test_natively(own: Anthropic, gateway: Gateway, simulator: SimulatorThread) -> None:
    raw = own.messages.with_raw_response.create(
        model=ADAPTIVE,
        max_tokens=200,
        messages=HELLO,
        extra_headers={"anthropic-beta": "one-2026-01-01,two-2026-02-02"},
    )
    whole = read_strictly(Message, raw.text())  # type: ignore[type-var]
    assert (whole.model, whole.stop_reason) == (ADAPTIVE, "end_turn")
    headers = sent_headers(simulator)
    assert headers[b"anthropic-beta"] == b"one-2026-01-01,two-2026-02-02"
    assert headers[b"anthropic-version"] == b"2026-10-21"
    assert headers[b"x-api-key"] == UPSTREAM_KEY.encode()
    assert b"authorization" not in headers
    with own.messages.stream(model=ADAPTIVE, max_tokens=200, messages=HELLO) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_message()
    assert (kinds[0], kinds[-1], streamed.model) == ("message_start", "message_stop", ADAPTIVE)
    assert streamed.content[0].text == whole.content[0].text  # type: ignore[union-attr]
    event = last_event(gateway, of(ADAPTIVE))
    assert (event.stream, event.usage.source, event.usage.output_total) == (
        True,
        "reported",
        whole.usage.output_tokens,
    )


def test_a_client_without_a_version_gets_the_old_one(gateway: Gateway, simulator: SimulatorThread) -> None:
    with Anthropic(
        base_url=gateway.url + "/anthropic",
        api_key=CLIENT_KEY,
        default_headers={"anthropic-version": anthropic.Omit(), "anthropic-beta": "one-2026-01-01"},
    ) as client:
        client.messages.create(model=ADAPTIVE, max_tokens=9, messages=HELLO)
    headers = sent_headers(simulator)
    assert (headers[b"anthropic-version"], headers[b"anthropic-beta"]) == (b"2023-06-01", b"one-2026-01-01")


def test_thoughts_and_tools_natively(own: Anthropic) -> None:
    """The provider checks every signature."""
    fields: Any = {"model": ADAPTIVE, "max_tokens": 3000, "tools": OWN_TOOLS, "thinking": {"type": "adaptive"}}
    with own.messages.stream(messages=BOTH, **fields) as stream:
        first = stream.get_final_message()
    assert [block.type for block in first.content] == ["thinking", "tool_use", "tool_use"]
    results: Any = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "14"}
        for block in first.content
        if block.type == "tool_use"
    ]
    second = own.messages.create(messages=[*BOTH, first.to_param(), {"role": "user", "content": results}], **fields)
    assert second.stop_reason == "end_turn"


def test_its_cache_is_accounted_for(own: Anthropic, gateway: Gateway) -> None:
    system: Any = [{"type": "text", "text": "Tides. " * 3000, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    fields: Any = {"model": ADAPTIVE, "max_tokens": 9, "messages": HELLO, "system": system}
    written = own.messages.create(**fields).usage
    event = last_event(gateway, of(ADAPTIVE))
    assert written.cache_creation_input_tokens
    assert (event.usage.cache_write_1h, event.usage.input) == (
        written.cache_creation_input_tokens,
        written.input_tokens,
    )
    with own.messages.stream(**fields) as stream:
        read = stream.get_final_message().usage
    assert last_event(gateway, of(ADAPTIVE)).usage.cache_read == read.cache_read_input_tokens
    assert read.cache_read_input_tokens


@pytest.mark.parametrize(
    ("script", "error", "status"),
    [
        ("529", anthropic.OverloadedError, 529),
        ("429", anthropic.RateLimitError, 429),
        ("401", anthropic.APIStatusError, 502),
    ],
)
def test_its_errors_natively(
    own: Anthropic, simulator: SimulatorThread, trial: str, script: str, error: Any, status: int
) -> None:
    simulator.change(trial, script=[script])
    with pytest.raises(error) as caught:
        own.messages.create(model=f"own-{trial}", max_tokens=9, messages=HELLO)
    assert caught.value.status_code == status
    assert caught.value.request_id


def test_a_stream_that_breaks_natively(
    own: Anthropic, gateway: Gateway, simulator: SimulatorThread, trial: str
) -> None:
    simulator.change(trial, faults={"error-event": 1})
    with own.messages.stream(model=f"own-{trial}", max_tokens=200, messages=HELLO) as stream:
        with pytest.raises(anthropic.APIStatusError) as caught:
            list(stream)
    assert caught.value.type == "overloaded_error"
    event = last_event(gateway, of(f"own-{trial}"))
    assert (event.outcome, event.usage.source) == ("cut", "estimated")
    assert event.usage.input > 0


def test_its_own_count(own: Anthropic, gateway: Gateway, simulator: SimulatorThread) -> None:
    raw = own.messages.with_raw_response.count_tokens(model=ADAPTIVE, messages=HELLO, system="Be brief.")
    counted = raw.parse().input_tokens
    assert "x-tidegate-estimated" not in raw.headers
    used = own.messages.create(model=ADAPTIVE, messages=HELLO, system="Be brief.", max_tokens=1).usage
    assert counted == used.input_tokens
    event = last_event(gateway, lambda event: event.operation == "token_count" and event.model == ADAPTIVE)
    assert (event.cost_nano, event.charged_nano, event.usage.total) == (0, 0, 0)


# OpenAI's SDK, through the hub.


def usage_agrees(event: UsageEvent, usage: Any) -> None:
    assert (event.usage.input_total, event.usage.output_total, event.usage.source) == (
        usage.prompt_tokens,
        usage.completion_tokens,
        "reported",
    )
    assert event.usage.cache_read == usage.prompt_tokens_details.cached_tokens
    assert event.cost_nano


@pytest.mark.parametrize("model", [ADAPTIVE, BUDGETED])
def test_the_stream_says_what_the_whole_answer_says(
    client: OpenAI, gateway: Gateway, simulator: SimulatorThread, model: str
) -> None:
    fields: Any = {"model": model, "messages": [{"role": "system", "content": "Be brief."}, *HELLO]}
    whole = client.chat.completions.create(**fields)
    usage_agrees(last_event(gateway, of(model)), whole.usage)
    assert sent_headers(simulator)[b"anthropic-version"] == b"2023-06-01"
    with client.chat.completions.create(**fields, stream=True, stream_options={"include_usage": True}) as stream:
        chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert {chunk.model for chunk in chunks} == {model}
    assert chunks[-1].usage == whole.usage


def test_bounds_and_samplers(client: OpenAI) -> None:
    short = client.chat.completions.create(
        model=BUDGETED, messages=HELLO, max_tokens=3, temperature=0.5, top_p=0.9, seed=1, user="ann@example.org"
    )
    assert short.choices[0].finish_reason == "length"
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=BUDGETED, messages=HELLO, temperature=1.5)
    assert caught.value.param == "temperature"


@pytest.mark.parametrize("model", [ADAPTIVE, BUDGETED])
@pytest.mark.parametrize("effort", ["low", "xhigh"])
def test_thoughts_and_tools_over_two_turns(client: OpenAI, model: str, effort: Any) -> None:
    """The provider checks every signature, and the order of results; the tools' names are not legal there."""
    fields: Any = {"model": model, "tools": TOOLS, "reasoning_effort": effort}
    whole = client.chat.completions.create(messages=BOTH, **fields).choices[0]
    with client.chat.completions.stream(messages=BOTH, **fields) as stream:
        streamed = stream.get_final_completion().choices[0]
    for choice in (whole, streamed):
        assert choice.finish_reason == "tool_calls"
        calls: Any = choice.message.tool_calls
        assert [call.function.name for call in calls] == ["get.weather", "get.tide"]
        assert all(set(json.loads(call.function.arguments)) == {"city"} for call in calls)
    said: Any = whole.message.model_dump(exclude_none=True)
    assert said["reasoning_details"][0]["signature"]
    results: Any = [
        {"role": "tool", "tool_call_id": call.id, "content": "14 °C"}
        for call in reversed(whole.message.tool_calls or [])
    ]
    history = [*BOTH, said, *results, {"role": "user", "content": "So?"}]
    after = client.chat.completions.create(messages=history, **fields)
    assert after.choices[0].message.content
    said["reasoning_details"][0]["signature"] = "Zm9yZ2Vk"
    with pytest.raises(openai.BadRequestError, match="signature"):
        client.chat.completions.create(messages=history, **fields)
    del said["reasoning_details"]
    lost = client.chat.completions.with_raw_response.create(messages=history, **fields)
    assert lost.parse().choices[0].message.content


def test_a_forced_tool_and_no_parallel_calls(client: OpenAI) -> None:
    forced = client.chat.completions.with_raw_response.create(
        model=ADAPTIVE,
        messages=BOTH,
        tools=TOOLS,
        tool_choice={"type": "function", "function": {"name": "get.tide"}},
        reasoning_effort="high",
    )
    calls: Any = forced.parse().choices[0].message.tool_calls
    assert [call.function.name for call in calls] == ["get.tide"]
    assert forced.headers["x-tidegate-dropped"] == "reasoning_effort"
    one = client.chat.completions.create(model=ADAPTIVE, messages=BOTH, tools=TOOLS, parallel_tool_calls=False).choices[
        0
    ]
    assert len(one.message.tool_calls or []) == 1


def test_structured_output(client: OpenAI) -> None:
    schema: Any = {
        "type": "object",
        "properties": {"depth": {"$ref": "#/$defs/depth"}},
        "$defs": {"depth": {"type": "integer"}},
        "required": ["depth"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model=ADAPTIVE,
        messages=HELLO,
        response_format={"type": "json_schema", "json_schema": {"name": "harbour", "schema": schema}},
    )
    assert set(json.loads(answer.choices[0].message.content or "")) == {"depth"}


def test_images_and_documents(client: OpenAI) -> None:
    parts: Any = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
    ]
    answer = client.chat.completions.create(model=ADAPTIVE, messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content


@pytest.mark.parametrize(
    ("script", "error", "status"),
    [
        ("529", openai.InternalServerError, 503),
        ("429", openai.RateLimitError, 429),
        ("400", openai.BadRequestError, 400),
    ],
)
def test_its_errors_for_others(
    client: OpenAI, simulator: SimulatorThread, trial: str, script: str, error: Any, status: int
) -> None:
    simulator.change(trial, script=[script])
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=f"own-{trial}", messages=HELLO)
    assert caught.value.status_code == status


@pytest.mark.parametrize("fault", ["error-event", "reset-mid-answer"])
def test_a_stream_that_breaks_for_others(
    client: OpenAI, gateway: Gateway, simulator: SimulatorThread, trial: str, fault: str
) -> None:
    simulator.change(trial, faults={fault: 1})
    with client.chat.completions.create(model=f"own-{trial}", messages=HELLO, stream=True) as stream:
        with pytest.raises(openai.APIError):
            list(stream)
    assert last_event(gateway, of(f"own-{trial}")).outcome == "cut"


def test_async_streams_at_once(gateway: Gateway, simulator: SimulatorThread) -> None:
    async def main() -> None:
        async with AsyncOpenAI(base_url=gateway.url + "/v1", api_key=CLIENT_KEY) as client:

            async def streamed(number: int) -> str:
                messages: Any = [{"role": "user", "content": f"Question {number}"}]
                stream = await client.chat.completions.create(model=ADAPTIVE, messages=messages, stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            texts = await asyncio.gather(*map(streamed, range(8)))
            assert len(set(texts)) == 8

    asyncio.run(main())
