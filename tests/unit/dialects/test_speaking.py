"""OpenAI's speech by Gemini's models; the bytes are what Google's own types write and read."""

import json
from base64 import b64decode
from typing import Any

import pytest
from google.genai import types

from tidegate.core.problem import Problem
from tidegate.core.usage import Units
from tidegate.core.view import View
from tidegate.dialects.dialect import RefusedAnswer, Relay, UnreadableAnswer, UnreadableRequest, UpstreamModel
from tidegate.dialects.registry import DIALECTS, relay_between
from tidegate.dialects.wav import read_wav, wav_header
from tidegate.wire.sse import sse_data

OLD, NEW = UpstreamModel("gemini-2.5-flash-preview-tts"), UpstreamModel("gemini-3.8-flash-tts")
L16 = "audio/L16;codec=pcm;rate=24000"
PCM = bytes(range(200)) * 3
USED = types.GenerateContentResponseUsageMetadata(
    prompt_token_count=8,
    candidates_token_count=50,
    total_token_count=58,
    candidates_tokens_details=[types.ModalityTokenCount(modality=types.MediaModality.AUDIO, token_count=50)],
)


def relay(upstream: str = "gemini") -> Relay:
    found = relay_between("openai", DIALECTS[upstream], "speech")
    assert found is not None
    return found


def asked(**more: Any) -> View:
    body = {"model": "public", "input": "Ebb 🌊", "voice": "Kore", "response_format": "wav", **more}
    body = {name: value for name, value in body.items() if value is not ...}
    return DIALECTS["openai"].read("speech", json.dumps(body).encode())


def sent(view: View, model: UpstreamModel = OLD, upstream: str = "gemini") -> dict[str, Any]:
    return json.loads(relay(upstream).encode_request(view, model, output_cap=None))


def told(*sounds: tuple[bytes, str], finish: str | None = "STOP", used: Any = USED) -> bytes:
    parts = [types.Part(inline_data=types.Blob(data=data, mime_type=media)) for data, media in sounds]
    content = types.Content(role="model", parts=parts) if parts else None
    reason = None if finish is None else types.FinishReason(finish)
    answer = types.GenerateContentResponse(
        candidates=[types.Candidate(content=content, finish_reason=reason)], usage_metadata=used
    )
    return answer.model_dump_json(by_alias=True, exclude_none=True).encode()


BLOCKED = types.GenerateContentResponse(
    prompt_feedback=types.GenerateContentResponsePromptFeedback(block_reason=types.BlockedReason.PROHIBITED_CONTENT),
    usage_metadata=types.GenerateContentResponseUsageMetadata(prompt_token_count=8),
)


@pytest.mark.parametrize("upstream", ["gemini", "vertex"])
def test_a_request(upstream: str) -> None:
    found = sent(asked(speed=1, stream_format="audio", instructions=None), OLD, upstream)
    speech = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}
    assert found == {
        "contents": [{"role": "user", "parts": [{"text": "Ebb 🌊"}]}],
        "generationConfig": {"responseModalities": ["AUDIO"], "speechConfig": speech},
    }
    types.SpeechConfig.model_validate(speech)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (OLD, {"text": "Say it sadly:\nEbb 🌊"}),
        (UpstreamModel("publishers/google/models/gemini-2.5-pro-tts"), {"text": "Say it sadly:\nEbb 🌊"}),
        (NEW, {"text": "Ebb 🌊", "speechMetadata": {"style": "Say it sadly:"}}),
        (UpstreamModel("gemini-4-flash-tts"), {"text": "Ebb 🌊", "speechMetadata": {"style": "Say it sadly:"}}),
    ],
)
def test_instructions_are_the_style(model: UpstreamModel, said: dict[str, Any]) -> None:
    found = sent(asked(instructions=" Say it sadly: "), model)
    assert found["contents"] == [{"role": "user", "parts": [said]}]
    types.Part.model_validate(said)


def test_voices() -> None:
    assert sent(asked(voice="voice_1"), NEW)["generationConfig"]["speechConfig"] == {
        "voiceConfig": {"voice": "voice_1"}
    }
    assert "speechConfig" not in sent(asked(voice=...))["generationConfig"]
    with pytest.raises(UnreadableRequest) as refused:
        sent(asked(voice=..., instructions="sadly"), NEW)
    assert refused.value.problem.field == "voice"


