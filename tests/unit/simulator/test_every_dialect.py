"""What holds for every dialect: faults, scripts, windows, steering, the log, and that nobody speaks another's words."""

import http.client
import json
import random
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.simulator import SimulatorThread, simulator_thread

from tidegate.simulator.behaviour import FAULTS, Behaviour, Task, profile_from
from tidegate.simulator.fields import Fields
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.surface import Refusal
from tidegate.simulator.surfaces import SURFACES, find_surface
from tidegate.wire.message import Request

WORDS = "When does the tide turn?"
TURN = [{"role": "user", "content": WORDS}]
CONTENTS = [{"role": "user", "parts": [{"text": WORDS}]}]
CONVERSE = [{"role": "user", "content": [{"text": WORDS}]}]


class Dialect(NamedTuple):
    """One request, whole and as a stream, and how its stream ends."""

    path: str
    body: dict[str, Any]
    stream_path: str
    stream: dict[str, Any]
    end: bytes
    headers: Mapping[str, str] = MappingProxyType({})


def _dialect(path: str, body: dict[str, Any], end: bytes, **headers: str) -> Dialect:
    return Dialect(
        path, {"model": "m", "stream": False, **body}, path, {"model": "m", "stream": True, **body}, end, headers
    )


GEMINI = "/v1beta/models/m:"
DIALECTS = {
    "openai": _dialect("/v1/chat/completions", {"messages": TURN}, b"data: [DONE]\n\n"),
    "responses": _dialect("/v1/responses", {"input": WORDS}, b"event: response.completed"),
    "anthropic": _dialect(
        "/v1/messages",
        {"messages": TURN, "max_tokens": 500},
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
        **{"anthropic-version": "2023-06-01"},
    ),
    "gemini": Dialect(
        f"{GEMINI}generateContent",
        {"contents": CONTENTS},
        f"{GEMINI}streamGenerateContent?alt=sse",
        {"contents": CONTENTS},
        b'"finishReason":"STOP"',
    ),
    "gemini array": Dialect(
        f"{GEMINI}generateContent",
        {"contents": CONTENTS},
        f"{GEMINI}streamGenerateContent",
        {"contents": CONTENTS},
        b"]",
    ),
    "ollama": _dialect("/api/chat", {"messages": TURN}, b'"done":true'),
    "cohere": _dialect("/v2/chat", {"messages": TURN}, b"data: [DONE]\n\n"),
    "mistral": _dialect("/mistral/v1/chat/completions", {"messages": TURN}, b"data: [DONE]\n\n"),
    "bedrock": Dialect(
        "/model/m/converse",
        {"messages": CONVERSE},
        "/model/m/converse-stream",
        {"messages": CONVERSE},
        b"metadata",
    ),
}
OPERATIONS = {
    "/v1/chat/completions": {"messages": TURN},
    "/v1/completions": {"prompt": "x"},
    "/v1/embeddings": {"input": "x"},
    "/v1/moderations": {"input": "x"},
    "/v1/responses": {"input": "x"},
    "/v1/messages": {"messages": TURN, "max_tokens": 9},
    "/v1/messages/count_tokens": {"messages": TURN},
    f"{GEMINI}generateContent": {"contents": CONTENTS},
    f"{GEMINI}countTokens": {"contents": CONTENTS},
    f"{GEMINI}embedContent": {"content": CONTENTS[0]},
    f"{GEMINI}batchEmbedContents": {"requests": [{"model": "models/m", "content": CONTENTS[0]}]},
    "/mistral/v1/chat/completions": {"messages": TURN},
    "/mistral/v1/embeddings": {"input": ["x"]},
    "/api/chat": {"messages": TURN},
    "/api/generate": {"prompt": "x"},
    "/api/embed": {"input": "x"},
    "/v2/chat": {"messages": TURN},
    "/v2/embed": {"texts": ["x"], "input_type": "clustering"},
    "/model/m/converse": {"messages": CONVERSE},
    "/model/m/invoke": {"anthropic_version": "bedrock-2023-05-31", "messages": TURN, "max_tokens": 9},
    "/model/m/count-tokens": {"input": {"converse": {"messages": CONVERSE}}},
    "/v2/rerank": {"query": "x", "documents": ["y"]},
    "/v1/rerank": {"query": "x", "documents": ["y"], "top_n": 1},
    "/v2/models/m/infer": {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]},
    "/v1/models/m:predict": {"instances": [[1, 2, 3, 4]]},
    "/v1/models/m:classify": {"examples": [{"x": [1, 2, 3, 4]}]},
    "/predictions/m": {"instances": [[1, 2, 3, 4]]},
}


