"""The Cohere dialect: paths, the native relay, and every case's bytes against the official SDK's own types."""

import inspect
import json
from typing import Any

import pytest
from cohere import ClientV2, V2ChatResponse, V2ChatStreamResponse
from cohere.core.http_sse._decoders import SSEDecoder
from cohere.core.http_sse._models import ServerSentEvent
from cohere.core.pydantic_utilities import parse_obj_as, parse_sse_obj
from cohere.types import ChatMessageV2, ToolV2
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from tests.support.decoders import decode_anything, json_values
from tests.support.dialect_case import Case, case_id, cases

from tidegate.core.problem import Problem
from tidegate.core.usage import Units
from tidegate.dialects.canon import Failed
from tidegate.dialects.cohere import Cohere
from tidegate.dialects.cohere.usage import usage_of
from tidegate.dialects.dialect import StreamReader, UnreadableAnswer, UnreadableRequest, UpstreamModel
from tidegate.gateway.endpoints import EXACT

DIALECT = Cohere()
CHAT = DIALECT.chat
assert CHAT is not None


def body(**fields: object) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()


def event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def text(words: str) -> bytes:
    return event("content-delta", index=0, delta={"message": {"content": {"text": words}}})


START = event("message-start", id="co-1", delta={"message": {"role": "assistant"}})
UNITS = {
    "billed_units": {"input_tokens": 5.0, "output_tokens": 2.0},
    "tokens": {"input_tokens": 70, "output_tokens": 2},
}
END = event("message-end", delta={"finish_reason": "COMPLETE", "usage": UNITS})


def reader() -> StreamReader:
    return DIALECT.stream_reader(DIALECT.read("chat", body(stream=True)))


class TestRead:
    def test_the_fields_that_decisions_need(self) -> None:
        view = DIALECT.read("chat", body(stream=True, max_tokens=7))
        assert (view.model, view.stream, view.max_output_tokens) == ("m", True, 7)
        view = DIALECT.read("embedding", b'{"model":"e","texts":["a"],"input_type":"search_query"}')
        assert (view.operation, view.stream, view.max_output_tokens) == ("embedding", False, 0)

    @pytest.mark.parametrize(
        ("raw", "field"),
        [
            (b"", None),
            (b'{"messages":[]}', "model"),
            (b'{"model":"m"}', "messages"),
            (b'{"model":"m","messages":[],"stream":1}', "stream"),
            (b'{"model":"m","messages":[],"max_tokens":-1}', "max_tokens"),
        ],
    )
    def test_what_cannot_be_read_is_named(self, raw: bytes, field: str | None) -> None:
        with pytest.raises(UnreadableRequest) as caught:
            DIALECT.read("chat", raw)
        assert (caught.value.problem.status, caught.value.problem.field) == (400, field)


class TestPaths:
    def test_its_clients(self) -> None:
        assert EXACT[b"/v2/chat"].dialect.name == EXACT[b"/cohere/v2/embed"].dialect.name == "cohere"

    @pytest.mark.parametrize("base", ["", "/v1", "/v2"])
    def test_upstream(self, base: str) -> None:
        assert DIALECT.upstream_path("chat", "m", base, None, stream=True) == "/v2/chat"


