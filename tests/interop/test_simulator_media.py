"""The OpenAI SDK's images and audio with the simulator: itself, and through the gateway."""

import io
import struct
import wave
from base64 import b64decode
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import httpx
import openai
import pytest
from openai.types import ImagesResponse
from openai.types.audio import Transcription, TranscriptionVerbose
from tests.support.services import Service
from tests.support.strict_models import read_strictly

PAINTER = "gpt-image-2"
PNG = ("a.png", b"\x89PNG\r\n\x1a\n\x00", "image/png")
SPEECH = ("a.mp3", b"\xff\xfb" + bytes(range(250)) * 100, "audio/mpeg")


@pytest.fixture
def client(service: Service) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=service.base_url, api_key=service.key, max_retries=0) as client:
        yield client


def size_of(image: str) -> tuple[int, int]:
    data = b64decode(image)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def test_images(client: openai.OpenAI) -> None:
    answer = client.images.with_raw_response.generate(model=PAINTER, prompt="a lighthouse", n=2, quality="low")
    found = read_strictly(ImagesResponse, answer.content)
    assert found.data is not None
    assert found.usage is not None
    assert [size_of(one.b64_json or "") for one in found.data] == [(8, 8)] * 2
    assert (found.usage.output_tokens, found.quality, found.size) == (544, "low", "1024x1024")
    again = client.images.generate(model=PAINTER, prompt="a lighthouse", n=2, quality="low")
    assert again.data == found.data


def test_images_as_a_stream(client: openai.OpenAI) -> None:
    stream = client.images.generate(model=PAINTER, prompt="a lighthouse", stream=True, partial_images=2)
    events: list[Any] = list(stream)
    kinds = ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    assert [one.type for one in events] == kinds
    assert [one.partial_image_index for one in events[:2]] == [0, 1]
    assert (events[2].usage.output_tokens, size_of(events[2].b64_json)) == (1256, (8, 8))


def test_edits(client: openai.OpenAI) -> None:
    found = client.images.edit(model=PAINTER, image=[PNG, PNG], mask=PNG, prompt="bluer", output_format="jpeg")
    assert found.usage is not None
    assert found.usage.input_tokens_details.image_tokens == 646
    assert found.output_format == "jpeg"
    events: list[Any] = list(client.images.edit(model=PAINTER, image=PNG, prompt="x", stream=True, partial_images=1))
    assert [one.type for one in events] == ["image_edit.partial_image", "image_edit.completed"]
    asked = {"model": PAINTER, "prompt": "x", "images": [{"image_url": "https://pictures.example/1.png"}]}
    told = client.post("/images/edits", body=asked, cast_to=ImagesResponse)
    assert told.usage is not None
    assert told.usage.input_tokens_details.image_tokens == 323


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")  # the SDK's word on variations
def test_variations(client: openai.OpenAI) -> None:
    found = client.images.create_variation(model=PAINTER, image=PNG, n=2, response_format="b64_json")
    assert found.data is not None
    assert [size_of(one.b64_json or "") for one in found.data] == [(8, 8)] * 2
    assert found.usage is None


def test_speech(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "tts-1", "voice": "alloy", "input": "The tide turns.", "speed": 1.5}
    spoken = client.audio.speech.create(**asked, response_format="wav")
    with wave.open(io.BytesIO(spoken.content)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (24_000, 1, 4_800)
    assert spoken.response.headers["content-type"] == "audio/wav"
    assert client.audio.speech.create(**asked).content.startswith(b"\xff\xfb")
    with client.audio.speech.with_streaming_response.create(**asked, response_format="pcm") as pieces:
        assert b"".join(pieces.iter_bytes()) == spoken.content[44:]


def test_speech_by_events(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "The tide turns."}
    plain = client.audio.speech.create(**asked, response_format="pcm").content
    text = client.audio.speech.create(**asked, response_format="pcm", stream_format="sse").text
    events: list[Any] = [httpx.Response(200, text=line[6:]).json() for line in text.split("\n") if line]
    assert b"".join(b64decode(one["audio"]) for one in events[:-1]) == plain
    assert events[-1] == {
        "type": "speech.audio.done", "usage": {"input_tokens": 4, "output_tokens": 6, "total_tokens": 10},
    }  # fmt: skip


def test_transcriptions(client: openai.OpenAI) -> None:
    raw = client.audio.transcriptions.with_raw_response.create(model="gpt-4o-transcribe", file=SPEECH)
    whole = read_strictly(Transcription, raw.content)
    assert whole.usage is not None
    assert whole.usage.type == "tokens"
    assert whole.usage.input_tokens == 63
    stream = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=SPEECH, stream=True)
    events: list[Any] = list(stream)
    assert "".join(one.delta for one in events[:-1]) == events[-1].text == whole.text
    assert events[-1].usage.output_tokens == whole.usage.output_tokens


