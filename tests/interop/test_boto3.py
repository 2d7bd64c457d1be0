"""boto3 through the gateway to an OpenAI-speaking provider, and the OpenAI SDK to a Bedrock that knows botocore's model."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import openai
import pytest
import trustme
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from openai import OpenAI
from tests.support.bedrock import (
    BEARER,
    KEY_ID,
    REGION,
    SECRET,
    TOKEN,
    FakeBedrock,
    Refusal,
    bedrock_thread,
    converse_answer,
    event,
    exception,
    streamed_text,
)
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process
from tests.support.services import CLIENT_KEY, TRIALS, UPSTREAM_KEY, gateway_config
from tests.support.simulator import SimulatorThread

CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
HELLO: Any = [{"role": "user", "content": [{"text": "When does the tide turn?"}]}]
SCHEMA: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
}
TOOLS: Any = {
    "tools": [{"toolSpec": {"name": name, "inputSchema": {"json": SCHEMA}}} for name in ("get_weather", "get_tide")]
}
_BEDROCK = """
---
kind: Gateway
spec: {{tls: {{certFile: {cert}, keyFile: {key}}}}}
---
kind: Provider
metadata: {{name: signing}}
spec:
  dialect: bedrock
  baseUrl: {url}
  region: {region}
  credentials: [{{accessKeyId: {{env: AWS_ID}}, secretAccessKey: {{env: AWS_SECRET}}, sessionToken: {{env: AWS_TOKEN}}}}]
---
kind: Provider
metadata: {{name: bearing}}
spec: {{dialect: bedrock, baseUrl: "{url}", credentials: [{{apiKey: {{env: AWS_BEARER}}}}]}}
"""
_FAULTY_PROVIDER = """
---
kind: Provider
metadata: {{name: {name}}}
spec: {{dialect: bedrock, baseUrl: "{url}", credentials: [{{apiKey: {{env: AWS_BEARER}}}}]}}
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
_FAULTY = tuple(f"faulty-{number}" for number in range(8))
"""Models for one fault each, with a Provider each: a gateway rests credentials and targets that failed."""


@pytest.fixture(scope="module")
def bedrock() -> Iterator[FakeBedrock]:
    with bedrock_thread() as bedrock:
        yield bedrock


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bedrock")


@pytest.fixture(scope="module")
def gateway(provider: SimulatorThread, bedrock: FakeBedrock, folder: Path) -> Iterator[Gateway]:
    ca = trustme.CA()
    issued = ca.issue_cert("127.0.0.1")
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    config = gateway_config(provider.url) + _BEDROCK.format(
        cert=folder / "cert.pem", key=folder / "key.pem", url=bedrock.url, region=REGION
    )
    config += _MODEL.format(name="claude", provider="signing", model=CLAUDE)
    config += _MODEL.format(name="claude-bearer", provider="bearing", model=CLAUDE)
    config += _MODEL.format(name="arn:aws:bedrock:eu-west-1:1:inference-profile/x", provider="signing", model=CLAUDE)
    for name in _FAULTY:
        config += _FAULTY_PROVIDER.format(name=name, url=bedrock.url)
        config += _MODEL.format(name=name, provider=name, model=CLAUDE)
    environment = {
        "SIM_KEY": UPSTREAM_KEY,
        "CLIENT_KEY": CLIENT_KEY,
        "AWS_ID": KEY_ID,
        "AWS_SECRET": SECRET,
        "AWS_TOKEN": TOKEN,
        "AWS_BEARER": BEARER,
    }
    with gateway_process(folder, config, env=environment, scheme="https") as gateway:
        yield gateway


@pytest.fixture
def simulator(provider: SimulatorThread, bedrock: FakeBedrock) -> SimulatorThread:
    provider.reset()
    bedrock.received.clear()
    bedrock.replies.clear()
    return provider


def boto_client(gateway: Gateway, folder: Path, monkeypatch: pytest.MonkeyPatch, key: str, path: str = "") -> Any:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", key)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    config = Config(retries={"total_max_attempts": 1}, proxies={}, read_timeout=10)
    return boto3.Session(region_name="eu-west-1").client(
        "bedrock-runtime", endpoint_url=gateway.url + path, verify=str(folder / "ca.pem"), config=config
    )


@pytest.fixture
def client(
    gateway: Gateway, folder: Path, monkeypatch: pytest.MonkeyPatch, simulator: SimulatorThread
) -> Iterator[Any]:
    client = boto_client(gateway, folder, monkeypatch, CLIENT_KEY)
    yield client
    client.close()