class TestNative:
    def test_every_value_keeps_its_bytes(self) -> None:
        raw = b'{"model":"a","messages": [ ],"x_new":1.50e3,"documents":[{"data": {}}]}'
        view = DIALECT.read("chat", raw)
        sent = DIALECT.encode_request(view, UpstreamModel("b"), output_cap=9)
        assert sent == b'{"model":"b","messages":[ ],"x_new":1.50e3,"documents":[{"data": {}}],"max_tokens":9}'

    def test_a_stream_passes_as_it_is(self) -> None:
        stream = reader()
        comment = b": still here\n\n"
        told = [stream.read(one) for one in (START, comment, text("a"), text('"message-end"'), END)]
        assert [one.bytes for one in told] == [START, comment, text("a"), text('"message-end"'), END]
        assert [one.content for one in told] == [False, False, True, True, True]
        assert [one.done for one in told] == [False, False, False, False, True]
        assert stream.usage is not None
        assert (stream.usage.input, stream.usage.output) == (5, 2)
        assert json.loads(stream.usage.raw) == UNITS
        assert stream.content_events == 2
        assert stream.end_marker() is None

    @pytest.mark.parametrize(
        ("delta", "message"),
        [({"finish_reason": "ERROR", "error": "it broke"}, "it broke"), ({"finish_reason": "TIMEOUT"}, "TIMEOUT")],
    )
    def test_an_end_that_is_an_error_is_a_fault(self, delta: dict[str, str], message: str) -> None:
        told = reader().read(event("message-end", delta=delta))
        assert (told.fault is not None, told.done) == (True, False)
        assert told.fault is not None
        assert message in told.fault.message
        decoded = CHAT.event_decoder().decode(event("message-end", delta=delta))
        assert isinstance(decoded[0], Failed)

    def test_an_error_without_a_type(self) -> None:
        told = reader().read(b'data: {"id":"x","message":"too many requests"}\n\n')
        assert told.fault is not None
        assert told.fault.message == "too many requests"

    @pytest.mark.parametrize("raw", [b"data: <html>\n\n", b"data: [1]\n\n", b'data: {"delta":5}\n\n'])
    def test_garbage_is_told(self, raw: bytes) -> None:
        with pytest.raises(UnreadableAnswer):
            reader().read(raw)

    def test_embeddings(self) -> None:
        raw = b'{"id":"x","embeddings":{"float":[[0.10]]},"meta":{"billed_units":{"input_tokens":3}}}'
        answer = DIALECT.read_answer("embedding", raw)
        assert (answer.usage.input, answer.usage.output, answer.usage.source) == (3, 0, "reported")
        assert DIALECT.encode_answer(answer, DIALECT.read("chat", body())) == raw


class TestRerank:
    def test_natively(self) -> None:
        raw = b'{"model":"m","query":"tide","documents":["a", "b"],"top_n":1,"relevant_spans":null}'
        view = DIALECT.read("rerank", raw)
        assert (view.stream, view.max_output_tokens) == (False, 0)
        sent = DIALECT.encode_request(view, UpstreamModel("rerank-v3.5"), output_cap=None)
        assert sent == raw.replace(b'"m"', b'"rerank-v3.5"')
        assert DIALECT.upstream_path("rerank", "m", "", None, stream=False) == "/v2/rerank"
        with pytest.raises(UnreadableRequest, match="`query` is missing"):
            DIALECT.read("rerank", b'{"model":"m","documents":[]}')

    @pytest.mark.parametrize(("units", "searches"), [("1.0", 1), ("2", 2), ("null", None)])
    def test_search_units_are_counted(self, units: str, searches: int | None) -> None:
        raw = b'{"results":[],"meta":{"billed_units":{"search_units":%s}}}' % units.encode()
        usage = DIALECT.read_answer("rerank", raw).usage
        assert usage.source == ("unknown" if searches is None else "reported")
        assert usage.units == (None if searches is None else Units(searches=searches))


class TestUsage:
    def test_without_billed_units_the_tokens_count(self) -> None:
        assert usage_of(b'{"tokens":{"input_tokens":7,"output_tokens":2}}').total == 9

    @pytest.mark.parametrize(
        "raw", [b"null", b"{}", b"7", b'{"billed_units":{}}', b'{"billed_units":{"input_tokens":"x"}}']
    )
    def test_what_is_missing_is_unknown_and_never_zero(self, raw: bytes) -> None:
        assert usage_of(raw).source == "unknown"


class TestProblems:
    def test_faults(self) -> None:
        assert DIALECT.read_fault(400, b'{"id":"x","message":"no"}').message == "no"
        assert DIALECT.read_fault(500, b"<html>").message == ""

    def test_problems(self) -> None:
        told = json.loads(DIALECT.encode_problem(Problem(status=400, code="c", message="m", field="f")))
        assert told == {"message": "m", "code": "c", "field": "f"}