def test_transcriptions_of_an_older_model(client: openai.OpenAI) -> None:
    """Its usage is a duration, and it takes `stream` without streaming."""
    found: Any = client.audio.transcriptions.create(
        model="whisper-1", file=SPEECH, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert isinstance(found, TranscriptionVerbose)
    assert found.usage is not None
    assert (found.usage.seconds, len(found.words or [])) == (7, len(found.text.split()))
    plain: Any = client.audio.transcriptions.create(model="whisper-1", file=SPEECH, response_format="text")
    assert plain.strip() == found.text
    srt: Any = client.audio.transcriptions.create(model="whisper-1", file=SPEECH, response_format="srt")
    assert srt.startswith("1\n00:00:00,000 --> 00:00:06,000\n")
    raw = client.audio.transcriptions.with_raw_response.create(model="whisper-1", file=SPEECH, stream=True)
    assert raw.headers["content-type"] == "application/json"


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")  # the SDK's word on translations
def test_translations(client: openai.OpenAI) -> None:
    found: Any = client.audio.translations.create(model="whisper-1", file=SPEECH)
    vtt: Any = client.audio.translations.create(model="whisper-1", file=SPEECH, response_format="vtt")
    assert found.text in vtt


def refused(call: Any, **asked: Any) -> tuple[str | None, str | None]:
    with pytest.raises(openai.BadRequestError) as caught:
        call(**asked)
    return caught.value.param, caught.value.code


def test_what_openai_refuses_is_refused(client: openai.OpenAI) -> None:
    generate: Any = client.images.generate
    base: dict[str, Any] = {"model": PAINTER, "prompt": "x"}
    assert refused(generate, **base, response_format="url") == ("response_format", "unknown_parameter")
    assert refused(generate, **base, partial_images=2)[0] == "partial_images"
    assert refused(generate, **base, stream=True, partial_images=4)[0] == "partial_images"
    assert refused(generate, **base, n=11) == ("n", "integer_above_max_value")
    assert refused(generate, **base, size="big")[0] == "size"
    edit: Any = client.images.edit
    assert refused(edit, **base, image=("a.txt", b"text", "text/plain"))[0] == "image"
    assert refused(edit, **base, image=PNG, n=11) == ("n", "integer_above_max_value")
    assert refused(edit, **base, image=[PNG] * 17) == ("image", "array_above_max_length")
    speak: Any = client.audio.speech.create
    spoken: dict[str, Any] = {"voice": "alloy", "input": "x"}
    assert refused(speak, **spoken, model="tts-1", stream_format="sse")[0] == "stream_format"
    assert refused(speak, **spoken, model="gpt-4o-mini-tts", response_format="mp4")[0] == "response_format"
    assert refused(speak, **spoken, model="gpt-4o-mini-tts", speed=5)[0] == "speed"
    hear: Any = client.audio.transcriptions.create
    assert refused(hear, model="gpt-4o-transcribe", file=SPEECH, response_format="srt")[0] == "response_format"
    assert (
        refused(hear, model="whisper-1", file=SPEECH, timestamp_granularities=["word"])[0] == "timestamp_granularities"
    )
    assert refused(hear, model="whisper-1", file=SPEECH, temperature=2)[0] == "temperature"
    assert refused(hear, model=PAINTER, file=SPEECH)[0] == "model"


@pytest.mark.parametrize("fault", ["cut-clean", "error-event", "reset-mid-answer"])
def test_streams_that_fail(service: Service, client: openai.OpenAI, fault: str) -> None:
    service.simulator.change(PAINTER, script=[fault])
    with pytest.raises(openai.APIError) if service.is_gateway or fault != "cut-clean" else nullcontext():
        events = list(client.images.generate(model=PAINTER, prompt="x", stream=True, partial_images=3))
        assert events[-1].type == "image_generation.partial_image"