@pytest.fixture
def chat(
    gateway: Gateway, folder: Path, simulator: SimulatorThread, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OpenAI]:
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    with OpenAI(base_url=f"{gateway.url}/v1", api_key=CLIENT_KEY, timeout=10, max_retries=0) as client:
        yield client


def streamed(client: Any, **fields: Any) -> Iterator[Any]:
    """A stream's events; its connection is closed at the end, also where it breaks."""
    with closing(client.converse_stream(**fields)["stream"]) as stream:
        yield from stream


# boto3 as the client.


def test_converse(client: Any, gateway: Gateway, simulator: SimulatorThread) -> None:
    answer = client.converse(
        modelId="gpt-4.1",
        system=[{"text": "Be brief."}],
        messages=HELLO,
        inferenceConfig={"maxTokens": 200, "temperature": 0.5},
        requestMetadata={"team": "harbour"},
    )
    assert answer["output"]["message"]["role"] == "assistant"
    assert answer["output"]["message"]["content"][0]["text"]
    assert answer["stopReason"] == "end_turn"
    call = simulator.calls()[-1]
    assert call.key == UPSTREAM_KEY
    usage = answer["usage"]
    assert usage["inputTokens"] + usage["cacheReadInputTokens"] == call.prompt_tokens
    assert usage["outputTokens"] == call.completion_tokens
    recorded = last_event(gateway)
    assert (recorded.dialect, recorded.usage.input_total, recorded.usage.output_total, recorded.outcome) == (
        "bedrock",
        call.prompt_tokens,
        call.completion_tokens,
        "ok",
    )
    assert recorded.cost_nano
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-tidegate-dropped"] == "requestMetadata"


def test_the_stream_says_what_the_whole_answer_says(client: Any, gateway: Gateway) -> None:
    whole = client.converse(modelId="gpt-4.1", messages=HELLO)
    events = list(streamed(client, modelId="gpt-4.1", messages=HELLO))
    text = "".join(one["contentBlockDelta"]["delta"]["text"] for one in events if "contentBlockDelta" in one)
    assert text == whole["output"]["message"]["content"][0]["text"]
    assert [next(iter(one)) for one in events[-3:]] == ["contentBlockStop", "messageStop", "metadata"]
    assert events[0] == {"messageStart": {"role": "assistant"}}
    usage = events[-1]["metadata"]["usage"]
    assert (usage["outputTokens"], usage["totalTokens"]) == (
        whole["usage"]["outputTokens"],
        whole["usage"]["totalTokens"],
    )
    assert last_event(gateway).usage.output_total == usage["outputTokens"]


def test_the_prefix_and_a_model_with_a_slash(
    gateway: Gateway, folder: Path, monkeypatch: pytest.MonkeyPatch, simulator: SimulatorThread
) -> None:
    client = boto_client(gateway, folder, monkeypatch, CLIENT_KEY, "/bedrock")
    answer = client.converse(modelId="meta-llama/Llama-3.1-8B-Instruct", messages=HELLO)
    assert answer["output"]["message"]["content"][0]["text"]
    client.close()


def test_a_tool_call_and_its_result(client: Any) -> None:
    messages = [{"role": "user", "content": [{"text": "What is the weather in Kōbe?"}]}]
    weather = {"tools": TOOLS["tools"][:1]}
    first = client.converse(modelId="gpt-4.1", messages=messages, toolConfig=weather)
    assert first["stopReason"] == "tool_use"
    said = first["output"]["message"]
    called = said["content"][-1]["toolUse"]
    assert set(called["input"]) == {"city", "unit"}
    result = {"toolUseId": called["toolUseId"], "content": [{"json": {"degrees": 14}}], "status": "success"}
    messages += [said, {"role": "user", "content": [{"toolResult": result}]}]
    second = client.converse(modelId="gpt-4.1", messages=messages, toolConfig=weather)
    assert second["stopReason"] == "end_turn"
    assert second["output"]["message"]["content"][0]["text"]


