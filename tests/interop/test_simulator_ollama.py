"""The simulator's Ollama surface, met by the official SDK."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import ollama
import pytest
from tests.support.simulator import SimulatorThread, simulator_thread

MODEL = "llama3.2"
HELLO = [{"role": "user", "content": "When does the tide turn?"}]
BOTH = [{"role": "user", "content": "weather and tide, please"}]
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
def client(simulator: SimulatorThread) -> Iterator[ollama.Client]:
    client = ollama.Client(host=simulator.url)
    yield client
    client._client.close()


def post(simulator: SimulatorThread, path: str, body: Any) -> tuple[int, str, list[Any]]:
    """Without the SDK: (status, content type, lines)."""
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=10)
    try:
        connection.request("POST", path, json.dumps(body))
        response = connection.getresponse()
        lines = [json.loads(line) for line in response.read().splitlines()]
        return response.status, response.headers["content-type"], lines
    finally:
        connection.close()


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "short": {"options": {"num_predict": 3}},
    "stop": {"options": {"stop": ["the", "The"]}},
    "thinking": {"think": True},
    "level": {"think": "high"},
    "tools": {"messages": BOTH, "tools": TOOLS},
    "json": {"format": "json"},
    "schema": {"format": {"type": "object", "properties": {"hour": {"type": "integer"}}}},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_says_what_the_whole_answer_says(client: ollama.Client, variant: str) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": HELLO, **VARIANTS[variant]}
    whole = client.chat(**asked)
    *parts, end = client.chat(**asked, stream=True)
    assert (whole.done, end.done, [part.done for part in parts]) == (True, True, [False] * len(parts))
    assert (end.done_reason, end.eval_count) == (whole.done_reason, whole.eval_count)
    assert "".join(part.message.content or "" for part in parts) == (whole.message.content or "")
    assert "".join(part.message.thinking or "" for part in parts) == (whole.message.thinking or "")
    calls = [call for part in parts for call in part.message.tool_calls or []]
    assert calls == list(whole.message.tool_calls or [])
    assert bool(calls) == (variant == "tools")


def test_streams_are_what_is_sent_unless_told_otherwise(simulator: SimulatorThread) -> None:
    status, kind, lines = post(simulator, "/api/chat", {"model": MODEL, "messages": HELLO})
    assert (status, kind) == (200, "application/x-ndjson")
    assert len(lines) > 5
    status, kind, lines = post(simulator, "/api/chat", {"model": MODEL, "messages": HELLO, "stream": False})
    assert (status, kind, len(lines)) == (200, "application/json; charset=utf-8", 1)
    assert lines[0]["created_at"].endswith("Z")


def test_a_result_is_answered_in_words(client: ollama.Client) -> None:
    first = client.chat(model=MODEL, messages=BOTH, tools=TOOLS)
    turns = [*BOTH, first.message.model_dump(exclude_none=True)]
    turns += [
        {"role": "tool", "tool_name": call.function.name, "content": "fine"} for call in first.message.tool_calls or []
    ]
    second = client.chat(model=MODEL, messages=turns, tools=TOOLS)
    assert second.message.content
    assert not second.message.tool_calls


def test_generating(client: ollama.Client) -> None:
    whole = client.generate(model=MODEL, prompt="Once", think=True)
    parts = list(client.generate(model=MODEL, prompt="Once", think=True, stream=True))
    assert "".join(part.response or "" for part in parts) == whole.response
    assert "".join(part.thinking or "" for part in parts) == whole.thinking
    assert whole.thinking and whole.context
    assert client.generate(model=MODEL).done_reason == "load"


def test_embedding(client: ollama.Client) -> None:
    found = client.embed(model="nomic-embed-text", input=["a", "b"], dimensions=5)
    assert [len(vector) for vector in found.embeddings] == [5, 5]
    assert found.prompt_eval_count == 2
    assert len(client.embeddings(model="nomic-embed-text", prompt="a").embedding) == 768


def test_what_there_is(client: ollama.Client, simulator: SimulatorThread) -> None:
    assert MODEL in {model.model for model in client.list().models}
    assert list(client.ps().models) == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "cannot unmarshal array into Go struct field",
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"a": 1}'}}]},
                ]
            },
            "cannot unmarshal string into Go struct field",
        ),
        ({"messages": [{"role": "user", "content": "x", "images": ["?"]}]}, "illegal base64 data"),
        ({"stream": "yes"}, "of type bool"),
        ({"format": "xml"}, "invalid format"),
        ({"think": "very"}, "invalid think value"),
        ({"options": {"temperature": "hot"}}, 'option "temperature" must be of type float32'),
        ({"options": {"stop": "x"}}, 'option "stop" must be of type array'),
        ({"model": ""}, "model is required"),
    ],
)
def test_refused_requests(simulator: SimulatorThread, fields: dict[str, Any], message: str) -> None:
    status, _, lines = post(simulator, "/api/chat", {"model": MODEL, "messages": HELLO, **fields})
    assert status == 400
    assert message in lines[0]["error"]


def test_errors(client: ollama.Client, simulator: SimulatorThread) -> None:
    with pytest.raises(ollama.ResponseError, match="model 'nope' not found") as caught:
        client.chat(model="nope", messages=HELLO)
    assert caught.value.status_code == 404
    simulator.change(MODEL, script=["503", "error-event"])
    with pytest.raises(ollama.ResponseError, match="server busy"):
        client.chat(model=MODEL, messages=HELLO)
    with pytest.raises(ollama.ResponseError, match="unexpected EOF"):
        list(client.chat(model=MODEL, messages=HELLO, stream=True))


def test_a_cut_stream_has_no_last_line(client: ollama.Client, simulator: SimulatorThread) -> None:
    simulator.change(MODEL, script=["cut-clean"])
    assert not any(part.done for part in client.chat(model=MODEL, messages=HELLO, stream=True))


def test_steering(client: ollama.Client) -> None:
    assert client.chat(model=f"{MODEL}#text=Exactly", messages=HELLO).message.content == "Exactly"
    found = client.chat(model=MODEL, messages=HELLO, options={"sim": "text=This"})
    assert found.message.content == "This"
