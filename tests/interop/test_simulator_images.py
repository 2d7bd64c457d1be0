"""The simulator's images: met by Google's SDK and by boto3, and by OpenAI's through a gateway in front of it."""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

import boto3
import openai
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from google import genai
from google.genai import errors, types
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process
from tests.support.simulator import SimulatorThread, simulator_thread

from tidegate.core.usage import Units
from tidegate.simulator.bedrock.access import KEY_ID, SECRET
from tidegate.simulator.behaviour import profile_from

GEMINI, NEWER, IMAGEN, FAST = (
    "gemini-2.5-flash-image",
    "gemini-3-pro-image",
    "imagen-4.0-generate-001",
    "imagen-4.0-fast-generate-001",
)
CANVAS, TITAN = "amazon.nova-canvas-v1:0", "amazon.titan-image-generator-v2:0"
CORE = "stability.stable-image-core-v1:1"
MODELS = (GEMINI, NEWER, IMAGEN, FAST, CANVAS, TITAN, CORE)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
KEY = "tg-images-client"
_CONFIG = """
kind: Provider
metadata: {name: gemini}
spec: {dialect: gemini, baseUrl: "URL", credentials: [{apiKey: {env: UP_KEY}}]}
---
kind: Provider
metadata: {name: vertex}
spec: {dialect: vertex, baseUrl: "URL", credentials: [{apiKey: {env: UP_KEY}}]}
---
kind: Provider
metadata: {name: bedrock}
spec:
  dialect: bedrock
  baseUrl: "URL"
  region: eu-west-1
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
metadata: {{name: "{name}"}}
spec:
  task: image
  targets: [{{provider: {provider}, model: "{model}"}}]
  routing: {{breaker: {{minRequests: 1000}}}}
  price: {price}
"""
_BY_IMAGE, _BY_TOKEN = "{perImage: 0.04}", "{inputPerMillion: 0.3, outputPerMillion: 30}"
SERVED = {
    "gemini": ("gemini", GEMINI, _BY_TOKEN),
    "vertex": ("vertex", GEMINI, _BY_TOKEN),
    "imagen": ("gemini", IMAGEN, _BY_IMAGE),
    "vertex-imagen": ("vertex", IMAGEN, _BY_IMAGE),
    "canvas": ("bedrock", CANVAS, _BY_IMAGE),
    "titan": ("bedrock", TITAN, _BY_IMAGE),
    "core": ("bedrock", CORE, _BY_IMAGE),
}


@pytest.fixture(scope="module")
def thread() -> Iterator[SimulatorThread]:
    with simulator_thread(profile_from({"models": {name: {"task": "image"} for name in MODELS}})) as thread:
        yield thread


@pytest.fixture
def simulator(thread: SimulatorThread) -> SimulatorThread:
    thread.reset()
    return thread


@pytest.fixture
def google(simulator: SimulatorThread) -> Iterator[genai.Client]:
    with genai.Client(api_key="key", http_options=types.HttpOptions(base_url=simulator.url)) as client:
        yield client


@pytest.fixture
def vertex(simulator: SimulatorThread) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=simulator.url)
    with genai.Client(vertexai=True, api_key="key", http_options=options) as client:
        yield client


@pytest.fixture
def bedrock(simulator: SimulatorThread, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    config = Config(retries={"total_max_attempts": 1}, proxies={}, read_timeout=10)
    session = boto3.Session(KEY_ID, SECRET, region_name="eu-west-1")
    client = session.client("bedrock-runtime", endpoint_url=simulator.url, config=config)
    yield client
    client.close()


@pytest.fixture(scope="module")
def gateway(thread: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = _CONFIG.replace("URL", thread.url)
    for name, (provider, model, price) in SERVED.items():
        config += _MODEL.format(name=name, provider=provider, model=model, price=price)
    environment = {"UP_KEY": "up", "CLIENT_KEY": KEY, "AWS_ID": KEY_ID, "AWS_SECRET": SECRET}
    with gateway_process(tmp_path_factory.mktemp("images"), config, env=environment) as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Gateway, simulator: SimulatorThread) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0) as client:
        yield client


# Google's SDK.