def test_the_operators_bound_on_the_output() -> None:
    bounded = UpstreamModel(OLD.name, max_output_tokens=500)
    assert sent(asked(), bounded)["generationConfig"]["maxOutputTokens"] == 500


@pytest.mark.parametrize(
    "more",
    [
        {"response_format": ...},
        {"response_format": "mp3"},
        {"response_format": "opus"},
        {"response_format": "of tomorrow"},
        {"speed": 1.5},
        {"voice": "alloy"},
        {"voice": "Marin"},
        {"voice": {"id": "voice_1"}},
        {"of_tomorrow": True},
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(more: dict[str, Any]) -> None:
    with pytest.raises(UnreadableRequest) as refused:
        sent(asked(**more))
    problem = refused.value.problem
    assert (problem.status, problem.code, problem.field) == (400, "unsupported_field", next(iter(more)))


def test_the_default_format_is_refused_with_the_remedy() -> None:
    with pytest.raises(UnreadableRequest, match=r"`mp3`, which it is where it is left out, .* Ask for `wav` or `pcm`"):
        sent(asked(response_format=...))


@pytest.mark.parametrize("more", [{"voice": 5}, {"speed": "fast"}, {"instructions": []}, {"response_format": 3}])
def test_what_cannot_be_read_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(UnreadableRequest) as refused:
        sent(asked(**more))
    assert (refused.value.problem.code, refused.value.problem.field) == ("invalid_request", next(iter(more)))


@pytest.mark.parametrize(
    "sounds",
    [
        [(PCM, L16)],
        [(PCM[:300], "audio/l16; rate=24000; channels=1"), (PCM[300:], "audio/pcm;rate=24000")],
        [(wav_header(24_000, len(PCM)) + PCM, "audio/wav")],
    ],
)
def test_an_answer(sounds: list[tuple[bytes, str]]) -> None:
    between = relay()
    found = between.read_answer("speech", told(*sounds))
    assert (found.usage.input, found.usage.output, found.usage.output_audio) == (8, 0, 50)
    wav, pcm = asked(), asked(response_format="pcm")
    assert read_wav(between.encode_answer(found, wav)) == (PCM, 24_000)
    assert between.encode_answer(found, pcm) == PCM
    assert (wav.answer_media, pcm.answer_media) == ("audio/wav", "audio/pcm")


def test_usage_that_is_not_told_by_modality_is_sound() -> None:
    used = types.GenerateContentResponseUsageMetadata(prompt_token_count=4, candidates_token_count=50)
    usage = relay().read_answer("speech", told((PCM, L16), used=used)).usage
    assert (usage.input, usage.output, usage.output_audio) == (4, 0, 50)
    assert relay().read_answer("speech", told((PCM, L16), used=None)).usage.source == "unknown"


def test_another_rate_is_told_in_a_wav_file_alone() -> None:
    between = relay()
    found = between.read_answer("speech", told((PCM, "audio/L16;rate=48000")))
    assert read_wav(between.encode_answer(found, asked())) == (PCM, 48_000)
    with pytest.raises(UnreadableAnswer, match="48000 samples"):
        between.encode_answer(found, asked(response_format="pcm"))


@pytest.mark.parametrize(
    ("body", "code", "used"),
    [
        (told(finish="SAFETY"), "content_policy_violation", 58),
        (told((PCM, L16), finish="PROHIBITED_CONTENT"), "content_policy_violation", 58),
        (BLOCKED.model_dump_json(by_alias=True, exclude_none=True).encode(), "content_policy_violation", 8),
        (told((PCM, L16), finish="MAX_TOKENS"), "string_above_max_length", 58),
    ],
)
def test_half_a_speech_is_an_error_of_the_clients(body: bytes, code: str, used: int) -> None:
    with pytest.raises(RefusedAnswer) as refused:
        relay().read_answer("speech", body)
    assert (refused.value.fault.code, refused.value.usage.total) == (code, used)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        told(),
        told((b"", L16)),
        told(finish="OTHER"),
        told((PCM, "audio/mp3")),
        told((PCM, "audio/L16")),
        told((PCM, "audio/wav")),
        told((PCM, L16), (PCM, "audio/L16;rate=16000")),
        told((PCM, L16)).replace(b'"data":"', b'"data":"?'),
        told((PCM, L16)).replace(b'"data":"', b'"data":5,"x":"'),
    ],
)
def test_an_answer_without_speech_is_a_fault_of_the_upstream(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer) as fault:
        relay().read_answer("speech", body)
    assert not isinstance(fault.value, RefusedAnswer)


