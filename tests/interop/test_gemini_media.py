"""The OpenAI SDK's images, through the gateway, at a provider of Gemini's dialect that answers with fixed bytes."""

import json
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types import ImagesResponse
from tests.support.canned_upstream import Canned, CannedUpstream, canned_upstream
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process
from tests.support.strict_models import read_strictly

from tidegate.core.usage import Units

KEY = "tg-media-client"
PATH = "/v1beta/models/gemini-2.5-flash-image:generateContent"
CONFIG = """
kind: Provider
metadata: {name: google}
spec: {dialect: gemini, baseUrl: "URL", credentials: [{apiKey: {env: UP_KEY}}]}
---
kind: Model
metadata: {name: painter}
spec:
  task: image
  targets: [{provider: google, model: gemini-2.5-flash-image}]
  routing: {breaker: {minRequests: 1000}}
  price: {inputPerMillion: 0.3, outputPerMillion: 2.5, imageOutputPerMillion: 30}
---
kind: Team
metadata: {name: media}
---
kind: Consumer
metadata: {name: sdk}
spec: {team: media, keys: [{value: {env: CLIENT_KEY}}]}
"""
USED: dict[str, Any] = {
    "promptTokenCount": 8,
    "candidatesTokenCount": 1290,
    "totalTokenCount": 1298,
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
}
PICTURE = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}


def told(candidate: dict[str, Any], used: dict[str, Any] = USED) -> Canned:
    answer = {"candidates": [{"index": 0, **candidate}], "usageMetadata": used, "modelVersion": "m", "responseId": "r"}
    return Canned("application/json; charset=UTF-8", [json.dumps(answer).encode()])


@pytest.fixture(scope="module")
def upstream() -> Iterator[CannedUpstream]:
    with canned_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(upstream: CannedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = CONFIG.replace("URL", upstream.url)
    environment = {"UP_KEY": "up", "CLIENT_KEY": KEY}
    with gateway_process(tmp_path_factory.mktemp("gemini-media"), config, env=environment) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0) as client:
        yield client


def test_an_image(client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will(PATH, told({"content": {"role": "model", "parts": [PICTURE]}, "finishReason": "STOP"}))
    raw = client.images.with_raw_response.generate(model="painter", prompt="a lighthouse", size="1536x1024")
    found = read_strictly(ImagesResponse, raw.content)
    assert found.data is not None
    assert b64decode(found.data[0].b64_json or "").startswith(b"\x89PNG")
    assert found.created > 1_600_000_000
    assert raw.headers["x-tidegate-dropped"] == "size"
    assert upstream.asked[-1][2]["generationConfig"]["imageConfig"] == {"aspectRatio": "3:2"}
    event = last_event(gateway)
    assert (event.usage.input, event.usage.output, event.usage.output_image) == (8, 0, 1290)
    assert event.usage.units == Units(images=1)
    assert event.cost_nano == 8 * 300 + 1290 * 30_000


def test_a_refusal(client: openai.OpenAI, gateway: Gateway, upstream: CannedUpstream) -> None:
    """Asked once: another try would be refused too. What it used is charged."""
    refusal = {"finishReason": "IMAGE_SAFETY", "finishMessage": "Not this."}
    upstream.will(PATH, told(refusal, {"promptTokenCount": 8, "totalTokenCount": 8}))
    asked = len(upstream.asked)
    with pytest.raises(openai.BadRequestError, match="IMAGE_SAFETY") as refused:
        client.images.generate(model="painter", prompt="x")
    assert refused.value.code == "moderation_blocked"
    assert len(upstream.asked) == asked + 1
    event = last_event(gateway)
    assert (event.status, event.outcome, event.usage.total, event.cost_nano) == (400, "failed", 8, 8 * 300)


def test_what_is_not_there(client: openai.OpenAI, upstream: CannedUpstream) -> None:
    asked = len(upstream.asked)
    for field, value in {"n": 2, "quality": "high", "stream": True}.items():
        more: dict[str, Any] = {field: value}
        with pytest.raises(openai.BadRequestError) as refused:
            client.images.generate(model="painter", prompt="x", **more)
        assert (refused.value.code, refused.value.param) == ("unsupported_field", field)
    assert len(upstream.asked) == asked
    upstream.will(PATH, told({"content": {"role": "model"}, "finishReason": "NO_IMAGE"}))
    with pytest.raises(openai.APIStatusError, match="NO_IMAGE") as empty:
        client.images.generate(model="painter", prompt="x")
    assert empty.value.status_code == 502


def test_the_providers_own_error(client: openai.OpenAI, upstream: CannedUpstream) -> None:
    fault = {"error": {"code": 400, "message": "Invalid prompt.", "status": "INVALID_ARGUMENT"}}
    upstream.will(PATH, Canned("application/json", [json.dumps(fault).encode()], 400))
    with pytest.raises(openai.BadRequestError, match=r"Invalid prompt\."):
        client.images.generate(model="painter", prompt="x")
