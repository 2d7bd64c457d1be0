"""InvokeModel: AnthropicBedrock and boto3 through the gateway to providers of other dialects, and Anthropic's own SDK to a
Bedrock that checks every request."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest
from anthropic import Anthropic, AnthropicBedrock
from tests.support.bedrock import (
    KEY_ID,
    REGION,
    SECRET,
    FakeBedrock,
    Refusal,
    bedrock_thread,
    chunk,
    exception,
)
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process
from tests.support.services import CLIENT_KEY, UPSTREAM_KEY, gateway_config
from tests.support.simulator import SimulatorThread

from tidegate.core.usage import UsageEvent

PROFILE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
MODEL = "claude"
FAULTY = ("faulty-1", "faulty-2")
"""Models for one fault each: a gateway rests credentials and targets that failed."""
HELLO: Any = [{"role": "user", "content": "When does the tide turn?"}]
CACHED: Any = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
TOOLS: Any = [
    {"name": name, "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
    for name in ("get_weather", "get_tide")
]
_PROVIDERS = """
---
kind: Provider
metadata: {{name: anthropic}}
spec: {{dialect: anthropic, baseUrl: "{sim}", credentials: [{{apiKey: {{env: SIM_KEY}}}}]}}
"""
_BEDROCK = """
---
kind: Provider
metadata: {{name: {name}}}
spec:
  dialect: bedrock
  baseUrl: {url}
  region: {region}
  credentials: [{{accessKeyId: {{env: AWS_ID}}, secretAccessKey: {{env: AWS_SECRET}}}}]
"""
_MODEL = """
---
kind: Model
metadata: {{name: "{name}"}}
spec:
  targets: [{{provider: {provider}, model: "{model}"}}]
  routing: {{attempts: 1, retryOn: [], breaker: {{minRequests: 1000}}}}
  price: {{inputPerMillion: 1.00, cachedInputPerMillion: 0.25, outputPerMillion: 4.00}}
