"""Pictures and documents by URL, through the gateway to upstreams that take them and to upstreams that take bytes alone."""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from tests.support.canned_upstream import Canned, CannedUpstream, canned_upstream
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process
from tests.support.inspection import eventually, settled
from tests.support.media_server import PDF, PNG, MediaServer, Served, media_server

KEY = "tg-remote-media-client"
_PROVIDER = """
kind: Provider
metadata: {name: %(name)s}
spec: {dialect: %(dialect)s, baseUrl: "URL%(path)s", credentials: [{apiKey: {env: UP_KEY}}]%(more)s}
---
kind: Model
metadata: {name: to-%(name)s}
spec: {task: chat, targets: [{provider: %(name)s, model: "%(model)s"}], routing: {attempts: 1}}
---"""
_PROVIDERS = (
    {"name": "ollama", "dialect": "ollama", "path": "", "model": "llava", "more": ""},
    {
        "name": "bedrock",
        "dialect": "bedrock",
        "path": "",
        "model": "amazon.nova-lite-v1:0",
        "more": ", region: us-east-1",
    },
    {"name": "gemini", "dialect": "gemini", "path": "", "model": "gemini-3-pro", "more": ""},
    {"name": "anthropic", "dialect": "anthropic", "path": "", "model": "claude-sonnet-5-5", "more": ""},
    {"name": "openai", "dialect": "openai", "path": "/v1", "model": "gpt-4.1", "more": ""},
)
_REST = """
kind: Model
metadata: {name: to-any}
spec:
  task: chat
  targets: [{provider: ollama, model: llava, priority: 1}, {provider: openai, model: gpt-4.1, priority: 2}]
---
kind: Model
metadata: {name: to-painter}
spec: {task: image, targets: [{provider: gemini, model: gemini-2.5-flash-image}]}
---
kind: Team
metadata: {name: media}
---
kind: Consumer
metadata: {name: sdk}
spec: {team: media, keys: [{value: {env: CLIENT_KEY}}]}
---
kind: Gateway
spec:
  remoteMedia: {maxBytes: 1KiB, timeout: TIME, ports: [PORT], allowNetworks: [127.0.0.1/32], enabled: ENABLED}
"""
_ANSWERS: dict[str, Any] = {
    "/api/chat": {"model": "llava", "created_at": "2026-01-01T00:00:00Z", "done": True, "done_reason": "stop",
                  "message": {"role": "assistant", "content": "A tide."}, "prompt_eval_count": 9, "eval_count": 3},
    "/model/amazon.nova-lite-v1%3A0/converse": {
        "output": {"message": {"role": "assistant", "content": [{"text": "A tide."}]}}, "stopReason": "end_turn",
        "usage": {"inputTokens": 9, "outputTokens": 3, "totalTokens": 12}, "metrics": {"latencyMs": 1}},
    "/v1beta/models/gemini-3-pro:generateContent": {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "A tide."}]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12}},
    "/v1/messages": {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5",
                     "content": [{"type": "text", "text": "A tide."}], "stop_reason": "end_turn", "stop_sequence": None,
                     "usage": {"input_tokens": 9, "output_tokens": 3}},
    "/v1/chat/completions": {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4.1",
                             "choices": [{"index": 0, "message": {"role": "assistant", "content": "A tide."},
                                          "finish_reason": "stop"}],
                             "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}},
}  # fmt: skip
INLINE = b64encode(PNG).decode()
_ANSWERS["/v1beta/models/gemini-2.5-flash-image:generateContent"] = {
    "candidates": [
        {
            "content": {"role": "model", "parts": [{"inlineData": {"mimeType": "image/png", "data": INLINE}}]},
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 1290, "totalTokenCount": 1299},
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[CannedUpstream]:
    with canned_upstream() as upstream:
        for path, answer in _ANSWERS.items():
            upstream.will(path, Canned("application/json", [json.dumps(answer).encode()]))
        yield upstream


@pytest.fixture(scope="module")
def media() -> Iterator[MediaServer]:
    with media_server() as media:
        yield media


def config(upstream: CannedUpstream, media: MediaServer, *, enabled: bool = True, time: str = "10s") -> str:
    text = "".join(_PROVIDER % one for one in _PROVIDERS).replace("URL", upstream.url) + _REST
    return text.replace("PORT", str(media.port)).replace("ENABLED", str(enabled).lower()).replace("TIME", time)


@pytest.fixture(scope="module")
def gateway(
    upstream: CannedUpstream, media: MediaServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    environment = {"UP_KEY": "sk-up", "CLIENT_KEY": KEY}
    with gateway_process(tmp_path_factory.mktemp("remote"), config(upstream, media), env=environment) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0) as client:
        yield client


def shown(client: openai.OpenAI, model: str, *urls: str) -> str | None:
    parts: list[Any] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    content: list[Any] = [{"type": "text", "text": "What is it?"}, *parts]
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}], max_tokens=50)
    return answer.choices[0].message.content


