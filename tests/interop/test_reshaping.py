"""Upstreams that can only stream, or cannot, and the OpenAI and Anthropic SDKs, which want the other.

The provider answers with bytes as its vendor documents them; the gateway, the sockets and the SDKs are real.
"""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from tests.support.canned_upstream import Canned, CannedUpstream, canned_upstream
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process

KEY = "tg-reshaping-client"
HELLO: Any = [{"role": "user", "content": "Hi"}]
CHAT = "/openai/chat/completions"
MESSAGES = "/anthropic/v1/messages"
WHOLE = "/google/v1beta/models/real:generateContent"
STREAM = "/google/v1beta/models/real:streamGenerateContent?alt=sse"
SSE = "text/event-stream"
CONFIG = """
kind: Gateway
metadata: {name: gateway}
spec: {retryShare: 1}
---
kind: Team
metadata: {name: lab}
---
kind: Consumer
metadata: {name: app}
spec: {team: lab, keys: [{value: {env: CLIENT_KEY}}]}
"""
_ONCE = """
---
kind: Model
metadata: {name: tried-once}
spec:
  targets: [{provider: openai-stream-only, model: real}]
  routing: {attempts: 1, breaker: {minRequests: 1000000}}
  price: {inputPerMillion: 1.00, outputPerMillion: 4.00}
"""
"""Each test that wants no retry takes none: a gateway has ten in ten seconds, however few calls there are."""
_DOCUMENTS = """
---
kind: Provider
metadata: {{name: {name}}}
spec: {{dialect: {dialect}, baseUrl: "{url}/{path}", quirks: [{quirk}], credentials: [{{apiKey: {{env: UP_KEY}}}}]}}
---
kind: Model
metadata: {{name: {name}}}
spec:
  targets: [{{provider: {name}, model: real}}]
  routing: {{attempts: 2, breaker: {{minRequests: 1000000}}}}
  price: {{inputPerMillion: 1.00, outputPerMillion: 4.00}}
"""


def sse(*told: dict[str, Any], named: bool = False) -> list[bytes]:
    return [
        (f"event: {one['type']}\n" if named else "").encode() + b"data: " + json.dumps(one).encode() + b"\n\n"
        for one in told
    ]


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "real", "choices": [choice]}


