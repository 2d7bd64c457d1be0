"""Embeddings between every ordered pair of dialects that have them."""

import base64
import json
import struct
from itertools import product

import pytest

from tidegate.core.usage import Usage
from tidegate.core.view import PathTells, View
from tidegate.dialects.dialect import Dialect, UnreadableAnswer, UnreadableRequest, UpstreamModel
from tidegate.dialects.embedding import EmbeddingCodec, EmbeddingRequest, Embeddings, EmbeddingTranslation, Embeds
from tidegate.dialects.registry import DIALECTS, relay_between

NAMES = [name for name, one in DIALECTS.items() if isinstance(one, Embeds) and name != "azure-openai"]
PAIRS = list(product(NAMES, NAMES))
MODEL = UpstreamModel("embed-1")
VECTORS = [[0.5, -0.25], [1.0, 2.0]]
SINGLE = {"bedrock-titan", "bedrock-nova"}
"""They take one text a call."""
TOLD_IN_HEADERS = {"bedrock-nova", "bedrock-cohere"}
"""What was used."""


def codec(dialect: Dialect) -> EmbeddingCodec:
    assert isinstance(dialect, Embeds)
    return dialect.embedding


def view_of(dialect: Dialect, body: bytes, form: str = "") -> View:
    view = dialect.read("embedding", body, PathTells(model="public", form=form))
    view.id = "call-1"
    return view


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_texts_go_up_and_vectors_come_back(client: str, upstream: str) -> None:
    asking, serving = DIALECTS[client], DIALECTS[upstream]
    relay = EmbeddingTranslation(codec(asking), codec(serving), serving)
    count = 1 if SINGLE & {client, upstream} else 2
    asked = EmbeddingRequest(texts=["Grüße 🌊", "b"][:count], dimensions=2)
    view = view_of(asking, codec(asking).encode_request(asked, UpstreamModel("public")))
    reached = codec(serving).decode_request(view_of(serving, relay.encode_request(view, MODEL, output_cap=None)))
    assert (reached.texts, reached.dimensions) == (asked.texts, 2)
    told = Embeddings(VECTORS[:count], Usage(input=9, source="reported"))
    served = view_of(serving, relay.encode_request(view, MODEL, output_cap=None))
    answer = relay.read_answer("embedding", codec(serving).encode_answer(told, served))
    assert answer.usage.input_total == (0 if upstream in TOLD_IN_HEADERS else 9)
    answer.usage = told.usage
    got = codec(asking).decode_answer(relay.encode_answer(answer, view))
    assert got.vectors == VECTORS[:count]
    assert got.usage.input_total == (0 if client in TOLD_IN_HEADERS else 9)


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_the_gateway_finds_the_way(client: str, upstream: str) -> None:
    relay = relay_between(client, DIALECTS[upstream], "embedding")
    assert relay is not None
    assert relay.native == (client == upstream)


def test_base64_as_the_openai_sdk_asks_for_it() -> None:
    openai, ollama = DIALECTS["openai"], DIALECTS["ollama"]
    relay = EmbeddingTranslation(codec(openai), codec(ollama), ollama)
    view = view_of(openai, b'{"model":"m","input":"a","encoding_format":"base64"}')
    answer = relay.read_answer("embedding", b'{"embeddings":[[0.5,-0.25]],"prompt_eval_count":3}')
    told = json.loads(relay.encode_answer(answer, view))
    assert struct.unpack("<2f", base64.b64decode(told["data"][0]["embedding"])) == (0.5, -0.25)
    assert told["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


def test_one_text_of_gemini_gets_one_vector() -> None:
    gemini, openai = DIALECTS["gemini"], DIALECTS["openai"]
    relay = EmbeddingTranslation(codec(gemini), codec(openai), openai)
    view = view_of(gemini, b'{"content":{"parts":[{"text":"a"}]},"taskType":"RETRIEVAL_QUERY"}', "single")
    assert json.loads(relay.encode_request(view, MODEL, output_cap=None))["input"] == ["a"]
    assert view.dropped == ("taskType",)
    answer = relay.read_answer("embedding", b'{"data":[{"embedding":[1],"index":0}]}')
    assert answer.usage.source == "unknown"
    assert json.loads(relay.encode_answer(answer, view)) == {"embedding": {"values": [1.0]}}


def test_vectors_out_of_order_are_put_in_order() -> None:
    told = codec(DIALECTS["openai"]).decode_answer(
        b'{"data":[{"embedding":[2],"index":1},{"embedding":[1],"index":0}]}'
    )
    assert told.vectors == [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("client", "body", "field"),
    [
        ("openai", b'{"model":"m","input":[1,2,3]}', "input"),
        ("openai", b'{"model":"m","input":"a","frequency":1}', "frequency"),
        ("openai", b'{"model":"m","input":{"a":1}}', "input"),
        ("ollama", b'{"model":"m","input":7}', "input"),
        ("cohere", b'{"model":"m","texts":["a"],"embedding_types":["int8"]}', "embedding_types"),
        (
            "gemini",
            b'{"requests":[{"content":{"parts":[{"inlineData":{"data":"AA=="}}]}}]}',
            "requests",
        ),
        ("gemini", b'{"requests":[]}', "requests"),
    ],
)
def test_what_cannot_be_honoured_is_named(client: str, body: bytes, field: str) -> None:
    dialect = DIALECTS[client]
    with pytest.raises(UnreadableRequest) as caught:
        codec(dialect).decode_request(view_of(dialect, body))
    assert caught.value.problem.status == 400
    assert caught.value.problem.field == field


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"data":[{"embedding":"!!"}]}', b'{"embeddings":[["x"]]}', b"\xff"]
)
def test_answers_without_vectors(name: str, body: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        codec(DIALECTS[name]).decode_answer(body)
