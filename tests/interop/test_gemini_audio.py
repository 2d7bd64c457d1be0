"""The OpenAI SDK's speech, transcriptions and translations, through the gateway, at a simulated Gemini API and Vertex AI."""

import base64
import io
import json
import wave
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.audio import Transcription
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process
from tests.support.simulator import SimulatorThread, simulator_thread
from tests.support.strict_models import read_strictly

from tidegate.core.usage import Units
from tidegate.simulator.behaviour import profile_from
from tidegate.wire.sse import SseSplitter, sse_data

KEY = "tg-gemini-audio"
OLD, NEW, EARS = "gemini-2.5-flash-preview-tts", "gemini-3.8-flash-tts", "gemini-2.5-flash"
CONFIG = """
kind: Provider
metadata: {name: google}
spec: {dialect: gemini, baseUrl: "URL", credentials: [{apiKey: {env: SIM_KEY}}]}
---
kind: Provider
metadata: {name: cloud}
spec: {dialect: vertex, baseUrl: "URL", region: global, credentials: [{apiKey: {env: SIM_KEY}}]}
---
kind: Provider
metadata: {name: house}
spec: {dialect: openai, baseUrl: "URL/v1", credentials: [{apiKey: {env: SIM_KEY}}]}
---
kind: Model
metadata: {name: speaker}
spec:
  task: speech
  targets: [{provider: google, model: gemini-2.5-flash-preview-tts}]
  routing: {attempts: 1, breaker: {minRequests: 1000}}
  price: {inputPerMillion: 0.5, outputPerMillion: 2, audioOutputPerMillion: 10}
---
kind: Model
metadata: {name: new-speaker}
spec:
  task: speech
  targets: [{provider: cloud, model: gemini-3.8-flash-tts}]
  routing: {attempts: 1, breaker: {minRequests: 1000}}
  price: {perMillionCharacters: 15}
---
kind: Model
metadata: {name: any-speaker}
spec:
  task: speech
  targets:
    - {provider: google, model: gemini-2.5-flash-preview-tts, priority: 1}
    - {provider: house, model: tts-1, priority: 2}
  price: {perMillionCharacters: 15}
---
kind: Model
metadata: {name: listener}
spec:
  task: transcription
  targets: [{provider: google, model: gemini-2.5-flash}]
  routing: {attempts: 1, breaker: {minRequests: 1000}}
  price: {inputPerMillion: 0.3, audioInputPerMillion: 1, outputPerMillion: 2.5}
---
kind: Model
metadata: {name: cloud-listener}
spec:
  task: transcription
  targets: [{provider: cloud, model: gemini-2.5-flash}]
  routing: {attempts: 1, breaker: {minRequests: 1000}}
  price: {inputPerMillion: 0.3, audioInputPerMillion: 1, outputPerMillion: 2.5}
---
kind: Team
metadata: {name: media}
---
kind: Consumer
metadata: {name: sdk}
spec: {team: media, keys: [{value: {env: CLIENT_KEY}}]}
"""
TEXT = "The tide turns."
RECORDING = ("a.mp3", b"ID3\x04" + bytes(3_996), "audio/mpeg")
HEARD = 32
"""Tokens of a second of sound, which the simulator takes the recording for."""
SPOKEN: dict[str, Any] = {"model": "speaker", "voice": "Kore", "input": TEXT}


@pytest.fixture(scope="module")
def thread() -> Iterator[SimulatorThread]:
    speakers = {OLD: {"task": "speech"}, NEW: {"task": "speech"}, "tts-1": {"task": "speech", "legacy": True}}
    with simulator_thread(profile_from({"models": {**speakers, EARS: {"text": TEXT}}})) as thread:
        yield thread


@pytest.fixture
def simulator(thread: SimulatorThread) -> SimulatorThread:
    thread.reset()
    return thread


@pytest.fixture(scope="module")
def gateway(thread: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    environment = {"SIM_KEY": "sim-key", "CLIENT_KEY": KEY}
    config = CONFIG.replace("URL", thread.url)
    with gateway_process(tmp_path_factory.mktemp("gemini-audio"), config, env=environment) as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Gateway, simulator: SimulatorThread) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0) as client:
        yield client


