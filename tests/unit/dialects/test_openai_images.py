"""OpenAI's image endpoint: what is read, what is refused, what its usage comes to."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from tidegate.core.usage import Units
from tidegate.dialects.dialect import UnreadableAnswer, UnreadableRequest, UpstreamModel
from tidegate.dialects.openai import AzureOpenAI, OpenAI
from tidegate.dialects.openai.depiction import depiction_usage

DIALECT = OpenAI()


def body(**fields: object) -> bytes:
    return json.dumps({"model": "m", "prompt": "a lighthouse", **fields}).encode()


def answer(usage: object, **more: object) -> bytes:
    return json.dumps({"created": 1, "data": [{"b64_json": "aGk="}], "usage": usage, **more}).encode()


def test_the_request_goes_up_with_its_values_untouched() -> None:
    view = DIALECT.read("image", b'{"model":"m","prompt":"a \\u006cighthouse","n":3,"size":"1024x1024","novel":1.50}')
    assert (view.model, view.stream, view.requests, view.max_output_tokens) == ("m", False, 3, None)
    sent = DIALECT.encode_request(view, UpstreamModel("gpt-image-1"), output_cap=100)
    assert sent == b'{"model":"gpt-image-1","prompt":"a \\u006cighthouse","n":3,"size":"1024x1024","novel":1.50}'


@pytest.mark.parametrize(
    ("raw", "code", "field"),
    [
        (b'{"model":"m"}', "invalid_request", "prompt"),
        (b'{"model":"m","prompt":null}', "invalid_request", "prompt"),
        (b'{"prompt":"x"}', "invalid_request", "model"),
        (body(n=0), "invalid_request", "n"),
        (body(n="two"), "invalid_request", "n"),
        (body(stream="yes"), "invalid_request", "stream"),
        (body(svg={"model": "gpt-5"}), "unsupported_field", "svg"),
        (body(stream=True, svg={"model": "gpt-5"}), "unsupported_field", "svg"),
    ],
)
def test_what_is_refused(raw: bytes, code: str, field: str) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        DIALECT.read("image", raw)
    problem = caught.value.problem
    assert (problem.status, problem.code, problem.field) == (400, code, field)


def test_a_stream_goes_up_as_it_was_asked_for() -> None:
    raw = body(stream=True, partial_images=2)
    view = DIALECT.read("image", raw)
    assert (view.stream, view.requests) == (True, 1)
    sent = DIALECT.encode_request(view, UpstreamModel("up"), output_cap=None)
    assert json.loads(sent) == json.loads(body(model="up", stream=True, partial_images=2))


def test_paths() -> None:
    assert DIALECT.client_paths[b"/v1/images/edits"] == "image_edit"
    assert DIALECT.client_paths[b"/v1/images/variations"] == "image_variation"
    assert DIALECT.client_paths[b"/v1/images/generations"] == "image"
    azure = AzureOpenAI()
    found = azure.match_path(b"/openai/deployments/dall/images/generations", b"api-version=x")
    assert found is not None
    assert (found[0], found[1].model) == ("image", "dall")
    path = azure.upstream_path("image", "dall", "https://x/openai", "2025-04-01", stream=False)
    assert path == "https://x/openai/deployments/dall/images/generations?api-version=2025-04-01"


def test_usage_in_disjoint_buckets() -> None:
    told = {
        "input_tokens": 60,
        "output_tokens": 1100,
        "total_tokens": 1160,
        "input_tokens_details": {"text_tokens": 20, "image_tokens": 40, "cached_tokens": 5},
        "output_tokens_details": {"text_tokens": 44, "image_tokens": 1056},
    }
    usage = DIALECT.read_answer("image", answer(told)).usage
    assert (usage.input, usage.cache_read, usage.input_image) == (15, 5, 40)
    assert (usage.output, usage.output_image, usage.total) == (44, 1056, 1160)
    assert (usage.source, json.loads(usage.raw)) == ("reported", told)


def test_output_that_is_not_called_text_is_images() -> None:
    told = {"input_tokens": 9, "output_tokens": 272, "total_tokens": 281, "input_tokens_details": {"text_tokens": 9}}
    usage = DIALECT.read_answer("image", answer(told)).usage
    assert (usage.input, usage.output, usage.output_image) == (9, 0, 272)


@pytest.mark.parametrize("usage", [None, {}, [], {"total_tokens": 4}, {"input_tokens": "9", "output_tokens": 1}])
def test_where_no_tokens_are_told_the_images_are_counted(usage: object) -> None:
    told = DIALECT.read_answer("image", answer(usage)).usage
    assert (told.source, told.units, told.total) == ("reported", Units(images=1), 0)
    assert DIALECT.read_answer("image", b'{"created":1,"data":[]}').usage.source == "unknown"


def test_usage_of_a_second_model_makes_the_whole_unknown() -> None:
    told = {"input_tokens": 9, "output_tokens": 1}
    second = {"model": "gpt-5", "input_tokens": 1, "output_tokens": 1}
    assert DIALECT.read_answer("image", answer(told, svg_usage=second)).usage.source == "unknown"


def test_the_answer_comes_back_byte_for_byte() -> None:
    raw = b'{"created":1,"data":[{"b64_json":"aGk=","odd":1.0e2}],"usage":null}'
    view = DIALECT.read("image", body())
    assert DIALECT.encode_answer(DIALECT.read_answer("image", raw), view) == raw
    with pytest.raises(UnreadableAnswer):
        DIALECT.read_answer("image", b"<html>")


_NAMES = st.sampled_from(("input_tokens", "output_tokens", "input_tokens_details", "image_tokens", "text_tokens"))
_VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner),
)


@given(_VALUES)
def test_no_usage_object_breaks_it_or_makes_a_negative_bucket(told: object) -> None:
    usage = depiction_usage({"usage": Raw(json.dumps(told).encode())})
    assert min(usage.input, usage.input_image, usage.output, usage.output_image) >= 0
