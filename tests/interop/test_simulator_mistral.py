"""The simulator's Mistral surface, met by the official SDK; and the gateway's own Mistral requests, met by the simulator."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from mistralai.client import Mistral
from mistralai.client.errors import MistralError
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process
from tests.support.simulator import SimulatorThread, simulator_thread

KEY = "tg-mistral-0123456789abcdef01234567"
MODEL = "mistral-large-latest"
HELLO: Any = [{"role": "user", "content": "When does the tide turn?"}]
BOTH: Any = [{"role": "user", "content": "weather and tide, please"}]
SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("get_weather", "get_tide")
]
_CONFIG = """
kind: Provider
metadata: {{name: mistral}}
spec: {{dialect: mistral, baseUrl: "{url}/mistral/v1", quirks: [reasoning-effort], credentials: [{{apiKey: sk-up}}]}}
---
kind: Model
metadata: {{name: large}}
spec:
  targets: [{{provider: mistral, model: mistral-large-latest}}]
  routing: {{attempts: 1}}
  price: {{inputPerMillion: 2, cachedInputPerMillion: 1, outputPerMillion: 6}}
---
kind: Model
metadata: {{name: vectors}}
spec: {{task: embedding, targets: [{{provider: mistral, model: mistral-embed}}]}}
---
kind: Team
metadata: {{name: winds}}
---
kind: Consumer
metadata: {{name: sdk}}
spec: {{team: winds, keys: [{{value: {key}}}]}}
"""


@pytest.fixture(scope="module")
def thread() -> Iterator[SimulatorThread]:
    with simulator_thread() as thread:
        yield thread


@pytest.fixture
def simulator(thread: SimulatorThread) -> SimulatorThread:
    thread.reset()
    return thread


@pytest.fixture
def client(simulator: SimulatorThread) -> Iterator[Mistral]:
    with Mistral(api_key="k", server_url=f"{simulator.url}/mistral", timeout_ms=10_000) as client:
        yield client


@pytest.fixture(scope="module")
def gateway(thread: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = _CONFIG.format(url=thread.url, key=KEY)
    with gateway_process(tmp_path_factory.mktemp("mistral-provider"), config) as gateway:
        yield gateway


def thought_of(content: Any) -> tuple[str, str]:
    """(thoughts, text) of a content or a delta's."""
    if isinstance(content, str) or content is None:
        return "", content or ""
    thoughts = "".join(piece.text for chunk in content if chunk.type == "thinking" for piece in chunk.thinking)
    return thoughts, "".join(chunk.text for chunk in content if chunk.type == "text")


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "short": {"max_tokens": 3},
    "thinking": {"reasoning_effort": "high"},
    "tools": {"messages": BOTH, "tools": TOOLS},
    "one tool": {"messages": BOTH, "tools": TOOLS, "parallel_tool_calls": False},
    "any": {"tools": TOOLS, "tool_choice": "any"},
    "json": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": {"type": "object", "properties": {"hour": {"type": "integer"}}}},
        }
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_says_what_the_whole_answer_says(client: Mistral, variant: str) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": HELLO, **VARIANTS[variant]}
    whole = client.chat.complete(**asked)
    thoughts = text = ""
    calls: list[Any] = []
    with client.chat.stream(**asked) as stream:
        chunks = [event.data for event in stream]
    for chunk in chunks:
        thought, said = thought_of(chunk.choices[0].delta.content)
        thoughts, text = thoughts + thought, text + said
        calls += chunk.choices[0].delta.tool_calls or []
    message = whole.choices[0].message
    assert message is not None
    assert (thoughts, text) == thought_of(message.content)
    assert [call.model_dump() for call in calls] == [call.model_dump() for call in message.tool_calls or []]
    assert len(calls) == {"tools": 2, "one tool": 1, "any": 1}.get(variant, 0)
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert chunks[-1].usage == whole.usage
    assert whole.usage.total_tokens == (whole.usage.prompt_tokens or 0) + (whole.usage.completion_tokens or 0)


