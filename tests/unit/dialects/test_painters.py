"""OpenAI's images painted by Imagen and by Bedrock's models; bodies and answers are as the vendors document them."""

import json
from base64 import b64encode
from typing import Any

import pytest
from google.genai import models
from openai.types import ImagesResponse
from tests.support.strict_models import read_strictly

from tidegate.core.usage import Units
from tidegate.core.view import View
from tidegate.dialects.dialect import Dialect, RefusedAnswer, Relay, UnreadableAnswer, UnreadableRequest, UpstreamModel
from tidegate.dialects.registry import DIALECTS, relay_between, spoken_to

IMAGEN, FAST = "imagen-4.0-generate-001", "imagen-4.0-fast-generate-001"
CANVAS, TITAN = (
    "amazon.nova-canvas-v1:0",
    "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-image-generator-v2:0",
)
CORE, SD = "stability.stable-image-core-v1:1", "us.stability.sd3-5-large-v1:0"
PNG, JPEG = (b64encode(head + bytes(20)).decode() for head in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))


def dialect_of(model: str) -> Dialect:
    provider = "gemini" if model.startswith("imagen") else "bedrock"
    return spoken_to("openai", provider, frozenset(), model)


def relay(model: str) -> Relay:
    found = relay_between("openai", dialect_of(model), "image")
    assert found is not None
    return found


def asked(**more: Any) -> View:
    view = DIALECTS["openai"].read("image", json.dumps({"model": "public", "prompt": "a pier", **more}).encode())
    view.time_ns = 1_700_000_000_000_007_000
    return view


SEED = 1_700_000_000_000_007 % 858_993_459


def sent(model: str, view: View) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(relay(model).encode_request(view, UpstreamModel(model), output_cap=None))
    return found


@pytest.mark.parametrize(
    ("model", "more", "parameters", "dropped"),
    [
        (IMAGEN, {}, {}, ()),
        (IMAGEN, {"n": 4, "user": "u"}, {"number_of_images": 4}, ("user",)),
        (IMAGEN, {"size": "1408x768"}, {"aspect_ratio": "16:9"}, ()),
        (IMAGEN, {"size": "1920x1080"}, {"aspect_ratio": "16:9", "image_size": "2K"}, ("size",)),
        (IMAGEN, {"size": "2048x2048"}, {"aspect_ratio": "1:1", "image_size": "2K"}, ()),
        (FAST, {"size": "768x1024"}, {"aspect_ratio": "3:4"}, ("size",)),
        (IMAGEN, {"output_format": "png"}, {"output_mime_type": "image/png"}, ()),
        (
            FAST,
            {"output_format": "jpeg", "output_compression": 60},
            {"output_mime_type": "image/jpeg", "output_compression_quality": 60},
            (),
        ),
    ],
)
def test_imagen_is_asked_as_googles_sdk_asks(
    model: str, more: dict[str, Any], parameters: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    view = asked(**more)
    config = {"number_of_images": 1, "include_rai_reason": True, **parameters}
    expected: dict[str, Any] = {"instances": [{"prompt": "a pier"}], "parameters": {}}
    models._GenerateImagesConfig_to_vertex(config, expected)
    assert sent(model, view) == expected
    assert view.dropped == dropped


def test_where_imagen_is() -> None:
    base = "https://host/v1beta1/projects/p/locations/l"
    vertex = spoken_to("openai", "vertex", frozenset(), IMAGEN)
    path = vertex.upstream_path("image", IMAGEN, base, None, stream=False)
    assert path == f"{base}/publishers/google/models/{IMAGEN}:predict"
    assert dialect_of(IMAGEN).upstream_path("image", IMAGEN, "", None, stream=False) == (
        f"/v1beta/models/{IMAGEN}:predict"
    )
    assert relay_between("openai", vertex, "image") is not None
    assert relay_between("openai", vertex, "chat") is None
    assert relay_between("gemini", vertex, "chat") is None


@pytest.mark.parametrize(
    ("model", "more", "body", "dropped"),
    [
        (CANVAS, {}, {"numberOfImages": 1, "seed": SEED}, ()),
        (TITAN, {"n": 5, "size": "768x1152"}, {"numberOfImages": 5, "seed": SEED, "width": 768, "height": 1152}, ()),
        (
            CANVAS,
            {"quality": "hd", "output_format": "png"},
            {"numberOfImages": 1, "seed": SEED, "quality": "premium"},
            (),
        ),
        (TITAN, {"quality": "medium"}, {"numberOfImages": 1, "seed": SEED, "quality": "standard"}, ()),
        (CORE, {}, {}, ()),
        (
            CORE,
            {"size": "1536x1024", "output_format": "jpeg"},
            {"aspect_ratio": "3:2", "output_format": "jpeg"},
            ("size",),
        ),
        (SD, {"size": "1024x1024", "user": "u"}, {"aspect_ratio": "1:1"}, ("user",)),
        (SD, {"size": "576x1344"}, {"aspect_ratio": "9:21"}, ("size",)),
    ],
)
def test_bedrocks_models(model: str, more: dict[str, Any], body: dict[str, Any], dropped: tuple[str, ...]) -> None:
    view = asked(**more)
    amazon = {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "a pier"}, "imageGenerationConfig": body}
    assert sent(model, view) == (amazon if "amazon" in model else {"prompt": "a pier", **body})
    assert view.dropped == dropped
    assert dialect_of(model).upstream_path("image", model, "", None, stream=False).endswith("/invoke")