class TestCanonical:
    def test_a_call_goes_on_only_while_it_is_open(self) -> None:
        decoder = CHAT.event_decoder()
        decoder.decode(START)
        with pytest.raises(UnreadableAnswer, match="after its end"):
            decoder.decode(
                event("tool-call-delta", delta={"message": {"tool_calls": {"function": {"arguments": "x"}}}})
            )

    @given(
        json_values(("model", "messages", "tools", "tool_choice", "response_format", "thinking", "stream", "documents"))
    )
    def test_no_request_crashes_it(self, value: Any) -> None:
        try:
            view = DIALECT.read("chat", json.dumps(value).encode())
            CHAT.encode_request(CHAT.decode_request(view), UpstreamModel("m"))
        except UnreadableRequest as error:
            assert error.problem.status == 400

    @given(st.binary(max_size=200) | json_values(("type", "delta", "message", "usage", "id", "index")).map(json.dumps))
    def test_no_answer_crashes_it(self, value: bytes | str) -> None:
        decode_anything(CHAT, value.encode() if isinstance(value, str) else value, sse=True)

    @given(st.sampled_from(("content-start", "content-delta", "tool-plan-delta", "tool-call-start", "tool-call-delta",
                            "citation-start", "message-end")),
           json_values(("message", "finish_reason", "error", "usage")))  # fmt: skip
    def test_no_event_crashes_it(self, kind: str, delta: Any) -> None:
        decode_anything(CHAT, json.dumps({"type": kind, "delta": delta}).encode(), sse=True)

    @given(st.text(max_size=40), st.dictionaries(st.text(max_size=5), st.integers(), max_size=3), st.integers(1, 99))
    def test_values_survive(self, words: str, arguments: dict[str, int], number: int) -> None:
        call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": json.dumps(arguments)}}
        messages = [
            {"role": "user", "content": words or "x"},
            {"role": "assistant", "tool_plan": words, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": words}]},
        ]
        raw = body(messages=messages, seed=number, max_tokens=number, k=number, p=0.5)
        first = CHAT.decode_request(DIALECT.read("chat", raw))
        assert CHAT.decode_request(DIALECT.read("chat", CHAT.encode_request(first, UpstreamModel("m")))) == first


def known(model: object) -> None:
    """No member that the SDK's types do not have, but for the upstream's own finish reason."""
    if isinstance(model, BaseModel):
        assert set(model.model_extra or {}) <= {"native_finish_reason"}, model
        for name in type(model).model_fields:
            known(getattr(model, name))
    elif isinstance(model, list):
        for one in model:
            known(one)


def answers() -> list[Case]:
    return [one for one in cases("answer") if one.client.name == "cohere"]


@pytest.mark.parametrize(
    "case", [one for one in cases("upstream-request") if one.upstream.name == "cohere"], ids=case_id
)
def test_the_sdk_knows_every_field_that_goes_upstream(case: Case) -> None:
    sent = json.loads(case.text("upstream-request"))
    assert set(sent) <= {*inspect.signature(ClientV2.chat).parameters, "stream"}
    for message in sent["messages"]:
        known(parse_obj_as(ChatMessageV2, message))  # type: ignore[arg-type]
    for tool in sent.get("tools", ()):
        known(parse_obj_as(ToolV2, tool))


@pytest.mark.parametrize("case", answers(), ids=case_id)
def test_the_sdk_reads_every_answer(case: Case) -> None:
    told = json.loads(case.text("answer"))
    found = V2ChatResponse.model_validate(told)
    assert found.message.role == "assistant"
    known(parse_obj_as(V2ChatResponse, told))


@pytest.mark.parametrize("case", [one for one in cases("stream") if one.client.name == "cohere"], ids=case_id)
def test_the_sdk_reads_every_stream(case: Case) -> None:
    decoder = SSEDecoder()
    found: list[ServerSentEvent] = []
    for line in case.text("stream").decode().split("\n"):
        event = decoder.decode(line)
        if event is not None:
            found.append(event)
    told: list[Any] = [parse_sse_obj(one, V2ChatStreamResponse) for one in found]  # type: ignore[arg-type]
    for one, sent in zip(told, found, strict=True):
        assert one.type == sent.event
        known(one)
    assert [one.type for one in told].count("message-end") == 1
    failed = case.sections["stream"].argument == "cut"
    assert told[-1].delta.finish_reason == "ERROR" if failed else told[-1].delta.usage.billed_units.input_tokens
