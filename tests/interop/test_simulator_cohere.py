"""The simulator's Cohere surface, met by the official SDK."""

import base64
import struct
from collections.abc import Iterator
from typing import Any

import cohere
import httpx
import pytest
from cohere.core.api_error import ApiError
from tests.support.simulator import SimulatorThread, simulator_thread

MODEL = "command-a-03-2025"
HELLO: list[Any] = [{"role": "user", "content": "When does the tide turn?"}]
BOTH: list[Any] = [{"role": "user", "content": "weather and tide, please"}]
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
    for name in ("get_weather", "get_tide")
]


@pytest.fixture(scope="module")
def thread() -> Iterator[SimulatorThread]:
    with simulator_thread() as thread:
        yield thread


@pytest.fixture
def simulator(thread: SimulatorThread) -> SimulatorThread:
    thread.reset()
    return thread


@pytest.fixture
def client(simulator: SimulatorThread) -> Iterator[cohere.ClientV2]:
    with httpx.Client(timeout=10) as transport:
        yield cohere.ClientV2(api_key="co-key", base_url=simulator.url, httpx_client=transport)


def streamed(client: cohere.ClientV2, **asked: Any) -> dict[str, Any]:
    """The sum of a stream's events."""
    found: dict[str, Any] = {"text": "", "thinking": "", "plan": "", "calls": [], "kinds": []}
    for event in client.chat_stream(**asked):
        found["kinds"].append(event.type)
        delta: Any = getattr(event, "delta", None)
        match event.type:
            case "content-delta":
                found["text"] += delta.message.content.text or ""
                found["thinking"] += delta.message.content.thinking or ""
            case "tool-plan-delta":
                found["plan"] += delta.message.tool_plan
            case "tool-call-start":
                call = delta.message.tool_calls
                found["calls"].append([call.id, call.function.name, ""])
            case "tool-call-delta":
                found["calls"][-1][2] += delta.message.tool_calls.function.arguments
            case "message-end":
                found["finish"], found["usage"] = delta.finish_reason, delta.usage
    return found


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "short": {"max_tokens": 3},
    "thinking": {"thinking": {"type": "enabled", "token_budget": 100}},
    "tools": {"messages": BOTH, "tools": TOOLS},
    "thinking and tools": {"messages": BOTH, "tools": TOOLS, "thinking": {"type": "enabled"}},
    "required": {"tools": TOOLS, "tool_choice": "REQUIRED"},
    "none": {"messages": BOTH, "tools": TOOLS, "tool_choice": "NONE"},
    "json": {"response_format": {"type": "json_object", "json_schema": {"properties": {"hour": {"type": "integer"}}}}},
    "logprobs": {"logprobs": True},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_says_what_the_whole_answer_says(client: cohere.ClientV2, variant: str) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": HELLO, **VARIANTS[variant]}
    whole = client.chat(**asked)
    found = streamed(client, **asked)
    content = whole.message.content or []
    assert found["text"] == "".join(part.text for part in content if part.type == "text")
    assert found["thinking"] == "".join(part.thinking for part in content if part.type == "thinking")
    assert found["plan"] == (whole.message.tool_plan or "")
    calls = [[call.id, call.function.name, call.function.arguments] for call in whole.message.tool_calls or []]  # type: ignore[union-attr]
    assert found["calls"] == calls
    assert (found["finish"], found["usage"]) == (whole.finish_reason, whole.usage)
    assert (found["kinds"][0], found["kinds"][-1]) == ("message-start", "message-end")


def test_calls_and_their_results(client: cohere.ClientV2) -> None:
    first = client.chat(model=MODEL, messages=BOTH, tools=TOOLS)
    calls = first.message.tool_calls or []
    assert (first.finish_reason, len(calls)) == ("TOOL_CALL", 2)
    turns: list[Any] = [
        *BOTH,
        {
            "role": "assistant",
            "tool_calls": [call.model_dump() for call in calls],
            "tool_plan": first.message.tool_plan,
        },
        *({"role": "tool", "tool_call_id": call.id, "content": "fine"} for call in calls),
    ]
    assert client.chat(model=MODEL, messages=turns, tools=TOOLS).finish_reason == "COMPLETE"
    with pytest.raises(cohere.BadRequestError):
        client.chat(model=MODEL, messages=turns[:-1], tools=TOOLS)


def test_stop_sequences(client: cohere.ClientV2, simulator: SimulatorThread) -> None:
    simulator.change(MODEL, text="one two three")
    found = client.chat(model=MODEL, messages=HELLO, stop_sequences=["two"])
    assert found.finish_reason == "STOP_SEQUENCE"
    assert found.message.content and found.message.content[0].text == "one "  # type: ignore[union-attr]


def test_what_is_billed_is_less_than_what_is_read(client: cohere.ClientV2) -> None:
    usage = client.chat(model=MODEL, messages=HELLO).usage
    assert usage and usage.tokens and usage.billed_units
    assert (usage.tokens.input_tokens or 0) > (usage.billed_units.input_tokens or 0) > 0


