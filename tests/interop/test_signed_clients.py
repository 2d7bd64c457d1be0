"""boto3 and AnthropicBedrock with access keys of the gateway: every request is signed, no key is sent."""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import anthropic
import boto3
import pytest
from anthropic import AnthropicBedrock
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process
from tests.support.services import CLIENT_KEY, UPSTREAM_KEY, gateway_config
from tests.support.simulator import SimulatorThread

from tidegate.gateway.credentials.signed_access import issue

ARN = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.gpt:1"
SECRET = "0123456789abcdef0123456789abcdef"
PAIR = issue(SECRET, sha256(CLIENT_KEY.encode()).digest())
HELLO: Any = [{"role": "user", "content": [{"text": "When does the tide turn?"}]}]
CLAUDES: Any = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 60,
    "messages": [{"role": "user", "content": "When does the tide turn?"}],
}
_MORE = """
---
kind: Gateway
spec: {{awsAccess: {{secret: {{env: AWS_ACCESS}}}}}}
---
kind: Model
metadata: {{name: "{arn}"}}
spec:
  targets: [{{provider: sim, model: gpt-4.1}}]
  price: {{inputPerMillion: 1.00, cachedInputPerMillion: 0.25, outputPerMillion: 4.00}}
"""


@pytest.fixture(scope="module")
def gateway(provider: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = gateway_config(provider.url) + _MORE.format(arn=ARN)
    environment = {"SIM_KEY": UPSTREAM_KEY, "CLIENT_KEY": CLIENT_KEY, "AWS_ACCESS": SECRET}
    with gateway_process(tmp_path_factory.mktemp("signed"), config, env=environment) as gateway:
        yield gateway


@pytest.fixture
def simulator(provider: SimulatorThread) -> SimulatorThread:
    provider.reset()
    return provider


def signing_client(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, key: str, secret: str, path: str = "") -> Any:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    config = Config(retries={"total_max_attempts": 1}, proxies={}, read_timeout=10)
    session = boto3.Session(key, secret, region_name="eu-west-1")
    return session.client("bedrock-runtime", endpoint_url=gateway.url + path, config=config)


@pytest.fixture
def client(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, simulator: SimulatorThread) -> Iterator[Any]:
    client = signing_client(gateway, monkeypatch, PAIR.id, PAIR.secret)
    yield client
    client.close()


@pytest.mark.parametrize("model", ["gpt-4.1", ARN, "meta-llama/Llama-3.1-8B-Instruct"])
def test_converse(client: Any, gateway: Gateway, simulator: SimulatorThread, model: str) -> None:
    answer = client.converse(modelId=model, messages=HELLO, inferenceConfig={"maxTokens": 60})
    assert answer["output"]["message"]["content"][0]["text"]
    headers = dict(simulator.calls()[-1].headers)
    assert headers[b"authorization"] == f"Bearer {UPSTREAM_KEY}".encode()
    assert not [name for name in headers if name.startswith(b"x-amz")]
    event = last_event(gateway)
    assert (event.model, event.consumer, event.outcome) == (model, "sdk", "ok")
    assert event.usage.output_total == answer["usage"]["outputTokens"]


def test_converse_stream(client: Any) -> None:
    answer = client.converse_stream(modelId="gpt-4.1", messages=HELLO, inferenceConfig={"maxTokens": 60})
    events = list(answer["stream"])
    assert "metadata" in events[-1]


def test_invoke_model(client: Any, gateway: Gateway) -> None:
    answer = client.invoke_model(modelId="gpt-4.1", body=json.dumps(CLAUDES))
    told = json.loads(answer["body"].read())
    assert (told["type"], told["role"], answer["contentType"]) == ("message", "assistant", "application/json")
    streamed = client.invoke_model_with_response_stream(modelId="gpt-4.1", body=json.dumps(CLAUDES))
    events = [json.loads(event["chunk"]["bytes"]) for event in streamed["body"]]
    assert "".join(event.get("delta", {}).get("text", "") for event in events) == told["content"][0]["text"]
    assert streamed["contentType"] == "application/json"
    metrics = events[-1]["amazon-bedrock-invocationMetrics"]
    event = last_event(gateway)
    assert (metrics["inputTokenCount"], metrics["outputTokenCount"]) == (event.usage.input, event.usage.output_total)


def test_counted_tokens_are_estimated(client: Any) -> None:
    asked = {"converse": {"messages": HELLO, "system": [{"text": "Be brief."}]}}
    assert 10 < client.count_tokens(modelId="gpt-4.1", input=asked)["inputTokens"] < 60
    body = json.dumps(CLAUDES).encode()
    counted = client.count_tokens(modelId="gpt-4.1", input={"invokeModel": {"body": body}})
    assert 10 < counted["inputTokens"] < 60


def test_under_the_prefix(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, simulator: SimulatorThread) -> None:
    client = signing_client(gateway, monkeypatch, PAIR.id, PAIR.secret, "/bedrock")
    assert client.converse(modelId="gpt-4.1", messages=HELLO)["stopReason"]
    client.close()


@pytest.mark.parametrize(
    ("key", "secret", "code"),
    [
        (PAIR.id, "wrong", "InvalidSignatureException"),
        ("TGAAAAAAAAAAAAAAAAAA", PAIR.secret, "UnrecognizedClientException"),
    ],
)
def test_wrong_pairs(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, simulator: SimulatorThread, key: str, secret: str, code: str
) -> None:
    client = signing_client(gateway, monkeypatch, key, secret)
    with pytest.raises(ClientError) as caught:
        client.converse(modelId="gpt-4.1", messages=HELLO)
    client.close()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert simulator.calls() == []


def test_anthropics_sdk_signs_too(gateway: Gateway, simulator: SimulatorThread) -> None:
    fields: Any = {"model": ARN, "max_tokens": 60, "messages": CLAUDES["messages"]}
    with AnthropicBedrock(
        base_url=gateway.url, aws_access_key=PAIR.id, aws_secret_key=PAIR.secret, aws_region="us-east-1", max_retries=0
    ) as client:
        assert client.messages.create(**fields).content
        with client.messages.stream(**fields) as stream:
            assert stream.get_final_text()
    with (
        AnthropicBedrock(
            base_url=gateway.url, aws_access_key=PAIR.id, aws_secret_key="wrong", aws_region="us-east-1", max_retries=0
        ) as client,
        pytest.raises(anthropic.PermissionDeniedError, match="signature"),
    ):
        client.messages.create(**fields)
