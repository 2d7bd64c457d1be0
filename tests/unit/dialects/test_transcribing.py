"""OpenAI's transcriptions and translations by Gemini's models; the bytes are what Google's own types write and read."""

import json
from base64 import b64decode
from typing import Any

import pytest
from google.genai import types
from openai.types.audio import Transcription, TranscriptionTextDoneEvent
from tests.support.strict_models import read_strictly

from tidegate.core.problem import Problem
from tidegate.core.view import Operation, PathTells, View
from tidegate.dialects.dialect import (
    RefusedAnswer,
    Relay,
    StreamReader,
    UnreadableAnswer,
    UnreadableRequest,
    UpstreamModel,
)
from tidegate.dialects.recordings import recording_format
from tidegate.dialects.registry import DIALECTS, relay_between
from tidegate.wire.sse import sse_data

MODEL = UpstreamModel("gemini-2.5-flash")
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40)
AUDIO, TEXT = types.MediaModality.AUDIO, types.MediaModality.TEXT
USED = types.GenerateContentResponseUsageMetadata(
    prompt_token_count=140,
    candidates_token_count=9,
    thoughts_token_count=3,
    total_token_count=152,
    prompt_tokens_details=[
        types.ModalityTokenCount(modality=TEXT, token_count=44),
        types.ModalityTokenCount(modality=AUDIO, token_count=96),
    ],
)


def relay(upstream: str = "gemini", operation: Operation = "transcription") -> Relay:
    found = relay_between("openai", DIALECTS[upstream], operation)
    assert found is not None
    return found