@pytest.mark.parametrize(
    ("model", "more"),
    [
        (IMAGEN, {"n": 5}),
        (IMAGEN, {"quality": "high"}),
        (IMAGEN, {"size": "1536x1024"}),
        (FAST, {"size": "2048x2048"}),
        (IMAGEN, {"output_format": "webp"}),
        (IMAGEN, {"output_compression": 60}),
        (CANVAS, {"n": 6}),
        (CANVAS, {"quality": "low"}),
        (CANVAS, {"output_format": "jpeg"}),
        (CANVAS, {"background": "transparent"}),
        (CORE, {"n": 2}),
        (CORE, {"quality": "hd"}),
        (CORE, {"size": "1024x768"}),
        (SD, {"size": "2048x2048"}),
        (SD, {"output_compression": 60, "output_format": "jpeg"}),
    ],
)
def test_what_a_model_cannot_do_is_refused(model: str, more: dict[str, Any]) -> None:
    with pytest.raises(UnreadableRequest) as refused:
        sent(model, asked(**more))
    problem = refused.value.problem
    assert (problem.status, problem.code, problem.field) == (400, "unsupported_field", next(iter(more)))


@pytest.mark.parametrize(
    ("model", "answer", "made", "form"),
    [
        (IMAGEN, {"predictions": [{"bytesBase64Encoded": PNG, "mimeType": "image/png"}] * 2}, 2, "png"),
        (
            IMAGEN,
            {"predictions": [{"raiFilteredReason": "Code 1"}, {"bytesBase64Encoded": JPEG, "mimeType": "image/jpeg"}]},
            1,
            "jpeg",
        ),
        (CANVAS, {"images": [PNG, PNG, PNG], "error": None}, 3, "png"),
        (TITAN, {"images": [PNG], "error": "Some of the generated images have been blocked."}, 1, "png"),
        (CORE, {"seeds": [1], "finish_reasons": [None], "images": [JPEG]}, 1, "jpeg"),
    ],
)
def test_an_answer_counts_the_images_that_it_has(model: str, answer: Any, made: int, form: str) -> None:
    between = relay(model)
    found = between.read_answer("image", json.dumps(answer).encode())
    assert (found.usage.source, found.usage.total, found.usage.units) == ("reported", 0, Units(images=made))
    read = read_strictly(ImagesResponse, between.encode_answer(found, asked(n=3)))
    assert read.data is not None
    assert [one.b64_json for one in read.data] == [PNG if form == "png" else JPEG] * made
    assert (read.output_format, read.usage) == (form, None)


def test_a_prompt_that_was_rewritten() -> None:
    between = relay(IMAGEN)
    answer = {"predictions": [{"bytesBase64Encoded": PNG, "mimeType": "image/png", "prompt": "a long pier"}]}
    read = read_strictly(
        ImagesResponse, between.encode_answer(between.read_answer("image", json.dumps(answer).encode()), asked())
    )
    assert read.data is not None
    assert read.data[0].revised_prompt == "a long pier"


@pytest.mark.parametrize(
    ("model", "answer", "told"),
    [
        (IMAGEN, {}, "kept every image back"),
        (IMAGEN, {"predictions": [{"raiFilteredReason": "Support code 39"}]}, "Support code 39"),
        (CANVAS, {"images": [], "error": "All of the generated images have been blocked."}, "have been blocked"),
        (SD, {"finish_reasons": ["Filter reason: prompt"]}, "Filter reason: prompt"),
    ],
)
def test_what_is_filtered_is_an_error_and_costs_nothing(model: str, answer: Any, told: str) -> None:
    with pytest.raises(RefusedAnswer, match=told) as refused:
        relay(model).read_answer("image", json.dumps(answer).encode())
    assert refused.value.fault.code == "moderation_blocked"
    assert (refused.value.usage.source, refused.value.usage.units) == ("reported", Units())


@pytest.mark.parametrize("model", [IMAGEN, CANVAS, CORE])
@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"images":1,"predictions":1}', b'{"images":[7],"predictions":[7]}', b"\xff"]
)
def test_what_is_no_answer_is_a_fault_of_the_upstream(model: str, body: bytes) -> None:
    with pytest.raises(UnreadableAnswer) as fault:
        relay(model).read_answer("image", body)
    assert not isinstance(fault.value, RefusedAnswer)


@pytest.mark.parametrize(
    ("model", "answer"),
    [
        (CANVAS, {"images": []}),
        (CORE, {"images": []}),
        (CORE, {"finish_reasons": ["Inference error"], "images": [PNG]}),
    ],
)
def test_an_answer_without_images_that_were_not_filtered(model: str, answer: Any) -> None:
    with pytest.raises(UnreadableAnswer) as fault:
        relay(model).read_answer("image", json.dumps(answer).encode())
    assert not isinstance(fault.value, RefusedAnswer)


def test_a_prompt_that_bedrock_blocks_is_not_known_by_its_words() -> None:
    body = b'{"message":"This request has been blocked by our content filters. Please adjust your text prompt."}'
    dialect: Any = dialect_of(CANVAS)
    headers = [(b"x-amzn-errortype", b"ValidationException:http://internal.amazon.com/")]
    fault = dialect.read_fault_headers(400, headers, body)
    assert (fault.code, "content filters" in fault.message) == ("ValidationException", True)


@pytest.mark.parametrize(
    "model", ["stability.stable-image-inpaint-v1:0", "amazon.titan-embed-image-v1", "amazon.nova-pro-v1:0"]
)
def test_other_models_of_bedrock_do_not_paint(model: str) -> None:
    assert relay_between("openai", dialect_of(model), "image") is None