def test_gemini_paints(google: genai.Client) -> None:
    contents: Any = ["Bluer, please.", types.Part.from_bytes(data=PNG, mime_type="image/png")]
    config = types.GenerateContentConfig(image_config=types.ImageConfig(aspect_ratio="16:9"))
    whole = google.models.generate_content(model=GEMINI, contents=contents, config=config)
    assert whole.parts and whole.parts[0].text
    painted = whole.parts[1]
    assert painted.inline_data and painted.inline_data.data and painted.inline_data.data.startswith(b"\x89PNG")
    used = whole.usage_metadata
    assert used and used.candidates_tokens_details and used.prompt_tokens_details
    assert [one.token_count for one in used.prompt_tokens_details][1:] == [258]
    assert [one.token_count for one in used.candidates_tokens_details] == [1290]
    alone = types.GenerateContentConfig(response_modalities=["IMAGE"])
    chunks = list(google.models.generate_content_stream(model=GEMINI, contents=contents, config=alone))
    assert chunks[0].parts and chunks[0].parts[0].inline_data == painted.inline_data


@pytest.mark.parametrize(
    ("model", "config", "told"),
    [
        (GEMINI, {"response_modalities": ["TEXT"]}, "response modalities"),
        (GEMINI, {"response_modalities": ["IMAGE", "AUDIO"]}, "response modalities"),
        (GEMINI, {"candidate_count": 2}, "Multiple candidates"),
        (GEMINI, {"response_mime_type": "application/json"}, "JSON mode"),
        (GEMINI, {"image_config": {"aspect_ratio": "7:4"}}, "aspect_ratio"),
        (GEMINI, {"image_config": {"image_size": "2K"}}, "Image size"),
        (NEWER, {"image_config": {"image_size": "8K"}}, "image_size"),
        (GEMINI, {"tools": [{"google_search": {}}]}, "Tool use"),
        (IMAGEN, {}, "not found"),
    ],
)
def test_what_gemini_refuses(google: genai.Client, model: str, config: Any, told: str) -> None:
    with pytest.raises(errors.ClientError, match=told):
        google.models.generate_content(model=model, contents="A pier.", config=config)


def test_gemini_sees_pictures_alone(google: genai.Client) -> None:
    for data, media in ((b"no picture", "image/png"), (PNG, "text/plain")):
        with pytest.raises(errors.ClientError, match="input image"):
            google.models.generate_content(model=GEMINI, contents=types.Part.from_bytes(data=data, mime_type=media))


@pytest.mark.filterwarnings("ignore")  # the SDK's word on Imagen
def test_imagen(vertex: genai.Client, simulator: SimulatorThread) -> None:
    config: Any = {"number_of_images": 2, "output_mime_type": "image/jpeg", "include_rai_reason": True}
    answer = vertex.models.generate_images(model=IMAGEN, prompt="A pier.", config=config)
    assert [one.image and one.image.mime_type for one in answer.generated_images or ()] == ["image/jpeg"] * 2
    assert len(vertex.models.generate_images(model=IMAGEN, prompt="A pier.").generated_images or ()) == 4
    simulator.change(IMAGEN, refusal="answer")
    filtered = vertex.models.generate_images(model=IMAGEN, prompt="A pier.", config=config).generated_images
    assert filtered and "filtered out" in (filtered[0].rai_filtered_reason or "")
    assert vertex.models.generate_images(model=IMAGEN, prompt="A pier.").generated_images is None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("model", "config", "told"),
    [
        (IMAGEN, {"number_of_images": 5}, "sample_count"),
        (IMAGEN, {"aspect_ratio": "3:2"}, "aspect_ratio"),
        (IMAGEN, {"image_size": "4K"}, "sample_image_size"),
        (FAST, {"image_size": "1K"}, "Sample image size"),
        (IMAGEN, {"seed": 1}, "watermark"),
        (IMAGEN, {"output_mime_type": "image/webp"}, "mime_type"),
        (IMAGEN, {"output_compression_quality": 5}, "image/jpeg alone"),
        (IMAGEN, {"output_gcs_uri": "gs://bucket"}, "storageUri"),
        (GEMINI, {}, "not found"),
    ],
)
def test_what_imagen_refuses(vertex: genai.Client, model: str, config: Any, told: str) -> None:
    with pytest.raises(errors.ClientError, match=told):
        vertex.models.generate_images(model=model, prompt="A pier.", config=config)


# boto3.


def invoke(client: Any, model: str, /, **body: Any) -> Any:
    return json.loads(client.invoke_model(modelId=model, body=json.dumps(body))["body"].read())


