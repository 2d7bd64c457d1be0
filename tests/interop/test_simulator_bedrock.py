"""boto3 and AnthropicBedrock against the simulator itself: signatures are checked, what Bedrock refuses is refused."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import pytest
from anthropic import AnthropicBedrock
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from tests.support.simulator import SimulatorThread, simulator_thread

from tidegate.simulator.bedrock.access import KEY_ID, SECRET
from tidegate.simulator.behaviour import profile_from

MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"
HELLO: Any = [{"role": "user", "content": [{"text": "When does the tide turn?"}]}]
BOTH: Any = [{"role": "user", "content": [{"text": "weather and tide, please"}]}]
SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = {
    "tools": [{"toolSpec": {"name": name, "inputSchema": {"json": SCHEMA}}} for name in ("get_weather", "get_tide")]
}
CLAUDES: Any = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 60,
    "messages": [{"role": "user", "content": "When does the tide turn?"}],
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorThread]:
    models = {MODEL: {"tokens": 12}, "titan": {"task": "embedding"}}
    with simulator_thread(profile_from({"models": models, "requireKey": True})) as simulator:
        yield simulator


def signing(
    simulator: SimulatorThread, monkeypatch: pytest.MonkeyPatch, key: str = KEY_ID, secret: str = SECRET
) -> Any:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    config = Config(retries={"total_max_attempts": 1}, proxies={}, read_timeout=10)
    session = boto3.Session(key, secret, region_name="eu-west-1")
    return session.client("bedrock-runtime", endpoint_url=simulator.url, config=config)


@pytest.fixture
def client(simulator: SimulatorThread, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    simulator.reset()
    client = signing(simulator, monkeypatch)
    yield client
    client.close()


def test_one_tool_at_a_time(client: Any) -> None:
    for more, calls in (({}, 2), ({"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}, 1)):
        answer = client.converse(modelId=MODEL, messages=BOTH, toolConfig=TOOLS, additionalModelRequestFields=more)
        assert sum("toolUse" in block for block in answer["output"]["message"]["content"]) == calls


def test_converse_whole_and_streamed(client: Any) -> None:
    whole = client.converse(modelId=MODEL, messages=HELLO)
    streamed = list(client.converse_stream(modelId=MODEL, messages=HELLO)["stream"])
    text = "".join(one["contentBlockDelta"]["delta"]["text"] for one in streamed if "contentBlockDelta" in one)
    assert text == whole["output"]["message"]["content"][0]["text"]
    assert streamed[-1]["metadata"]["usage"] == whole["usage"]
    assert whole["usage"]["totalTokens"] == whole["usage"]["inputTokens"] + whole["usage"]["outputTokens"]


def test_tools_and_signed_thoughts(client: Any) -> None:
    more = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    fields: Any = {"modelId": MODEL, "toolConfig": TOOLS, "additionalModelRequestFields": more}
    said = client.converse(messages=BOTH, **fields)
    message = said["output"]["message"]
    assert said["stopReason"] == "tool_use" and "reasoningContent" in message["content"][0]
    ids = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]
    assert len(ids) == 2
    results = [{"toolResult": {"toolUseId": one, "content": [{"text": "fine"}]}} for one in ids]
    turns: Any = [*BOTH, message, {"role": "user", "content": results}]
    assert client.converse(messages=turns, **fields)["stopReason"] == "end_turn"
    with pytest.raises(ClientError, match="toolConfig field must be defined"):
        client.converse(modelId=MODEL, messages=turns)
    with pytest.raises(ClientError, match=f"Expected toolResult blocks at messages.2.content.*{ids[1]}"):
        client.converse(messages=[*turns[:2], {"role": "user", "content": results[:1]}], **fields)
    message["content"][0]["reasoningContent"]["reasoningText"]["text"] += "x"
    with pytest.raises(ClientError, match="signature"):
        client.converse(messages=turns, **fields)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"messages": [{"role": "assistant", "content": [{"text": "a"}]}]}, "start with a user message"),
        ({"messages": [HELLO[0], HELLO[0]]}, "alternate"),
        ({"messages": [{"role": "user", "content": [{"text": " "}]}]}, "blank"),
        ({"messages": HELLO, "inferenceConfig": {"maxTokens": 10_000_000}}, "maxTokens"),
        ({"messages": HELLO, "modelId": "unknown.model"}, "model identifier is invalid"),
        ({"messages": HELLO, "modelId": "titan"}, "not recognized"),
    ],
)
def test_what_converse_refuses(client: Any, fields: Any, told: str) -> None:
    with pytest.raises(ClientError, match=told) as caught:
        client.converse(**{"modelId": MODEL, **fields})
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_claude_through_invoke_model(client: Any, simulator: SimulatorThread) -> None:
    whole = json.loads(client.invoke_model(modelId=MODEL, body=json.dumps(CLAUDES))["body"].read())
    streamed = client.invoke_model_with_response_stream(modelId=MODEL, body=json.dumps(CLAUDES))["body"]
    events = [json.loads(one["chunk"]["bytes"]) for one in streamed]
    assert "".join(one.get("delta", {}).get("text", "") for one in events) == whole["content"][0]["text"]
    assert events[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == whole["usage"]["output_tokens"]
    body = json.dumps({name: CLAUDES[name] for name in CLAUDES if name != "max_tokens"}).encode()
    counted = client.count_tokens(modelId=MODEL, input={"invokeModel": {"body": body}})
    assert counted["inputTokens"] == whole["usage"]["input_tokens"]
    with AnthropicBedrock(
        base_url=simulator.url, aws_access_key=KEY_ID, aws_secret_key=SECRET, aws_region="eu-west-1", max_retries=0
    ) as sdk:
        with sdk.messages.stream(model=MODEL, max_tokens=60, messages=CLAUDES["messages"]) as stream:
            assert stream.get_final_text() == whole["content"][0]["text"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"anthropic_version": None}, "anthropic_version: Field required"),
        ({"anthropic_version": "2023-06-01"}, "not supported"),
        ({"model": "x"}, "model: Extra inputs"),
        ({"stream": True}, "stream: Extra inputs"),
        ({"service_tier": "auto"}, "service_tier: Extra inputs"),
    ],
)
def test_what_claude_refuses(client: Any, change: Any, told: str) -> None:
    body = {name: value for name, value in {**CLAUDES, **change}.items() if value is not None}
    with pytest.raises(ClientError, match=told) as caught:
        client.invoke_model(modelId=MODEL, body=json.dumps(body))
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_titans_embeddings(client: Any) -> None:
    told = json.loads(
        client.invoke_model(modelId="titan", body=b'{"inputText": "tide", "dimensions": 256}')["body"].read()
    )
    assert (len(told["embedding"]), told["inputTextTokenCount"]) == (256, 1)
    for body in (b'{"inputText": ""}', b'{"inputText": "a", "dimensions": 7}', b'{"inputText": "a", "user": "u"}'):
        with pytest.raises(ClientError, match="ValidationException"):
            client.invoke_model(modelId="titan", body=body)


@pytest.mark.parametrize(
    ("key", "secret", "code"),
    [(KEY_ID, "wrong", "InvalidSignatureException"), ("AKIAOTHER", SECRET, "UnrecognizedClientException")],
)
def test_signatures(
    simulator: SimulatorThread, monkeypatch: pytest.MonkeyPatch, key: str, secret: str, code: str
) -> None:
    client = signing(simulator, monkeypatch, key, secret)
    with pytest.raises(ClientError) as caught:
        client.converse(modelId=MODEL, messages=HELLO)
    client.close()
    assert caught.value.response["Error"]["Code"] == code


def test_errors_of_the_profile(client: Any, simulator: SimulatorThread) -> None:
    simulator.change(MODEL, script=["429", "error-event"])
    with pytest.raises(ClientError, match="ThrottlingException"):
        client.converse(modelId=MODEL, messages=HELLO)
    with pytest.raises(EventStreamError, match="modelStreamErrorException"):
        with closing(client.converse_stream(modelId=MODEL, messages=HELLO)["stream"]) as stream:
            list(stream)