def frame(body: bytes) -> bytes:
    return b"data: " + body + b"\r\n\r\n"


def event(data: bytes) -> dict[str, Any]:
    return json.loads(sse_data(data))


def test_a_stream() -> None:
    view = asked(stream_format="sse", response_format="pcm")
    reader = relay().stream_reader(view)
    first = reader.read(frame(told((PCM[:300], L16), finish=None, used=None)))
    assert event(first.bytes) == {"type": "speech.audio.delta", "audio": event(first.bytes)["audio"]}
    assert b64decode(event(first.bytes)["audio"]) == PCM[:300]
    assert (first.content, first.done, reader.end_marker(), reader.usage) == (True, False, None, None)
    assert reader.read(b": comment\r\n\r\n").bytes == b""
    last = reader.read(frame(told((PCM[300:], L16))))
    assert b64decode(event(last.bytes)["audio"]) == PCM[300:]
    used = {"input_tokens": 8, "output_tokens": 50, "total_tokens": 58}
    assert event(reader.end_marker() or b"") == {"type": "speech.audio.done", "usage": used}
    assert reader.usage is not None
    assert (reader.usage.output_audio, reader.usage.units) == (50, Units(characters=5))


def test_a_stream_of_a_wav_file_begins_with_its_header() -> None:
    reader = relay().stream_reader(asked(stream_format="sse"))
    events = [event(reader.read(frame(told((half, L16), finish=None))).bytes) for half in (PCM[:300], PCM[300:])]
    assert read_wav(b"".join(b64decode(one["audio"]) for one in events)) == (PCM, 24_000)


def test_a_stream_whose_usage_is_not_told() -> None:
    reader = relay().stream_reader(asked(stream_format="sse"))
    reader.read(frame(told((PCM, L16), used=None)))
    assert event(reader.end_marker() or b"") == {"type": "speech.audio.done"}
    assert reader.usage is not None
    assert (reader.usage.total, reader.usage.units) == (0, Units(characters=5))


def test_a_stream_that_is_refused_or_fails() -> None:
    reader = relay().stream_reader(asked(stream_format="sse"))
    reader.read(frame(told((PCM, L16), finish="MAX_TOKENS")))
    with pytest.raises(RefusedAnswer) as refused:
        reader.end_marker()
    assert refused.value.usage.total == 58
    silent = relay().stream_reader(asked(stream_format="sse"))
    assert silent.read(frame(told())).bytes == b""
    with pytest.raises(UnreadableAnswer, match="no sound"):
        silent.end_marker()
    failing = relay().stream_reader(asked(stream_format="sse"))
    failed = failing.read(frame(b'{"error":{"code":503,"message":"Overloaded.","status":"UNAVAILABLE"}}'))
    assert failed.fault is not None
    assert event(failed.bytes)["error"]["message"] == "Overloaded."
    mixed = relay().stream_reader(asked(stream_format="sse"))
    mixed.read(frame(told((PCM, L16), finish=None)))
    with pytest.raises(UnreadableAnswer, match="different rates"):
        mixed.read(frame(told((PCM, "audio/L16;rate=16000"))))
    problem = mixed.problem(Problem(status=502, code="upstream_error", message="Broken."))
    assert problem.startswith(b"event: error\n")
    assert event(problem)["error"]["code"] == "upstream_error"


def test_who_speaks_for_whom() -> None:
    assert relay_between("azure-openai", DIALECTS["vertex"], "speech") is not None
    assert relay_between("openai", DIALECTS["anthropic"], "speech") is None
    assert relay_between("openai", DIALECTS["openai"], "speech") is DIALECTS["openai"]
