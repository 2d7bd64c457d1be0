"""The simulator over sockets: routing, credentials, steering, its log and its control."""

import http.client
import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from tests.support.simulator import SimulatorThread, simulator_thread

from tidegate.simulator.behaviour import profile_from

CHAT = "/v1/chat/completions"
HELLO = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}]}
AZURE = "/openai/deployments/gpt-4.1/chat/completions?api-version=2024-10-21"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[str]:
        return [event.removeprefix("data: ") for event in self.body.decode().split("\n\n") if event]


@pytest.fixture(scope="module")
def thread() -> Iterator[SimulatorThread]:
    with simulator_thread(profile_from({"keys": {"sk-wrong": 401, "sk-broke": "429/insufficient_quota"}})) as thread:
        yield thread


@pytest.fixture
def simulator(thread: SimulatorThread) -> SimulatorThread:
    thread.reset()
    return thread


def ask(
    simulator: SimulatorThread, path: str, body: Any = None, *, method: str = "", key: str = "sk-x", **headers: str
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=10)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        fields.setdefault("authorization", f"Bearer {key}")
    data = None
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields.setdefault("content-type", "application/json")
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, data, fields)
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


# Answers.


def test_the_same_seed_and_calls_give_the_same_answers(simulator: SimulatorThread) -> None:
    def run() -> list[tuple[str, Any]]:
        simulator.reset()
        answers = [ask(simulator, CHAT, HELLO) for _ in range(3)]
        return [(answer.headers["x-request-id"], {**answer.json, "created": 0}) for answer in answers]

    first = run()
    assert first == run()
    assert len({answer["id"] for _, answer in first}) == 3
    assert len({str(answer["choices"]) for _, answer in first}) == 1


def test_another_seed_gives_other_answers(simulator: SimulatorThread) -> None:
    with simulator_thread(profile_from({"seed": 1})) as other:
        answers = [ask(thread, CHAT, HELLO).json for thread in (simulator, other)]
    assert answers[0]["choices"] != answers[1]["choices"]
    assert answers[0]["system_fingerprint"] != answers[1]["system_fingerprint"]


def test_headers_of_an_answer(simulator: SimulatorThread) -> None:
    headers = ask(simulator, CHAT, HELLO).headers
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"].startswith("req_")
    assert headers["x-ratelimit-limit-requests"] == "10000"
    assert "openai-processing-ms" in headers
    assert ask(simulator, CHAT, {**HELLO, "stream": True}).headers["content-type"].startswith("text/event-stream")


def test_usage_is_null_in_all_chunks_but_the_last(simulator: SimulatorThread) -> None:
    asked = {**HELLO, "stream": True, "stream_options": {"include_usage": True}}
    *events, last, done = ask(simulator, CHAT, asked).events
    assert done == "[DONE]"
    assert all(json.loads(event)["usage"] is None for event in events)
    assert json.loads(last)["choices"] == []
    assert json.loads(last)["usage"]["total_tokens"] > 0
    assert all(
        "usage" not in json.loads(event) for event in ask(simulator, CHAT, {**HELLO, "stream": True}).events[:-1]
    )


def test_obfuscation_can_be_left_out(simulator: SimulatorThread) -> None:
    asked = {**HELLO, "stream": True}
    assert "obfuscation" in ask(simulator, CHAT, asked).events[1]
    plain = ask(simulator, CHAT, {**asked, "stream_options": {"include_obfuscation": False}})
    assert "obfuscation" not in plain.body.decode()


def test_fields_nobody_knows_are_refused_unless_the_model_is_lenient(simulator: SimulatorThread) -> None:
    asked = {**HELLO, "top_k": 5}
    refused = ask(simulator, CHAT, asked)
    assert (refused.status, refused.json["error"]["code"]) == (400, "unknown_parameter")
    assert ask(simulator, CHAT, asked, x_sim="strict=false").status == 200


# Azure.


def test_azure_deployments(simulator: SimulatorThread) -> None:
    asked = {"messages": HELLO["messages"]}
    answer = ask(simulator, AZURE, asked, key="", api_key="azure-key")
    assert answer.status == 200
    assert answer.json["model"] == "gpt-4.1"
    assert answer.json["prompt_filter_results"]
    assert answer.headers["x-ms-deployment-name"] == "gpt-4.1"
    assert answer.headers["apim-request-id"]
    assert simulator.calls()[-1].key == "azure-key"
    first, *_ = ask(simulator, AZURE, {**asked, "stream": True}, key="", api_key="k").events
    assert json.loads(first)["choices"] == []
    assert "usage" not in json.loads(first)