OPENAI_USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
CALLED = {"index": 0, "id": "call_9", "type": "function", "function": {"name": "tide", "arguments": ""}}
OPENAI_STREAM = [
    *sse(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Let "}),
        chunk({"content": "me look."}),
        chunk({"tool_calls": [CALLED]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"port":'}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": ' "Rome"}'}}]}),
        chunk({}, "tool_calls"),
        {"id": "c1", "object": "chat.completion.chunk", "choices": [], "usage": OPENAI_USAGE},
    ),
    b"data: [DONE]\n\n",
]
OPENAI_WHOLE = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "real",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}],
    "usage": OPENAI_USAGE,
}
ANTHROPIC_WHOLE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "real",
    "content": [
        {"type": "thinking", "thinking": "Let me see.", "signature": "c2lnbmVk"},
        {"type": "text", "text": "Hello!"},
    ],
    "stop_reason": "stop_sequence",
    "stop_sequence": "END",
    "usage": {"input_tokens": 11, "output_tokens": 5},
}
ANTHROPIC_STREAM = sse(
    {"type": "message_start", "message": ANTHROPIC_WHOLE | {"content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Let me see."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2lnbmVk"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hello!"}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END"},
        "usage": {"output_tokens": 5},
    },
    {"type": "message_stop"},
    named=True,
)
GEMINI = {
    "candidates": [{"content": {"parts": [{"text": "Hello!"}], "role": "model"}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 5, "totalTokenCount": 16},
    "responseId": "g1",
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[CannedUpstream]:
    with canned_upstream() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(upstream: CannedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    names = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}
    more = "".join(
        _DOCUMENTS.format(name=f"{dialect}-{quirk}", dialect=dialect, url=upstream.url, path=path, quirk=quirk)
        for dialect, path in names.items()
        for quirk in ("stream-only", "no-stream")
    )
    env = {"CLIENT_KEY": KEY, "UP_KEY": "sk-reshaping-upstream"}
    with gateway_process(tmp_path_factory.mktemp("reshaping"), CONFIG + more + _ONCE, env=env) as running:
        yield running


@pytest.fixture(scope="module")
def chats(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def claude(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0) as made:
        yield made


def assert_accounted(gateway: Gateway, model: str, *, stream: bool, attempts: int = 1) -> None:
    event = last_event(gateway, lambda one: one.model == model)
    assert (event.outcome, event.stream, event.attempts) == ("ok", stream, attempts)
    assert (event.usage.input, event.usage.output, event.usage.source) == (11, 5, "reported")
    assert event.cost_nano == 11 * 1000 + 5 * 4000


def test_a_whole_completion_of_a_stream(gateway: Gateway, upstream: CannedUpstream, chats: openai.OpenAI) -> None:
    upstream.will(CHAT, Canned(SSE, OPENAI_STREAM))
    raw = chats.chat.completions.with_raw_response.create(model="openai-stream-only", messages=HELLO)
    answer = raw.parse()
    message = answer.choices[0].message
    assert (message.content, answer.choices[0].finish_reason) == ("Let me look.", "tool_calls")
    call = message.tool_calls[0]  # type: ignore[index]
    assert (call.id, call.function.name, call.function.arguments) == ("call_9", "tide", '{"port": "Rome"}')  # type: ignore[union-attr]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (11, 5)
    assert raw.headers["x-tidegate-cost-usd"] == "0.000031"
    assert upstream.asked[-1][2]["stream"] is True
    assert_accounted(gateway, "openai-stream-only", stream=False)


def test_a_stream_of_a_whole_completion(gateway: Gateway, upstream: CannedUpstream, chats: openai.OpenAI) -> None:
    upstream.will(CHAT, Canned("application/json", [json.dumps(OPENAI_WHOLE).encode()]))
    chunks = list(
        chats.chat.completions.create(
            model="openai-no-stream", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == "Hello!"
    assert [one.choices[0].finish_reason for one in chunks if one.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 16
    assert "stream" not in upstream.asked[-1][2]
    assert_accounted(gateway, "openai-no-stream", stream=True)


def test_a_whole_message_of_a_stream(gateway: Gateway, upstream: CannedUpstream, claude: anthropic.Anthropic) -> None:
    upstream.will(MESSAGES, Canned(SSE, ANTHROPIC_STREAM))
    message = claude.messages.create(model="anthropic-stream-only", messages=HELLO, max_tokens=50)
    thought, text = message.content
    assert (thought.type, getattr(thought, "signature", "")) == ("thinking", "c2lnbmVk")
    assert getattr(text, "text", "") == "Hello!"
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (11, 5)
    assert upstream.asked[-1][2]["stream"] is True
    assert_accounted(gateway, "anthropic-stream-only", stream=False)


def test_a_stream_of_a_whole_message(gateway: Gateway, upstream: CannedUpstream, claude: anthropic.Anthropic) -> None:
    upstream.will(MESSAGES, Canned("application/json", [json.dumps(ANTHROPIC_WHOLE).encode()]))
    with claude.messages.stream(model="anthropic-no-stream", messages=HELLO, max_tokens=50) as stream:
        message = stream.get_final_message()
    thought, text = message.content
    assert (thought.type, getattr(thought, "signature", "")) == ("thinking", "c2lnbmVk")
    assert getattr(text, "text", "") == "Hello!"
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (11, 5)
    assert "stream" not in upstream.asked[-1][2]
    assert_accounted(gateway, "anthropic-no-stream", stream=True)


def test_the_path_says_it_too(gateway: Gateway, upstream: CannedUpstream, chats: openai.OpenAI) -> None:
    upstream.will(STREAM, Canned(SSE, sse(GEMINI)))
    answer = chats.chat.completions.create(model="gemini-stream-only", messages=HELLO)
    assert answer.choices[0].message.content == "Hello!"
    assert_accounted(gateway, "gemini-stream-only", stream=False)
    upstream.will(WHOLE, Canned("application/json", [json.dumps(GEMINI).encode()]))
    chunks = list(chats.chat.completions.create(model="gemini-no-stream", messages=HELLO, stream=True))
    assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == "Hello!"
    assert_accounted(gateway, "gemini-no-stream", stream=True)


BROKEN = {
    "cut": Canned(SSE, OPENAI_STREAM[:4], cut=True),
    "ended without its marker": Canned(SSE, OPENAI_STREAM[:4]),
    "an error in the stream": Canned(
        SSE, [*OPENAI_STREAM[:4], *sse({"error": {"message": "overloaded", "type": "server_error", "code": None}})]
    ),
    "no stream": Canned("application/json", [json.dumps(OPENAI_WHOLE).encode()]),
    "refused": Canned("application/json", [b'{"error":{"message":"busy"}}'], status=503),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_what_breaks_before_its_end_is_tried_again(
    gateway: Gateway, upstream: CannedUpstream, chats: openai.OpenAI, broken: Canned
) -> None:
    """Also behind its first content: nothing of it has gone to the client."""
    upstream.will(CHAT, broken, Canned(SSE, OPENAI_STREAM))
    answer = chats.chat.completions.create(model="openai-stream-only", messages=HELLO)
    assert answer.choices[0].message.content == "Let me look."
    assert_accounted(gateway, "openai-stream-only", stream=False, attempts=2)


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_what_stays_broken_is_an_error_and_no_short_answer(
    gateway: Gateway, upstream: CannedUpstream, chats: openai.OpenAI, broken: Canned
) -> None:
    upstream.will(CHAT, broken)
    with pytest.raises(openai.InternalServerError):
        chats.chat.completions.create(model="tried-once", messages=HELLO)
    assert last_event(gateway).outcome == "failed"


def test_a_broken_whole_answer_begins_no_stream(
    gateway: Gateway, upstream: CannedUpstream, chats: openai.OpenAI
) -> None:
    whole = json.dumps(OPENAI_WHOLE).encode()
    upstream.will(CHAT, Canned("application/json", [whole[:80]], cut=True), Canned("application/json", [whole]))
    chunks = list(chats.chat.completions.create(model="openai-no-stream", messages=HELLO, stream=True))
    assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == "Hello!"
    assert_accounted(gateway, "openai-no-stream", stream=True, attempts=2)
    upstream.will(CHAT, Canned("application/json", [b'{"choices":[]}']))
    with pytest.raises(openai.InternalServerError):
        chats.chat.completions.create(model="openai-no-stream", messages=HELLO, stream=True)


def test_who_asks_for_what_the_upstream_does_is_served_natively(upstream: CannedUpstream, chats: openai.OpenAI) -> None:
    upstream.will(CHAT, Canned(SSE, OPENAI_STREAM))
    list(
        chats.chat.completions.create(
            model="openai-stream-only", messages=HELLO, stream=True, extra_body={"unheard_of": 1}
        )
    )
    assert upstream.asked[-1][2]["unheard_of"] == 1