def asked(text: str = "A pier.", **config: Any) -> dict[str, Any]:
    return {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": text}, "imageGenerationConfig": config}


def test_amazons_models(bedrock: Any, simulator: SimulatorThread) -> None:
    told = invoke(bedrock, CANVAS, **asked(numberOfImages=2, width=1280, height=720, seed=7, quality="premium"))
    assert told["error"] is None
    assert [b64decode(one)[:4] for one in told["images"]] == [b"\x89PNG"] * 2
    assert invoke(bedrock, CANVAS, **asked()) == invoke(bedrock, CANVAS, **asked(seed=12))
    assert invoke(bedrock, TITAN, **asked()) != invoke(bedrock, TITAN, **asked(seed=12))
    simulator.change(CANVAS, refusal="answer")
    told = invoke(bedrock, CANVAS, **asked())
    assert (told["images"], "blocked" in told["error"]) == ([], True)


def test_stabilitys_models(bedrock: Any, simulator: SimulatorThread) -> None:
    told = invoke(bedrock, CORE, prompt="A pier.", aspect_ratio="21:9", output_format="jpeg")
    assert (told["finish_reasons"], b64decode(told["images"][0])[:3]) == ([None], b"\xff\xd8\xff")
    simulator.change(CORE, refusal="prompt")
    assert invoke(bedrock, CORE, prompt="A pier.") == {"finish_reasons": ["Filter reason: prompt"]}


@pytest.mark.parametrize(
    ("model", "body", "told"),
    [
        (CANVAS, asked(numberOfImages=6), "numberOfImages"),
        (CANVAS, asked(width=1000), "divisible by 16"),
        (CANVAS, asked(width=304), "width"),
        (CANVAS, asked(width=2048, height=320), "4:1"),
        (CANVAS, asked(width=4096, height=2048), "pixels"),
        (CANVAS, asked(quality="hd"), "quality"),
        (CANVAS, asked(seed=858_993_460), "seed"),
        (CANVAS, asked("x" * 1025), "1024"),
        (TITAN, asked("x" * 513), "512"),
        (TITAN, asked(width=1280, height=720), "1280x720"),
        (TITAN, asked() | {"textToImageParams": {"text": "a", "style": "PHOTOREALISM"}}, "style"),
        (CANVAS, {"taskType": "TEXT_IMAGE"}, "textToImageParams"),
        (CANVAS, asked() | {"model": "x"}, "model"),
        (CORE, {"prompt": ""}, "prompt"),
        (CORE, {"prompt": "a", "aspect_ratio": "4:3"}, "aspect_ratio"),
        (CORE, {"prompt": "a", "output_format": "webp"}, "output_format"),
        (CORE, {"prompt": "a", "n": 2}, "n"),
    ],
)
def test_what_bedrocks_models_refuse(bedrock: Any, model: str, body: Any, told: str) -> None:
    with pytest.raises(ClientError, match=told) as refused:
        invoke(bedrock, model, **body)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


# OpenAI's SDK, through the gateway.


@pytest.mark.parametrize("model", list(SERVED))
def test_openais_sdk(client: openai.OpenAI, gateway: Gateway, simulator: SimulatorThread, model: str) -> None:
    """In the provider's own strict eyes, and to the nano-dollar."""
    by_token = SERVED[model][2] == _BY_TOKEN
    made = 1 if by_token or model == "core" else 3
    answer = client.images.generate(model=model, prompt="A pier.", n=made, size="1024x1024", user="u")
    assert [b64decode(one.b64_json or "")[:4] for one in answer.data or ()] == [b"\x89PNG"] * made
    event = last_event(gateway)
    assert event.usage.units == Units(images=made)
    cost = event.usage.input * 300 + 1290 * 30_000 if by_token else made * 40_000_000
    assert (event.cost_nano, event.charged_nano) == (cost, cost)
    simulator.change(SERVED[model][1], refusal="prompt")
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(model=model, prompt="A pier.")
    assert refused.value.code == ("ValidationException" if model in ("canvas", "titan") else "moderation_blocked")


@pytest.mark.parametrize("model", ["gemini", "vertex"])
def test_openais_edits(client: openai.OpenAI, gateway: Gateway, model: str) -> None:
    image: Any = [("a.png", PNG, "image/png"), ("b.png", PNG, "image/png")]
    answer = client.images.edit(model=model, image=image, prompt="Bluer.", size="1024x1536")
    assert answer.usage and answer.usage.input_tokens_details.image_tokens == 516
    event = last_event(gateway)
    assert (event.operation, event.usage.input_image) == ("image_edit", 516)
    assert event.cost_nano == event.usage.input_total * 300 + 1290 * 30_000
    reference = [{"image_url": "data:image/png;base64," + b64encode(PNG).decode()}]
    body = {"model": model, "prompt": "Bluer.", "images": reference}
    assert client.post("/images/edits", body=body, cast_to=openai.types.ImagesResponse).data


def test_sizes_that_the_provider_refuses(client: openai.OpenAI) -> None:
    for model, size in (("canvas", "1000x1000"), ("titan", "1280x720")):
        with pytest.raises(openai.BadRequestError, match=size):
            client.images.generate(model=model, prompt="A pier.", size=size)  # pyright: ignore[reportArgumentType]