def test_azure_errors(simulator: SimulatorThread) -> None:
    assert ask(simulator, AZURE, HELLO, key="").json["error"]["code"] == "401"
    missing = ask(simulator, AZURE.replace("gpt-4.1", "nope"), HELLO)
    assert (missing.status, missing.json["error"]["code"]) == (404, "DeploymentNotFound")
    assert ask(simulator, AZURE.partition("?")[0], HELLO).status == 404
    full = ask(simulator, AZURE, HELLO, x_sim="utilization=1.0")
    assert (full.status, full.headers["azure-openai-deployment-utilization"]) == (429, "100.0%")
    assert full.headers["retry-after-ms"] == "1000"


def test_azures_newer_paths(simulator: SimulatorThread) -> None:
    assert ask(simulator, "/openai/v1/chat/completions", HELLO, key="", api_key="k").status == 200
    assert "gpt-4.1" in {model["id"] for model in ask(simulator, "/openai/v1/models").json["data"]}


# Refusals.


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [("", 401, None), ("sk-wrong", 401, "invalid_api_key"), ("sk-broke", 429, "insufficient_quota")],
)
def test_credentials(simulator: SimulatorThread, key: str, status: int, code: str | None) -> None:
    answer = ask(simulator, CHAT, HELLO, key=key)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)


def test_paths_and_methods(simulator: SimulatorThread) -> None:
    assert ask(simulator, "/v1/nothing", HELLO).status == 404
    assert ask(simulator, "/elsewhere").status == 404
    assert ask(simulator, CHAT).status == 405
    assert ask(simulator, "/v1/models", HELLO).status == 405


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000])
def test_bodies_that_are_no_json_object(simulator: SimulatorThread, body: bytes) -> None:
    answer = ask(simulator, CHAT, body, method="POST")
    assert answer.status == 400
    assert "could not parse the JSON body" in answer.json["error"]["message"]


def test_a_form_is_not_read(simulator: SimulatorThread) -> None:
    answer = ask(simulator, CHAT, HELLO, content_type="application/x-www-form-urlencoded")
    assert "Invalid Content-Type" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("path", "model", "status"),
    [
        (CHAT, "text-embedding-3-small", 404),
        ("/v1/completions", "gpt-4.1", 404),
        ("/v1/embeddings", "gpt-4.1", 403),
        ("/v1/moderations", "gpt-4.1", 400),
    ],
)
def test_models_of_another_endpoint(simulator: SimulatorThread, path: str, model: str, status: int) -> None:
    assert ask(simulator, path, {**HELLO, "model": model, "input": "x", "prompt": "x"}).status == status


def test_what_the_context_cannot_hold(simulator: SimulatorThread) -> None:
    simulator.change("gpt-4.1", contextWindow=100, maxOutputTokens=50)
    long = {**HELLO, "messages": [{"role": "user", "content": "x" * 400}]}
    assert ask(simulator, CHAT, long).json["error"]["code"] == "context_length_exceeded"
    both = {**HELLO, "messages": [{"role": "user", "content": "x" * 300}], "max_tokens": 40}
    assert ask(simulator, CHAT, both).json["error"]["code"] == "context_length_exceeded"
    assert ask(simulator, CHAT, {**HELLO, "max_tokens": 51}).json["error"]["param"] == "max_tokens"


# Steering and run-time changes.


def test_three_ways_to_steer_a_call(simulator: SimulatorThread) -> None:
    assert ask(simulator, CHAT, HELLO, x_sim="status=503").status == 503
    assert ask(simulator, CHAT, {**HELLO, "metadata": {"sim": "status=500"}}).status == 500
    named = ask(simulator, CHAT, {**HELLO, "model": "gpt-4.1#text=Exactly this"})
    assert named.json["choices"][0]["message"]["content"] == "Exactly this"
    assert named.json["model"] == "gpt-4.1"
    assert ask(simulator, CHAT, HELLO, x_sim="speed=5").json["error"]["code"] == "bad_steering"
    assert ask(simulator, CHAT, HELLO).status == 200


