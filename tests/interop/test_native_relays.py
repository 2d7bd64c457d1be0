"""SDKs through the gateway to providers of their own dialect, and the OpenAI SDK to the same: Mistral, Ollama, Cohere.

The provider answers with bytes as its vendor documents them; the gateway, the sockets and the SDKs are real.
"""

import json
from collections.abc import Iterator
from typing import Any

import cohere
import httpx2
import ollama
import openai
import pytest
from mistralai.client import Mistral
from mistralai.client.errors import MistralError
from tests.support.canned_upstream import Canned, CannedUpstream, canned_upstream
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process

KEY = "tg-native-client"
UPSTREAM_KEY = "sk-native-upstream"
HELLO: Any = [{"role": "user", "content": "Hi"}]

_DOCUMENTS = """
---
kind: Provider
metadata: {{name: {dialect}}}
spec: {{dialect: {dialect}, baseUrl: "{url}{path}", credentials: [{{apiKey: {{env: UP_KEY}}}}]}}
---
kind: Model
metadata: {{name: {dialect}}}
spec:
  targets: [{{provider: {dialect}, model: real-{dialect}}}]
  routing: {{attempts: 1}}
  price: {{inputPerMillion: 1.00, outputPerMillion: 4.00}}
"""
_RERANKERS = """
---
kind: Model
metadata: {name: reranker}
spec: {task: rerank, targets: [{provider: cohere, model: rerank-v3.5}], price: {perSearch: 0.002}}
---
kind: Provider
metadata: {name: jina}
spec: {dialect: openai, baseUrl: "URL/v1"}
---
kind: Model
metadata: {name: jina-reranker}
spec: {task: rerank, targets: [{provider: jina, model: jina-reranker-v2}], price: {inputPerMillion: 0.02}}
"""
_CLIENTS = """
kind: Team
metadata: {name: natives}
---
kind: Consumer
metadata: {name: sdk}
spec: {team: natives, keys: [{value: {env: CLIENT_KEY}}]}
"""


def lines(*told: dict[str, Any]) -> list[bytes]:
    return [json.dumps(one).encode() + b"\n" for one in told]


def events(*told: dict[str, Any], end: bytes = b"") -> list[bytes]:
    return [b"data: " + json.dumps(one).encode() + b"\n\n" for one in told] + ([end] if end else [])


def ollama_line(text: str, **more: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": text}
    return {"model": "real-ollama", "created_at": "2026-11-01T10:00:00Z", "message": said, "done": False} | more


def cohere_text(text: str) -> dict[str, Any]:
    return {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}}


def mistral_chunk(content: Any, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"role": "assistant", "content": content}, "finish_reason": finish}
    return {
        "id": "m",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "real-mistral",
        "choices": [choice],
    } | more


