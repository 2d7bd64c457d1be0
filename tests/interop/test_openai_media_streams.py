"""The OpenAI SDK's edits of images, and its streams of media, to a provider that answers with fixed bytes."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from tests.support.canned_upstream import Canned, CannedUpstream, canned_upstream
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process

from tidegate.core.usage import Units

KEY = "tg-media-streams"
CONFIG = """
kind: Provider
metadata: {name: house}
spec: {dialect: openai, baseUrl: "URL/v1", credentials: [{apiKey: {env: UP_KEY}}]}
---
kind: Provider
metadata: {name: other}
spec: {dialect: openai, baseUrl: "URL/other", credentials: [{apiKey: {env: UP_KEY}}]}
---
kind: Model
metadata: {name: painter}
spec:
  task: image
  targets: [{provider: house, model: gpt-image-1}]
  routing: {attempts: 1, breaker: {minRequests: 1000}}
  price: {inputPerMillion: 5, imageInputPerMillion: 10, outputPerMillion: 10, imageOutputPerMillion: 40}
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
metadata: {name: listener}
spec:
  task: transcription
  targets: [{provider: house, model: gpt-4o-transcribe, priority: 1}, {provider: other, model: whisper-1, priority: 2}]
  routing: {attempts: 2, breaker: {minRequests: 1000}}
  price: {inputPerMillion: 2.5, audioInputPerMillion: 6, outputPerMillion: 10}