def test_parallel_tool_calls_in_a_stream(client: Any) -> None:
    messages = [{"role": "user", "content": [{"text": "weather and tide, please"}]}]
    whole = client.converse(modelId="gpt-4.1", messages=messages, toolConfig=TOOLS)
    calls: dict[int, dict[str, Any]] = {}
    for one in streamed(client, modelId="gpt-4.1", messages=messages, toolConfig=TOOLS):
        if "contentBlockStart" in one:
            told = one["contentBlockStart"]
            calls[told["contentBlockIndex"]] = {**told["start"]["toolUse"], "input": ""}
        elif "contentBlockDelta" in one:
            told = one["contentBlockDelta"]
            calls[told["contentBlockIndex"]]["input"] += told["delta"]["toolUse"]["input"]
    told = [{**call, "input": json.loads(call["input"])} for call in calls.values()]
    blocks = whole["output"]["message"]["content"]
    assert [one["name"] for one in told] == ["get_weather", "get_tide"]
    assert told == [one["toolUse"] for one in blocks]
    assert list(calls) == [0, 1]


def test_structured_output(client: Any) -> None:
    schema = {"type": "object", "properties": {"harbour": {"type": "string"}}, "required": ["harbour"]}
    structure = {"jsonSchema": {"name": "harbour", "schema": json.dumps(schema)}}
    answer = client.converse(
        modelId="gpt-4.1", messages=HELLO, outputConfig={"textFormat": {"type": "json_schema", "structure": structure}}
    )
    assert set(json.loads(answer["output"]["message"]["content"][0]["text"])) == {"harbour"}


def test_a_bound_on_the_answer(client: Any) -> None:
    answer = client.converse(modelId="gpt-4.1", messages=HELLO, inferenceConfig={"maxTokens": 3})
    assert (answer["stopReason"], answer["usage"]["outputTokens"]) == ("max_tokens", 3)


def test_errors_have_botos_own_classes(
    client: Any, gateway: Gateway, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="no-such-model"):
        client.converse(modelId="no-such-model", messages=HELLO)
    with pytest.raises(client.exceptions.ValidationException, match="guardrailConfig"):
        client.converse(
            modelId="gpt-4.1", messages=HELLO, guardrailConfig={"guardrailIdentifier": "abc", "guardrailVersion": "1"}
        )
    stranger = boto_client(gateway, folder, monkeypatch, "tg-not-a-key")
    with pytest.raises(ClientError) as caught:
        stranger.converse_stream(modelId="gpt-4.1", messages=HELLO)
    assert caught.value.response["Error"]["Code"] == "UnrecognizedClientException"
    assert caught.value.response["ResponseMetadata"]["RequestId"].startswith("tg_")
    stranger.close()


def test_an_upstreams_refusal_and_its_overload(client: Any, simulator: SimulatorThread) -> None:
    simulator.change(TRIALS[30], script=["429"], retryAfter="3s")
    with pytest.raises(client.exceptions.ThrottlingException) as caught:
        client.converse(modelId=TRIALS[30], messages=HELLO)
    assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "3"
    simulator.change(TRIALS[31], script=["503"])
    with pytest.raises(client.exceptions.ServiceUnavailableException):
        client.converse_stream(modelId=TRIALS[31], messages=HELLO)


@pytest.mark.parametrize(("trial", "fault"), [(TRIALS[32], "error-event"), (TRIALS[33], "reset-mid-answer")])
def test_a_broken_stream_is_raised_and_has_no_end(
    client: Any, gateway: Gateway, simulator: SimulatorThread, trial: str, fault: str
) -> None:
    simulator.change(trial, faults={fault: 1})
    seen: list[str] = []
    with pytest.raises(EventStreamError, match="modelStreamErrorException"):
        for one in streamed(client, modelId=trial, messages=HELLO):
            seen += one
    assert "contentBlockDelta" in seen
    assert not {"messageStop", "metadata"} & set(seen)
    assert last_event(gateway).outcome == "cut"


# boto3 to a provider of its own dialect.


def test_native_calls_keep_what_the_hub_has_no_place_for(client: Any, bedrock: FakeBedrock, gateway: Gateway) -> None:
    bedrock.replies.append(converse_answer("Hi", performanceConfig={"latency": "optimized"}))
    answer = client.converse(
        modelId="arn:aws:bedrock:eu-west-1:1:inference-profile/x",
        messages=HELLO,
        performanceConfig={"latency": "optimized"},
        additionalModelRequestFields={"anything": [1.0, None]},
    )
    assert answer["performanceConfig"] == {"latency": "optimized"}
    received = bedrock.received[-1]
    assert (received.model, received.operation) == (CLAUDE, "Converse")
    assert received.body == {
        "messages": HELLO,
        "performanceConfig": {"latency": "optimized"},
        "additionalModelRequestFields": {"anything": [1.0, None]},
    }
    assert received.headers["x-amz-security-token"] == TOKEN
    assert CLIENT_KEY not in str(received.headers)
    assert (last_event(gateway).usage.input, last_event(gateway).usage.output) == (7, 5)


