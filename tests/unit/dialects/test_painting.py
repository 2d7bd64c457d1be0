"""OpenAI's images painted by Gemini; the bytes are what Google's own types write and read."""

import json
from base64 import b64encode
from typing import Any

import pytest
from google.genai import types
from openai.types import ImagesResponse
from tests.support.strict_models import read_strictly

from tidegate.core.usage import Units
from tidegate.core.view import View
from tidegate.dialects.dialect import RefusedAnswer, Relay, UnreadableAnswer, UnreadableRequest, UpstreamModel
from tidegate.dialects.registry import DIALECTS, relay_between

MODEL = UpstreamModel("gemini-2.5-flash-image")
PNG = b"\x89PNG\r\n\x1a\n\x00"
USED = types.GenerateContentResponseUsageMetadata(
    prompt_token_count=10,
    candidates_token_count=1300,
    thoughts_token_count=7,
    total_token_count=1317,
    candidates_tokens_details=[types.ModalityTokenCount(modality=types.MediaModality.IMAGE, token_count=1290)],
)


def relay(upstream: str = "gemini") -> Relay:
    found = relay_between("openai", DIALECTS[upstream], "image")
    assert found is not None
    return found


def asked(**more: Any) -> View:
    body = {"model": "public", "prompt": "a lighthouse 🌊", **more}
    return DIALECTS["openai"].read("image", json.dumps(body).encode())


def told(*parts: types.Part, finish: str = "STOP", used: Any = USED) -> bytes:
    content = types.Content(role="model", parts=list(parts)) if parts else None
    candidate = types.Candidate(content=content, finish_reason=types.FinishReason(finish), index=0)
    answer = types.GenerateContentResponse(candidates=[candidate], usage_metadata=used)
    return answer.model_dump_json(by_alias=True, exclude_none=True).encode()


def picture(data: bytes = PNG, media: str = "image/png", **more: Any) -> types.Part:
    return types.Part(inline_data=types.Blob(data=data, mime_type=media), **more)


@pytest.mark.parametrize("upstream", ["gemini", "vertex"])
@pytest.mark.parametrize(
    ("more", "config", "dropped"),
    [
        ({}, {}, ()),
        ({"n": 1, "quality": "auto", "response_format": "b64_json", "stream": False, "size": "auto"}, {}, ()),
        ({"size": "1024x1024", "background": None}, {"aspectRatio": "1:1"}, ()),
        ({"size": "1536x1024"}, {"aspectRatio": "3:2"}, ("size",)),
        ({"size": "1344x576", "user": "u"}, {"aspectRatio": "21:9"}, ("user", "size")),
        ({"output_format": "png", "safety_identifier": "s"}, {}, ("safety_identifier", "output_format")),
    ],
)
def test_a_request(upstream: str, more: dict[str, Any], config: dict[str, Any], dropped: tuple[str, ...]) -> None:
    view = asked(**more)
    sent = json.loads(relay(upstream).encode_request(view, MODEL, output_cap=None))
    settings = sent.pop("generationConfig")
    assert sent == {"contents": [{"role": "user", "parts": [{"text": "a lighthouse 🌊"}]}]}
    assert settings == {"responseModalities": ["IMAGE"], **({"imageConfig": config} if config else {})}
    types.GenerationConfig.model_validate({name: settings[name] for name in ("responseModalities",)})
    types.ImageConfig.model_validate(config)
    assert view.dropped == dropped


@pytest.mark.parametrize(
    "more",
    [
        {"n": 2},
        {"quality": "high"},
        {"background": "transparent"},
        {"style": "vivid"},
        {"response_format": "url"},
        {"output_format": "webp"},
        {"output_compression": 50},
        {"moderation": "low"},
        {"stream": True},
        {"size": "1792x1024"},
        {"size": "2048x2048"},
        {"complexity": {"nested": True}},
        {"of_tomorrow": 1},
        {"images": [{"image_url": "data:image/png;base64,aGk="}]},
    ],
)
def test_what_would_change_the_image_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(UnreadableRequest) as refused:
        relay().encode_request(asked(**more), MODEL, output_cap=None)
    problem = refused.value.problem
    assert (problem.status, problem.code, problem.field) == (400, "unsupported_field", next(iter(more)))


@pytest.mark.parametrize("more", [{"size": "big"}, {"size": "0x1"}, {"size": 5}, {"prompt": 5}])
def test_what_cannot_be_read_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(UnreadableRequest) as refused:
        relay().encode_request(asked(**more), MODEL, output_cap=None)
    assert refused.value.problem.code == "invalid_request"


def test_an_answer() -> None:
    """Pictures of the model's thoughts are none of its answer."""
    between = relay()
    found = between.read_answer("image", told(picture(b"draft", thought=True), types.Part(text="Here."), picture()))
    usage = found.usage
    assert (usage.input, usage.output, usage.reasoning, usage.output_image) == (10, 10, 7, 1290)
    assert usage.units == Units(images=1)
    read = read_strictly(ImagesResponse, between.encode_answer(found, asked()))
    assert read.data is not None
    assert [one.b64_json for one in read.data] == [b64encode(PNG).decode()]
    assert read.output_format == "png"
    assert read.usage is not None
    assert (read.usage.input_tokens, read.usage.output_tokens, read.usage.total_tokens) == (10, 1307, 1317)
    assert read.usage.output_tokens_details is not None
    assert read.usage.output_tokens_details.image_tokens == 1290


def test_output_whose_modality_is_not_told_is_images() -> None:
    used = types.GenerateContentResponseUsageMetadata(prompt_token_count=4, candidates_token_count=1290)
    usage = relay().read_answer("image", told(picture(), used=used)).usage
    assert (usage.output, usage.output_image) == (0, 1290)


def test_usage_that_is_not_told_is_unknown() -> None:
    between = relay()
    found = between.read_answer("image", told(picture(media="image/jpeg"), used=None))
    assert found.usage.source == "unknown"
    read = read_strictly(ImagesResponse, between.encode_answer(found, asked()))
    assert (read.usage, read.output_format) == (None, "jpeg")


BLOCKED = types.GenerateContentResponse(
    prompt_feedback=types.GenerateContentResponsePromptFeedback(block_reason=types.BlockedReason.PROHIBITED_CONTENT)
)


@pytest.mark.parametrize(
    "body",
    [
        told(finish="IMAGE_SAFETY"),
        told(types.Part(text="I cannot."), finish="PROHIBITED_CONTENT"),
        BLOCKED.model_dump_json(by_alias=True, exclude_none=True).encode(),
    ],
)
def test_a_refusal_is_an_error(body: bytes) -> None:
    with pytest.raises(RefusedAnswer) as refused:
        relay().read_answer("image", body)
    assert refused.value.fault.code == "moderation_blocked"


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", told(), told(types.Part(text="Once")), told(finish="NO_IMAGE"), told(finish="MAX_TOKENS")]
)
def test_an_answer_without_a_picture_is_a_fault_of_the_upstream(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer) as fault:
        relay().read_answer("image", body)
    assert not isinstance(fault.value, RefusedAnswer)


def test_who_paints_for_whom() -> None:
    assert relay_between("azure-openai", DIALECTS["vertex"], "image") is not None
    assert relay_between("openai", DIALECTS["anthropic"], "image") is None
    assert relay_between("openai", DIALECTS["openai"], "image") is DIALECTS["openai"]
