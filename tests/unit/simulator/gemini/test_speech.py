"""What Gemini's TTS models refuse, and what sound counts as where others hear it."""

import json
import random
from base64 import b64decode, b64encode
from typing import Any

import pytest

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.gemini.content_request import read_generate
from tidegate.simulator.gemini.fields import Fields
from tidegate.simulator.gemini.speech import SpeechRequest, read_speech, speech_reply
from tidegate.simulator.media import seconds_of, sound
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.setting import Setting

OLD, NEW = "gemini-2.5-flash-preview-tts", "gemini-3.8-flash-tts"
KORE = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}
SAID = {"text": "The tide turns."}


def parsed(body: dict[str, Any]) -> Fields:
    return Fields.of_body(json.dumps({name: value for name, value in body.items() if value is not ...}).encode())


def read(name: str = OLD, part: dict[str, Any] = SAID, stream: bool = False, **config: Any) -> SpeechRequest:
    settings = {"responseModalities": ["AUDIO"], "speechConfig": KORE, **config}
    body = {"contents": [{"role": "user", "parts": [part]}], "generationConfig": settings}
    return read_speech(parsed(body), name, stream, Behaviour(task="speech"))


def told(request: SpeechRequest, **behaviour: Any) -> list[dict[str, Any]]:
    behaved = Behaviour(task="speech", **behaviour)
    mould = speech_reply(request, behaved, True, Setting(seed=0, model="m"))
    return [json.loads(piece.removeprefix(b"data: ")) for piece in mould.events("r-1", 1)]


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        (OLD, {"responseModalities": ["TEXT"]}, "response modalities (TEXT) is not supported"),
        (OLD, {"responseModalities": ["TEXT", "AUDIO"]}, "* AUDIO"),
        (OLD, {"candidateCount": 2}, "Multiple candidates"),
        (
            OLD,
            {"speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "alloy"}}}},
            "Voice name alloy is",
        ),
        (NEW, {"speechConfig": {"voiceConfig": {"voice": "alloy"}}}, "No matching speaker voice found for name: alloy"),
        (OLD, {"speechConfig": {"voiceConfig": {"voice": "Kore"}}}, 'Unknown name "voice"'),
        (OLD, {"speechConfig": {**KORE, "multiSpeakerVoiceConfig": {}}}, "mutually exclusive"),
        (OLD, {"speechConfig": {"multiSpeakerVoiceConfig": {"speakerVoiceConfigs": [{}]}}}, "must equal 2"),
        (OLD, {"part": {"inlineData": {"mimeType": "audio/wav", "data": "eA=="}}}, 'Unknown name "inlineData"'),
        (OLD, {"part": {"text": " "}}, "empty text parameter"),
        (OLD, {"part": {**SAID, "speechMetadata": {"style": "sad"}}}, "Speech metadata is not supported"),
        (
            NEW,
            {"part": {**SAID, "speechMetadata": {"style": "sad"}}, "speechConfig": {}},
            "contains an invalid argument",
        ),
        (NEW, {"temperature": 3}, "temperature must be at most 2"),
        (NEW, {"speed": 3}, 'Unknown name "speed"'),
    ],
)
def test_refusals(name: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(Rejection) as caught:
        read(name, **fields)
    assert caught.value.status == 400
    assert message in caught.value.message


@pytest.mark.parametrize(
    "more", [{"systemInstruction": {"parts": [SAID]}}, {"tools": []}, {"messages": []}, {"contents": []}]
)
def test_refused_beside_the_text(more: dict[str, Any]) -> None:
    body = {"contents": [{"parts": [SAID]}], "generationConfig": {"responseModalities": ["AUDIO"]}, **more}
    with pytest.raises(Rejection):
        read_speech(parsed(body), OLD, False, Behaviour(task="speech"))


def test_voices_of_ones_own_and_styles() -> None:
    styled = {**SAID, "speechMetadata": {"style": "sad"}}
    assert read(NEW, styled, speechConfig={"voiceConfig": {"voice": "voice_abc"}}).voice == "voice_abc"
    two = [{"speaker": one, "voiceConfig": KORE["voiceConfig"]} for one in ("A", "B")]
    assert read(OLD, speechConfig={"multiSpeakerVoiceConfig": {"speakerVoiceConfigs": two}}).voice == "Kore+Kore"


def test_the_older_speak_pcm_and_the_newer_a_whole_file() -> None:
    (old,) = told(read())
    inline = old["candidates"][0]["content"]["parts"][0]["inlineData"]
    assert inline["mimeType"] == "audio/L16;codec=pcm;rate=24000"
    assert len(b64decode(inline["data"])) == 15 * 20 * 48
    assert old["usageMetadata"]["candidatesTokensDetails"] == [{"modality": "AUDIO", "tokenCount": 8}]
    (new,) = told(read(NEW))
    inline = new["candidates"][0]["content"]["parts"][0]["inlineData"]
    assert inline["mimeType"] == "audio/wav"
    assert seconds_of(b64decode(inline["data"])) == 0.3
    assert new["usageMetadata"]["candidatesTokenCount"] == 10


def test_a_stream_says_the_same_piece_by_piece() -> None:
    events = told(read(NEW, stream=True))
    pieces = [one["candidates"][0]["content"]["parts"][0]["inlineData"] for one in events]
    assert {one["mimeType"] for one in pieces} == {"audio/l16; rate=24000; channels=1"}
    assert len(b"".join(b64decode(one["data"]) for one in pieces)) == 15 * 20 * 48
    finishes = [one["candidates"][0].get("finishReason") for one in events]
    assert finishes == [None] * (len(events) - 1) + ["STOP"]


def test_what_ends_early() -> None:
    (cut,) = told(read(maxOutputTokens=4))
    assert cut["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert cut["usageMetadata"]["candidatesTokenCount"] == 4
    (blocked,) = told(read(), refusal="prompt")
    assert "candidates" not in blocked
    assert blocked["usageMetadata"]["totalTokenCount"] == blocked["usageMetadata"]["promptTokenCount"]
    (refused,) = told(read(), refusal="answer")
    assert refused["candidates"] == [{"finishReason": "SAFETY", "index": 0}]


def heard(media: str, data: bytes) -> tuple[int, int]:
    """(tokens, those of sound among them)."""
    inline = {"inlineData": {"mimeType": media, "data": b64encode(data).decode()}}
    body = {"contents": [{"role": "user", "parts": [{"text": "Write it down."}, inline]}]}
    request = read_generate(parsed(body), "gemini-2.5-flash", False, Behaviour())
    return request.prompt_tokens, request.audio_tokens


def test_what_is_heard_counts_by_its_length() -> None:
    second, minute = (heard("audio/wav", sound(random.Random(1), "wav", length)) for length in (1_000, 60_000))
    assert (second[1], minute[1]) == (32, 32 * 60)
    assert second[0] - second[1] == minute[0] - minute[1] < 20
    with pytest.raises(Rejection, match="Unsupported MIME type: audio/midi"):
        heard("audio/midi", b"MThd")
