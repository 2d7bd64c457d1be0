"""`/passthrough/{provider}/…`: SDKs at a provider's own paths, and what of a call goes up and comes back."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from tests.support.canned_upstream import Canned, CannedUpstream, canned_upstream
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process

from tidegate.core.usage import UsageEvent

UPSTREAM_KEY = "sk-passthrough-upstream"
HELLO: Any = [{"role": "user", "content": "Hi"}]
_CONFIG = """
kind: Provider
metadata: {{name: own}}
spec: {{dialect: openai, baseUrl: "{url}/v1", credentials: [{{apiKey: {{env: UP_KEY}}}}]}}
---
kind: Provider
metadata: {{name: claude}}
spec: {{dialect: anthropic, baseUrl: "{url}", credentials: [{{apiKey: {{env: UP_KEY}}}}]}}
---
kind: Provider
metadata: {{name: hidden}}
spec: {{dialect: openai, baseUrl: "{url}/hidden", credentials: [{{apiKey: {{env: UP_KEY}}}}]}}
---
kind: Provider
metadata: {{name: google}}
spec:
  {{dialect: vertex, baseUrl: "{url}", project: ours, region: europe-west4, credentials: [{{accessToken: {{env: UP_KEY}}}}]}}
---
kind: Model
metadata: {{name: public}}
spec:
  targets: [{{provider: own, model: real-1}}, {{provider: claude, model: claude-1}}, {{provider: hidden, model: real-2}},
    {{provider: google, model: gemini-1}}]
  price: {{inputPerMillion: 1.00, outputPerMillion: 4.00}}
---
kind: Team
metadata: {{name: trusted}}
spec: {{passthrough: [own, claude, google]}}
---
kind: Team
metadata: {{name: others}}
---
kind: Consumer
metadata: {{name: free}}
spec: {{team: trusted, keys: [{{value: tg-free-passthrough-key}}]}}
---
kind: Consumer
metadata: {{name: poor}}
spec: {{team: trusted, keys: [{{value: tg-poor-passthrough-key}}], budget: {{usd: 0.05, period: month}}}}
---
kind: Consumer
metadata: {{name: narrow}}
spec: {{team: trusted, passthrough: [claude], keys: [{{value: tg-narrow-passthrough-key}}]}}
---
kind: Consumer
metadata: {{name: stranger}}
spec: {{team: others, keys: [{{value: tg-stranger-passthrough-key}}]}}
"""
_CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1760000000,
    "model": "real-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}
_STREAM = b"".join(
    b"data: " + json.dumps(one).encode() + b"\n\n"
    for one in (
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "real-1", "x": 1,
         "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello"}, "finish_reason": None}]},
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "real-1",
         "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "real-1", "choices": [],
         "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}},
    )
) + b"data: [DONE]\n\n"  # fmt: skip
_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-1",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 6},
}

_FRAMES: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**_MESSAGE, "content": [], "stop_reason": None}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 6}},
    {"type": "message_stop"},
]


@pytest.fixture(scope="module")
def upstream() -> Iterator[CannedUpstream]:
    with canned_upstream() as one:
        yield one


@pytest.fixture(scope="module")
def gateway(upstream: CannedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("passthrough")
    with gateway_process(folder, _CONFIG.format(url=upstream.url), env={"UP_KEY": UPSTREAM_KEY}) as one:
        yield one


def as_json(value: object) -> Canned:
    return Canned("application/json", [json.dumps(value).encode()])


def ask(
    gateway: Gateway, method: str, path: str, *, who: str = "free", headers: dict[str, str] | None = None, **more: Any
) -> httpx2.Response:
    """`path` goes out as it is written, dots and all."""
    with httpx2.Client(headers={"authorization": f"Bearer tg-{who}-passthrough-key", **(headers or {})}) as client:
        return client.send(client.build_request(method, gateway.url + path, **more))


def event_of(gateway: Gateway, answer: httpx2.Response) -> UsageEvent:
    return last_event(gateway, lambda one: one.id == answer.headers["x-tidegate-decision"])


def test_an_sdk_at_the_providers_own_paths(gateway: Gateway, upstream: CannedUpstream) -> None:
    """The body goes up byte for byte, the provider's model name with it."""
    upstream.will("/v1/chat/completions", as_json(_CHAT))
    with openai.OpenAI(base_url=f"{gateway.url}/passthrough/own/v1", api_key="tg-free-passthrough-key") as client:
        raw = client.chat.completions.with_raw_response.create(model="real-1", messages=HELLO)
        assert raw.parse().model == "real-1"
    path, headers, body = upstream.asked[-1]
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert body == {"messages": HELLO, "model": "real-1"}
    event = last_event(gateway, lambda one: one.id == raw.headers["x-tidegate-decision"])
    assert (event.operation, event.provider, event.upstream_model, event.model) == (
        "passthrough",
        "own",
        "real-1",
        "real-1",
    )
    assert (event.usage.input, event.usage.output, event.cost_nano) == (9, 2, 9_000 + 8_000)