def test_upstreams_that_take_bytes(client: openai.OpenAI, upstream: CannedUpstream, media: MediaServer) -> None:
    media.files["/bytes.png"] = Served("image/png", PNG)
    url = media.url("/bytes.png?signature=secret")
    assert shown(client, "to-ollama", url) == "A tide."
    assert upstream.asked[-1][2]["messages"][0]["images"] == [INLINE]
    assert shown(client, "to-bedrock", url, "data:image/gif;base64,R0lGODlh") == "A tide."
    content = upstream.asked[-1][2]["messages"][0]["content"]
    assert content[1:] == [
        {"image": {"format": "png", "source": {"bytes": INLINE}}},
        {"image": {"format": "gif", "source": {"bytes": "R0lGODlh"}}},
    ]
    assert media.asked.count("/bytes.png?signature=secret") == 1  # the second call found it kept


def test_images_to_edit(client: openai.OpenAI, upstream: CannedUpstream, media: MediaServer) -> None:
    media.files["/edit.png"] = Served("image/png", PNG)
    media.files["/edit.pdf"] = Served("application/pdf", PDF)
    asked: dict[str, Any] = {
        "model": "to-painter",
        "prompt": "Bluer.",
        "images": [{"image_url": media.url("/edit.png")}],
    }
    answer = client.post("/images/edits", body=asked, cast_to=openai.types.ImagesResponse)
    assert [one.b64_json for one in answer.data or ()] == [INLINE]
    parts = upstream.asked[-1][2]["contents"][0]["parts"]
    assert parts == [{"inlineData": {"mimeType": "image/png", "data": INLINE}}, {"text": "Bluer."}]
    with pytest.raises(openai.BadRequestError, match="not a picture") as refused:
        asked["images"] = [{"image_url": media.url("/edit.pdf")}]
        client.post("/images/edits", body=asked, cast_to=openai.types.ImagesResponse)
    assert refused.value.param == "images"


def test_upstreams_that_take_urls(client: openai.OpenAI, upstream: CannedUpstream, media: MediaServer) -> None:
    url = media.url("/nobody-asks.png")
    assert shown(client, "to-anthropic", url) == "A tide."
    assert upstream.asked[-1][2]["messages"][0]["content"][1]["source"] == {"type": "url", "url": url}
    assert shown(client, "to-gemini", url) == "A tide."
    assert upstream.asked[-1][2]["contents"][0]["parts"][1]["fileData"]["fileUri"] == url
    assert shown(client, "to-openai", url) == "A tide."
    assert "/nobody-asks.png" not in media.asked


def test_a_document(gateway: Gateway, upstream: CannedUpstream, media: MediaServer) -> None:
    """An Anthropic client's, for upstreams that have no place for its URL."""
    media.files["/tide table.pdf"] = Served("application/pdf", PDF, headers={"cache-control": "no-store"})
    document: Any = {"type": "document", "source": {"type": "url", "url": media.url("/tide%20table.pdf")}}
    media.files["/tide%20table.pdf"] = media.files["/tide table.pdf"]
    with anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0) as client:
        for model in ("to-openai", "to-bedrock"):
            asked: list[Any] = [{"role": "user", "content": [document, {"type": "text", "text": "When is low tide?"}]}]
            answer = client.messages.create(model=model, max_tokens=50, messages=asked)
            assert answer.content[0].type == "text"
    told = b64encode(PDF).decode()
    file = upstream.asked[-2][2]["messages"][0]["content"][0]["file"]
    assert file == {"filename": "tide table.pdf", "file_data": f"data:application/pdf;base64,{told}"}
    document = upstream.asked[-1][2]["messages"][0]["content"][0]["document"]
    assert document == {"format": "pdf", "name": "tide table", "source": {"bytes": told}}
    assert media.asked.count("/tide%20table.pdf") == 2  # it was not to be stored