OLLAMA_END = {"done": True, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 2, "total_duration": 9}
OLLAMA_WHOLE = Canned("application/json", lines(ollama_line("Hello", **OLLAMA_END)))
OLLAMA_STREAM = Canned(
    "application/x-ndjson", lines(ollama_line("Hel"), ollama_line("lo"), ollama_line("", **OLLAMA_END))
)
UNITS = {
    "billed_units": {"input_tokens": 5.0, "output_tokens": 2.0},
    "tokens": {"input_tokens": 70.0, "output_tokens": 2.0},
}
COHERE_WHOLE = Canned("application/json", [json.dumps({
    "id": "c", "finish_reason": "COMPLETE", "usage": UNITS,
    "message": {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
}).encode()])  # fmt: skip
COHERE_STREAM = Canned("text/event-stream", events(
    {"type": "message-start", "id": "c", "delta": {"message": {"role": "assistant"}}},
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    cohere_text("Hel"), cohere_text("lo"), {"type": "content-end", "index": 0},
    {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": UNITS}},
))  # fmt: skip
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
MISTRAL_WHOLE = Canned("application/json", [json.dumps({
    "id": "m", "object": "chat.completion", "created": 1, "model": "real-mistral", "usage": USAGE,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
}).encode()])  # fmt: skip
MISTRAL_STREAM = Canned("text/event-stream; charset=utf-8", events(
    mistral_chunk(""), mistral_chunk("Hel"), mistral_chunk("lo"), mistral_chunk("", "stop", usage=USAGE),
    end=b"data: [DONE]\n\n",
))  # fmt: skip

DIALECTS = {
    "ollama": ("/api/chat", OLLAMA_WHOLE, OLLAMA_STREAM),
    "cohere": ("/v2/chat", COHERE_WHOLE, COHERE_STREAM),
    "mistral": ("/v1/chat/completions", MISTRAL_WHOLE, MISTRAL_STREAM),
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[CannedUpstream]:
    with canned_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(upstream: CannedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    paths = {"mistral": "/v1"}
    config = _CLIENTS + "".join(
        _DOCUMENTS.format(dialect=name, url=upstream.url, path=paths.get(name, "")) for name in DIALECTS
    )
    config += _RERANKERS.replace("URL", upstream.url)
    environment = {"UP_KEY": UPSTREAM_KEY, "CLIENT_KEY": KEY}
    with gateway_process(tmp_path_factory.mktemp("native"), config, env=environment) as gateway:
        yield gateway


def recorded(gateway: Gateway, dialect: str, model: str, *, stream: bool) -> None:
    """The latest call: 5 tokens in and 2 out, at its price."""
    event = last_event(gateway)
    assert (event.dialect, event.model, event.stream, event.outcome) == (dialect, model, stream, "ok")
    assert (event.usage.input, event.usage.output, event.usage.source) == (5, 2, "reported")
    assert event.cost_nano == 5 * 1_000 + 2 * 4_000


def test_ollama(gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will("/api/chat", OLLAMA_WHOLE)
    with ollama.Client(host=gateway.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        whole = client.chat(model="ollama", messages=HELLO, options={"num_ctx": 4096})
        assert (whole.model, whole.message.content, whole.total_duration) == ("ollama", "Hello", 9)
        recorded(gateway, "ollama", "ollama", stream=False)
        path, headers, sent = upstream.asked[-1]
        assert (path, headers["authorization"]) == ("/api/chat", f"Bearer {UPSTREAM_KEY}")
        assert sent == {
            "model": "real-ollama", "messages": HELLO, "tools": [], "stream": False, "options": {"num_ctx": 4096},
        }  # fmt: skip
        upstream.will("/api/chat", OLLAMA_STREAM)
        parts = list(client.chat(model="ollama", messages=HELLO, stream=True))
        assert "".join(part.message.content or "" for part in parts) == "Hello"
        assert {part.model for part in parts} == {"ollama"}
        assert (parts[-1].done, parts[-1].eval_count) == (True, 2)
        recorded(gateway, "ollama", "ollama", stream=True)
        assert "".join(part.response or "" for part in client.generate("ollama", "Hi", stream=True)) == "Hello"


def test_ollama_errors(gateway: Gateway, upstream: CannedUpstream) -> None:
    with ollama.Client(host=gateway.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        upstream.will("/api/chat", Canned("application/json", [b'{"error":"model requires more memory"}'], 400))
        with pytest.raises(ollama.ResponseError, match="more memory") as refused:
            client.chat(model="ollama", messages=HELLO)
        assert refused.value.status_code == 400
        cut = Canned("application/x-ndjson", lines(ollama_line("Hel")))
        upstream.will("/api/chat", cut)
        with pytest.raises(ollama.ResponseError, match="broke off"):
            list(client.chat(model="ollama", messages=HELLO, stream=True))
        assert last_event(gateway).outcome == "cut"
        upstream.will("/api/chat", Canned("application/x-ndjson", [*cut.pieces, *lines({"error": "it crashed"})]))
        with pytest.raises(ollama.ResponseError, match="it crashed"):
            list(client.chat(model="ollama", messages=HELLO, stream=True))


def test_cohere(gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will("/v2/chat", COHERE_WHOLE)
    with cohere.ClientV2(api_key=KEY, base_url=gateway.url) as client:
        whole: Any = client.chat(model="cohere", messages=HELLO, safety_mode="STRICT", documents=["a tide table"])
        assert whole.message.content[0].text == "Hello"
        recorded(gateway, "cohere", "cohere", stream=False)
        path, headers, sent = upstream.asked[-1]
        assert (path, headers["authorization"]) == ("/v2/chat", f"Bearer {UPSTREAM_KEY}")
        assert (sent["model"], sent["safety_mode"], sent["documents"]) == ("real-cohere", "STRICT", ["a tide table"])
        upstream.will("/v2/chat", COHERE_STREAM)
        told: list[Any] = list(client.chat_stream(model="cohere", messages=HELLO))
        assert "".join(one.delta.message.content.text for one in told if one.type == "content-delta") == "Hello"
        assert told[-1].delta.usage.tokens.input_tokens == 70
        recorded(gateway, "cohere", "cohere", stream=True)
        upstream.will("/v2/chat", Canned("application/json", [b'{"id":"x","message":"too many tokens"}'], 400))
        with pytest.raises(cohere.BadRequestError) as refused:
            client.chat(model="cohere", messages=HELLO)
        assert refused.value.body == {"id": "x", "message": "too many tokens"}


def test_rerank(gateway: Gateway, upstream: CannedUpstream) -> None:
    results = [{"index": 1, "relevance_score": 0.9}]
    told = {"id": "r", "results": results, "meta": {"billed_units": {"search_units": 1}}}
    upstream.will("/v2/rerank", Canned("application/json", [json.dumps(told).encode()]))
    with cohere.ClientV2(api_key=KEY, base_url=gateway.url) as client:
        found = client.rerank(model="reranker", query="tide", documents=["a", "b"], top_n=1)
    assert (found.results[0].index, found.results[0].relevance_score) == (1, 0.9)
    assert upstream.asked[-1][2] == {"model": "rerank-v3.5", "query": "tide", "documents": ["a", "b"], "top_n": 1}
    event = last_event(gateway)
    assert (event.operation, event.usage.source, event.cost_nano) == ("rerank", "reported", 2_000_000)

    told = {"model": "jina-reranker-v2", "results": results, "usage": {"total_tokens": 50}}
    upstream.will("/v1/rerank", Canned("application/json", [json.dumps(told).encode()]))
    headers = {"Authorization": f"Bearer {KEY}"}
    asked = {"model": "jina-reranker", "query": "tide", "documents": ["a", "b"]}
    answer = httpx2.post(gateway.url + "/v1/rerank", json=asked, headers=headers).json()
    assert answer == told | {"model": "jina-reranker"}
    event = last_event(gateway)
    assert (event.operation, event.usage.input, event.cost_nano) == ("rerank", 50, 1_000)


def test_rerank_from_one_form_to_the_other(gateway: Gateway, upstream: CannedUpstream) -> None:
    results = [{"index": 0, "relevance_score": 0.1}, {"index": 1, "relevance_score": 0.9}]
    told: dict[str, Any] = {"model": "jina-reranker-v2", "results": results, "usage": {"total_tokens": 50}}
    upstream.will("/v1/rerank", Canned("application/json", [json.dumps(told).encode()]))
    with cohere.ClientV2(api_key=KEY, base_url=gateway.url) as client:
        found = client.rerank(model="jina-reranker", query="tide", documents=["a", "b"], top_n=2, max_tokens_per_doc=9)
        assert [one.index for one in found.results] == [1, 0]
        assert found.meta and found.meta.billed_units and found.meta.billed_units.input_tokens == 50
        event = last_event(gateway)
        assert (event.dialect, event.operation, event.cost_nano) == ("cohere", "rerank", 1_000)
        upstream.will("/v1/rerank", Canned("application/json", [b'{"results":[{"index":0}]}']))
        with pytest.raises(cohere.core.api_error.ApiError) as broken:
            client.rerank(model="jina-reranker", query="tide", documents=["a"], request_options={"max_retries": 0})
        assert broken.value.status_code == 502

    told = {"id": "r", "results": results, "meta": {"billed_units": {"search_units": 3}}}
    upstream.will("/v2/rerank", Canned("application/json", [json.dumps(told).encode()]))
    headers = {"Authorization": f"Bearer {KEY}"}
    asked = {"model": "reranker", "query": "tide", "documents": ["a", {"text": "b"}], "return_documents": False}
    answer = httpx2.post(gateway.url + "/v1/rerank", json=asked, headers=headers)
    assert [one["index"] for one in answer.json()["results"]] == [1, 0]
    assert answer.headers["x-tidegate-cost-usd"] == "0.006"
    assert upstream.asked[-1][2] == {"model": "rerank-v3.5", "query": "tide", "documents": ["a", "b"]}
    refused = httpx2.post(gateway.url + "/v1/rerank", json=asked | {"rank_fields": ["b"]}, headers=headers)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "rank_fields")


def test_mistral(gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will("/v1/chat/completions", MISTRAL_WHOLE)
    with Mistral(api_key=KEY, server_url=gateway.url + "/mistral") as client:
        whole = client.chat.complete(model="mistral", messages=HELLO, safe_prompt=True, random_seed=7)
        assert (whole.model, whole.usage.total_tokens) == ("mistral", 7)
        recorded(gateway, "mistral", "mistral", stream=False)
        _, headers, sent = upstream.asked[-1]
        assert headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
        assert (sent["model"], sent["safe_prompt"], sent["random_seed"]) == ("real-mistral", True, 7)
        upstream.will("/v1/chat/completions", MISTRAL_STREAM)
        with client.chat.stream(model="mistral", messages=HELLO) as stream:
            chunks = [one.data for one in stream]
        assert "".join(str(one.choices[0].delta.content) for one in chunks) == "Hello"
        assert "stream_options" not in upstream.asked[-1][2]
        recorded(gateway, "mistral", "mistral", stream=True)
        fault = b'{"object":"error","message":"Bad","type":"t","param":null,"code":"1"}'
        upstream.will("/v1/chat/completions", Canned("application/json", [fault], 422))
        with pytest.raises(MistralError) as refused:
            client.chat.complete(model="mistral", messages=HELLO)
        assert (refused.value.status_code, refused.value.body) == (422, fault.decode())


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_the_openai_sdk_at_each(gateway: Gateway, upstream: CannedUpstream, dialect: str) -> None:
    path, whole, streamed = DIALECTS[dialect]
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0) as client:
        upstream.will(path, whole)
        answer = client.chat.completions.create(model=dialect, messages=HELLO, seed=7, max_tokens=9)
        assert (answer.choices[0].message.content, answer.model) == ("Hello", dialect)
        assert answer.usage is not None
        assert answer.usage.total_tokens == 7
        recorded(gateway, "openai", dialect, stream=False)
        upstream.will(path, streamed)
        with client.chat.completions.create(model=dialect, messages=HELLO, stream=True) as stream:
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "Hello"
        recorded(gateway, "openai", dialect, stream=True)
        upstream.will(path, Canned("application/json", [b'{"error":"no","message":"no such luck"}'], 404))
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model=dialect, messages=HELLO)
