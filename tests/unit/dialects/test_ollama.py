"""The Ollama dialect: paths, the native relay, and every case's bytes against the official SDK's own types."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ollama import ChatResponse, GenerateResponse, Image, ListResponse, Message
from ollama._types import ChatRequest
from tests.support.decoders import decode_anything, json_values
from tests.support.dialect_case import Case, case_id, cases

from tidegate.core.problem import Problem
from tidegate.core.view import PathTells
from tidegate.dialects.dialect import UnreadableAnswer, UnreadableRequest, UpstreamModel
from tidegate.dialects.listing import ListedModel
from tidegate.dialects.ollama import Ollama
from tidegate.gateway.endpoints import EXACT

DIALECT = Ollama()
CHAT = DIALECT.chat
assert CHAT is not None
GENERATE = PathTells(form="generate")
TIME = "2026-11-01T10:00:00Z"


def body(**fields: object) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()


def line(done: bool = False, **fields: object) -> bytes:
    told = {"model": "real-1", "created_at": TIME, "message": {"role": "assistant", "content": ""}, "done": done}
    return json.dumps(told | fields, separators=(",", ":")).encode() + b"\n"


def said(**message: object) -> bytes:
    return line(message={"role": "assistant", "content": "", **message})


LAST = line(True, done_reason="stop", prompt_eval_count=5, eval_count=2, total_duration=9)


class TestRead:
    @pytest.mark.parametrize(
        ("fields", "stream"),
        [({}, True), ({"stream": None}, True), ({"stream": True}, True), ({"stream": False}, False)],
    )
    def test_it_streams_unless_told_otherwise(self, fields: dict[str, object], stream: bool) -> None:
        assert DIALECT.read("chat", body(**fields)).stream is stream

    @pytest.mark.parametrize(("predicted", "bound"), [(7, 7), (-1, None), (0, None), (None, None), ("x", None)])
    def test_the_bound_on_its_output(self, predicted: object, bound: int | None) -> None:
        assert DIALECT.read("chat", body(options={"num_predict": predicted})).max_output_tokens == bound

    @pytest.mark.parametrize(
        ("raw", "field"),
        [
            (b"", None),
            (b'{"messages":[]}', "model"),
            (b'{"model":"m"}', "messages"),
            (b'{"model":"m","messages":[],"stream":1}', "stream"),
            (b'{"model":"m","messages":[],"options":[]}', "options"),
        ],
    )
    def test_what_cannot_be_read_is_named(self, raw: bytes, field: str | None) -> None:
        with pytest.raises(UnreadableRequest) as caught:
            DIALECT.read("chat", raw)
        assert (caught.value.problem.status, caught.value.problem.field) == (400, field)

    def test_generate_wants_a_prompt(self) -> None:
        with pytest.raises(UnreadableRequest, match="`prompt` is missing"):
            DIALECT.read("chat", b'{"model":"m"}', GENERATE)


class TestPaths:
    def test_its_clients(self) -> None:
        assert EXACT[b"/api/chat"].dialect.name == EXACT[b"/ollama/api/embed"].dialect.name == "ollama"
        assert DIALECT.match_path(b"/api/generate", b"") == ("chat", GENERATE)
        assert DIALECT.match_path(b"/api/show", b"") is None

    @pytest.mark.parametrize("base", ["", "/api"])
    def test_upstream(self, base: str) -> None:
        assert DIALECT.upstream_path("chat", "m", base, None, stream=True) == "/api/chat"
        assert DIALECT.upstream_path("embedding", "m", base, None, stream=False) == "/api/embed"


class TestNative:
    def test_every_value_keeps_its_bytes(self) -> None:
        raw = b'{"model":"a","messages": [ ],"x_new":1.50e3,"options":{"num_ctx": 8}}'
        view = DIALECT.read("chat", raw)
        sent = DIALECT.encode_request(view, UpstreamModel("b"), output_cap=None)
        assert sent == b'{"model":"b","messages":[ ],"x_new":1.50e3,"options":{"num_ctx": 8}}'
        capped = json.loads(DIALECT.encode_request(view, UpstreamModel("b"), output_cap=50))
        assert capped["options"] == {"num_ctx": 8, "num_predict": 50}

    def test_a_stream(self) -> None:
        reader = DIALECT.stream_reader(DIALECT.read("chat", body()))
        call = {"function": {"name": "f", "arguments": {"model": "real-1"}}}
        events = [line(), said(content='{"model":"real-1"}'), said(thinking="x"), said(tool_calls=[call]), LAST]
        told = [reader.read(event) for event in events]
        assert [one.content for one in told] == [False, True, True, True, True]
        assert [one.done for one in told] == [False, False, False, False, True]
        for one, event in zip(told, events, strict=True):
            assert json.loads(one.bytes) == json.loads(event) | {"model": "m"}
            assert one.bytes.endswith(b"}\n")
        assert reader.usage is not None
        assert (reader.usage.input, reader.usage.output, reader.usage.source) == (5, 2, "reported")
        assert reader.content_events == 3
        assert reader.end_marker() is None

    def test_counts_that_are_missing_are_unknown(self) -> None:
        reader = DIALECT.stream_reader(DIALECT.read("chat", body()))
        assert reader.read(line(True, eval_count=3)).done
        assert reader.usage is None
        assert DIALECT.read_answer("chat", line(True)).usage.source == "unknown"

    def test_an_error_in_the_stream_is_a_fault(self) -> None:
        reader = DIALECT.stream_reader(DIALECT.read("chat", body()))
        told = reader.read(b'{"error":"out of memory"}\n')
        assert told.fault is not None
        assert told.fault.message == "out of memory"

    @pytest.mark.parametrize("raw", [b"<html>\n", b'{"done":"yes"}\n', b'{"message":{"content":"\xff"}}\n'])
    def test_garbage_is_told(self, raw: bytes) -> None:
        with pytest.raises(UnreadableAnswer):
            DIALECT.stream_reader(DIALECT.read("chat", body())).read(raw)

    def test_a_whole_answer(self) -> None:
        view = DIALECT.read("chat", body(stream=False))
        answer = DIALECT.read_answer("chat", LAST)
        assert answer.usage.total == 7
        assert json.loads(DIALECT.encode_answer(answer, view)) == json.loads(LAST) | {"model": "m"}
        with pytest.raises(UnreadableAnswer):
            DIALECT.read_answer("chat", b'{"model":"x"}')

    def test_embeddings(self) -> None:
        view = DIALECT.read("embedding", b'{"model":"m","input":["a"],"truncate":true}')
        assert (view.stream, view.max_output_tokens) == (False, 0)
        answer = DIALECT.read_answer("embedding", b'{"model":"real","embeddings":[[0.10]],"prompt_eval_count":3}')
        assert (answer.usage.input, answer.usage.output, answer.usage.source) == (3, 0, "reported")
        assert DIALECT.encode_answer(answer, view) == b'{"model":"m","embeddings":[[0.10]],"prompt_eval_count":3}'

    def test_generate_is_a_chat_for_an_ollama_upstream_too(self) -> None:
        view = DIALECT.read("chat", b'{"model":"m","prompt":"Why?","stream":false}', GENERATE)
        sent = json.loads(DIALECT.encode_request(view, UpstreamModel("b"), output_cap=9))
        assert sent == {
            "model": "b", "messages": [{"role": "user", "content": "Why?"}], "stream": False,
            "options": {"num_predict": 9},
        }  # fmt: skip
        whole = line(True, message={"role": "assistant", "content": "So."}, prompt_eval_count=5, eval_count=2)
        told = json.loads(DIALECT.encode_answer(DIALECT.read_answer("chat", whole), view))
        assert (told["response"], told["model"], told["eval_count"]) == ("So.", "m", 2)
        reader = DIALECT.stream_reader(view)
        lines = [reader.read(event).bytes for event in (said(content="S"), said(content="o."), LAST)]
        assert "".join(json.loads(one)["response"] for one in lines if one) == "So."


class TestProblems:
    def test_faults(self) -> None:
        assert DIALECT.read_fault(404, b'{"error":"model not found"}').message == "model not found"
        assert DIALECT.read_fault(500, b"<html>").message == ""

    def test_problems_are_texts(self) -> None:
        told = json.loads(DIALECT.encode_problem(Problem(status=400, code="c", message="m", field="f")))
        assert told == {"error": "m", "code": "c", "field": "f"}

    def test_models(self) -> None:
        page: Any = DIALECT.model_page([ListedModel("gpt-4.1", 1_700_000_000)])
        listed = ListResponse.model_validate(page).models[0]
        assert (listed.model, listed.modified_at is not None) == ("gpt-4.1", True)


class TestCanonical:
    def test_names_of_options_are_no_headers(self) -> None:
        view = DIALECT.read("chat", body(options={"num_ctx": 1, "a\r\nset-cookie: b": 2, "é": 3}))
        assert CHAT.decode_request(view).dropped == ["options.num_ctx", "options", "options"]

    @given(json_values(("model", "messages", "tools", "options", "format", "think", "stream", "keep_alive")))
    def test_no_request_crashes_it(self, value: Any) -> None:
        self.read(value, PathTells())

    @given(json_values(("model", "prompt", "system", "images", "options", "format", "think", "raw")))
    def test_no_prompt_crashes_it(self, value: Any) -> None:
        self.read(value, GENERATE)

    def read(self, value: Any, path: PathTells) -> None:
        try:
            view = DIALECT.read("chat", json.dumps(value).encode(), path)
            CHAT.encode_request(CHAT.decode_request(view), UpstreamModel("m"))
        except UnreadableRequest as error:
            assert error.problem.status == 400

    @given(st.binary(max_size=200) | json_values(("message", "done", "error", "eval_count", "model")).map(json.dumps))
    def test_no_answer_crashes_it(self, value: bytes | str) -> None:
        decode_anything(CHAT, value.encode() if isinstance(value, str) else value, sse=False)

    @given(st.text(max_size=40), st.dictionaries(st.text(max_size=5), st.integers(), max_size=3), st.integers(1, 99))
    def test_values_survive(self, text: str, arguments: dict[str, int], number: int) -> None:
        messages = [
            {"role": "user", "content": text or "x"},
            {"role": "assistant", "content": text, "thinking": text,
             "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": arguments}}]},
            {"role": "tool", "tool_name": "f", "tool_call_id": "a", "content": text},
        ]  # fmt: skip
        raw = body(messages=messages, options={"seed": number, "num_predict": number}, think=False)
        first = CHAT.decode_request(DIALECT.read("chat", raw))
        assert CHAT.decode_request(DIALECT.read("chat", CHAT.encode_request(first, UpstreamModel("m")))) == first


def checked(case: Case) -> Callable[[Any], Any]:
    form = case.sections["request"].argument
    return GenerateResponse.model_validate if form else ChatResponse.model_validate


@pytest.mark.parametrize(
    "case", [one for one in cases("upstream-request") if one.upstream.name == "ollama"], ids=case_id
)
def test_the_sdk_knows_every_field_that_goes_upstream(case: Case) -> None:
    sent = json.loads(case.text("upstream-request"))
    for message in sent["messages"]:
        for data in message.pop("images", ()):
            assert Image(value=data).model_dump() == data
    known = ChatRequest.model_validate(sent).model_dump(exclude_unset=True)
    known["messages"] = [Message.model_validate(one).model_dump(exclude_unset=True) for one in sent["messages"]]
    for message in sent["messages"]:  # the server takes both ids; this SDK has neither
        message.pop("tool_call_id", None)
        for call in message.get("tool_calls", ()):
            call.pop("id")
    for tool in [*sent.get("tools", ()), *known.get("tools", ())]:
        tool["function"]["parameters"] = None
    assert known == sent


@pytest.mark.parametrize("case", [one for one in cases("answer") if one.client.name == "ollama"], ids=case_id)
def test_the_sdk_reads_every_answer(case: Case) -> None:
    assert checked(case)(json.loads(case.text("answer"))).done


@pytest.mark.parametrize("case", [one for one in cases("stream") if one.client.name == "ollama"], ids=case_id)
def test_the_sdk_reads_every_stream(case: Case) -> None:
    told = [json.loads(one) for one in case.text("stream").splitlines()]
    if case.sections["stream"].argument == "cut":
        assert "error" in told.pop()  # which the SDK raises
        assert not any(one["done"] for one in told)
    else:
        assert [one["done"] for one in told] == [False] * (len(told) - 1) + [True]
    for one in told:
        checked(case)(one)