def test_embedding(client: cohere.ClientV2) -> None:
    found = client.embed(
        model="embed-v4.0",
        texts=["a", "b"],
        input_type="search_document",
        embedding_types=["float", "int8", "uint8", "binary", "ubinary", "base64"],
        output_dimension=256,
    )
    vectors = found.embeddings
    assert vectors.float_ and [len(vector) for vector in vectors.float_] == [256, 256]
    assert vectors.int8 and vectors.uint8 and vectors.binary and vectors.ubinary and vectors.base64
    assert len(vectors.binary[0]) == len(vectors.ubinary[0]) == 32
    assert struct.unpack("<256f", base64.b64decode(vectors.base64[0])) == pytest.approx(vectors.float_[0])
    assert found.meta and found.meta.billed_units and found.meta.billed_units.input_tokens == 2


def test_ranking(client: cohere.ClientV2) -> None:
    documents = ["Bread rises overnight.", "The tide turns twice a day.", "Boats are counted."]
    found = client.rerank(model="rerank-v3.5", query="when does the tide turn", documents=documents, top_n=2)
    assert found.results[0].index == 1
    assert len(found.results) == 2
    assert found.meta and found.meta.billed_units and found.meta.billed_units.search_units == 1


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"top_p": 1}, 422, "unknown field: parameter 'top_p' is not a valid field"),
        ({"messages": []}, 400, "messages must not be empty"),
        ({"messages": "hi"}, 400, "is of type string but should be of type array"),
        ({"messages": [{"role": "developer", "content": "x"}]}, 400, "must be one of [user, assistant, system, tool]"),
        ({"messages": [{"role": "user"}]}, 400, "content is required"),
        (
            {"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]},
            400,
            "not found in previous tool calls",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_text"}]}]},
            400,
            "must be one of [text, image_url]",
        ),
        ({"temperature": 1.5}, 400, "temperature must be a value <= 1"),
        ({"tool_choice": "REQUIRED"}, 400, "only allowed when tools are specified"),
        ({"tools": TOOLS, "tool_choice": "auto"}, 400, "must be one of [REQUIRED, NONE]"),
        ({"tools": TOOLS, "response_format": {"type": "json_object"}}, 400, "not supported with tools"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, 400, "contains characters other than"),
        ({"stop_sequences": list("abcdef")}, 400, "at most 5 items"),
        ({"model": "embed-v4.0"}, 400, "not supported for this endpoint"),
        ({"model": "nope"}, 404, "model 'nope' not found"),
    ],
)
def test_refused_chats(simulator: SimulatorThread, fields: dict[str, Any], status: int, message: str) -> None:
    body = {"model": MODEL, "messages": HELLO, **fields}
    found = httpx.post(f"{simulator.url}/v2/chat", json=body, headers={"authorization": "Bearer k"})
    assert (found.status_code, message in found.json()["message"]) == (status, True)


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("embed", {"model": "embed-v4.0", "texts": ["a"]}, "valid input_type must be provided"),
        ("embed", {"model": "embed-v4.0", "input_type": "image"}, "exactly one of texts, images and inputs"),
        ("embed", {"model": "embed-v4.0", "input_type": "image", "texts": ["a"] * 97}, "at most 96 items"),
        ("rerank", {"model": "rerank-v3.5", "documents": ["a"]}, "query is required"),
        ("rerank", {"model": "rerank-v3.5", "query": "a", "documents": []}, "documents must not be empty"),
    ],
)
def test_refused_searches(simulator: SimulatorThread, path: str, body: dict[str, Any], message: str) -> None:
    found = httpx.post(f"{simulator.url}/v2/{path}", json=body, headers={"authorization": "Bearer k"})
    assert (found.status_code, message in found.json()["message"]) == (400, True)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("401", cohere.UnauthorizedError),
        ("404", cohere.NotFoundError),
        ("422", cohere.UnprocessableEntityError),
        ("429", cohere.TooManyRequestsError),
        ("500", cohere.InternalServerError),
        ("503", cohere.ServiceUnavailableError),
    ],
)
def test_errors(client: cohere.ClientV2, simulator: SimulatorThread, status: str, error: type[ApiError]) -> None:
    simulator.change(MODEL, script=[status])
    with pytest.raises(error) as caught:
        client.chat(model=MODEL, messages=HELLO, request_options={"max_retries": 0})
    body: Any = caught.value.body
    assert "openai" not in str(body)


def test_an_error_in_the_middle_of_a_stream(client: cohere.ClientV2, simulator: SimulatorThread) -> None:
    simulator.change(MODEL, script=["error-event"])
    assert streamed(client, model=MODEL, messages=HELLO)["finish"] == "ERROR"


def test_a_key_is_needed(simulator: SimulatorThread) -> None:
    found = httpx.post(f"{simulator.url}/v2/chat", json={"model": MODEL, "messages": HELLO})
    assert (found.status_code, found.json()["message"]) == (401, "no api key supplied")