"""
_USAGE = {"input_tokens": 7, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 0, "output_tokens": 5}
_ANSWER: dict[str, Any] = {
    "id": "msg_bdrk_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "At noon."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": _USAGE,
}
_METRICS = {"inputTokenCount": 7, "outputTokenCount": 5, "invocationLatency": 9, "firstByteLatency": 3}


def claude_chunks(*texts: str) -> list[bytes]:
    return [
        chunk(type="message_start", message={**_ANSWER, "content": [], "stop_reason": None}),
        chunk(type="content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *(chunk(type="content_block_delta", index=0, delta={"type": "text_delta", "text": text}) for text in texts),
        chunk(type="content_block_stop", index=0),
        chunk(type="message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage=_USAGE),
        chunk(type="message_stop", **{"amazon-bedrock-invocationMetrics": _METRICS}),
    ]


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeBedrock]:
    with bedrock_thread() as bedrock:
        yield bedrock


@pytest.fixture(scope="module")
def gateway(
    provider: SimulatorThread, upstream: FakeBedrock, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    config = gateway_config(provider.url) + _PROVIDERS.format(sim=provider.url)
    for name in ("bedrock", *FAULTY):
        config += _BEDROCK.format(name=name, url=upstream.url, region=REGION)
    for name in FAULTY:
        config += _MODEL.format(name=name, provider=name, model=PROFILE)
    config += _MODEL.format(name=MODEL, provider="bedrock", model=PROFILE)
    config += _MODEL.format(name=PROFILE, provider="bedrock", model=PROFILE)
    config += _MODEL.format(name="claude-opus-5-5", provider="anthropic", model="claude-opus-5-5")
    environment = {"SIM_KEY": UPSTREAM_KEY, "CLIENT_KEY": CLIENT_KEY, "AWS_ID": KEY_ID, "AWS_SECRET": SECRET}
    with gateway_process(tmp_path_factory.mktemp("invoke"), config, env=environment) as gateway:
        yield gateway


@pytest.fixture
def bedrock(upstream: FakeBedrock, provider: SimulatorThread) -> FakeBedrock:
    provider.reset()
    upstream.received.clear()
    upstream.replies.clear()
    return upstream


@pytest.fixture
def invoking(gateway: Gateway, bedrock: FakeBedrock) -> Iterator[AnthropicBedrock]:
    with AnthropicBedrock(
        base_url=gateway.url, api_key=CLIENT_KEY, aws_region="eu-west-1", timeout=10, max_retries=0
    ) as client:
        yield client


@pytest.fixture
def own(gateway: Gateway, bedrock: FakeBedrock) -> Iterator[Anthropic]:
    with Anthropic(base_url=gateway.url, api_key=CLIENT_KEY, timeout=10, max_retries=0) as client:
        yield client


def counted(event: UsageEvent) -> tuple[int, int, int, int | None]:
    return event.usage.input, event.usage.cache_read, event.usage.output_total, event.cost_nano


# AnthropicBedrock as the client.


def test_to_a_provider_of_openais_dialect(
    invoking: AnthropicBedrock, gateway: Gateway, provider: SimulatorThread
) -> None:
    whole = invoking.messages.create(model="gpt-4.1", max_tokens=50, messages=HELLO)
    assert (whole.model, whole.stop_reason) == ("gpt-4.1", "max_tokens")
    sent = json.loads(provider.calls()[-1].body)
    assert sent["messages"] == [{"role": "user", "content": "When does the tide turn?"}]
    with invoking.messages.stream(model="gpt-4.1", max_tokens=50, messages=HELLO) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_message()
    assert (kinds[0], kinds[-1], "ping" in kinds) == ("message_start", "message_stop", False)
    assert streamed.content[0].text == whole.content[0].text  # type: ignore[union-attr]
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    event = last_event(gateway)
    assert (event.dialect, event.operation, event.stream, event.outcome) == ("bedrock-invoke", "chat", True, "ok")
    assert event.usage.output_total == whole.usage.output_tokens


def test_tools_in_parallel(invoking: AnthropicBedrock) -> None:
    asked: Any = [{"role": "user", "content": "weather and tide, please"}]
    with invoking.messages.stream(model="gpt-4.1", max_tokens=500, messages=asked, tools=TOOLS) as stream:
        said = stream.get_final_message()
    calls = [block for block in said.content if block.type == "tool_use"]
    assert [call.name for call in calls] == ["get_weather", "get_tide"]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "fine"} for call in calls]
    turns: Any = [*asked, {"role": "assistant", "content": said.content}, {"role": "user", "content": results}]
    answer = invoking.messages.create(model="gpt-4.1", max_tokens=500, messages=turns, tools=TOOLS)
    assert answer.stop_reason == "end_turn"


def test_to_anthropics_own_api(invoking: AnthropicBedrock, gateway: Gateway, provider: SimulatorThread) -> None:
    """Nothing is translated: the envelope is changed, cache marks and betas stay."""
    fields: Any = {"model": "claude-opus-5-5", "max_tokens": 300, "messages": HELLO, "system": CACHED}
    whole = invoking.beta.messages.create(**fields, betas=["one-2026-01-01"])
    assert whole.model == "claude-opus-5-5"
    call = provider.calls()[-1]
    headers = [(name, value) for name, value in call.headers if name.startswith(b"anthropic-")]
    assert headers == [(b"anthropic-version", b"2026-10-21"), (b"anthropic-beta", b"one-2026-01-01")]
    assert json.loads(call.body) == fields
    with invoking.messages.stream(**fields) as stream:
        assert stream.get_final_text() == whole.content[0].text  # type: ignore[union-attr]
    assert b"anthropic-beta" not in dict(provider.calls()[-1].headers)
    assert last_event(gateway).usage.source == "reported"


def test_a_signed_thought_comes_back(invoking: AnthropicBedrock) -> None:
    """The provider checks every signature."""
    asked: Any = [{"role": "user", "content": "weather, please"}]
    fields: Any = {"model": "claude-opus-5-5", "max_tokens": 900, "thinking": {"type": "adaptive"}, "tools": TOOLS}
    with invoking.messages.stream(messages=asked, **fields) as stream:
        said = stream.get_final_message()
    assert said.content[0].type == "thinking" and said.content[0].signature
    (call,) = (block for block in said.content if block.type == "tool_use")
    result = [{"type": "tool_result", "tool_use_id": call.id, "content": "21"}]
    turns: Any = [*asked, {"role": "assistant", "content": said.content}, {"role": "user", "content": result}]
    assert invoking.messages.create(messages=turns, **fields).stop_reason == "end_turn"


def test_natively(invoking: AnthropicBedrock, gateway: Gateway, bedrock: FakeBedrock) -> None:
    bedrock.replies += [_ANSWER, claude_chunks("At ", "noon.")]
    fields: Any = {"max_tokens": 300, "messages": HELLO, "system": CACHED}
    whole = invoking.beta.messages.create(model=PROFILE, betas=["odd-2026-01-01"], **fields)
    assert (whole.model, whole.usage.output_tokens) == (PROFILE, 5)
    with invoking.messages.stream(model=PROFILE, **fields) as stream:
        assert stream.get_final_text() == "At noon."
    first, second = bedrock.received
    assert (first.model, first.operation) == (PROFILE, "InvokeModel")
    assert first.body == {**fields, "anthropic_version": "2026-10-21", "anthropic_beta": ["odd-2026-01-01"]}
    assert second.operation == "InvokeModelWithResponseStream"
    assert counted(last_event(gateway)) == (7, 100, 5, 7_000 + 25_000 + 20_000)


# Anthropic's SDK to Bedrock.


def test_anthropics_sdk_loses_nothing(own: Anthropic, gateway: Gateway, bedrock: FakeBedrock) -> None:
    bedrock.replies.append(_ANSWER)
    fields: Any = {
        "max_tokens": 2000,
        "messages": HELLO,
        "system": CACHED,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    raw = own.beta.messages.with_raw_response.create(
        model=MODEL, betas=["context-1m-2025-08-07", "odd-2026-01-01"], service_tier="auto", **fields
    )
    assert raw.parse().content[0].text == "At noon."  # type: ignore[union-attr]
    assert raw.headers["x-tidegate-dropped"] == "service_tier, anthropic-beta:odd-2026-01-01"
    body = {**fields, "anthropic_version": "2026-10-21", "anthropic_beta": ["context-1m-2025-08-07"]}
    assert bedrock.received[-1].body == body
    assert counted(last_event(gateway)) == (7, 100, 5, 52_000)


def test_anthropics_sdk_streams(own: Anthropic, gateway: Gateway, bedrock: FakeBedrock) -> None:
    bedrock.replies.append(claude_chunks("At ", "noon."))
    with own.messages.stream(model=MODEL, max_tokens=300, messages=HELLO) as stream:
        assert stream.get_final_text() == "At noon."
        assert stream.get_final_message().model == MODEL
    assert bedrock.received[-1].operation == "InvokeModelWithResponseStream"
    assert counted(last_event(gateway)) == (7, 100, 5, 52_000)


def test_tokens_are_counted(own: Anthropic, gateway: Gateway, bedrock: FakeBedrock) -> None:
    """The count knows foundation models only, so the profile's region is taken off."""
    bedrock.replies.append({"inputTokens": 42})
    assert own.messages.count_tokens(model=MODEL, messages=HELLO).input_tokens == 42
    received = bedrock.received[-1]
    assert (received.operation, received.model) == ("CountTokens", "anthropic.claude-sonnet-4-5-20250929-v1:0")
    inner = json.loads(base64.b64decode(received.body["input"]["invokeModel"]["body"]))
    assert inner == {"anthropic_version": "2026-10-21", "max_tokens": 1, "messages": HELLO}
    assert last_event(gateway).cost_nano == 0


