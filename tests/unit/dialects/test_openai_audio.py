"""OpenAI's audio endpoints: what is read, what is refused."""

import json

import pytest

from tidegate.core.usage import Units
from tidegate.dialects.dialect import UnreadableRequest, UpstreamModel
from tidegate.dialects.openai import OpenAI

DIALECT = OpenAI()


def speech(**fields: object) -> bytes:
    return json.dumps({"model": "m", "input": "Hi", "voice": "alloy", **fields}).encode()


def test_speech_goes_up_with_its_values_untouched() -> None:
    view = DIALECT.read(
        "speech", b'{"model":"m","input":"\\u0048i","voice":{"id":1},"speed":1.5,"stream_format":"audio"}'
    )
    assert (view.model, view.stream, view.max_output_tokens) == ("m", False, None)
    sent = DIALECT.encode_request(view, UpstreamModel("tts-1"), output_cap=100)
    assert sent == b'{"model":"tts-1","input":"\\u0048i","voice":{"id":1},"speed":1.5,"stream_format":"audio"}'
    assert DIALECT.read("speech", speech(stream_format=None)).model == "m"
    assert view.units == Units(characters=2)
    assert DIALECT.read("speech", speech(input="ein Häuschen")).units == Units(characters=12)


def test_speech_by_events() -> None:
    assert DIALECT.read("speech", speech(stream_format="sse")).stream
    assert DIALECT.read("speech", speech(stream_format="sse").replace(b'"sse"', b'"\\u0073se"')).stream
    assert not DIALECT.read("speech", speech(stream=True)).stream


@pytest.mark.parametrize(
    ("raw", "code", "field"),
    [
        (b'{"model":"m"}', "invalid_request", "input"),
        (b'{"input":"x"}', "invalid_request", "model"),
        (speech(stream_format="wav"), "invalid_request", "stream_format"),
        (speech(stream_format=1), "invalid_request", "stream_format"),
    ],
)
def test_speech_that_is_refused(raw: bytes, code: str, field: str) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        DIALECT.read("speech", raw)
    problem = caught.value.problem
    assert (problem.status, problem.code, problem.field) == (400, code, field)
