"""The OpenAI SDK's images, speech and transcriptions through the gateway to a provider that answers with fixed bytes."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types import ImagesResponse
from openai.types.audio import Transcription, TranscriptionVerbose
from tests.support.canned_upstream import Canned, CannedUpstream, canned_upstream
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process
from tests.support.strict_models import read_strictly

from tidegate.core.usage import Units

KEY = "tg-media-client"
BUDGETED = "tg-media-budget"
CONFIG = """
kind: Provider
metadata: {name: house}
spec: {dialect: openai, baseUrl: "URL/v1", credentials: [{apiKey: {env: UP_KEY}}]}
---
kind: Provider
metadata: {name: cloud}
spec: {dialect: azure-openai, baseUrl: "URL", apiVersion: "2025-04-01", credentials: [{apiKey: {env: UP_KEY}}]}
---
kind: Model
metadata: {name: painter}
spec:
  task: image
  targets: [{provider: house, model: gpt-image-1}]
  price: {inputPerMillion: 5, imageInputPerMillion: 10, outputPerMillion: 10, imageOutputPerMillion: 40}
---
kind: Model
metadata: {name: old-painter}
spec: {task: image, targets: [{provider: cloud, model: dall-e-3}], price: {perRequest: 0.04}}
---
kind: Model
metadata: {name: speaker}
spec:
  task: speech
  targets: [{provider: house, model: gpt-4o-mini-tts}]
  routing: {attempts: 1, breaker: {minRequests: 1000}}
  price: {inputPerMillion: 0.6, outputPerMillion: 12}
---
kind: Model
metadata: {name: old-speaker}
spec: {task: speech, targets: [{provider: cloud, model: tts}], price: {perMillionCharacters: 15}}
---
kind: Model
metadata: {name: listener}
spec:
  task: transcription
  targets: [{provider: house, model: gpt-4o-transcribe}]
  routing: {attempts: 1, breaker: {minRequests: 1000}}
  price: {inputPerMillion: 2.5, audioInputPerMillion: 6, outputPerMillion: 10}
