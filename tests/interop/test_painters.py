"""The OpenAI SDK's images, through the gateway, at models that OpenAI's dialect does not reach: Imagen and Gemini at an
upstream that answers with fixed bytes, Nova Canvas and Stability's at a Bedrock that checks signatures and bodies.
"""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from google.genai import types
from openai.types import ImagesResponse
from tests.support.bedrock import KEY_ID, REGION, SECRET, FakeBedrock, Refusal, bedrock_thread
from tests.support.canned_upstream import Canned, CannedUpstream, canned_upstream
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process
from tests.support.strict_models import read_strictly

from tidegate.core.usage import Units

KEY = "tg-painters-client"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
DATA = b64encode(PNG).decode()
PREDICT = "/v1beta/models/imagen-4.0-generate-001:predict"
GENERATE = "/v1beta/models/gemini-2.5-flash-image:generateContent"
_PROVIDERS = """
kind: Provider
metadata: {name: google}
spec: {dialect: gemini, baseUrl: "GOOGLE", credentials: [{apiKey: {env: UP_KEY}}]}
---
kind: Provider
metadata: {name: bedrock}
spec:
  dialect: bedrock
  baseUrl: "BEDROCK"
  region: REGION
  credentials: [{accessKeyId: {env: AWS_ID}, secretAccessKey: {env: AWS_SECRET}}]
---
kind: Team
metadata: {name: media}
---
kind: Consumer
metadata: {name: sdk}
spec: {team: media, keys: [{value: {env: CLIENT_KEY}}]}
"""
_MODEL = """
---
kind: Model
metadata: {{name: {name}}}
spec:
  task: image
  targets: [{{provider: {provider}, model: "{model}"}}]
  routing: {{breaker: {{minRequests: 1000}}}}
  price: {price}
"""
_MODELS = (
    ("imagen", "google", "imagen-4.0-generate-001", "{perImage: 0.04}"),
    ("editor", "google", "gemini-2.5-flash-image", "{inputPerMillion: 0.3, outputPerMillion: 30}"),
    ("canvas", "bedrock", "amazon.nova-canvas-v1:0", "{perImage: 0.08}"),
    ("core", "bedrock", "stability.stable-image-core-v1:1", "{perImage: 0.03, perRequest: 0.001}"),
)


@pytest.fixture(scope="module")
def google() -> Iterator[CannedUpstream]:
    with canned_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def bedrock() -> Iterator[FakeBedrock]:
    with bedrock_thread() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(
    google: CannedUpstream, bedrock: FakeBedrock, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    config = _PROVIDERS.replace("GOOGLE", google.url).replace("BEDROCK", bedrock.url).replace("REGION", REGION)
    for name, provider, model, price in _MODELS:
        config += _MODEL.format(name=name, provider=provider, model=model, price=price)
    environment = {"UP_KEY": "up", "CLIENT_KEY": KEY, "AWS_ID": KEY_ID, "AWS_SECRET": SECRET}
    with gateway_process(tmp_path_factory.mktemp("painters"), config, env=environment) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0) as client:
        yield client


def told(**answer: Any) -> Canned:
    return Canned("application/json; charset=UTF-8", [json.dumps(answer).encode()])


def painted(answer: ImagesResponse) -> list[str | None]:
    return [one.b64_json for one in answer.data or []]


def billed(gateway: Gateway) -> tuple[str, int, str, Units | None, int | None]:
    event = last_event(gateway)
    return event.operation, event.status, event.usage.source, event.usage.units, event.cost_nano


def test_imagen(client: openai.OpenAI, gateway: Gateway, google: CannedUpstream) -> None:
    """Four are asked for, one is filtered, three are paid for."""
    prediction = {"mimeType": "image/jpeg", "bytesBase64Encoded": DATA}
    google.will(PREDICT, told(predictions=[prediction, {"raiFilteredReason": "Code 39"}, prediction, prediction]))
    raw = client.images.with_raw_response.generate(
        model="imagen", prompt="a lighthouse", n=4, size="1408x768", output_format="jpeg", user="u"
    )
    found = read_strictly(ImagesResponse, raw.content)
    assert painted(found) == [DATA] * 3
    assert (found.output_format, raw.headers["x-tidegate-dropped"]) == ("jpeg", "user")
    body = google.asked[-1][2]
    assert body["instances"] == [{"prompt": "a lighthouse"}]
    assert (body["parameters"]["sampleCount"], body["parameters"]["aspectRatio"]) == (4, "16:9")
    assert billed(gateway) == ("image", 200, "reported", Units(images=3), 3 * 40_000_000)


def test_imagens_filter(client: openai.OpenAI, gateway: Gateway, google: CannedUpstream) -> None:
    google.will(PREDICT, told(predictions=[{"raiFilteredReason": "Support code 39."}]))
    asked = len(google.asked)
    with pytest.raises(openai.BadRequestError, match="Support code 39") as refused:
        client.images.generate(model="imagen", prompt="x")
    assert (refused.value.code, len(google.asked)) == ("moderation_blocked", asked + 1)
    assert billed(gateway) == ("image", 400, "reported", Units(), 0)