def test_a_native_stream(client: Any, bedrock: FakeBedrock, gateway: Gateway) -> None:
    bedrock.replies.append(streamed_text("a", "b", cacheReadInputTokens=90, totalTokens=99))
    events = list(streamed(client, modelId="claude-bearer", messages=HELLO))
    assert [next(iter(one)) for one in events][-1] == "metadata"
    assert bedrock.received[-1].headers["authorization"] == f"Bearer {BEARER}"
    usage = last_event(gateway).usage
    assert (usage.input, usage.cache_read, usage.output, usage.source) == (7, 90, 2, "reported")


def test_native_errors_keep_their_names(client: Any, bedrock: FakeBedrock) -> None:
    bedrock.replies.append(Refusal(400, "ValidationException", "too many images"))
    with pytest.raises(client.exceptions.ValidationException, match="too many images"):
        client.converse(modelId="claude", messages=HELLO)
    bedrock.replies.append([*streamed_text("a")[:2], exception("throttlingException", "slow down")])
    with pytest.raises(EventStreamError, match=r"throttlingException.*slow down"):
        list(streamed(client, modelId=_FAULTY[6], messages=HELLO))


def test_a_native_stream_without_its_metadata_is_cut(client: Any, bedrock: FakeBedrock, gateway: Gateway) -> None:
    bedrock.replies.append(streamed_text("a", "b")[:-1])
    with pytest.raises(EventStreamError, match="modelStreamErrorException"):
        list(streamed(client, modelId=_FAULTY[7], messages=HELLO))
    recorded = last_event(gateway)
    assert (recorded.outcome, recorded.usage.source) == ("cut", "estimated")


# The OpenAI SDK to Bedrock.


