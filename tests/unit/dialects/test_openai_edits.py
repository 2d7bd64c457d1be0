"""OpenAI's edits and variations of images: forms and JSON, what is read of them and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.view import Operation, PathTells, View
from tidegate.dialects.dialect import UnreadableRequest, UpstreamModel
from tidegate.dialects.openai import AzureOpenAI, OpenAI

DIALECT = OpenAI()
FORM = PathTells(media=b"multipart/form-data; boundary=b")
JSON = PathTells(media=b"application/json; charset=utf-8")
END = b"--b--\r\n"


def field(name: str, value: bytes) -> bytes:
    return b'--b\r\ncontent-disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), value)


def file(name: str, content: bytes = b"\x89PNG\xff") -> bytes:
    return b'--b\r\ncontent-disposition: form-data; name="%b"; filename="a.png"\r\n\r\n%b\r\n' % (
        name.encode(),
        content,
    )


MODEL, PROMPT, IMAGE = field("model", b"m"), field("prompt", b"bluer"), file("image")


def edit(body: bytes, operation: Operation = "image_edit") -> View:
    return DIALECT.read(operation, body, FORM)


def referring(**fields: object) -> bytes:
    return json.dumps({"model": "m", "prompt": "bluer", "images": [{"file_id": "f"}], **fields}).encode()


def test_an_edit_goes_up_byte_for_byte_but_for_the_model() -> None:
    body = PROMPT + MODEL + file("image[]") * 2 + file("mask") + field("n", b"2") + field("stream", b"true") + END
    view = edit(body)
    assert (view.model, view.stream, view.requests, view.max_output_tokens) == ("m", True, 2, None)
    assert (view.media, view.affinity) == (FORM.media, b"bluer")
    sent = DIALECT.encode_request(view, UpstreamModel("up"), output_cap=9)
    assert sent == body.replace(MODEL, field("model", b"up"))


def test_a_variation_needs_no_prompt() -> None:
    view = edit(MODEL + IMAGE + END, "image_variation")
    assert (view.operation, view.stream, view.affinity) == ("image_variation", False, b"\x89PNG\xff")


def test_an_edit_in_json() -> None:
    raw = b'{"model":"m","prompt":"a\\u006c","images":[{"image_url":"data:,x"},{"file_id":"f"}],"n":2,"stream":true}'
    view = DIALECT.read("image_edit", raw, JSON)
    assert (view.stream, view.requests, view.media) == (True, 2, b"application/json")
    assert DIALECT.encode_request(view, UpstreamModel("up"), output_cap=9) == raw.replace(b'"m"', b'"up"')


def test_what_images_may_come_to_is_reserved() -> None:
    large = edit(MODEL + PROMPT + file("image", b"x" * 1_000_000) + field("n", b"3") + END)
    assert 30_000 < large.worst_input_tokens < 33_000
    assert DIALECT.read("image_edit", referring(n=2), JSON).worst_input_tokens > 40_000


def test_azure() -> None:
    found = AzureOpenAI().match_path(b"/openai/deployments/dall/images/edits", b"api-version=x")
    assert found is not None
    assert (found[0], found[1].model) == ("image_edit", "dall")


@pytest.mark.parametrize(
    ("body", "code", "named"),
    [
        (b"{}", "invalid_request", None),
        (PROMPT + IMAGE + END, "invalid_request", "model"),
        (MODEL + IMAGE + END, "invalid_request", "prompt"),
        (MODEL + PROMPT + END, "invalid_request", "image"),
        (MODEL + PROMPT + field("image", b"x") + END, "invalid_request", "image"),
        (MODEL + PROMPT + file("images") + END, "invalid_request", "image"),
        (MODEL + PROMPT * 2 + IMAGE + END, "invalid_request", "prompt"),
        (MODEL + PROMPT + IMAGE + field("n", b"0") + END, "invalid_request", "n"),
        (MODEL + PROMPT + IMAGE + field("n", b"1" * 30) + END, "invalid_request", "n"),
        (MODEL + PROMPT + IMAGE + field("n", b"1") * 2 + END, "invalid_request", "n"),
        (MODEL + PROMPT + IMAGE + field("stream", b"maybe") + END, "invalid_request", "stream"),
        (MODEL + PROMPT + IMAGE + field("svg[model]", b"gpt-5") + END, "unsupported_field", "svg"),
    ],
)
def test_forms_that_are_refused(body: bytes, code: str, named: str | None) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        edit(body)
    problem = caught.value.problem
    assert (problem.status, problem.code, problem.field) == (400, code, named)


@pytest.mark.parametrize(
    ("raw", "code", "named"),
    [
        (referring(prompt=None), "invalid_request", "prompt"),
        (referring(images=None), "invalid_request", "images"),
        (referring(images=[]), "invalid_request", "images"),
        (referring(images=[{}]), "invalid_request", "images"),
        (referring(images=[{"file_id": "f", "image_url": "u"}]), "invalid_request", "images"),
        (referring(images="f"), "invalid_request", "images"),
        (referring(svg={"model": "gpt-5"}), "unsupported_field", "svg"),
    ],
)
def test_json_that_is_refused(raw: bytes, code: str, named: str) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        DIALECT.read("image_edit", raw, JSON)
    problem = caught.value.problem
    assert (problem.status, problem.code, problem.field) == (400, code, named)
    with pytest.raises(UnreadableRequest, match="multipart"):
        DIALECT.read("image_variation", raw, JSON)


@given(st.binary(max_size=80))
def test_no_body_breaks_the_reader(body: bytes) -> None:
    for whole in (body, MODEL + PROMPT + body, MODEL + PROMPT + IMAGE + body + END):
        try:
            edit(whole)
            DIALECT.read("image_edit", whole, JSON)
        except UnreadableRequest:
            continue
