"""OpenAI's image edits, as forms and as JSON, by Gemini's models; the bytes are what Google's own types read."""

import json
from base64 import b64encode
from typing import Any

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.view import FetchedBytes, PathTells, View
from tidegate.dialects.canon import Image
from tidegate.dialects.dialect import UnreadableRequest, UpstreamModel
from tidegate.dialects.registry import DIALECTS, relay_between, spoken_to
from tidegate.dialects.remote import NeedsBytes

FORM = PathTells(media=b"multipart/form-data; boundary=b")
JSON = PathTells(media=b"application/json")
PNG, JPEG = b"\x89PNG\r\n\x1a\n\x00", b"\xff\xd8\xff\xe0"
URL = "https://images.example/pier.png"


def field(name: str, value: str | bytes) -> bytes:
    return b'--b\r\ncontent-disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (
        name.encode(),
        value.encode() if isinstance(value, str) else value,
    )


def file(name: str, content: bytes = PNG) -> bytes:
    head = b'--b\r\ncontent-disposition: form-data; name="%b"; filename="a.png"\r\ncontent-type: image/png\r\n\r\n'
    return head % name.encode() + content + b"\r\n"


def edit(*parts: bytes) -> View:
    body = b"".join((field("model", "public"), field("prompt", "bluer 🌊"), *parts, b"--b--\r\n"))
    return DIALECTS["openai"].read("image_edit", body, FORM)


def edit_json(*images: Any, **more: Any) -> View:
    body = {"model": "public", "prompt": "bluer 🌊", "images": list(images), **more}
    return DIALECTS["openai"].read("image_edit", json.dumps(body).encode(), JSON)


def sent(view: View, model: str = "gemini-2.5-flash-image", provider: str = "gemini") -> dict[str, Any]:
    between = relay_between("openai", spoken_to("openai", provider, frozenset(), model), "image_edit")
    assert between is not None
    found: dict[str, Any] = json.loads(between.encode_request(view, UpstreamModel(model), output_cap=None))
    return found


def inline(data: bytes, media: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media, "data": b64encode(data).decode()}}


def test_a_form() -> None:
    view = edit(
        file("image[]"),
        file("image[]", JPEG),
        field("size", "1536x1024"),
        field("n", "1"),
        field("stream", "False"),
        field("input_fidelity", "low"),
        field("user", "u"),
    )
    body = sent(view)
    parts = [inline(PNG, "image/png"), inline(JPEG, "image/jpeg"), {"text": "bluer 🌊"}]
    assert body["contents"] == [{"role": "user", "parts": parts}]
    assert body["generationConfig"]["imageConfig"] == {"aspectRatio": "3:2"}
    assert view.dropped == ("user", "size")
    read = types.Content.model_validate(body["contents"][0])
    assert read.parts is not None
    assert read.parts[0].inline_data is not None
    assert read.parts[0].inline_data.data == PNG


def test_json() -> None:
    data = "data:image/jpeg;base64," + b64encode(JPEG).decode()
    assert sent(edit_json({"image_url": data}))["contents"][0]["parts"][0] == inline(JPEG, "image/jpeg")


def test_a_url_is_fetched_before_it_goes_up() -> None:
    view = edit_json({"image_url": URL})
    with pytest.raises(NeedsBytes) as needs:
        sent(view)
    assert needs.value.wanted == {URL: Image}
    view.fetched = {URL: FetchedBytes("image/png", b64encode(PNG).decode())}
    assert sent(view)["contents"][0]["parts"][0] == inline(PNG, "image/png")


@pytest.mark.parametrize(
    ("parts", "code", "named"),
    [
        ((file("image"), file("mask")), "unsupported_field", "mask"),
        ((file("image"), field("n", "2")), "unsupported_field", "n"),
        ((file("image"), field("stream", "true")), "unsupported_field", "stream"),
        ((file("image"), field("quality", "high")), "unsupported_field", "quality"),
        ((file("image"), field("input_fidelity", "high")), "unsupported_field", "input_fidelity"),
        ((file("image"), field("output_format", "webp")), "unsupported_field", "output_format"),
        ((file("image"), field("output_compression", "9")), "unsupported_field", "output_compression"),
        ((file("image"), field("output_compression", "x")), "invalid_request", "output_compression"),
        ((file("image"), field("size", "huge")), "invalid_request", "size"),
        ((file("image"), field("size", "1024x1024") * 2), "invalid_request", "size"),
        ((file("image", b"%PDF-"),), "invalid_request", "image"),
        ((file("image"), field("of_tomorrow", "1")), "unsupported_field", "of_tomorrow"),
    ],
)
def test_forms_that_are_refused(parts: tuple[bytes, ...], code: str, named: str) -> None:
    with pytest.raises(UnreadableRequest) as refused:
        sent(edit(*parts))
    assert (refused.value.problem.code, refused.value.problem.field) == (code, named)


@pytest.mark.parametrize(
    ("image", "more", "code", "named"),
    [
        ({"file_id": "file-1"}, {}, "unsupported_field", "images"),
        ({"image_url": "gs://bucket/pier.png"}, {}, "invalid_request", "images"),
        ({"image_url": "data:text/plain;base64,aGk="}, {}, "invalid_request", "images"),
        ({"image_url": URL}, {"mask": {"image_url": URL}}, "unsupported_field", "mask"),
        ({"image_url": URL}, {"output_compression": "9"}, "invalid_request", "output_compression"),
    ],
)
def test_json_that_is_refused(image: Any, more: dict[str, Any], code: str, named: str) -> None:
    with pytest.raises(UnreadableRequest) as refused:
        sent(edit_json(image, **more))
    assert not isinstance(refused.value, NeedsBytes)
    assert (refused.value.problem.code, refused.value.problem.field) == (code, named)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("gemini", "imagen-4.0-generate-001"),
        ("bedrock", "amazon.nova-canvas-v1:0"),
        ("bedrock", "stability.sd3-5-large-v1:0"),
    ],
)
def test_models_that_only_paint_anew(provider: str, model: str) -> None:
    """They also fetch nothing."""
    for view in (edit(file("image")), edit_json({"image_url": URL})):
        with pytest.raises(UnreadableRequest, match="edits no images") as refused:
            sent(view, model, provider)
        assert not isinstance(refused.value, NeedsBytes)
        assert refused.value.problem.field == "image"


def test_json_that_cannot_be_read() -> None:
    view = DIALECTS["openai"].read(
        "image_edit", b'{"model":"m","prompt":"x","images":[{"image_url":"x"}],"n_":1e999}', JSON
    )
    with pytest.raises(UnreadableRequest) as refused:
        sent(view)
    assert refused.value.problem.code == "invalid_request"


def test_variations_have_no_equal() -> None:
    assert relay_between("openai", DIALECTS["gemini"], "image_variation") is None


@given(st.binary(max_size=40), st.binary(max_size=20))
def test_no_form_breaks_the_decoder(image: bytes, value: bytes) -> None:
    try:
        sent(edit(file("image", image), field("size", value), field("n", value)))
    except UnreadableRequest:
        pass