def asked(
    *more: tuple[str, str], operation: Operation = "transcription", file: bytes = WAV, name: str = "a.wav"
) -> View:
    fields = [("model", b"listener"), *((field, value.encode()) for field, value in more)]
    parts = [b'--B\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (n.encode(), v) for n, v in fields]
    head = b'--B\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\n' % name.encode()
    body = b"".join((*parts, head, file, b"\r\n--B--\r\n"))
    return DIALECTS["openai"].read(operation, body, PathTells(media=b"multipart/form-data; boundary=B"))


def sent(view: View, upstream: str = "gemini", model: UpstreamModel = MODEL) -> dict[str, Any]:
    return json.loads(relay(upstream, view.operation).encode_request(view, model, output_cap=None))


def told(*texts: str, finish: str | None = "STOP", used: Any = USED) -> bytes:
    parts = [types.Part(text="Hm.", thought=True), *(types.Part(text=text) for text in texts)]
    content = types.Content(role="model", parts=parts) if texts else None
    reason = None if finish is None else types.FinishReason(finish)
    answer = types.GenerateContentResponse(
        candidates=[types.Candidate(content=content, finish_reason=reason)], usage_metadata=used
    )
    return answer.model_dump_json(by_alias=True, exclude_none=True).encode()


@pytest.mark.parametrize("upstream", ["gemini", "vertex"])
def test_a_request(upstream: str) -> None:
    view = asked(("temperature", "0.4"), ("response_format", "json"), ("chunking_strategy", "auto"))
    found = sent(view, upstream)
    (system,) = found["systemInstruction"]["parts"]
    assert "word for word" in system["text"]
    assert "English" not in system["text"]
    ((heard,),) = [content["parts"] for content in found["contents"]]
    assert heard["inlineData"]["mimeType"] == "audio/wav"
    assert b64decode(heard["inlineData"]["data"]) == WAV
    assert found["generationConfig"] == {"temperature": 0.4}
    assert view.dropped == ("chunking_strategy",)
    types.Content.model_validate(found["contents"][0])


def test_hints_come_before_the_recording() -> None:
    more = (("language", "de"), ("prompt", "Tiden in Büsum."), ("keywords[]", "Priel"), ("keywords[]", "Watt"))
    (content,) = sent(asked(*more, ("languages[]", "da")))["contents"]
    said, heard = content["parts"]
    assert "inlineData" in heard
    for one in ("de, da", "Priel, Watt", "Tiden in Büsum."):
        assert one in said["text"]


def test_a_translation_is_into_english() -> None:
    found = sent(asked(("prompt", "Tides."), operation="translation"))
    assert "English translation" in found["systemInstruction"]["parts"][0]["text"]
    with pytest.raises(UnreadableRequest) as refused:
        sent(asked(("language", "de"), operation="translation"))
    assert refused.value.problem.field == "language"


def test_the_operators_bound_on_the_output() -> None:
    bounded = UpstreamModel(MODEL.name, max_output_tokens=500)
    assert sent(asked(), model=bounded)["generationConfig"] == {"maxOutputTokens": 500}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("response_format", "verbose_json"),
        ("response_format", "srt"),
        ("response_format", "vtt"),
        ("response_format", "diarized_json"),
        ("timestamp_granularities[]", "word"),
        ("include[]", "logprobs"),
        ("chunking_strategy", '{"type":"server_vad"}'),
        ("chunking_strategy[type]", "server_vad"),
        ("known_speaker_names[]", "agent"),
        ("known_speaker_references[]", "data:audio/wav;base64,eA=="),
        ("of_tomorrow", "1"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(UnreadableRequest) as refused:
        sent(asked((name, value)))
    problem = refused.value.problem
    assert (problem.status, problem.code, problem.field) == (400, "unsupported_field", name.partition("[")[0])


@pytest.mark.parametrize(("name", "value"), [("temperature", "2"), ("temperature", "warm")])
def test_what_cannot_be_read_is_refused(name: str, value: str) -> None:
    with pytest.raises(UnreadableRequest) as refused:
        sent(asked((name, value)))
    assert (refused.value.problem.code, refused.value.problem.field) == ("invalid_request", name)


@pytest.mark.parametrize(
    ("content", "name", "media", "kind"),
    [
        (WAV, "a.mp3", "audio/mpeg", "wav"),
        (b"ID3\x04", "", "", "mp3"),
        (b"\xff\xfb\x90\x00", "a.wav", "", "mp3"),
        (b"\xff\xf1\x50\x80", "", "", "aac"),
        (b"FORM\x00\x00\x00\x00AIFC", "", "", "aiff"),
        (b"OggS\x00\x02", "", "", "ogg"),
        (b"fLaC\x00", "", "", "flac"),
        (b"\x00\x00\x00\x1cftypM4A ", "a.mp3", "", "mp4"),
        (b"\x1aE\xdf\xa3", "", "", "webm"),
        (b"#!AMR\n", "a.wav", "", "amr"),
        (b"\x01\x02", "A.B.FLAC", "audio/wav", "flac"),
        (b"\x01\x02", "opus", "audio/x-wav", "wav"),
        (b"\x01\x02", "a.txt", "text/plain", ""),
        (b"", "", "", ""),
    ],
)
def test_what_a_recording_is(content: bytes, name: str, media: str, kind: str) -> None:
    assert recording_format(content, name, media) == kind


@pytest.mark.parametrize(
    ("upstream", "file", "name", "says"),
    [
        (
            "gemini",
            b"\x1aE\xdf\xa3",
            "a.webm",
            "`a.webm` is webm. The upstream of this model hears aac, aiff, flac, mp3",
        ),
        ("gemini", b"#!AMR\n", "call.wav", "`call.wav` is amr"),
        ("gemini", b"\x00\x01", "notes.txt", "is of no format that is known here"),
        ("vertex", b"FORM\x00\x00\x00\x00AIFF", "a.aiff", "is aiff"),
    ],
)
def test_a_format_that_is_not_heard_is_refused(upstream: str, file: bytes, name: str, says: str) -> None:
    with pytest.raises(UnreadableRequest, match=says) as refused:
        sent(asked(file=file, name=name), upstream)
    problem = refused.value.problem
    assert (problem.status, problem.code, problem.field) == (400, "unsupported_field", "file")


def test_vertex_hears_what_browsers_record() -> None:
    (content,) = sent(asked(file=b"\x1aE\xdf\xa3", name="a.webm"), "vertex")["contents"]
    assert content["parts"][0]["inlineData"]["mimeType"] == "audio/webm"


def test_a_recording_that_is_too_large_is_refused_before_it_is_encoded() -> None:
    large = b"ID3" + bytes(15_000_000)
    with pytest.raises(UnreadableRequest, match="15000003 bytes") as refused:
        sent(asked(file=large), "vertex")
    assert (refused.value.problem.status, refused.value.problem.code) == (413, "request_too_large")
    assert sent(asked(file=large), "gemini")


def test_an_answer() -> None:
    between = relay()
    found = between.read_answer("transcription", told("The tide", " turns.\n"))
    usage = found.usage
    assert (usage.input, usage.input_audio, usage.output, usage.reasoning) == (44, 96, 9, 3)
    view = asked()
    read = read_strictly(Transcription, between.encode_answer(found, view))
    assert (read.text, view.answer_media) == ("The tide turns.", "application/json")
    assert read.usage is not None
    assert read.usage.model_dump() == {
        "type": "tokens",
        "input_tokens": 140,
        "input_token_details": {"text_tokens": 44, "audio_tokens": 96},
        "output_tokens": 12,
        "total_tokens": 152,
    }
    plain = asked(("response_format", "text"))
    assert between.encode_answer(found, plain) == b"The tide turns.\n"
    assert plain.answer_media == "text/plain; charset=utf-8"
    assert json.loads(between.encode_answer(found, asked(operation="translation"))) == {"text": "The tide turns."}


def test_an_answer_in_which_nothing_is_said() -> None:
    between = relay()
    found = between.read_answer("transcription", told(used=None))
    assert found.usage.source == "unknown"
    assert json.loads(between.encode_answer(found, asked())) == {"text": ""}


@pytest.mark.parametrize(
    ("finish", "code"), [("MAX_TOKENS", "transcript_too_long"), ("SAFETY", "content_policy_violation")]
)
def test_half_a_transcript_is_an_error_of_the_clients(finish: str, code: str) -> None:
    with pytest.raises(RefusedAnswer) as refused:
        relay().read_answer("transcription", told("The", finish=finish))
    assert (refused.value.fault.code, refused.value.usage.total) == (code, 152)
    reader = relay().stream_reader(asked(("stream", "true")))
    assert reader.read(frame(told("The", finish=finish))).content
    with pytest.raises(RefusedAnswer) as refused:
        reader.end_marker()
    assert (refused.value.fault.code, refused.value.usage.total) == (code, 152)


@pytest.mark.parametrize("body", [b"[]", b"{}", told("x", finish=None), told("x", finish="MALFORMED_RESPONSE")])
def test_what_is_no_answer_is_a_fault_of_the_upstream(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer) as fault:
        relay().read_answer("transcription", body)
    assert not isinstance(fault.value, RefusedAnswer)


def frame(body: bytes) -> bytes:
    return b"data: " + body + b"\r\n\r\n"


def events(reader: StreamReader, *bodies: bytes) -> list[Any]:
    return [json.loads(sse_data(one)) for body in bodies if (one := reader.read(frame(body)).bytes)]


def test_a_stream() -> None:
    reader = relay().stream_reader(asked(("stream", "true")))
    found = events(reader, told("The tide", finish=None), told(" turns."))
    assert [one["delta"] for one in found] == ["The tide", " turns."]
    assert {one["type"] for one in found} == {"transcript.text.delta"}
    done = read_strictly(TranscriptionTextDoneEvent, sse_data(reader.end_marker() or b""))
    assert done.text == "The tide turns."
    assert done.usage is not None
    assert (done.usage.input_tokens, done.usage.output_tokens) == (140, 12)
    assert reader.usage is not None
    assert reader.usage.input_audio == 96


def test_a_stream_that_breaks_off_or_fails() -> None:
    reader = relay().stream_reader(asked(("stream", "true")))
    events(reader, told("The tide", finish=None, used=None))
    assert reader.end_marker() is None
    failed = reader.read(frame(b'{"error":{"code":503,"message":"Overloaded.","status":"UNAVAILABLE"}}'))
    assert failed.fault is not None
    assert json.loads(sse_data(failed.bytes))["error"]["message"] == "Overloaded."
    broken = reader.problem(Problem(status=502, code="upstream_error", message="Broken."))
    assert json.loads(sse_data(broken))["error"]["code"] == "upstream_error"


def test_a_transcript_is_bounded() -> None:
    reader = relay().stream_reader(asked(("stream", "true")))
    large = told("x" * 3_000_000, finish=None)
    reader.read(frame(large))
    with pytest.raises(UnreadableAnswer, match="longer than"):
        reader.read(frame(large))


def test_who_writes_down_for_whom() -> None:
    assert relay_between("azure-openai", DIALECTS["vertex"], "translation") is not None
    assert relay_between("openai", DIALECTS["anthropic"], "transcription") is None
    assert relay_between("openai", DIALECTS["vertex-anthropic"], "transcription") is None
    assert relay_between("openai", DIALECTS["openai"], "transcription") is DIALECTS["openai"]