def test_a_stream_passes_as_it_is_and_is_metered(gateway: Gateway, upstream: CannedUpstream) -> None:
    pieces = [_STREAM[at : at + 50] for at in range(0, len(_STREAM), 50)]
    upstream.will("/v1/chat/completions", Canned("text/event-stream", pieces))
    asked = {"model": "real-1", "messages": HELLO, "stream": True, "stream_options": {"include_usage": True}}
    answer = ask(gateway, "POST", "/passthrough/own/chat/completions", json=asked)
    assert answer.content == _STREAM
    assert upstream.asked[-1][0] == "/v1/chat/completions"
    event = event_of(gateway, answer)
    assert (event.stream, event.usage.input, event.usage.output, event.cost_nano) == (True, 7, 3, 7_000 + 12_000)


def test_another_dialects_usage(gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will("/v1/messages", as_json(_MESSAGE))
    with anthropic.Anthropic(
        base_url=f"{gateway.url}/passthrough/claude", api_key="tg-narrow-passthrough-key"
    ) as client:
        raw = client.messages.with_raw_response.create(model="claude-1", max_tokens=10, messages=HELLO)
    assert upstream.asked[-1][1]["x-api-key"] == UPSTREAM_KEY
    assert "authorization" not in upstream.asked[-1][1]
    event = last_event(gateway, lambda one: one.id == raw.headers["x-tidegate-decision"])
    assert (event.usage.input, event.usage.output, event.cost_nano) == (5, 6, 5_000 + 24_000)


def test_a_path_that_no_dialect_knows(gateway: Gateway, upstream: CannedUpstream) -> None:
    """Its usage, where the answer tells one, is read; its cost is unknown without a price."""
    upstream.will("/v1/assistants", as_json({"id": "asst_1", "object": "assistant"}))
    answer = ask(gateway, "POST", "/passthrough/own/v1/assistants", json={"model": "unheard-of"})
    assert answer.json()["id"] == "asst_1"
    event = event_of(gateway, answer)
    assert (event.model, event.usage.source, event.cost_nano, event.outcome) == ("unheard-of", "unknown", None, "ok")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_reading_costs_nothing(gateway: Gateway, upstream: CannedUpstream, method: str) -> None:
    upstream.will("/v1/vector_stores/vs_1?after=x&limit=2", as_json({"id": "vs_1"}))
    answer = ask(gateway, method, "/passthrough/own/v1/vector_stores/vs_1?after=x&limit=2", who="poor")
    assert (answer.status_code, answer.json()) == (200, {"id": "vs_1"})
    assert upstream.asked[-1][1][":method"] == method
    assert event_of(gateway, answer).cost_nano == 0


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_bytes_and_headers_pass(gateway: Gateway, upstream: CannedUpstream, method: str) -> None:
    """But for credentials and what is told of the client's network."""
    sound = bytes(range(256))
    told = {"location": "/v1/things/1", "set-cookie": "session=1", "x-ratelimit-remaining-requests": "7", "etag": '"a"'}
    upstream.will("/v1/things", Canned("audio/wav", [sound], status=201, headers=told))
    sent = {
        "content-type": "audio/wav",
        "openai-beta": "assistants=v2",
        "cookie": "mine=1",
        "x-api-key": "tg-free-passthrough-key",
        "x-forwarded-for": "10.0.0.1",
        "x-tidegate-model": "public",
    }
    answer = ask(gateway, method, "/passthrough/own/v1/things", headers=sent, content=sound)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (201, sound, "audio/wav")
    assert (answer.headers["location"], answer.headers["etag"]) == ("/v1/things/1", '"a"')
    assert "set-cookie" not in answer.headers
    assert "x-ratelimit-remaining-requests" not in answer.headers
    _, headers, body = upstream.asked[-1]
    assert (body, headers["content-type"], headers["openai-beta"]) == (sound, "audio/wav", "assistants=v2")
    assert not {"cookie", "x-api-key", "x-forwarded-for", "x-tidegate-model"} & headers.keys()
    assert "tg-free" not in str(headers)


def test_an_answer_without_a_body(gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will("/v1/things/1", Canned("", [], status=204))
    answer = ask(gateway, "DELETE", "/passthrough/own/v1/things/1")
    assert (answer.status_code, answer.content) == (204, b"")
    assert event_of(gateway, answer).outcome == "ok"


def test_an_upstreams_error_is_the_clients(gateway: Gateway, upstream: CannedUpstream) -> None:
    error = {"error": {"message": "No such thing", "type": "invalid_request_error", "param": None, "code": "gone"}}
    upstream.will("/v1/things/2", Canned("application/json", [json.dumps(error).encode()], status=404))
    answer = ask(gateway, "GET", "/passthrough/own/v1/things/2")
    assert (answer.status_code, answer.json()) == (404, error)
    assert event_of(gateway, answer).outcome == "failed"


@pytest.mark.parametrize("status", [401, 402, 403, 404, 409])
def test_a_refused_path_rests_nothing(gateway: Gateway, upstream: CannedUpstream, status: int) -> None:
    """What a key may not do at a path that one client has chosen must not take it from all others."""
    upstream.will("/v1/organization/users", Canned("application/json", [b"{}"], status=status))
    upstream.will("/v1/chat/completions", as_json(_CHAT))
    for _ in range(12):
        ask(gateway, "GET", "/passthrough/own/v1/organization/users")
    chat = {"model": "real-1", "messages": HELLO}
    answer = ask(gateway, "POST", "/passthrough/own/v1/chat/completions", json=chat)
    assert answer.status_code == 200, answer.text


def test_a_method_is_not_overridden(gateway: Gateway, upstream: CannedUpstream) -> None:
    """What reads is free: it must not be made into what is not."""
    upstream.will("/v1/things", as_json({}))
    ask(gateway, "GET", "/passthrough/own/v1/things", headers={"x-http-method-override": "POST"})
    assert "x-http-method-override" not in upstream.asked[-1][1]


_OURS = "/projects/ours/locations/europe-west4"
_GEMINI = "/publishers/google/models/gemini-1:generateContent"


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("/v1" + _OURS + _GEMINI, "/v1" + _OURS + _GEMINI),
        (_OURS + _GEMINI, "/v1beta1" + _OURS + _GEMINI),
        ("/v1beta1" + _GEMINI, "/v1beta1" + _OURS + _GEMINI),
        (_GEMINI, "/v1beta1" + _OURS + _GEMINI),
    ],
)
def test_vertex_has_its_version_before_the_project(
    gateway: Gateway, upstream: CannedUpstream, asked: str, sent: str
) -> None:
    told = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 6, "totalTokenCount": 11},
    }
    upstream.will(sent, as_json(told))
    body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    answer = ask(gateway, "POST", "/passthrough/google" + asked, json=body)
    assert (answer.status_code, answer.json()) == (200, told)
    assert upstream.asked[-1][1]["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert event_of(gateway, answer).cost_nano == 5 * 1000 + 6 * 4000


def test_another_project_is_not_reached(gateway: Gateway, upstream: CannedUpstream) -> None:
    theirs = "/projects/theirs/locations/europe-west4" + _GEMINI
    upstream.will("/v1" + _OURS + theirs, Canned("application/json", [b"{}"], status=404))
    assert ask(gateway, "POST", "/passthrough/google/v1" + theirs, json={}).status_code == 404
    assert upstream.asked[-1][0] == "/v1" + _OURS + theirs


def test_usage_that_is_no_text(gateway: Gateway, upstream: CannedUpstream) -> None:
    body = json.dumps(_MESSAGE).encode().replace(b'"output_tokens": 6', b'"output_tokens": 6, "service_tier": "\xff"')
    upstream.will("/v1/messages", Canned("application/json", [body]))
    asked = {"model": "claude-1", "max_tokens": 5, "messages": HELLO}
    answer = ask(gateway, "POST", "/passthrough/claude/v1/messages", json=asked, timeout=5.0)
    assert (answer.status_code, answer.content) == (200, body)
    assert event_of(gateway, answer).usage.source == "unknown"


def test_the_base_itself(gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will("/", as_json({"is": "root"}))
    assert ask(gateway, "GET", "/passthrough/claude").json() == {"is": "root"}


def test_a_cut_answer_is_seen_as_one(gateway: Gateway, upstream: CannedUpstream) -> None:
    upstream.will("/v1/exports", Canned("application/jsonl", [b'{"a":1}\n'], cut=True))
    with pytest.raises(httpx2.RemoteProtocolError):
        ask(gateway, "POST", "/passthrough/own/v1/exports", json={})
    event = last_event(gateway, lambda one: one.operation == "passthrough")
    assert (event.outcome, event.usage.source) == ("cut", "unknown")


def test_the_callers_key_in_the_query_stays_here(gateway: Gateway, upstream: CannedUpstream) -> None:
    """Google's clients may have it there; whose provider it goes to is not theirs to know."""
    upstream.will("/v1/things?key=x&limit=2", as_json({}))
    with httpx2.Client() as client:
        answer = client.get(f"{gateway.url}/passthrough/own/v1/things?key=tg-free-passthrough-key&key=x&limit=2")
    assert answer.status_code == 200
    assert upstream.asked[-1][0] == "/v1/things?key=x&limit=2"


@pytest.mark.parametrize(
    ("who", "provider"), [("free", "hidden"), ("free", "nobody"), ("narrow", "own"), ("stranger", "own")]
)
def test_only_what_is_granted(gateway: Gateway, upstream: CannedUpstream, who: str, provider: str) -> None:
    before = len(upstream.asked)
    answer = ask(gateway, "GET", f"/passthrough/{provider}/v1/models", who=who)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert "passthrough" in answer.json()["error"]["message"]
    assert len(upstream.asked) == before


def test_an_unknown_key(gateway: Gateway) -> None:
    assert ask(gateway, "GET", "/passthrough/own/v1/models", who="unheard-of").status_code == 401


@pytest.mark.parametrize("path", ["/v1/..%2f../hidden", "/v1/%2e%2e/hidden", "/v1/..%5chidden", "/v1/%2E/x"])
def test_no_way_out_of_the_base_url(gateway: Gateway, upstream: CannedUpstream, path: str) -> None:
    before = len(upstream.asked)
    answer = ask(gateway, "GET", "/passthrough/own" + path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert len(upstream.asked) == before


def test_a_hard_budget_is_held(gateway: Gateway, upstream: CannedUpstream) -> None:
    """Calls whose cost nothing bounds are refused; the others reserve their worst case."""
    upstream.will("/v1/chat/completions", as_json(_CHAT))
    chat, before = "/passthrough/own/v1/chat/completions", len(upstream.asked)
    unknown = ask(gateway, "POST", "/passthrough/own/v1/assistants", who="poor", json={"model": "real-1"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (403, "unpriced_model")
    unpriced = ask(gateway, "POST", chat, who="poor", json={"model": "x", "messages": HELLO, "max_tokens": 5})
    assert (unpriced.status_code, unpriced.json()["error"]["param"]) == (403, "model")
    unbounded = ask(gateway, "POST", chat, who="poor", json={"model": "real-1", "messages": HELLO})
    assert (unbounded.status_code, unbounded.json()["error"]["param"]) == (400, "max_tokens")
    large = ask(gateway, "POST", chat, who="poor", json={"model": "real-1", "messages": HELLO, "max_tokens": 100_000})
    assert (large.status_code, large.json()["error"]["code"]) == (429, "budget_exceeded")
    assert len(upstream.asked) == before
    fits = ask(gateway, "POST", chat, who="poor", json={"model": "real-1", "messages": HELLO, "max_tokens": 5})
    assert fits.status_code == 200
    assert event_of(gateway, fits).cost_nano == 17_000


@pytest.mark.parametrize("path", ["/v1//messages", "/v1/%6dessages", "/v1/messages/", "/v1/Messages"])
def test_a_path_written_in_another_way_is_metered_alike(gateway: Gateway, upstream: CannedUpstream, path: str) -> None:
    """Most servers take it for the same: it must not be free of limits for that."""
    frames = b"".join(b"event: %b\ndata: %b\n\n" % (one["type"].encode(), json.dumps(one).encode()) for one in _FRAMES)
    upstream.will(path, Canned("text/event-stream", [frames]))
    asked = {"model": "claude-1", "max_tokens": 10, "messages": HELLO, "stream": True}
    answer = ask(gateway, "POST", "/passthrough/claude" + path, json=asked)
    assert answer.content == frames
    event = event_of(gateway, answer)
    assert (event.usage.input, event.usage.output, event.cost_nano) == (5, 6, 5_000 + 24_000)


def test_a_method_that_does_not_pass(gateway: Gateway) -> None:
    assert ask(gateway, "HEAD", "/passthrough/own/v1/models").status_code == 405
