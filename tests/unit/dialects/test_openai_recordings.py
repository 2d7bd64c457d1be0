"""OpenAI's transcriptions and translations: forms in, renamed and nothing else; their usage."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from tidegate.core.usage import Units, Usage
from tidegate.core.view import PathTells, View
from tidegate.dialects.dialect import UnreadableRequest, UpstreamModel
from tidegate.dialects.openai import AzureOpenAI, OpenAI
from tidegate.dialects.openai.recording import recording_usage
from tidegate.wire.multipart import MAX_PARTS

DIALECT = OpenAI()
TELLS = PathTells(media=b'multipart/form-data; charset=utf-8; boundary="b"')
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\nID3\xff\r\n'
END = b"--b--\r\n"


def field(name: str, value: bytes) -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), value)


MODEL = field("model", b"m")


def recording(body: bytes, tells: PathTells = TELLS) -> View:
    return DIALECT.read("transcription", body, tells)


def test_a_recording_goes_up_byte_for_byte_but_for_the_model() -> None:
    body = field("prompt", b"m") + MODEL + FILE + field("timestamp_granularities[]", b"word") * 2 + END
    view = recording(body)
    assert (view.model, view.stream, view.max_output_tokens) == ("m", False, None)
    assert view.media == b"multipart/form-data; boundary=b"
    sent = DIALECT.encode_request(view, UpstreamModel("whisper-1"), output_cap=100)
    assert sent == body.replace(MODEL, field("model", b"whisper-1"))


def test_at_azure_the_path_names_the_model() -> None:
    found = AzureOpenAI().match_path(b"/openai/deployments/ears/audio/translations", b"")
    assert found is not None
    assert (found[0], found[1].model) == ("translation", "ears")
    view = recording(FILE + END, PathTells(model="ears", media=TELLS.media))
    assert view.model == "ears"
    sent = DIALECT.encode_request(view, UpstreamModel("up"), output_cap=None)
    assert sent.endswith(FILE + END)
    assert DIALECT.read("translation", sent, TELLS).model == "up"


def test_a_long_recording_is_reserved_for_without_a_token_for_each_byte() -> None:
    view = recording(MODEL + FILE.replace(b"ID3", b"ID3" * 2_000_000) + END)
    assert 6_000_000 / 750 * 32 < view.worst_input_tokens < 300_000
    assert view.estimated_input_tokens < 2_000
    assert recording(MODEL + FILE + END).worst_input_tokens == len(MODEL + FILE + END)


@pytest.mark.parametrize(
    ("body", "code", "named"),
    [
        (b"", "invalid_request", None),
        (b'{"model":"m"}', "invalid_request", None),
        (MODEL + FILE, "invalid_request", None),
        (field("a", b"x") * (MAX_PARTS + 1) + END, "invalid_request", None),
        (FILE + END, "invalid_request", "model"),
        (field("model", b"") + FILE + END, "invalid_request", "model"),
        (field("model", b"\xff") + FILE + END, "invalid_request", "model"),
        (MODEL + MODEL + FILE + END, "invalid_request", "model"),
        (MODEL + END, "invalid_request", "file"),
        (MODEL + field("file", b"x") + END, "invalid_request", "file"),
        (MODEL + FILE + FILE + END, "invalid_request", "file"),
        (MODEL + FILE + field("stream", b"yes") + END, "invalid_request", "stream"),
        (MODEL + FILE + field("stream", b"false") * 2 + END, "invalid_request", "stream"),
    ],
)
def test_recordings_that_are_refused(body: bytes, code: str, named: str | None) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        recording(body)
    problem = caught.value.problem
    assert (problem.status, problem.code, problem.field) == (400, code, named)


def test_a_transcription_may_be_streamed_and_a_translation_not() -> None:
    for value in (b"true", b"1", b"True"):
        assert recording(MODEL + FILE + field("stream", value) + END).stream
    with pytest.raises(UnreadableRequest, match="stream"):
        DIALECT.read("translation", MODEL + FILE + field("stream", b"true") + END, TELLS)


def test_a_form_of_another_content_type_is_refused() -> None:
    for media in (b"", b"application/json", b"multipart/form-data; boundary=c"):
        with pytest.raises(UnreadableRequest, match="multipart"):
            recording(MODEL + FILE + END, PathTells(media=media))
    assert recording(MODEL + FILE + field("stream", b"false") + END).model == "m"


def test_usage_in_tokens() -> None:
    split = {"text_tokens": 4, "audio_tokens": 56}
    told = {"type": "tokens", "input_tokens": 60, "output_tokens": 9, "total_tokens": 69, "input_token_details": split}
    usage = DIALECT.read_answer("transcription", json.dumps({"text": "Hi", "usage": told}).encode()).usage
    assert (usage.input, usage.input_audio, usage.output, usage.source) == (4, 56, 9, "reported")
    assert json.loads(usage.raw) == told


@pytest.mark.parametrize(
    "told", [None, {"type": "duration"}, {"seconds": -1}, {"seconds": 1e300}, [], {"input_tokens": 1}]
)
def test_what_is_told_otherwise_is_unknown(told: object) -> None:
    usage = recording_usage({"usage": Raw(json.dumps(told).encode())})
    assert (usage.source, usage.total) == ("unknown", 0)
    assert recording_usage({}).source == "unknown"


@given(st.binary(max_size=80))
def test_no_body_breaks_the_reader(body: bytes) -> None:
    for whole in (body, MODEL + body, MODEL + FILE + body + END):
        try:
            recording(whole)
        except UnreadableRequest:
            continue


@pytest.mark.parametrize(
    ("fields", "audio_ms"),
    [
        ({"usage": {"type": "duration", "seconds": 9}}, 9_000),
        ({"usage": {"type": "duration", "seconds": 0.0125}, "duration": 7}, 12),
        ({"duration": 61.25}, 61_250),
        ({"duration": "61.25", "usage": None}, 61_250),
    ],
)
def test_sound_is_told_in_seconds(fields: dict[str, object], audio_ms: int) -> None:
    usage = recording_usage({name: Raw(json.dumps(value).encode()) for name, value in fields.items()})
    assert (usage.source, usage.units, usage.total) == ("reported", Units(audio_ms=audio_ms), 0)


@pytest.mark.parametrize("duration", ["-1", '"long"', "null", "1e12"])
def test_a_duration_that_is_none_is_unknown(duration: str) -> None:
    assert recording_usage({"duration": Raw(duration.encode())}) == Usage()
