"""Embeddings of Bedrock: boto3's invoke_model to any provider, and other SDKs to Titan, Nova and Cohere on a Bedrock."""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import boto3
import cohere
import openai
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from openai import OpenAI
from tests.support.bedrock import KEY_ID, REGION, SECRET, Counted, FakeBedrock, bedrock_thread
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process
from tests.support.services import CLIENT_KEY, UPSTREAM_KEY, gateway_config
from tests.support.simulator import SimulatorThread

from tidegate.gateway.credentials.signed_access import issue

ACCESS = "0123456789abcdef0123456789abcdef"
PAIR = issue(ACCESS, sha256(CLIENT_KEY.encode()).digest())
MODELS = {
    "titan": "amazon.titan-embed-text-v2:0",
    "titan-1": "amazon.titan-embed-text-v1",
    "nova": "amazon.nova-2-multimodal-embeddings-v1:0",
    "cohere": "eu.cohere.embed-v4:0",
}
_MORE = """
---
kind: Gateway
spec: {{awsAccess: {{secret: {{env: AWS_ACCESS}}}}}}
---
kind: Provider
metadata: {{name: bedrock}}
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
  task: embedding
  targets: [{{provider: bedrock, model: "{model}"}}]
  price: {{inputPerMillion: 2.00}}
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeBedrock]:
    with bedrock_thread() as bedrock:
        yield bedrock


@pytest.fixture(scope="module")
def gateway(
    provider: SimulatorThread, upstream: FakeBedrock, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    config = gateway_config(provider.url) + _MORE.format(url=upstream.url, region=REGION)
    for name, model in MODELS.items():
        config += _MODEL.format(name=name, model=model)
    environment = {"SIM_KEY": UPSTREAM_KEY, "CLIENT_KEY": CLIENT_KEY, "AWS_ACCESS": ACCESS}
    environment |= {"AWS_ID": KEY_ID, "AWS_SECRET": SECRET}
    with gateway_process(tmp_path_factory.mktemp("embeddings"), config, env=environment) as gateway:
        yield gateway


@pytest.fixture
def bedrock(upstream: FakeBedrock, provider: SimulatorThread) -> FakeBedrock:
    provider.reset()
    upstream.received.clear()
    upstream.replies.clear()
    return upstream


@pytest.fixture
def client(gateway: Gateway, bedrock: FakeBedrock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    config = Config(retries={"total_max_attempts": 1}, proxies={}, read_timeout=10)
    session = boto3.Session(PAIR.id, PAIR.secret, region_name="eu-west-1")
    client = session.client("bedrock-runtime", endpoint_url=gateway.url, config=config)
    yield client
    client.close()


@pytest.fixture
def chat(gateway: Gateway, bedrock: FakeBedrock) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway.url}/v1", api_key=CLIENT_KEY, timeout=10, max_retries=0) as client:
        yield client


def invoked(client: Any, model: str, **body: Any) -> Any:
    return json.loads(client.invoke_model(modelId=model, body=json.dumps(body))["body"].read())


def billed(gateway: Gateway) -> tuple[str, str, int, int | None]:
    event = last_event(gateway)
    return event.operation, event.usage.source, event.usage.input, event.cost_nano


# boto3 as the client, a provider of OpenAI's dialect.


def test_titans_body(client: Any, gateway: Gateway, provider: SimulatorThread) -> None:
    told = invoked(client, "text-embedding-3-small", inputText="tide", dimensions=256, normalize=True)
    assert len(told["embedding"]) == 256 and told["embeddingsByType"] == {"float": told["embedding"]}
    sent = json.loads(provider.calls()[-1].body)
    assert (sent["input"], sent["dimensions"]) == (["tide"], 256)
    tokens = told["inputTextTokenCount"]
    assert billed(gateway) == ("embedding", "reported", tokens, tokens * 1000)


def test_novas_and_coheres_bodies(client: Any) -> None:
    params = {"embeddingPurpose": "GENERIC_INDEX", "embeddingDimension": 256, "text": {"value": "tide"}}
    told = invoked(client, "text-embedding-3-small", taskType="SINGLE_EMBEDDING", singleEmbeddingParams=params)
    assert [len(one["embedding"]) for one in told["embeddings"]] == [256]
    told = invoked(client, "text-embedding-3-small", texts=["tide", "ebb"], input_type="search_query")
    assert (told["response_type"], len(told["embeddings"])) == ("embeddings_floats", 2)
    told = invoked(client, "text-embedding-3-small", texts=["a"], input_type="x", embedding_types=["float"])
    assert len(told["embeddings"]["float"]) == 1


@pytest.mark.parametrize(
    ("model", "body", "told"),
    [
        ("text-embedding-3-small", {"inputText": "a", "normalize": False}, "how long"),
        ("text-embedding-3-small", {"inputText": "a", "textGenerationConfig": {}}, "Converse"),
        ("text-embedding-3-small", {"inputText": "a", "embeddingTypes": ["binary"]}, "float"),
        ("text-embedding-3-small", {"inputImage": "aGk="}, "inputImage"),
        ("gpt-4.1", {"inputText": "a"}, "serves chat, not embedding"),
        ("titan", {"anthropic_version": "bedrock-2023-05-31", "messages": [], "max_tokens": 1}, "not chat"),
    ],
)
def test_what_is_refused(client: Any, model: str, body: Any, told: str) -> None:
    with pytest.raises(ClientError, match=told) as caught:
        invoked(client, model, **body)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_embeddings_do_not_stream(client: Any) -> None:
    with pytest.raises(ClientError, match="do not stream"):
        client.invoke_model_with_response_stream(modelId="titan", body=b'{"inputText": "a"}')


def test_natively(client: Any, gateway: Gateway, bedrock: FakeBedrock) -> None:
    bedrock.replies.append({"embedding": [1, 0.5], "embeddingsByType": {"binary": [1]}, "inputTextTokenCount": 3})
    told = invoked(client, "titan", inputText="tide", normalize=False, embeddingTypes=["binary"])
    assert told == {"embedding": [1, 0.5], "embeddingsByType": {"binary": [1]}, "inputTextTokenCount": 3}
    assert bedrock.received[-1].model == MODELS["titan"]
    assert billed(gateway) == ("embedding", "reported", 3, 6_000)
    bedrock.replies.append(
        Counted({"embeddings": {"int8": [[1]]}, "id": "x", "response_type": "embeddings_by_type"}, 7)
    )
    answer = client.invoke_model(
        modelId="cohere", body=b'{"texts": ["tide"], "input_type": "classification", "embedding_types": ["int8"]}'
    )
    assert json.loads(answer["body"].read())["embeddings"] == {"int8": [[1]]}
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-bedrock-input-token-count"] == "7"
    assert billed(gateway) == ("embedding", "reported", 7, 14_000)


# Other SDKs, a Bedrock as the provider.


def test_openais_sdk_to_titan(chat: OpenAI, gateway: Gateway, bedrock: FakeBedrock) -> None:
    bedrock.replies.append({"embedding": [1, 0.5], "inputTextTokenCount": 3})
    told = chat.embeddings.create(model="titan", input="tide", dimensions=512)
    assert (told.data[0].embedding, told.usage.prompt_tokens) == ([1, 0.5], 3)
    assert bedrock.received[-1].body == {"inputText": "tide", "dimensions": 512}
    assert billed(gateway) == ("embedding", "reported", 3, 6_000)


def test_openais_sdk_to_nova(chat: OpenAI, gateway: Gateway, bedrock: FakeBedrock) -> None:
    bedrock.replies.append(Counted({"embeddings": [{"embeddingType": "TEXT", "embedding": [1, 0.5]}]}, 4))
    told = chat.embeddings.create(model="nova", input=["tide"], encoding_format="float")
    assert (told.data[0].embedding, told.usage.prompt_tokens) == ([1, 0.5], 4)
    params = {"embeddingPurpose": "GENERIC_INDEX", "text": {"truncationMode": "NONE", "value": "tide"}}
    assert bedrock.received[-1].body == {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params}
    assert billed(gateway) == ("embedding", "reported", 4, 8_000)


def test_coheres_sdk_to_cohere_on_bedrock(gateway: Gateway, bedrock: FakeBedrock) -> None:
    bedrock.replies.append(Counted({"embeddings": {"float": [[1, 0.5], [0, 1]]}, "id": "x"}, 9))
    fields: Any = {"texts": ["tide", "ebb"], "input_type": "search_query"}
    with cohere.ClientV2(api_key=CLIENT_KEY, base_url=gateway.url) as client:
        told = client.embed(model="cohere", embedding_types=["float"], output_dimension=256, **fields)
    assert told.embeddings.float_ == [[1, 0.5], [0, 1]]
    assert bedrock.received[-1].body == {**fields, "embedding_types": ["float"], "output_dimension": 256}
    assert billed(gateway) == ("embedding", "reported", 9, 18_000)


def test_an_answer_without_a_count_has_an_unknown_cost(chat: OpenAI, gateway: Gateway, bedrock: FakeBedrock) -> None:
    bedrock.replies.append({"embeddings": {"float": [[1]]}, "id": "x"})
    chat.embeddings.create(model="cohere", input="tide")
    assert billed(gateway) == ("embedding", "unknown", 0, None)


@pytest.mark.parametrize(
    ("model", "fields", "named"),
    [
        ("titan", {"input": ["a", "b"]}, "input"),
        ("nova", {"input": ["a", "b"]}, "input"),
        ("titan-1", {"input": "a", "dimensions": 256}, "dimensions"),
    ],
)
def test_what_bedrocks_models_do_not_take(chat: OpenAI, model: str, fields: Any, named: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        chat.embeddings.create(model=model, **fields)
    assert (caught.value.code, caught.value.param) == ("unsupported_field", named)