@pytest.mark.parametrize(
    ("model", "reply", "kind"),
    [
        (FAULTY[0], Refusal(400, "ValidationException", "max_tokens: no"), anthropic.BadRequestError),
        (FAULTY[1], Refusal(429, "ThrottlingException", "slow"), anthropic.RateLimitError),
    ],
)
def test_refusals(
    own: Anthropic, bedrock: FakeBedrock, model: str, reply: Refusal, kind: type[anthropic.APIError]
) -> None:
    bedrock.replies.append(reply)
    with pytest.raises(kind) as caught:
        own.messages.create(model=model, max_tokens=9, messages=HELLO)
    assert isinstance(caught.value.body, dict) and caught.value.body["error"]["message"] == reply.message


@pytest.mark.parametrize(
    "reply", [[*claude_chunks("At ")[:3], exception("modelStreamErrorException", "broke")], claude_chunks("At ")[:-2]]
)
def test_streams_that_break(own: Anthropic, invoking: AnthropicBedrock, bedrock: FakeBedrock, reply: Any) -> None:
    bedrock.replies += [reply, reply]
    for client, model in ((own, MODEL), (invoking, PROFILE)):
        with pytest.raises(anthropic.APIError), client.messages.stream(model=model, max_tokens=9, messages=HELLO) as it:
            it.get_final_message()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"prompt": "Hello"}, "Converse"),
        ({"anthropic_version": "bedrock-2020", "messages": HELLO}, "anthropic_version"),
        ({"anthropic_version": "bedrock-2023-05-31", "messages": HELLO, "model": "x"}, "`model`"),
    ],
)
def test_what_is_no_body_of_claudes(gateway: Gateway, body: Any, told: str) -> None:
    url, headers = f"{gateway.url}/bedrock/model/gpt-4.1/invoke", {"authorization": f"Bearer {CLIENT_KEY}"}
    answer = httpx.post(url, json=body, headers=headers)
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert told in answer.json()["message"]