@pytest.fixture(scope="module")
def thread() -> Iterator[SimulatorThread]:
    with simulator_thread(profile_from({"models": {"m": {"tokens": 12}}, "keys": {"wrong": "401"}})) as thread:
        yield thread


@pytest.fixture
def simulator(thread: SimulatorThread) -> SimulatorThread:
    thread.reset()
    return thread


def ask(
    simulator: SimulatorThread, dialect: Dialect, stream: bool = False, *, key: str = "k", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    path, body = (dialect.stream_path, dialect.stream) if stream else (dialect.path, dialect.body)
    fields = {name.replace("_", "-"): value for name, value in headers.items()} | dict(dialect.headers)
    fields |= {"authorization": f"Bearer {key}", "content-type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=10)
    try:
        connection.request("POST", path, json.dumps(body), fields)
        response = connection.getresponse()
        try:
            content = response.read()
        except http.client.IncompleteRead as error:
            content = error.partial
        return response.status, {name.lower(): value for name, value in response.getheaders()}, content
    finally:
        connection.close()


every = pytest.mark.parametrize("name", DIALECTS)
both = pytest.mark.parametrize("stream", [False, True])


@every
def test_a_stream_ends_as_its_dialect_has_it(simulator: SimulatorThread, name: str) -> None:
    status, _, content = ask(simulator, DIALECTS[name], stream=True)
    assert status == 200
    assert DIALECTS[name].end in content[-3000:]


@both
@every
@pytest.mark.parametrize(
    "fault", sorted(set(FAULTS) - {"endless"} - {name for name in FAULTS if name.startswith("stall")})
)
def test_faults(simulator: SimulatorThread, name: str, fault: str, stream: bool) -> None:
    dialect = DIALECTS[name]
    _, _, good = ask(simulator, dialect, stream)
    simulator.change("m", script=[fault])
    try:
        status, _, content = ask(simulator, dialect, stream)
    except (http.client.HTTPException, ConnectionError):
        assert fault.startswith("reset")
        return
    if fault == "html-error":
        assert (status, b"<html>" in content) == (502, True)
    elif fault == "error-event" and not stream:
        assert status == 500
    elif fault == "wrong-length":
        assert len(content) == len(good)
    elif fault != "no-usage":
        assert (status, len(content) == len(good)) == (200, False)
    if stream and fault in ("cut-clean", "error-event", "reset-mid-answer"):
        assert dialect.end not in content or name == "gemini array"
    assert simulator.calls("m")[-1].status == status


@every
def test_an_answer_without_usage(simulator: SimulatorThread, name: str) -> None:
    for stream in (False, True):
        told = ask(simulator, DIALECTS[name], stream)[2]
        untold = ask(simulator, DIALECTS[name], stream, x_sim="fault=no-usage")[2]
        assert len(untold) <= len(told)
        assert not any(
            word in untold for word in (b'"output_tokens"', b"usageMetadata", b"eval_count", b"billed_units")
        )


@both
@every
def test_steering_and_scripts(simulator: SimulatorThread, name: str, stream: bool) -> None:
    dialect = DIALECTS[name]
    assert ask(simulator, dialect, stream, x_sim="status=503")[0] == 503
    simulator.change("m", script=["429", "ok", "500"])
    assert [ask(simulator, dialect, stream)[0] for _ in range(4)] == [429, 200, 500, 200]
    found = ask(simulator, dialect, stream, x_sim="text=Exactlythis")[2]
    assert b"Exactl" in found


@every
def test_windows(simulator: SimulatorThread, name: str) -> None:
    simulator.change("m", limit={"requests": 2, "window": "60s"})
    found = [ask(simulator, DIALECTS[name]) for _ in range(3)]
    assert [status for status, _, _ in found] == [200, 200, 429]
    if name not in ("openai", "responses"):
        assert b"openai" not in found[-1][2]


@every
def test_keys(simulator: SimulatorThread, name: str) -> None:
    status, _, content = ask(simulator, DIALECTS[name], key="wrong")
    assert status == 401
    if name not in ("openai", "responses"):
        assert b"openai" not in content


@both
@every
def test_small_pieces_and_line_ends_change_nothing_else(simulator: SimulatorThread, name: str, stream: bool) -> None:
    simulator.change("m", writeBytes=7)
    first = ask(simulator, DIALECTS[name], stream)[2]
    simulator.change("m", writeBytes=0, crlf=True)
    second = ask(simulator, DIALECTS[name], stream)[2]
    assert first.count(b"\n") == second.count(b"\n")
    if stream:
        assert second.count(b"\n") == second.count(b"\r\n")


@every
def test_the_log(simulator: SimulatorThread, name: str) -> None:
    ask(simulator, DIALECTS[name])
    ask(simulator, DIALECTS[name], stream=True)
    whole, streamed = simulator.calls("m")
    assert (whole.stream, streamed.stream) == (False, True)
    assert whole.completion_tokens == streamed.completion_tokens == 12
    assert whole.prompt_tokens == streamed.prompt_tokens > 0
    assert streamed.events_sent > whole.events_sent == 1
    assert whole.key == "k"


@every
def test_an_endless_stream_repeats_something_of_the_answer(simulator: SimulatorThread, name: str) -> None:
    dialect = DIALECTS[name]
    simulator.change("m", script=["endless"])
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=10)
    headers = {"authorization": "Bearer k", "content-type": "application/json", **dialect.headers}
    connection.request("POST", dialect.stream_path, json.dumps(dialect.stream), headers)
    content = connection.getresponse().read(20_000)
    connection.close()
    assert len(content) == 20_000
    assert dialect.end not in content or name == "gemini array"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("path", OPERATIONS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_request_is_too_odd(path: str, data: st.DataObject) -> None:
    """A body that is damaged somewhere is read, or rejected in words; nothing else is raised."""
    tasks: dict[str, Task] = {"mbed": "embedding", "rerank": "rerank", "moderations": "moderation"}
    tasks |= {"/v2/models": "inference", "/v1/models/m:": "inference", "predictions": "inference"}
    task = next((task for word, task in tasks.items() if word in path), "chat")
    if path == "/v1/completions":
        task = "completion"
    body = damaged(data, {"model": "m", "stream": False, **OPERATIONS[path]})
    raw = path.encode()
    request = Request(b"POST", raw, raw, b"", "1.1", headers=[(b"anthropic-version", b"2023-06-01")])
    request.body = json.dumps(body).encode()
    surface = find_surface(request)
    try:
        route = surface.find_route(request)
        fields: Fields = surface.read_body(request)
        surface.read_steering(fields)
        surface.take_order(fields, route, surface.read_model(fields, route), Behaviour(task=task, strict=False))
    except Rejection as rejection:
        assert 400 <= rejection.status < 500 or path == "/predictions/m"
        headers, content = surface.refuse(rejection, request, refusal())
        assert json.loads(content)
        assert headers.endswith(b"\r\n")


def damaged(data: st.DataObject, value: Any) -> Any:
    """The value with something else in place of one of its parts."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 9)):
        name = data.draw(st.sampled_from(sorted(value)))
        return {**value, name: damaged(data, value[name])}
    if isinstance(value, list) and value and data.draw(st.integers(0, 9)):
        return [damaged(data, value[0]), *value[1:]]
    return data.draw(JSON)


def refusal() -> Any:
    return Refusal(random.Random(1), 1.0)


def test_each_dialect_answers_for_itself() -> None:
    names = [str(getattr(surface, "__name__", "")) for surface in SURFACES]
    assert len(set(names)) == len(names)
    assert names[-1].endswith("openai.surface")