def ask(chat: OpenAI, text: str = "Hi", **fields: Any) -> Any:
    return chat.chat.completions.create(
        **({"model": "claude", "messages": [{"role": "user", "content": text}]} | fields)  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("model", ["claude", "claude-bearer"])
def test_chat(chat: OpenAI, bedrock: FakeBedrock, gateway: Gateway, model: str) -> None:
    usage = {"inputTokens": 3, "outputTokens": 4, "totalTokens": 107, "cacheReadInputTokens": 100}
    bedrock.replies.append(converse_answer("Hello!", usage=usage))
    answer = ask(chat, model=model, max_tokens=50, temperature=0.5, stop=["END"], user="ann@example.org")
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Hello!", "stop")
    assert (answer.usage.prompt_tokens, answer.usage.prompt_tokens_details.cached_tokens) == (103, 100)
    received = bedrock.received[-1]
    assert received.model == CLAUDE
    assert received.body["inferenceConfig"] == {"maxTokens": 50, "temperature": 0.5, "stopSequences": ["END"]}
    assert "ann" not in json.dumps(received.body)
    recorded = last_event(gateway)
    assert (recorded.usage.input, recorded.usage.cache_read, recorded.usage.output) == (3, 100, 4)


def test_a_stream_with_thoughts_and_tools_and_the_next_turn(chat: OpenAI, bedrock: FakeBedrock) -> None:
    """Signatures and ids come back to Bedrock as it gave them."""
    bedrock.replies.append(
        [
            event("messageStart", role="assistant"),
            event("contentBlockDelta", delta={"reasoningContent": {"text": "Two "}}, contentBlockIndex=0),
            event("contentBlockDelta", delta={"reasoningContent": {"text": "calls."}}, contentBlockIndex=0),
            event("contentBlockDelta", delta={"reasoningContent": {"signature": "c2ln"}}, contentBlockIndex=0),
            event("contentBlockStop", contentBlockIndex=0),
            event("contentBlockDelta", delta={"text": "Looking."}, contentBlockIndex=1),
            event("contentBlockStop", contentBlockIndex=1),
            *(
                frame
                for index, city in ((2, "Rome"), (3, "Oslo"))
                for frame in (
                    event(
                        "contentBlockStart",
                        start={"toolUse": {"toolUseId": f"tooluse_{city}", "name": "weather"}},
                        contentBlockIndex=index,
                    ),
                    event("contentBlockDelta", delta={"toolUse": {"input": '{"city": '}}, contentBlockIndex=index),
                    event("contentBlockDelta", delta={"toolUse": {"input": f'"{city}"}}'}}, contentBlockIndex=index),
                    event("contentBlockStop", contentBlockIndex=index),
                )
            ),
            event("messageStop", stopReason="tool_use"),
            event(
                "metadata",
                usage={"inputTokens": 9, "outputTokens": 30, "totalTokens": 39},
                metrics={"latencyMs": 3},
                serviceTier={"type": "priority"},
            ),
        ]
    )
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
    messages: Any = [{"role": "user", "content": "Weather in Rome and Oslo?"}]
    details: list[Any] = []
    tiers: list[str | None] = []
    with chat.chat.completions.stream(
        model="claude",
        messages=messages,
        tools=tools,
        reasoning_effort="medium",
        stream_options={"include_usage": True},
    ) as stream:
        for one in stream:
            if one.type == "chunk" and one.chunk.choices:
                tiers.append(one.chunk.service_tier)
                details += (one.chunk.choices[0].delta.model_extra or {}).get("reasoning_details", [])
        final = stream.get_final_completion()
    said = final.choices[0].message
    assert final.choices[0].finish_reason == "tool_calls"
    assert said.content == "Looking."
    assert [call.function.arguments for call in said.tool_calls or []] == ['{"city": "Rome"}', '{"city": "Oslo"}']
    assert final.usage is not None and final.usage.completion_tokens == 30
    assert tiers[-1] == "priority"
    assert bedrock.received[-1].body["additionalModelRequestFields"]["thinking"]["type"] == "enabled"

    messages += [
        {"role": "assistant", "content": said.content, "reasoning_details": details}
        | {"tool_calls": [call.to_dict() for call in said.tool_calls or []]},
        {"role": "tool", "tool_call_id": "tooluse_Rome", "content": "21 °C"},
        {"role": "tool", "tool_call_id": "tooluse_Oslo", "content": "4 °C"},
    ]
    bedrock.replies.append(converse_answer("Warm and cold."))
    assert ask(chat, messages=messages, tools=tools).choices[0].message.content == "Warm and cold."
    _, assistant, results = bedrock.received[-1].body["messages"]
    assert assistant["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Two calls.", "signature": "c2ln"}}},
        {"text": "Looking."},
        {"toolUse": {"toolUseId": "tooluse_Rome", "name": "weather", "input": {"city": "Rome"}}},
        {"toolUse": {"toolUseId": "tooluse_Oslo", "name": "weather", "input": {"city": "Oslo"}}},
    ]
    assert [one["toolResult"]["toolUseId"] for one in results["content"]] == ["tooluse_Rome", "tooluse_Oslo"]


def test_pictures_and_documents(chat: OpenAI, bedrock: FakeBedrock) -> None:
    bedrock.replies.append(converse_answer("A tide table."))
    parts: Any = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "file", "file": {"filename": "tide table.pdf", "file_data": "data:application/pdf;base64,aGk="}},
    ]
    ask(chat, messages=[{"role": "user", "content": parts}])
    assert bedrock.received[-1].body["messages"][0]["content"][1:] == [
        {"image": {"format": "png", "source": {"bytes": "aGk="}}},
        {"document": {"format": "pdf", "name": "tide table", "source": {"bytes": "aGk="}}},
    ]


@pytest.mark.parametrize(
    ("model", "reply", "kind"),
    [
        (_FAULTY[0], Refusal(400, "ValidationException", "no"), openai.BadRequestError),
        (_FAULTY[1], Refusal(429, "ThrottlingException", "slow"), openai.RateLimitError),
        (_FAULTY[2], Refusal(403, "AccessDeniedException", "you"), openai.InternalServerError),
        (_FAULTY[3], Refusal(503, "ServiceUnavailableException", "down"), openai.InternalServerError),
        (_FAULTY[4], [*streamed_text("a")[:2], exception("modelStreamErrorException", "broke")], openai.APIError),
        (_FAULTY[5], streamed_text("a")[:-1], openai.APIError),
    ],
)
def test_errors_have_the_sdks_own_classes(
    chat: OpenAI, bedrock: FakeBedrock, model: str, reply: Any, kind: type[openai.APIError]
) -> None:
    bedrock.replies.append(reply)
    with pytest.raises(kind):
        list(ask(chat, model=model, stream=isinstance(reply, list)))