def test_missing_usage(simulator: SimulatorThread) -> None:
    assert "usage" not in ask(simulator, CHAT, HELLO, x_sim="usage=false").json
    asked = {**HELLO, "stream": True, "stream_options": {"include_usage": True}}
    events = ask(simulator, CHAT, asked, x_sim="fault=no-usage").events
    assert all('"usage"' not in event for event in events)
    assert "usage" in ask(simulator, CHAT, HELLO).json


def test_models_change_at_run_time(simulator: SimulatorThread) -> None:
    name = "org/new:1"
    path = f"/_sim/models/{quote(name, safe='')}"
    assert ask(simulator, path).status == 404
    made = ask(simulator, path, {"tokens": 3, "ownedBy": "us"}, method="PUT")
    assert (made.status, made.json["tokens"]) == (200, "3")
    answer = ask(simulator, CHAT, {**HELLO, "model": name})
    assert answer.json["usage"]["completion_tokens"] == 3
    assert ask(simulator, path, {"errors": {"503": 1}}, method="PATCH").json["tokens"] == "3"
    assert ask(simulator, CHAT, {**HELLO, "model": name}).status == 503
    assert ask(simulator, "/v1/models/" + quote(name, safe="")).json["owned_by"] == "us"
    assert ask(simulator, path, method="DELETE").status == 200
    assert ask(simulator, CHAT, {**HELLO, "model": name}).status == 404
    bad = ask(simulator, path, {"tokns": 3}, method="PUT")
    assert (bad.status, "unknown field" in bad.json["error"]) == (400, True)


def test_a_star_stands_for_every_other_model(simulator: SimulatorThread) -> None:
    ask(simulator, "/_sim/models/*", {"tokens": 3}, method="PUT")
    assert ask(simulator, CHAT, {**HELLO, "model": "any"}).json["usage"]["completion_tokens"] == 3
    assert "*" not in {model["id"] for model in ask(simulator, "/v1/models").json["data"]}


def test_a_reset_undoes_it_all(simulator: SimulatorThread) -> None:
    ask(simulator, "/_sim/models/gpt-4.1", {"errors": {"503": 1}}, method="PUT")
    ask(simulator, CHAT, HELLO)
    assert ask(simulator, "/_sim/reset", b"").json == {"reset": True}
    assert ask(simulator, "/_sim/calls").json == {"total": 0, "calls": []}
    assert ask(simulator, CHAT, HELLO).status == 200


# The log.


def test_the_log_tells_what_was_asked_and_answered(simulator: SimulatorThread) -> None:
    answer = ask(simulator, CHAT, HELLO, x_probe="7")
    ask(simulator, CHAT, {**HELLO, "model": "gpt-4o"})
    ask(simulator, CHAT, HELLO, x_sim="status=503")
    found = ask(simulator, "/_sim/calls?model=gpt-4.1").json
    assert found["total"] == 3
    call, refused = found["calls"]
    assert json.loads(call["body"]) == HELLO
    assert ["x-probe", "7"] in call["headers"]
    assert (call["status"], call["outcome"], call["key"]) == (200, "completed", "sk-x")
    assert call["completion_tokens"] == answer.json["usage"]["completion_tokens"]
    assert (refused["status"], refused["outcome"]) == (503, "completed")
    counters = ask(simulator, "/_sim/counters").json["models"]
    assert counters["gpt-4.1"]["calls"] == 2
    assert counters["gpt-4.1"]["completion_tokens"] == call["completion_tokens"]
    assert len(ask(simulator, "/_sim/calls?limit=1").json["calls"]) == 1


def test_a_body_that_is_no_text_is_told_in_base64(simulator: SimulatorThread) -> None:
    ask(simulator, CHAT, b"\xff")
    assert ask(simulator, "/_sim/calls").json["calls"][0]["body_base64"] == "/w=="


def test_unknown_control_paths_say_what_there_is(simulator: SimulatorThread) -> None:
    answer = ask(simulator, "/_sim/nothing")
    assert answer.status == 404
    assert "GET /_sim/calls" in answer.json["see"]
    assert ask(simulator, "/_sim/calls?limit=x").status == 400


def test_a_request_that_is_not_http_gets_openais_shape(simulator: SimulatorThread) -> None:
    answer = ask(simulator, CHAT, HELLO, content_length="5x")
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