def test_a_conversation_with_thoughts_and_tools(client: Mistral) -> None:
    asked: dict[str, Any] = {"model": MODEL, "tools": TOOLS, "reasoning_effort": "high"}
    message = client.chat.complete(messages=BOTH, **asked).choices[0].message
    assert message is not None and message.tool_calls and not isinstance(message.content, str | None)
    assert all(len(call.id or "") == 9 for call in message.tool_calls)
    results: Any = [{"role": "tool", "tool_call_id": call.id, "content": "fine"} for call in message.tool_calls]
    turns: Any = [*BOTH, message, *results]
    assert client.chat.complete(messages=turns, **asked).choices[0].finish_reason == "stop"
    told = message.model_dump(exclude_none=True)
    told["content"][0]["thinking"][0]["text"] += "x"
    with pytest.raises(MistralError, match="signature"):
        client.chat.complete(messages=[*BOTH, told, *results], **asked)


CALL: Any = {"id": "abcdefgh1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED: Any = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT: Any = {"role": "tool", "tool_call_id": "abcdefgh1", "content": "fine"}


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([*HELLO, CALLED, RESULT, *HELLO], "Unexpected role 'user' after role 'tool'"),
        ([*HELLO, RESULT], "Unexpected role 'tool' after role 'user'"),
        ([*HELLO, CALLED, *HELLO], "Not the same number of function calls and responses"),
        ([*HELLO, CALLED, RESULT, RESULT], "Not the same number of function calls and responses"),
        ([*HELLO, CALLED, {**RESULT, "tool_call_id": "abcdefgh2"}], "Unexpected tool call id abcdefgh2"),
        ([*HELLO, {**CALLED, "tool_calls": [{**CALL, "id": "call_1"}]}], "Tool call id was call_1 but must be"),
        ([*HELLO, {"role": "assistant", "content": "It"}], "Expected last role User or Tool"),
        ([*HELLO, {"role": "assistant", "content": ""}, *HELLO], "either content or tool_calls"),
        ([{"role": "system", "content": "Be brief."}], "got system"),
    ],
)
def test_histories_that_it_refuses(client: Mistral, messages: Any, told: str) -> None:
    with pytest.raises(MistralError, match=told) as refused:
        client.chat.complete(model=MODEL, messages=messages)
    assert refused.value.status_code == 400
    assert json.loads(refused.value.body)["object"] == "error"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"max_completion_tokens": 5}, ["body", "max_completion_tokens"]),
        ({"seed": 5}, ["body", "seed"]),
        ({"messages": [{"role": "developer", "content": "x"}]}, ["body", "messages", 0, "role"]),
        ({"messages": [{"role": "user", "content": "x", "name": "y"}]}, ["body", "messages", 0, "name"]),
        ({"messages": [{"role": "user", "content": [{"type": "input_text"}]}]}, ["body", "messages", 0, "content", 0]),
        ({"messages": []}, ["body", "messages"]),
        ({"max_tokens": 10_000_000}, ["body", "max_tokens"]),
        ({"temperature": 1.8}, ["body", "temperature"]),
        ({"tool_choice": "must"}, ["body", "tool_choice"]),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, ["body", "tools", 0, "function", "parameters"]),
    ],
)
def test_fields_that_it_refuses(simulator: SimulatorThread, fields: Any, place: list[Any]) -> None:
    with openai.OpenAI(base_url=f"{simulator.url}/mistral/v1", api_key="k", max_retries=0) as client:
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            client.post("/chat/completions", body={"model": MODEL, "messages": HELLO, **fields}, cast_to=object)
    told: Any = refused.value.body
    assert told["message"]["detail"][0]["loc"][: len(place)] == place


def test_errors(client: Mistral, simulator: SimulatorThread) -> None:
    with pytest.raises(MistralError) as unknown:
        client.chat.complete(model="no-such-model", messages=HELLO)
    assert (unknown.value.status_code, json.loads(unknown.value.body)["code"]) == (400, "1500")
    simulator.change(MODEL, script=["429", "error-event"])
    with pytest.raises(MistralError) as limited:
        client.chat.complete(model=MODEL, messages=HELLO)
    assert (limited.value.status_code, json.loads(limited.value.body)["type"]) == (429, "rate_limited")
    assert "x-ratelimit-remaining-req-minute" in limited.value.headers
    long: Any = [{"role": "user", "content": "tide " * 120_000}]
    with pytest.raises(MistralError, match="too large for model"):
        client.chat.complete(model=MODEL, messages=long)