---
kind: Model
metadata: {name: old-listener}
spec: {task: transcription, targets: [{provider: cloud, model: whisper}], price: {perAudioHour: 0.36}}
---
kind: Team
metadata: {name: media}
---
kind: Consumer
metadata: {name: sdk}
spec: {team: media, keys: [{value: {env: CLIENT_KEY}}]}
---
kind: Consumer
metadata: {name: budgeted}
spec: {team: media, keys: [{value: {env: BUDGET_KEY}}], budget: {usd: 0.11, period: month}}
"""
USAGE = {
    "input_tokens": 50,
    "output_tokens": 1100,
    "total_tokens": 1150,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens_details": {"text_tokens": 44, "image_tokens": 1056},
}
PICTURE = {"created": 1, "data": [{"b64_json": "aGk="}], "output_format": "png", "size": "1024x1024", "usage": USAGE}
OLD_PICTURE = {"created": 1, "data": [{"url": "https://pictures.example/1", "revised_prompt": "A lighthouse."}]}


def told(answer: Any) -> Canned:
    return Canned("application/json", [json.dumps(answer).encode()])


@pytest.fixture(scope="module")
def upstream() -> Iterator[CannedUpstream]:
    with canned_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(upstream: CannedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    environment = {"UP_KEY": "sk-up", "CLIENT_KEY": KEY, "BUDGET_KEY": BUDGETED}
    config = CONFIG.replace("URL", upstream.url)
    with gateway_process(tmp_path_factory.mktemp("media"), config, env=environment) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0) as client:
        yield client


def test_an_image(client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will("/v1/images/generations", told(PICTURE))
    answer = client.images.with_raw_response.generate(model="painter", prompt="a lighthouse", quality="high")
    found = read_strictly(ImagesResponse, answer.content)
    assert found.data is not None
    assert found.data[0].b64_json == "aGk="
    assert upstream.asked[-1][2] == {"model": "gpt-image-1", "prompt": "a lighthouse", "quality": "high"}
    event = last_event(gateway)
    assert (event.operation, event.model, event.usage.source) == ("image", "painter", "reported")
    assert (event.usage.input, event.usage.input_image) == (10, 40)
    assert (event.usage.output, event.usage.output_image) == (44, 1056)
    assert event.cost_nano == 10 * 5_000 + 40 * 10_000 + 44 * 10_000 + 1056 * 40_000
    assert answer.headers["x-tidegate-cost-usd"] == "0.04313"


def test_a_model_that_reports_no_usage(client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream) -> None:
    """Priced by the image its cost is known all the same; priced by the token it is not."""
    path = "/openai/deployments/dall-e-3/images/generations?api-version=2025-04-01"
    upstream.will(path, told(OLD_PICTURE))
    found = client.images.generate(model="old-painter", prompt="a lighthouse", n=2)
    assert found.data is not None
    assert found.data[0].url == "https://pictures.example/1"
    assert upstream.asked[-1][1]["api-key"] == "sk-up"
    event = last_event(gateway)
    assert (event.usage.units, event.usage.total, event.cost_nano) == (Units(images=1), 0, 80_000_000)
    upstream.will("/v1/images/generations", told(OLD_PICTURE))
    answer = client.images.with_raw_response.generate(model="painter", prompt="a lighthouse")
    assert answer.headers["x-tidegate-cost-usd"] == "unknown"
    assert last_event(gateway).cost_nano is None


def test_under_a_hard_budget(gateway: Gateway, upstream: CannedUpstream) -> None:
    """Two images fit, one more is refused; nothing bounds a model that is priced by the token."""
    path = "/openai/deployments/dall-e-3/images/generations?api-version=2025-04-01"
    upstream.will(path, told(OLD_PICTURE))
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=BUDGETED, max_retries=0) as client:
        client.images.generate(model="old-painter", prompt="a lighthouse", n=2)
        asked = len(upstream.asked)
        with pytest.raises(openai.RateLimitError, match="would be exceeded"):
            client.images.generate(model="old-painter", prompt="a lighthouse")
        with pytest.raises(openai.PermissionDeniedError, match="maxOutputTokens") as refused:
            client.images.generate(model="painter", prompt="a lighthouse")
    assert refused.value.code == "unpriced_model"
    assert len(upstream.asked) == asked


def test_refusals(client: openai.OpenAI, upstream: CannedUpstream) -> None:
    asked = len(upstream.asked)
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(model="painter", prompt="x", svg={"model": "gpt-5"})
    assert (refused.value.code, refused.value.param) == ("unsupported_field", "svg")
    with pytest.raises(openai.BadRequestError) as refused:
        client.post("/images/generations", body={"model": "painter"}, cast_to=ImagesResponse)
    assert (refused.value.code, refused.value.param) == ("invalid_request", "prompt")
    with pytest.raises(openai.NotFoundError) as unknown:
        client.images.generate(model="nobody", prompt="x")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="serves image, not chat"):
        client.chat.completions.create(model="painter", messages=[{"role": "user", "content": "x"}])
    assert len(upstream.asked) == asked


def test_the_providers_own_error(client: openai.OpenAI, upstream: CannedUpstream) -> None:
    fault = {"error": {"message": "Not allowed.", "type": "image_generation_user_error", "param": None,
                       "code": "moderation_blocked"}}  # fmt: skip
    upstream.will("/v1/images/generations", Canned("application/json", [json.dumps(fault).encode()], 400))
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(model="painter", prompt="x")
    assert refused.value.code == "moderation_blocked"


SOUND = [b"ID3\x04\x00\xff\xfb", bytes(range(256)) * 300, b"\r\n0\r\n\r\n"]


def test_speech(client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will("/v1/audio/speech", Canned("audio/mpeg", SOUND))
    spoken = client.audio.speech.create(model="speaker", voice="alloy", input="The tide turns.", speed=1.5)
    assert spoken.content == b"".join(SOUND)
    assert spoken.response.headers["content-type"] == "audio/mpeg"
    assert upstream.asked[-1][2] == {
        "model": "gpt-4o-mini-tts", "voice": "alloy", "input": "The tide turns.", "speed": 1.5,
    }  # fmt: skip
    event = last_event(gateway)
    assert (event.operation, event.outcome, event.usage.source, event.usage.total) == ("speech", "ok", "reported", 0)
    assert event.usage.units == Units(characters=len("The tide turns."))
    assert event.cost_nano is None


def test_speech_by_pieces_at_azure(client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will("/openai/deployments/tts/audio/speech?api-version=2025-04-01", Canned("audio/wav", SOUND))
    with client.audio.speech.with_streaming_response.create(model="old-speaker", voice="echo", input="Ebb.") as spoken:
        assert b"".join(spoken.iter_bytes()) == b"".join(SOUND)
    event = last_event(gateway)
    assert (event.outcome, event.usage.source, event.cost_nano) == ("ok", "reported", 4 * 15_000)


def test_speech_that_breaks_off_is_seen_to(client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will("/v1/audio/speech", Canned("audio/mpeg", SOUND[:2], cut=True))
    with pytest.raises(openai.APIConnectionError):
        client.audio.speech.create(model="speaker", voice="alloy", input="x")
    event = last_event(gateway)
    assert (event.outcome, event.usage.source, event.cost_nano) == ("cut", "reported", None)


def test_speech_refused(client: openai.OpenAI, upstream: CannedUpstream) -> None:
    asked = len(upstream.asked)
    with pytest.raises(openai.BadRequestError) as refused:
        wrong: Any = "wav"
        client.audio.speech.create(model="speaker", voice="alloy", input="x", stream_format=wrong)
    assert (refused.value.code, refused.value.param) == ("invalid_request", "stream_format")
    with pytest.raises(openai.BadRequestError) as refused:
        client.post("/audio/speech", body={"model": "speaker", "voice": "alloy"}, cast_to=ImagesResponse)
    assert (refused.value.code, refused.value.param) == ("invalid_request", "input")
    assert len(upstream.asked) == asked
    fault = {"error": {"message": "No such voice.", "type": "invalid_request_error", "param": "voice", "code": None}}
    upstream.will("/v1/audio/speech", Canned("application/json", [json.dumps(fault).encode()], 400))
    with pytest.raises(openai.BadRequestError, match="No such voice"):
        client.audio.speech.create(model="speaker", voice="nobody", input="x")
    upstream.will("/v1/audio/speech", Canned("audio/mpeg", []))
    with pytest.raises(openai.InternalServerError, match="empty"):
        client.audio.speech.create(model="speaker", voice="alloy", input="x")


TEXT = {"text": "The tide turns.", "usage": {
    "type": "tokens", "input_tokens": 60, "output_tokens": 9, "total_tokens": 69,
    "input_token_details": {"text_tokens": 4, "audio_tokens": 56},
}}  # fmt: skip
VERBOSE = {"task": "transcribe", "duration": 2.5, "language": "english", "text": "The tide turns.", "segments": [],
           "usage": {"type": "duration", "seconds": 3}}  # fmt: skip
FILE = ('a "b" ü.mp3', b"ID3\x00\xff\r\n--not-the-boundary\r\n", "audio/mpeg")


def test_a_transcription(client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will("/v1/audio/transcriptions", told(TEXT))
    answer = client.audio.transcriptions.with_raw_response.create(
        model="listener", file=FILE, prompt="Hallö", include=["logprobs"]
    )
    assert read_strictly(Transcription, answer.content).text == "The tide turns."
    assert answer.headers["content-type"] == "application/json"
    _, headers, sent = upstream.asked[-1]
    asked = answer.http_request
    assert headers["content-type"] == asked.headers["content-type"]
    assert sent == asked.read().replace(b"\r\n\r\nlistener\r\n", b"\r\n\r\ngpt-4o-transcribe\r\n")
    event = last_event(gateway)
    assert event.operation == "transcription"
    assert (event.usage.input, event.usage.input_audio, event.usage.output) == (4, 56, 9)
    assert event.cost_nano == 4 * 2_500 + 56 * 6_000 + 9 * 10_000


def test_a_verbose_transcription_at_azure(client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will("/openai/deployments/whisper/audio/transcriptions?api-version=2025-04-01", told(VERBOSE))
    found = client.audio.transcriptions.create(
        model="old-listener", file=FILE, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert isinstance(found, TranscriptionVerbose)
    assert (found.duration, found.text) == (2.5, "The tide turns.")
    event = last_event(gateway)
    assert json.loads(event.usage.raw) == {"type": "duration", "seconds": 3}
    assert (event.usage.units, event.cost_nano) == (Units(audio_ms=3_000), 300_000)


@pytest.mark.parametrize(
    ("form", "media", "body"),
    [
        ("text", "text/plain; charset=utf-8", b"The tide turns.\n"),
        ("text", "text/plain", b'{"text": not JSON'),
        ("text", "application/json", b'"The tide turns."'),
        ("srt", "text/plain; charset=utf-8", b"1\n00:00:00,000 --> 00:00:02,500\nThe tide turns.\n\n"),
        ("vtt", "text/vtt", "WEBVTT\n\n00:00.000 --> 00:02.500\nEbbe für alle\n".encode()),
        ("text", "text/plain", b""),
    ],
)
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")  # the SDK's word on translations
def test_transcripts_that_are_no_json(
    client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream, form: Any, media: str, body: bytes
) -> None:
    upstream.will("/v1/audio/translations", Canned(media, [body] if body else []))
    answer = client.audio.translations.with_raw_response.create(model="listener", file=FILE, response_format=form)
    assert answer.content == body
    assert answer.headers["content-type"] == media
    assert answer.headers["x-tidegate-cost-usd"] == "unknown"
    event = last_event(gateway)
    assert (event.operation, event.usage.source, event.cost_nano) == ("translation", "unknown", None)


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")  # the SDK's word on translations
def test_transcriptions_refused(client: openai.OpenAI, upstream: CannedUpstream) -> None:
    asked = len(upstream.asked)
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.translations.create(model="listener", file=FILE, extra_body={"stream": True})
    assert (refused.value.code, refused.value.param) == ("unsupported_field", "stream")
    with pytest.raises(openai.NotFoundError):
        client.audio.transcriptions.create(model="nobody", file=FILE)
    with pytest.raises(openai.BadRequestError, match="multipart/form-data"):
        client.post("/audio/transcriptions", body={"model": "listener"}, cast_to=Transcription)
    with pytest.raises(openai.BadRequestError, match="serves speech, not transcription"):
        client.audio.transcriptions.create(model="speaker", file=FILE)
    with pytest.raises(openai.BadRequestError, match="more than 128 parts"):
        many: Any = ["logprobs"] * 200
        client.audio.transcriptions.create(model="listener", file=FILE, include=many)
    assert len(upstream.asked) == asked
    upstream.will("/v1/audio/transcriptions", Canned("application/json", [b'{"text": cut']))
    with pytest.raises(openai.InternalServerError, match="malformed"):
        client.audio.transcriptions.create(model="listener", file=FILE)