def test_what_cannot_be_fetched(client: openai.OpenAI, upstream: CannedUpstream, media: MediaServer) -> None:
    media.files |= {
        "/large.png": Served("image/png", PNG * 20),
        "/page": Served("text/html", b"<html>"),
        "/false.png": Served("text/html", PNG),
        "/text.png": Served("image/png", b"no picture"),
        "/paper": Served("application/pdf", PDF),
        "/gone": Served("text/plain", b"", 404),
        "/inward": Served("text/plain", b"", 302, {"location": media.url("/secret", "127.0.0.2")}),
        "/metadata": Served("text/plain", b"", 302, {"location": f"http://169.254.169.254:{media.port}/latest"}),
    }
    asked = len(upstream.asked)
    reasons = {
        media.url("/large.png?s=secret"): "larger than 1024 bytes",
        media.url("/page"): "no picture",
        media.url("/false.png"): "no picture",
        media.url("/text.png"): "no picture",
        media.url("/paper"): "application/pdf, and not a picture",
        media.url("/gone"): "status 404",
        media.url("/inward"): "public address",
        media.url("/metadata"): "public address",
        media.url("/x", "localhost.localdomain.invalid"): "public address",
        media.url("/x", "127.0.0.2"): "public address",
        media.url("/x", "[::1]"): "public address",
        "http://127.0.0.1:22/x": "port 22",
        f"http://user:secret@127.0.0.1:{media.port}/x": "user name",
    }
    for url, reason in reasons.items():
        with pytest.raises(openai.BadRequestError, match=reason) as refused:
            shown(client, "to-ollama", url)
        assert (refused.value.code, refused.value.param) == ("invalid_request", "messages"), url
        assert "secret" not in str(refused.value)
    with pytest.raises(openai.BadRequestError, match="more than the 20"):
        shown(client, "to-ollama", *(media.url(f"/{index}.png") for index in range(21)))
    with pytest.raises(openai.BadRequestError, match="send the picture's data"):
        shown(client, "to-ollama", "gs://bucket/x.png")
    assert len(upstream.asked) == asked


def test_another_target_may_take_the_url(client: openai.OpenAI, gateway: Gateway, media: MediaServer) -> None:
    media.files["/missing.png"] = Served("text/plain", b"", 404)
    assert shown(client, "to-any", media.url("/missing.png")) == "A tide."
    assert last_event(gateway).provider == "openai"


def test_a_client_that_leaves_while_its_picture_is_fetched(gateway: Gateway, media: MediaServer) -> None:
    media.files["/held.png"] = Served("image/png", PNG, held=True)
    parts = [{"type": "image_url", "image_url": {"url": media.url("/held.png")}}]
    body = {"model": "to-ollama", "messages": [{"role": "user", "content": parts}]}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{gateway.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {KEY}"}, timeout=1
        )
    event = eventually(lambda: last_event(gateway), lambda found: found.outcome == "cancelled")
    assert (event.status, event.provider, event.attempts, event.usage.total) == (499, "", 0, 0)
    assert settled(gateway)["calls_in_flight"] == 0


def test_a_picture_that_does_not_come_in_time_and_one_that_is_not_fetched(
    upstream: CannedUpstream, media: MediaServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    media.files |= {"/late.png": Served("image/png", PNG, held=True)}
    environment = {"UP_KEY": "sk-up", "CLIENT_KEY": KEY}
    for enabled, reason in ((True, "did not come within 0.2 s"), (False, "send the picture's data")):
        text = config(upstream, media, enabled=enabled, time="200ms")
        with (
            gateway_process(tmp_path_factory.mktemp("late"), text, env=environment) as gateway,
            openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0) as client,
            pytest.raises(openai.BadRequestError, match=reason),
        ):
            shown(client, "to-ollama", media.url("/late.png"))
