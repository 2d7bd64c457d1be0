"""Reranking in Cohere's and in Jina's form: natively, from one to the other, and as Voyage says it."""

import json
from typing import Any

import pytest

from tidegate.core.usage import Units
from tidegate.core.view import View
from tidegate.dialects.dialect import Relay, UnreadableAnswer, UnreadableRequest, UpstreamModel
from tidegate.dialects.registry import DIALECTS, relay_between

MODEL = UpstreamModel("reranker-1")
VOYAGE = UpstreamModel("rerank-2.5", frozenset(("rerank-top-k",)))
RESULTS = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.25}]
MIXED = RESULTS[::-1]
BY_SEARCH = {
    "id": "r-1",
    "results": MIXED,
    "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 2}},
}
BY_TOKEN = {"model": "reranker-1", "results": MIXED, "usage": {"total_tokens": 50}}


def relay(client: str, upstream: str) -> Relay:
    found = relay_between(client, DIALECTS[upstream], "rerank")
    assert found is not None
    return found


def asked(dialect: str, **more: Any) -> View:
    body = {"model": "public", "query": "Gezeiten 🌊", "documents": ["a", "b"], **more}
    view = DIALECTS[dialect].read("rerank", json.dumps(body).encode())
    view.id = "call-1"
    return view


def sent(client: str, upstream: str, model: UpstreamModel = MODEL, **more: Any) -> Any:
    return json.loads(relay(client, upstream).encode_request(asked(client, **more), model, output_cap=None))


def told(client: str, upstream: str, answer: Any, **more: Any) -> tuple[Any, Any]:
    between = relay(client, upstream)
    found = between.read_answer("rerank", json.dumps(answer).encode())
    return json.loads(between.encode_answer(found, asked(client, **more))), found.usage


def test_from_cohere_to_jina() -> None:
    assert sent("cohere", "openai", top_n=1) == {
        "model": "reranker-1", "query": "Gezeiten 🌊", "documents": ["a", "b"], "top_n": 1, "return_documents": False,
    }  # fmt: skip
    answer, usage = told("cohere", "openai", BY_TOKEN)
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 50}}
    assert answer == {"id": "call-1", "results": RESULTS, "meta": meta}
    assert (usage.input, usage.units) == (50, None)


def test_from_jina_to_cohere() -> None:
    documents = [{"text": "a"}, "b"]
    assert sent("openai", "cohere", documents=documents, top_n=2, return_documents=True) == {
        "model": "reranker-1", "query": "Gezeiten 🌊", "documents": ["a", "b"], "top_n": 2,
    }  # fmt: skip
    answer, usage = told("openai", "cohere", BY_SEARCH, documents=documents)
    with_texts = [RESULTS[0] | {"document": {"text": "b"}}, RESULTS[1] | {"document": {"text": "a"}}]
    meta = {"billed_units": {"search_units": 2}}
    assert answer == {"id": "r-1", "object": "list", "model": "public", "results": with_texts, "meta": meta}
    assert usage.units == Units(searches=2)
    bare, _ = told("openai", "cohere", BY_SEARCH, return_documents=False)
    assert bare["results"] == RESULTS


def test_as_voyage_says_it() -> None:
    """Natively the client keeps Jina's names; through the hub they are Voyage's upstream."""
    assert sent("cohere", "openai", VOYAGE, top_n=1)["top_k"] == 1
    native = sent("openai", "openai", VOYAGE, top_n=1)
    assert (native["top_k"], "top_n" in native) == (1, False)
    assert sent("openai", "openai", MODEL, top_n=1)["top_n"] == 1
    voyage = {"object": "list", "data": MIXED, "model": "rerank-2.5", "usage": {"total_tokens": 7}}
    answer, usage = told("openai", "openai", voyage)
    assert (answer["results"], "data" in answer, usage.input) == (MIXED, False, 7)
    assert told("cohere", "openai", voyage)[0]["results"] == RESULTS


def test_hints_are_dropped_by_name() -> None:
    view = asked("cohere", max_tokens_per_doc=100, priority=3)
    relay("cohere", "openai").encode_request(view, MODEL, output_cap=None)
    assert view.dropped == ("max_tokens_per_doc", "priority")
    view = asked("openai", truncation=True)
    relay("openai", "cohere").encode_request(view, MODEL, output_cap=None)
    assert view.dropped == ("truncation",)


@pytest.mark.parametrize(
    ("client", "upstream", "more", "field", "code"),
    [
        ("openai", "cohere", {"documents": [{"image": "https://x.example/a.png"}]}, "documents", "invalid_request"),
        ("openai", "cohere", {"documents": [{"text": "a", "title": "b"}]}, "documents", "invalid_request"),
        ("openai", "cohere", {"documents": "a"}, "documents", "invalid_request"),
        ("openai", "cohere", {"return_embeddings": True}, "return_embeddings", "unsupported_field"),
        ("cohere", "openai", {"documents": [{"text": "a"}]}, "documents", "invalid_request"),
        ("cohere", "openai", {"rank_fields": ["text"]}, "rank_fields", "unsupported_field"),
    ],
)
def test_what_cannot_be_honoured(client: str, upstream: str, more: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        sent(client, upstream, **more)
    assert (caught.value.problem.status, caught.value.problem.code, caught.value.problem.field) == (400, code, field)


@pytest.mark.parametrize("answer", [[], {}, {"results": [{"index": 0}]}, {"results": 1}, {"data": None}])
@pytest.mark.parametrize(("client", "upstream"), [("openai", "cohere"), ("cohere", "openai")])
def test_an_answer_without_scores(client: str, upstream: str, answer: Any) -> None:
    with pytest.raises(UnreadableAnswer):
        told(client, upstream, answer)


@pytest.mark.parametrize("index", [2, -1])
def test_a_document_that_nobody_sent(index: int) -> None:
    with pytest.raises(UnreadableAnswer, match="ranks document"):
        told("openai", "cohere", {"results": [{"index": index, "relevance_score": 1.0}]})


def test_without_usage_it_is_unknown_and_not_told() -> None:
    for client, upstream in (("openai", "cohere"), ("cohere", "openai")):
        answer, usage = told(client, upstream, {"results": MIXED})
        assert usage.source == "unknown"
        assert not {"usage", "meta"} & set(answer)


def test_others_do_not_rerank() -> None:
    for client, upstream in (("cohere", "mistral"), ("cohere", "ollama"), ("openai", "gemini"), ("openai", "mistral")):
        assert relay_between(client, DIALECTS[upstream], "rerank") is None


def test_what_is_reserved() -> None:
    """Each document is read with the query; a hundred short documents are one search, a long one is several."""
    short = asked("openai", documents=["a"] * 101)
    assert short.units == Units(searches=2)
    assert short.worst_input_tokens == short.body_bytes + 101 * len(json.dumps("Gezeiten 🌊"))
    assert asked("cohere", documents=["a" * 60_000]).units == Units(searches=2)
    assert asked("cohere", documents=[]).units == Units(searches=1)
    assert asked("openai", documents=7).units == Units(searches=1)