def asked(simulator: SimulatorThread) -> tuple[str, dict[str, Any]]:
    """(path, body) of the last call."""
    call = simulator.calls()[-1]
    return call.target.decode(), json.loads(call.body)


def events(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(sse_data(one)) for one in SseSplitter().feed(content)]


def test_speech_as_a_file(client: openai.OpenAI, gateway: Gateway, simulator: SimulatorThread) -> None:
    spoken = client.audio.speech.create(**SPOKEN, response_format="wav", instructions="Say it sadly")
    assert spoken.response.headers["content-type"] == "audio/wav"
    with wave.open(io.BytesIO(spoken.content)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        assert file.getnframes() == len(f"Say it sadly:\n{TEXT}") * 20 * 24
    path, body = asked(simulator)
    assert path == f"/v1beta/models/{OLD}:generateContent"
    assert body["contents"][0]["parts"] == [{"text": f"Say it sadly:\n{TEXT}"}]
    event = last_event(gateway)
    assert (event.operation, event.outcome, event.usage.output_audio, event.usage.output) == ("speech", "ok", 15, 0)
    assert event.usage.units == Units(characters=len(TEXT))
    assert event.cost_nano == event.usage.input * 500 + 15 * 10_000
    assert spoken.response.headers["x-tidegate-cost-usd"] != "unknown"


def test_speech_as_samples_on_vertex(client: openai.OpenAI, gateway: Gateway, simulator: SimulatorThread) -> None:
    """The upstream's WAV file is taken out of its wrapping. Priced by the character."""
    more: Any = {**SPOKEN, "model": "new-speaker", "response_format": "pcm", "instructions": "sad"}
    with client.audio.speech.with_streaming_response.create(**more) as spoken:
        content = b"".join(spoken.iter_bytes())
        assert spoken.headers["content-type"] == "audio/pcm"
    assert len(content) == len(TEXT) * 20 * 48
    path, body = asked(simulator)
    assert path.endswith(f"/publishers/google/models/{NEW}:generateContent")
    assert body["contents"][0]["parts"] == [{"text": TEXT, "speechMetadata": {"style": "sad"}}]
    event = last_event(gateway)
    assert (event.usage.output_audio, event.cost_nano) == (10, len(TEXT) * 15_000)


@pytest.mark.parametrize("model", ["speaker", "new-speaker"])
def test_speech_by_events(client: openai.OpenAI, gateway: Gateway, simulator: SimulatorThread, model: str) -> None:
    more: Any = {**SPOKEN, "model": model, "response_format": "pcm"}
    spoken = client.audio.speech.create(**more, stream_format="sse")
    assert spoken.response.headers["content-type"] == "text/event-stream; charset=utf-8"
    *deltas, done = events(spoken.content)
    assert {one["type"] for one in deltas} == {"speech.audio.delta"}
    assert sum(len(base64.b64decode(one["audio"])) for one in deltas) == len(TEXT) * 20 * 48
    event = last_event(gateway)
    used = {
        "input_tokens": event.usage.input,
        "output_tokens": event.usage.output_audio,
        "total_tokens": event.usage.total,
    }
    assert done == {"type": "speech.audio.done", "usage": used}
    assert "streamGenerateContent?alt=sse" in asked(simulator)[0]
    assert (event.stream, event.outcome, event.usage.units) == (True, "ok", Units(characters=len(TEXT)))
    assert event.cost_nano == (
        event.usage.input * 500 + event.usage.output_audio * 10_000 if model == "speaker" else len(TEXT) * 15_000
    )


def test_speech_that_cannot_be_had(client: openai.OpenAI, simulator: SimulatorThread) -> None:
    wrong: dict[str, Any]
    for field, wrong in {
        "response_format": {},
        "speed": {"response_format": "wav", "speed": 2},
        "voice": {"response_format": "wav", "voice": "alloy"},
    }.items():
        with pytest.raises(openai.BadRequestError) as refused:
            client.audio.speech.create(**{**SPOKEN, **wrong})
        assert (refused.value.code, refused.value.param) == ("unsupported_field", field)
    assert simulator.calls() == []
    with pytest.raises(openai.BadRequestError, match="Voice name nobody is not supported"):
        client.audio.speech.create(**{**SPOKEN, "voice": "nobody"}, response_format="wav")


def test_another_target_says_what_this_one_cannot(client: openai.OpenAI, gateway: Gateway) -> None:
    """The first has no mp3: the second is OpenAI's own, and its answer is of its own content type."""
    spoken = client.audio.speech.create(**{**SPOKEN, "model": "any-speaker", "voice": "alloy"})
    assert spoken.response.headers["content-type"] == "audio/mpeg"
    assert last_event(gateway).provider == "house"
    spoken = client.audio.speech.create(**{**SPOKEN, "model": "any-speaker"}, response_format="wav")
    assert spoken.response.headers["content-type"] == "audio/wav"
    assert last_event(gateway).provider == "google"


def test_speech_that_is_refused(client: openai.OpenAI, gateway: Gateway, simulator: SimulatorThread) -> None:
    simulator.change(OLD, refusal="prompt")
    for more in ({}, {"stream_format": "sse"}):
        with pytest.raises(openai.BadRequestError, match="PROHIBITED_CONTENT") as refused:
            client.audio.speech.create(**SPOKEN, response_format="pcm", **more)
        assert refused.value.code == "content_policy_violation"
        event = last_event(gateway)
        assert (event.outcome, event.usage.output_total, event.cost_nano) == ("failed", 0, event.usage.input * 500)
    assert len(simulator.calls()) == 2


def test_speech_that_breaks_off(client: openai.OpenAI, gateway: Gateway, simulator: SimulatorThread) -> None:
    """Whole, it is an error; by events, an error follows what came, and no end."""
    simulator.change(OLD, script=["cut-clean", "cut-clean", "503"])
    with pytest.raises(openai.InternalServerError, match="malformed"):
        client.audio.speech.create(**SPOKEN, response_format="wav")
    spoken = client.audio.speech.create(**SPOKEN, response_format="pcm", stream_format="sse")
    *deltas, last = events(spoken.content)
    assert deltas
    assert last["error"]["code"] == "upstream_error"
    event = last_event(gateway)
    assert (event.outcome, event.usage.units) == ("cut", Units(characters=len(TEXT)))
    with pytest.raises(openai.InternalServerError):
        client.audio.speech.create(**SPOKEN, response_format="wav")


@pytest.mark.parametrize("model", ["listener", "cloud-listener"])
def test_a_transcription(client: openai.OpenAI, gateway: Gateway, simulator: SimulatorThread, model: str) -> None:
    answer = client.audio.transcriptions.with_raw_response.create(
        model=model, file=RECORDING, language="de", prompt="Ebbe", temperature=0.2
    )
    found = read_strictly(Transcription, answer.content)
    assert found.text == TEXT
    assert answer.headers["content-type"] == "application/json"
    path, body = asked(simulator)
    assert path.endswith(f"models/{EARS}:generateContent")
    said, heard = body["contents"][0]["parts"]
    assert "Ebbe" in said["text"]
    assert heard["inlineData"] == {"mimeType": "audio/mp3", "data": base64.b64encode(RECORDING[1]).decode()}
    assert body["generationConfig"] == {"temperature": 0.2}
    event = last_event(gateway)
    usage = event.usage
    assert (event.operation, usage.input_audio) == ("transcription", HEARD)
    assert event.cost_nano == usage.input * 300 + usage.input_audio * 1_000 + usage.output * 2_500
    assert found.usage is not None
    assert found.usage.type == "tokens"
    assert (found.usage.input_tokens, found.usage.total_tokens) == (usage.input + usage.input_audio, usage.total)


def test_a_transcript_as_text(client: openai.OpenAI, gateway: Gateway) -> None:
    answer = client.audio.transcriptions.with_raw_response.create(
        model="listener", file=RECORDING, response_format="text"
    )
    assert (answer.content, answer.headers["content-type"]) == (TEXT.encode() + b"\n", "text/plain; charset=utf-8")
    assert answer.headers["x-tidegate-cost-usd"] != "unknown"
    assert last_event(gateway).usage.source == "reported"


@pytest.mark.parametrize("model", ["listener", "cloud-listener"])
def test_a_transcript_is_streamed(client: openai.OpenAI, gateway: Gateway, model: str) -> None:
    found: list[Any] = list(client.audio.transcriptions.create(model=model, file=RECORDING, stream=True))
    assert [one.type for one in found[:-1]] == ["transcript.text.delta"] * (len(found) - 1)
    assert "".join(one.delta for one in found[:-1]) == found[-1].text == TEXT
    event = last_event(gateway)
    assert found[-1].usage.total_tokens == event.usage.total
    assert (event.stream, event.outcome, event.usage.input_audio) == (True, "ok", HEARD)
    assert event.cost_nano == event.usage.input * 300 + HEARD * 1_000 + event.usage.output * 2_500


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")  # the SDK's word on translations
def test_a_translation(client: openai.OpenAI, gateway: Gateway, simulator: SimulatorThread) -> None:
    assert client.audio.translations.create(model="cloud-listener", file=RECORDING).text == TEXT
    assert "English translation" in asked(simulator)[1]["systemInstruction"]["parts"][0]["text"]
    event = last_event(gateway)
    assert (event.operation, event.usage.input_audio) == ("translation", HEARD)
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.translations.create(model="listener", file=RECORDING, response_format="srt")
    assert (refused.value.code, refused.value.param) == ("unsupported_field", "response_format")


def test_recordings_that_cannot_be_heard(client: openai.OpenAI, simulator: SimulatorThread) -> None:
    more: dict[str, Any]
    for field, more in {
        "response_format": {"response_format": "verbose_json"},
        "timestamp_granularities": {"timestamp_granularities": ["word"]},
        "include": {"include": ["logprobs"]},
        "file": {"file": ("a.webm", b"\x1aE\xdf\xa3", "audio/webm")},
    }.items():
        with pytest.raises(openai.BadRequestError) as refused:
            client.audio.transcriptions.create(**{"model": "listener", "file": RECORDING, **more})
        assert (refused.value.code, refused.value.param) == ("unsupported_field", field)
    with pytest.raises(openai.APIStatusError, match="15000003 bytes") as large:
        client.audio.transcriptions.create(model="cloud-listener", file=("a.mp3", b"ID3" + bytes(15_000_000)))
    assert (large.value.status_code, large.value.code) == (413, "request_too_large")
    assert simulator.calls() == []


def test_transcripts_that_break_off(client: openai.OpenAI, gateway: Gateway, simulator: SimulatorThread) -> None:
    simulator.change(EARS, text=None, script=["cut-clean", "reset-mid-answer", "html-error"])
    with pytest.raises(openai.APIError, match="broke off"):
        list(client.audio.transcriptions.create(model="listener", file=RECORDING, stream=True))
    assert last_event(gateway).outcome == "cut"
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            client.audio.transcriptions.create(model="listener", file=RECORDING)


def test_a_transcript_that_is_refused(client: openai.OpenAI, gateway: Gateway, simulator: SimulatorThread) -> None:
    """Before anything was said, with a status; after that, in the stream. What was used is charged."""
    simulator.change(EARS, refusal="prompt")
    for streamed in (False, True):
        with pytest.raises(openai.BadRequestError, match="PROHIBITED_CONTENT") as refused:
            client.audio.transcriptions.create(model="listener", file=RECORDING, stream=streamed)
        assert refused.value.code == "content_policy_violation"
        event = last_event(gateway)
        assert (event.outcome, event.usage.input_audio, event.cost_nano is None) == ("failed", HEARD, False)
    simulator.change(EARS, refusal="answer")
    with pytest.raises(openai.APIError, match="would not write this down"):
        list(client.audio.transcriptions.create(model="listener", file=RECORDING, stream=True))
    event = last_event(gateway)
    assert (event.outcome, event.usage.input_audio, event.usage.source) == ("cut", HEARD, "reported")


def test_a_form_that_is_none(gateway: Gateway) -> None:
    answer = httpx.post(
        f"{gateway.url}/v1/audio/transcriptions",
        headers={"authorization": f"Bearer {KEY}"},
        files={"model": (None, "listener"), "prompt": ("a.txt", b"x"), "file": RECORDING},
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "prompt")
