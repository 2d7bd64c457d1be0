"""Rerankers and Bedrock's embedding models as the simulator has them: met directly, and behind the gateway."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import cohere
import httpx2
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from openai import OpenAI
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process
from tests.support.simulator import SimulatorThread, simulator_thread

from tidegate.simulator.bedrock.access import KEY_ID, SECRET
from tidegate.simulator.behaviour import profile_from

KEY = "tg-search-0123456789abcdef0123456789ab"
QUERY = "when does the tide turn"
DOCUMENTS = ["Bread rises overnight.", "The tide turns twice a day.", "Boats are counted."]
TITAN, NOVA, COHERE = "amazon.titan-embed-text-v2:0", "amazon.nova-2-multimodal-embeddings-v1:0", "cohere.embed-v4:0"
_CONFIG = """
kind: Provider
metadata: {{name: jina}}
spec: {{dialect: openai, baseUrl: "{url}/v1", credentials: [{{apiKey: sk-up}}]}}
---
kind: Provider
metadata: {{name: voyage}}
spec: {{dialect: openai, baseUrl: "{url}/v1", quirks: [rerank-top-k], credentials: [{{apiKey: sk-up}}]}}
---
kind: Provider
metadata: {{name: cohere}}
spec: {{dialect: cohere, baseUrl: "{url}", credentials: [{{apiKey: sk-up}}]}}
---
kind: Provider
metadata: {{name: bedrock}}
spec:
  dialect: bedrock
  baseUrl: {url}
  region: eu-west-1
  credentials: [{{accessKeyId: {id}, secretAccessKey: {secret}}}]
---
kind: Team
metadata: {{name: search}}
---
kind: Consumer
metadata: {{name: sdk}}
spec: {{team: search, keys: [{{value: {key}}}]}}
"""
_MODEL = """
---
kind: Model
metadata: {{name: "{name}"}}
spec:
  task: {task}
  targets: [{{provider: {provider}, model: "{model}"}}]
  price: {{inputPerMillion: 1, perSearch: 0.002}}