---
kind: Team
metadata: {name: media}
---
kind: Consumer
metadata: {name: sdk}
spec: {team: media, keys: [{value: {env: CLIENT_KEY}}]}
"""
USAGE = {
    "input_tokens": 50,
    "output_tokens": 1100,
    "total_tokens": 1150,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
}
ABOUT = {"background": "opaque", "created_at": 1, "output_format": "png", "quality": "high", "size": "1024x1024"}
COST = 10 * 5_000 + 40 * 10_000 + 1100 * 40_000
HEARD = {"type": "tokens", "input_tokens": 60, "output_tokens": 9, "total_tokens": 69}
FILE = ("a.mp3", b"ID3\x00\xff", "audio/mpeg")


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def drawn(kind: str) -> list[bytes]:
    large = "iVBO" * 100_000
    return [
        event(f"{kind}.partial_image", b64_json="aGk=", partial_image_index=0, **ABOUT),
        event(f"{kind}.completed", b64_json=large, usage=USAGE, **ABOUT),
    ]


def streamed(*pieces: bytes, cut: bool = False) -> Canned:
    return Canned("text/event-stream; charset=utf-8", list(pieces), cut=cut)


@pytest.fixture(scope="module")
def upstream() -> Iterator[CannedUpstream]:
    with canned_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(upstream: CannedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    environment = {"UP_KEY": "sk-up", "CLIENT_KEY": KEY}
    config = CONFIG.replace("URL", upstream.url)
    with gateway_process(tmp_path_factory.mktemp("media"), config, env=environment) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0) as client:
        yield client


def test_an_image_is_streamed(client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will("/v1/images/generations", streamed(*drawn("image_generation")))
    events: list[Any] = list(client.images.generate(model="painter", prompt="x", stream=True, partial_images=1))
    assert [one.type for one in events] == ["image_generation.partial_image", "image_generation.completed"]
    assert (events[1].usage.output_tokens, len(events[1].b64_json)) == (1100, 400_000)
    asked = {"model": "gpt-image-1", "prompt": "x", "stream": True, "partial_images": 1}
    assert upstream.asked[-1][2] == asked
    record = last_event(gateway)
    assert (record.operation, record.stream, record.outcome, record.cost_nano) == ("image", True, "ok", COST)


def test_an_edit(client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream) -> None:
    whole = b'{"created":1,"data":[{"b64_json":"aGk="}],"usage":%b}' % json.dumps(USAGE).encode()
    upstream.will("/v1/images/edits", Canned("application/json", [whole]))
    pictures = [("a.png", b"\x89PNG\r\n\xff", "image/png"), ("b.png", b"\x89PNG", "image/png")]
    answer = client.images.with_raw_response.edit(
        model="painter", image=pictures, mask=pictures[1], prompt="blauer, größer", n=2
    )
    assert answer.content == whole
    _, headers, sent = upstream.asked[-1]
    asked = answer.http_request
    assert headers["content-type"] == asked.headers["content-type"]
    assert sent == asked.read().replace(b"\r\n\r\npainter\r\n", b"\r\n\r\ngpt-image-1\r\n")
    record = last_event(gateway)
    assert (record.operation, record.stream, record.cost_nano) == ("image_edit", False, COST)


def test_an_edit_is_streamed(client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will("/v1/images/edits", streamed(*drawn("image_edit")))
    picture = ("a.png", b"\x89PNG", "image/png")
    events: list[Any] = list(client.images.edit(model="painter", image=picture, prompt="bluer", stream=True))
    assert [one.type for one in events] == ["image_edit.partial_image", "image_edit.completed"]
    assert (last_event(gateway).operation, last_event(gateway).cost_nano) == ("image_edit", COST)


def test_an_edit_in_json(client: openai.OpenAI, upstream: CannedUpstream) -> None:
    upstream.will("/v1/images/edits", Canned("application/json", [b'{"created":1,"data":[],"usage":null}']))
    asked = {"model": "painter", "prompt": "bluer", "images": [{"image_url": "https://pictures.example/1.png"}]}
    client.post("/images/edits", body=asked, cast_to=object)
    assert upstream.asked[-1][2] == {**asked, "model": "gpt-image-1"}


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")  # the SDK's word on variations
def test_a_variation(client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will("/v1/images/variations", Canned("application/json", [b'{"created":1,"data":[{"b64_json":"aGk="}]}']))
    found = client.images.create_variation(model="painter", image=("a.png", b"\x89PNG", "image/png"))
    assert found.data is not None
    assert found.data[0].b64_json == "aGk="
    record = last_event(gateway)
    assert (record.operation, record.usage.units, record.cost_nano) == ("image_variation", Units(images=1), None)


def test_a_transcript_is_streamed(client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream) -> None:
    done = event("transcript.text.done", text="The tide turns.", usage=HEARD)
    pieces = [event("transcript.text.delta", delta=one) for one in ("The tide", " turns.")]
    upstream.will("/v1/audio/transcriptions", streamed(*pieces, done))
    events: list[Any] = list(client.audio.transcriptions.create(model="listener", file=FILE, stream=True))
    assert [one.type for one in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    record = last_event(gateway)
    assert (record.usage.input_audio, record.usage.output) == (60, 9)
    assert record.cost_nano == 60 * 6_000 + 9 * 10_000


def test_speech_by_events(client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream) -> None:
    used = {"input_tokens": 6, "output_tokens": 90, "total_tokens": 96}
    sent = event("speech.audio.delta", audio="aGk=") + event("speech.audio.done", usage=used)
    upstream.will("/v1/audio/speech", streamed(sent[:30], sent[30:]))
    spoken = client.audio.speech.create(model="speaker", voice="alloy", input="x", stream_format="sse")
    assert spoken.content == sent
    assert spoken.response.headers["content-type"] == "text/event-stream; charset=utf-8"
    record = last_event(gateway)
    assert (record.stream, record.usage.output_audio, record.cost_nano) == (True, 90, 6 * 600 + 90 * 12_000)


def test_a_model_that_does_not_stream(client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream) -> None:
    whole = b'{"text":"The tide turns.","usage":%b}' % json.dumps(HEARD).encode()
    upstream.will("/v1/audio/transcriptions", Canned("application/json", [whole[:9], whole[9:]]))
    form = {"model": (None, "listener"), "stream": (None, "true"), "file": FILE}
    headers = {"authorization": f"Bearer {KEY}"}
    answer = client._client.post(f"{gateway.url}/v1/audio/transcriptions", files=form, headers=headers)
    assert (answer.content, answer.headers["content-type"]) == (whole, "application/json")
    assert last_event(gateway).usage.input_audio == 60


def test_a_stream_that_breaks_off_ends_with_an_error(
    client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream
) -> None:
    first, last = drawn("image_generation")
    for broken in (streamed(first, last[:5000], cut=True), streamed(first)):
        upstream.will("/v1/images/generations", broken)
        found: list[Any] = []
        with pytest.raises(openai.APIError, match="broke off"):
            found.extend(client.images.generate(model="painter", prompt="x", stream=True))
        record = last_event(gateway)
        assert (record.outcome, record.usage.source, record.cost_nano) == ("cut", "unknown", None)


def test_the_providers_own_error_in_a_stream(client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream) -> None:
    """Before anything was said another target is tried; after that the client sees it."""
    fault = event("error", error={"message": "Too noisy.", "type": "server_error", "code": "noise"})
    done = event("transcript.text.done", text="Hi")
    upstream.will("/v1/audio/transcriptions", streamed(fault))
    upstream.will("/other/audio/transcriptions", streamed(done))
    events: list[Any] = list(client.audio.transcriptions.create(model="listener", file=FILE, stream=True))
    assert [one.type for one in events] == ["transcript.text.done"]
    assert (last_event(gateway).provider, last_event(gateway).usage.source) == ("other", "unknown")
    upstream.will("/v1/audio/transcriptions", streamed(event("transcript.text.delta", delta="Hi"), fault))
    with pytest.raises(openai.APIError, match="Too noisy"):
        list(client.audio.transcriptions.create(model="listener", file=FILE, stream=True))
    assert last_event(gateway).outcome == "cut"