def test_refusals_and_cached_prompts(client: Mistral, simulator: SimulatorThread) -> None:
    simulator.change(MODEL, refusal="answer")
    assert client.chat.complete(model=MODEL, messages=HELLO).choices[0].finish_reason == "stop"
    simulator.change(MODEL, refusal="prompt")
    assert client.chat.complete(model=MODEL, messages=HELLO).choices[0].finish_reason == "error"
    simulator.change(MODEL, refusal="")
    long: Any = [{"role": "user", "content": "tide " * 2_000}]
    told = [client.chat.complete(model=MODEL, messages=long).usage.model_dump() for _ in range(2)]
    assert [one["prompt_tokens_details"]["cached_tokens"] > 1_000 for one in told] == [False, True]


def test_embeddings_and_models(client: Mistral) -> None:
    found = client.embeddings.create(model="mistral-embed", inputs=["tide", "moon"], output_dimension=256)
    assert [len(one.embedding or ()) for one in found.data] == [256, 256]
    assert found.usage.prompt_tokens == 2
    assert MODEL in {one.id for one in client.models.list().data or ()}


# The gateway in front of it: what it sends is checked.


def test_openais_sdk_to_mistral(gateway: Gateway, simulator: SimulatorThread) -> None:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0, timeout=10) as client:
        asked: Any = {"model": "large", "tools": TOOLS, "seed": 7, "max_completion_tokens": 200}
        message = client.chat.completions.create(messages=BOTH, **asked).choices[0].message
        assert message.tool_calls and len(message.tool_calls) == 2
        results: Any = [{"role": "tool", "tool_call_id": call.id, "content": "14"} for call in message.tool_calls]
        turns: Any = [{"role": "developer", "content": "Be brief."}, *BOTH, message, *results]
        with client.chat.completions.create(messages=turns, stream=True, **asked) as stream:
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        assert text
        event = last_event(gateway)
        assert (event.outcome, event.usage.source, event.upstream_model) == ("ok", "reported", MODEL)
        foreign: Any = {"id": "call_" + "0" * 24, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        history: Any = [
            *BOTH,
            {"role": "assistant", "content": None, "tool_calls": [foreign]},
            {"role": "tool", "tool_call_id": foreign["id"], "content": "14"},
        ]
        assert client.chat.completions.create(model="large", messages=history).choices[0].finish_reason == "stop"
        assert len(client.embeddings.create(model="vectors", input="tide").data[0].embedding) == 1024


def test_anthropics_sdk_to_mistral_with_thoughts(gateway: Gateway, simulator: SimulatorThread) -> None:
    with anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0, timeout=10) as client:
        tools: Any = [{"name": "get_tide", "input_schema": SCHEMA}]
        asked: Any = {"model": "large", "max_tokens": 4000, "tools": tools}
        asked["thinking"] = {"type": "enabled", "budget_tokens": 2000}
        said = client.messages.create(messages=BOTH, **asked)
        (call,) = [block for block in said.content if block.type == "tool_use"]
        assert said.content[0].type == "thinking" and said.content[0].signature
        result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": "14"}
        turns: Any = [*BOTH, {"role": "assistant", "content": said.content}, {"role": "user", "content": [result]}]
        assert client.messages.create(messages=turns, **asked).stop_reason == "end_turn"
        hurry: Any = {"type": "text", "text": "Be quick."}
        turns[-1] = {"role": "user", "content": [result, hurry]}
        assert client.messages.create(messages=turns, **asked).stop_reason == "end_turn"
    sent = json.loads(simulator.calls()[-1].body)["messages"]
    assert [one["role"] for one in sent] == ["user", "assistant", "tool", "assistant", "user"]