"""
_MODELS = (
    ("by-jina", "rerank", "jina", "jina-reranker-v3"),
    ("by-voyage", "rerank", "voyage", "rerank-2.5"),
    ("by-cohere", "rerank", "cohere", "rerank-v3.5"),
    ("titan", "embedding", "bedrock", TITAN),
    ("nova", "embedding", "bedrock", NOVA),
    ("cohere", "embedding", "bedrock", COHERE),
)


@pytest.fixture(scope="module")
def thread() -> Iterator[SimulatorThread]:
    with simulator_thread(profile_from({"keys": {"sk-wrong": "401"}})) as thread:
        yield thread


@pytest.fixture
def simulator(thread: SimulatorThread) -> SimulatorThread:
    thread.reset()
    return thread


@pytest.fixture(scope="module")
def gateway(thread: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = _CONFIG.format(url=thread.url, key=KEY, id=KEY_ID, secret=SECRET)
    for name, task, provider, model in _MODELS:
        config += _MODEL.format(name=name, task=task, provider=provider, model=model)
    with gateway_process(tmp_path_factory.mktemp("search"), config) as gateway:
        yield gateway


def ranked(url: str, key: str = "sk", **fields: Any) -> httpx2.Response:
    return httpx2.post(f"{url}/v1/rerank", json=fields, headers={"authorization": f"Bearer {key}"})


def test_jinas_ranking(simulator: SimulatorThread) -> None:
    asked: dict[str, Any] = {"model": "jina-reranker-v3", "query": QUERY, "documents": [*DOCUMENTS, {"text": "Tide"}]}
    told = ranked(simulator.url, **asked, top_n=2).json()
    assert set(told) == {"model", "object", "usage", "results"}
    assert [one["index"] for one in told["results"]] == [1, 3]
    assert told["results"][0]["document"] == {"text": DOCUMENTS[1]}
    assert told["usage"]["total_tokens"] > 0
    bare = ranked(simulator.url, **asked, return_documents=False).json()["results"]
    assert len(bare) == 4 and not any("document" in one for one in bare)


def test_voyages_ranking(simulator: SimulatorThread) -> None:
    asked: dict[str, Any] = {"model": "rerank-2.5", "query": QUERY, "documents": DOCUMENTS}
    told = ranked(simulator.url, **asked, top_k=1).json()
    assert set(told) == {"object", "data", "model", "usage"}
    assert [set(one) for one in told["data"]] == [{"index", "relevance_score"}]
    assert ranked(simulator.url, **asked, return_documents=True).json()["data"][0]["document"] == DOCUMENTS[1]


@pytest.mark.parametrize(
    ("fields", "status", "place"),
    [
        ({"query": None}, 422, "query"),
        ({"documents": []}, 422, "documents"),
        ({"documents": ["a", {"image": "x"}]}, 422, "documents.1.text"),
        ({"documents": [3]}, 422, "documents.0"),
        ({"top_n": 0}, 422, "top_n"),
        ({"top_k": 2}, 422, "top_k"),
        ({"model": None}, 422, "model"),
    ],
)
def test_what_jina_refuses(simulator: SimulatorThread, fields: dict[str, Any], status: int, place: str) -> None:
    answer = ranked(simulator.url, **{"model": "jina-reranker-v3", "query": QUERY, "documents": DOCUMENTS, **fields})
    assert answer.status_code == status
    assert [one["loc"] for one in answer.json()["detail"]] == [
        ["body", *(int(one) if one.isdecimal() else one for one in place.split("."))]
    ]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"top_n": 2}, "'top_n' is not supported"),
        ({"documents": [{"text": "a"}]}, "'documents"),
        ({"documents": ["a"] * 1001}, "at most 1000"),
        ({"documents": ["a" * 4_000_000]}, "max allowed tokens"),
        ({"query": None}, "'query' is required"),
    ],
)
def test_what_voyage_refuses(simulator: SimulatorThread, fields: dict[str, Any], told: str) -> None:
    answer = ranked(simulator.url, **{"model": "rerank-2.5", "query": QUERY, "documents": DOCUMENTS, **fields})
    assert answer.status_code == 400
    assert told in answer.json()["detail"]


def test_errors_of_the_profile_are_sentences(simulator: SimulatorThread) -> None:
    asked: dict[str, Any] = {"model": "rerank-2.5", "query": QUERY, "documents": DOCUMENTS}
    assert ranked(simulator.url, "sk-wrong", **asked).json() == {"detail": "Provided API key is invalid."}
    simulator.change("rerank-2.5", script=["429"])
    limited = ranked(simulator.url, **asked)
    assert (limited.status_code, limited.json()) == (429, {"detail": "You have exceeded your rate limit."})
    assert ranked(simulator.url, **asked | {"model": "gpt-4.1"}).status_code == 400


@pytest.mark.parametrize("model", ["by-jina", "by-voyage", "by-cohere"])
def test_a_ranking_in_either_form_at_either_provider(gateway: Gateway, simulator: SimulatorThread, model: str) -> None:
    with cohere.ClientV2(api_key=KEY, base_url=gateway.url) as client:
        said = client.rerank(model=model, query=QUERY, documents=DOCUMENTS, top_n=2)
    told = ranked(gateway.url, KEY, model=model, query=QUERY, documents=DOCUMENTS, top_n=2).json()
    scores = [(one.index, one.relevance_score) for one in said.results]
    assert scores == [(one["index"], one["relevance_score"]) for one in told["results"]]
    assert scores[0][0] == 1 and len(scores) == 2
    event = last_event(gateway)
    assert (event.operation, event.usage.source, event.upstream_model) == (
        "rerank",
        "reported",
        simulator.calls()[-1].model,
    )


# Bedrock.


@pytest.fixture
def client(simulator: SimulatorThread, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    config = Config(retries={"total_max_attempts": 1}, proxies={}, read_timeout=10)
    session = boto3.Session(KEY_ID, SECRET, region_name="eu-west-1")
    client = session.client("bedrock-runtime", endpoint_url=simulator.url, config=config)
    yield client
    client.close()


def nova(**params: Any) -> dict[str, Any]:
    text = {"truncationMode": "NONE", "value": "tide"}
    return {
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {"embeddingPurpose": "CLUSTERING", "text": text, **params},
    }


def invoked(client: Any, model: str, body: dict[str, Any]) -> tuple[Any, str | None]:
    """(the answer, what its header counts)."""
    answer = client.invoke_model(modelId=model, body=json.dumps(body))
    counted = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amzn-bedrock-input-token-count")
    return json.loads(answer["body"].read()), counted


def test_novas_embeddings(client: Any, simulator: SimulatorThread) -> None:
    told, counted = invoked(client, NOVA, nova(embeddingDimension=384))
    assert [(one["embeddingType"], len(one["embedding"])) for one in told["embeddings"]] == [("TEXT", 384)]
    assert counted == "1"
    assert len(invoked(client, NOVA, nova())[0]["embeddings"][0]["embedding"]) == 3072
    simulator.change(NOVA, usage=False)
    assert invoked(client, NOVA, nova(embeddingDimension=384)) == (told, None)


def test_coheres_embeddings(client: Any) -> None:
    asked: dict[str, Any] = {"texts": ["tide", "ebb"], "input_type": "search_query"}
    told, counted = invoked(client, COHERE, asked)
    assert (told["response_type"], told["texts"], counted) == ("embeddings_floats", ["tide", "ebb"], "2")
    assert [len(one) for one in told["embeddings"]] == [1536, 1536]
    typed, _ = invoked(client, COHERE, asked | {"embedding_types": ["int8", "float"], "output_dimension": 256})
    assert (typed["response_type"], set(typed["embeddings"])) == ("embeddings_by_type", {"int8", "float"})
    assert len(typed["embeddings"]["float"][0]) == 256


@pytest.mark.parametrize(
    ("model", "body", "told"),
    [
        (NOVA, nova(embeddingDimension=1536), "enum"),
        (NOVA, nova(embeddingPurpose="search_query"), "embeddingPurpose"),
        (NOVA, nova(text={"value": "tide"}), "truncationMode"),
        (NOVA, nova(text={"truncationMode": "NONE", "value": "a" * 9_000}), "8192"),
        (NOVA, nova(text=None), "exactly one of"),
        (NOVA, nova() | {"taskType": "SEGMENTED_EMBEDDING"}, "SINGLE_EMBEDDING"),
        (NOVA, {"inputText": "tide"}, "extraneous key"),
        (COHERE, {"texts": ["tide"]}, "input_type"),
        (COHERE, {"texts": ["tide"], "input_type": "clustering", "model": "x"}, "extraneous key"),
        (COHERE, {"texts": ["tide"] * 97, "input_type": "clustering"}, "96"),
        (TITAN, nova(), "extraneous key"),
    ],
)
def test_what_bedrocks_embedding_models_refuse(client: Any, model: str, body: dict[str, Any], told: str) -> None:
    with pytest.raises(ClientError, match=told) as caught:
        invoked(client, model, body)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(("model", "size"), [("titan", 1024), ("nova", 1024), ("cohere", 1024)])
def test_openais_sdk_to_bedrocks_embedding_models(
    gateway: Gateway, simulator: SimulatorThread, model: str, size: int
) -> None:
    with OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, timeout=10, max_retries=0) as sdk:
        told = sdk.embeddings.create(model=model, input="when the tide turns", dimensions=size)
    assert len(told.data[0].embedding) == size
    event = last_event(gateway)
    assert (event.operation, event.usage.source, event.usage.input) == ("embedding", "reported", 5)