def test_nova_canvas(client: openai.OpenAI, gateway: Gateway, bedrock: FakeBedrock) -> None:
    bedrock.replies.append({"images": [DATA, DATA], "error": None})
    raw = client.images.with_raw_response.generate(
        model="canvas", prompt="a lighthouse", n=2, size="1280x720", quality="hd"
    )
    found = read_strictly(ImagesResponse, raw.content)
    assert (painted(found), found.output_format, found.usage) == ([DATA] * 2, "png", None)
    sent = bedrock.received[-1]
    config = sent.body["imageGenerationConfig"]
    assert (sent.model, sent.operation) == ("amazon.nova-canvas-v1:0", "InvokeModel")
    assert (config["width"], config["height"], config["quality"]) == (1280, 720, "premium")
    assert billed(gateway) == ("image", 200, "reported", Units(images=2), 2 * 80_000_000)
    bedrock.replies.append({"images": [DATA]})
    client.images.generate(model="canvas", prompt="a lighthouse")
    assert bedrock.received[-1].body["imageGenerationConfig"]["seed"] != config["seed"]


def test_nova_canvas_blocks(client: openai.OpenAI, gateway: Gateway, bedrock: FakeBedrock) -> None:
    told = "This request has been blocked by our content filters."
    bedrock.replies += [Refusal(400, "ValidationException", told), {"images": [], "error": "All of them are blocked."}]
    for message, code in (("by our content filters", "ValidationException"), ("All of them", "moderation_blocked")):
        with pytest.raises(openai.BadRequestError, match=message) as refused:
            client.images.generate(model="canvas", prompt="x")
        assert refused.value.code == code
        assert billed(gateway)[4] == 0
    bedrock.replies.append(Refusal(400, "ValidationException", "width: 100 is not greater or equal to 320"))
    with pytest.raises(openai.BadRequestError, match="320"):
        client.images.generate(model="canvas", prompt="x", size="100x100")


def test_stability(client: openai.OpenAI, gateway: Gateway, bedrock: FakeBedrock) -> None:
    bedrock.replies.append({"seeds": [1], "finish_reasons": [None], "images": [DATA]})
    raw = client.images.with_raw_response.generate(model="core", prompt="a pier", size="1024x1536")
    assert painted(read_strictly(ImagesResponse, raw.content)) == [DATA]
    assert raw.headers["x-tidegate-dropped"] == "size"
    assert bedrock.received[-1].body == {"prompt": "a pier", "aspect_ratio": "2:3"}
    assert billed(gateway) == ("image", 200, "reported", Units(images=1), 31_000_000)
    bedrock.replies.append({"finish_reasons": ["Filter reason: output image"]})
    with pytest.raises(openai.BadRequestError, match="output image"):
        client.images.generate(model="core", prompt="x")


def test_an_edit(client: openai.OpenAI, gateway: Gateway, google: CannedUpstream) -> None:
    content = {"role": "model", "parts": [{"inlineData": {"mimeType": "image/png", "data": DATA}}]}
    used = {
        "promptTokenCount": 522,
        "candidatesTokenCount": 1290,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 6}, {"modality": "IMAGE", "tokenCount": 516}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    }
    google.will(GENERATE, told(candidates=[{"content": content, "finishReason": "STOP"}], usageMetadata=used))
    files: Any = [("a.png", PNG, "image/png"), ("b.jpg", b"\xff\xd8\xff\xe0", "image/jpeg")]
    raw = client.images.with_raw_response.edit(model="editor", image=files, prompt="bluer", size="1024x1024", n=1)
    found = read_strictly(ImagesResponse, raw.content)
    assert painted(found) == [DATA]
    assert found.usage is not None
    assert found.usage.input_tokens_details.image_tokens == 516
    _, headers, body = google.asked[-1]
    assert headers["content-type"] == "application/json"
    parts = types.Content.model_validate(body["contents"][0]).parts or []
    assert [one.inline_data.mime_type for one in parts if one.inline_data] == ["image/png", "image/jpeg"]
    assert parts[2].text == "bluer"
    event = last_event(gateway)
    assert (event.operation, event.usage.input_image, event.usage.output_image) == ("image_edit", 516, 1290)
    assert event.cost_nano == 522 * 300 + 1290 * 30_000


@pytest.mark.parametrize(
    ("model", "more", "named"),
    [
        ("editor", {"mask": ("m.png", PNG, "image/png")}, "mask"),
        ("editor", {"quality": "high"}, "quality"),
        ("imagen", {}, "image"),
        ("canvas", {}, "image"),
    ],
)
def test_edits_that_are_refused(client: openai.OpenAI, model: str, more: dict[str, Any], named: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.edit(model=model, image=("a.png", PNG, "image/png"), prompt="x", **more)
    assert (refused.value.code, refused.value.param) == ("unsupported_field", named)


@pytest.mark.parametrize(
    ("model", "more"),
    [("imagen", {"n": 5}), ("imagen", {"size": "1536x1024"}), ("canvas", {"stream": True}), ("core", {"n": 2})],
)
def test_what_is_not_there(client: openai.OpenAI, model: str, more: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(model=model, prompt="x", **more)
    assert (refused.value.code, refused.value.param) == ("unsupported_field", next(iter(more)))
