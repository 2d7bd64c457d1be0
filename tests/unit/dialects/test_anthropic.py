"""The Anthropic dialect: native relay, faults, streams as the SDK reads them, and what no input may break."""

import json
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import ErrorResponse, Message, RawMessageStreamEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tests.support.dialect_case import Case, case_id, cases

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.anthropic import Anthropic
from tidegate.dialects.anthropic.claude_rules import version_of
from tidegate.dialects.anthropic.event_decoder import MessageDecoder
from tidegate.dialects.anthropic.event_encoder import MessageEncoder
from tidegate.dialects.anthropic.messages_out import FORBIDDEN, LONGEST
from tidegate.dialects.anthropic.request_in import decode_request
from tidegate.dialects.anthropic.request_out import encode_request
from tidegate.dialects.anthropic.usage import usage_of
from tidegate.dialects.canon import (
    Answer,
    ArgumentsDelta,
    Begun,
    Event,
    Finish,
    Finished,
    ItemBegun,
    ItemEnded,
    Reasoning,
    ReasoningDelta,
    ReasoningSealed,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from tidegate.dialects.canon import (
    Message as Said,
)
from tidegate.dialects.dialect import UnreadableAnswer, UnreadableRequest, UpstreamModel
from tidegate.dialects.tool_names import rename_tools
from tidegate.wire.sse import SseSplitter, sse_data, sse_event, sse_name

ANY_SPEED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
DIALECT = Anthropic()
CHAT = DIALECT.chat
assert CHAT is not None
EVENTS: Any = TypeAdapter(RawMessageStreamEvent)


def body(**fields: object) -> bytes:
    told = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **fields}
    return json.dumps(told).encode()


def view(**fields: object) -> View:
    return DIALECT.read("chat", body(**fields))


def frame(kind: str, **fields: object) -> bytes:
    return sse_event(json.dumps({"type": kind, **fields}).encode(), kind.encode())


START = frame(
    "message_start",
    message={
        "id": "msg_1",
        "model": "real-1",
        "usage": {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 1},
    },
)
TEXT = frame("content_block_start", index=0, content_block={"type": "text", "text": ""})


def delta(text: str) -> bytes:
    return frame("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


END = frame("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 7})
STOP = frame("message_stop")


class TestRead:
    def test_the_fields_that_decisions_need(self) -> None:
        told = view(stream=True, max_tokens=7)
        assert (told.model, told.stream, told.max_output_tokens) == ("m", True, 7)
        assert told.worst_input_tokens >= told.estimated_input_tokens > 0

    def test_warming_the_cache_bounds_the_output_by_nothing(self) -> None:
        assert view(max_tokens=0).max_output_tokens == 0
        assert view(max_tokens=None).max_output_tokens is None

    def test_what_is_elsewhere_counts_for_budgets(self) -> None:
        image: Any = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
        document: Any = {"type": "document", "source": {"type": "file", "file_id": "file_1"}}
        content: Any = [{"type": "text", "text": 'a "source" of "url"s'}]
        bare = view(messages=[{"role": "user", "content": content}])
        assert bare.worst_input_tokens == bare.body_bytes
        assert view(messages=[{"role": "user", "content": [image]}]).worst_input_tokens > 5_000
        assert view(messages=[{"role": "user", "content": [document]}]).worst_input_tokens > 200_000

    @pytest.mark.parametrize(
        ("raw", "field"),
        [
            (b"", None),
            (b"[]", None),
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


class TestNative:
    def test_every_value_keeps_its_bytes(self) -> None:
        raw = b'{"model":"a", "max_tokens":1,"messages" : [ {"role":"user","content":"\\u00e9"} ],"x_unknown":1.50e3}'
        sent = DIALECT.encode_request(DIALECT.read("chat", raw), UpstreamModel("b"), output_cap=5)
        assert sent == (
            b'{"model":"b","max_tokens":1,"messages":[ {"role":"user","content":"\\u00e9"} ],"x_unknown":1.50e3}'
        )

    def test_a_cap_only_where_the_client_set_none(self) -> None:
        sent = DIALECT.encode_request(view(max_tokens=None), UpstreamModel("b"), output_cap=5)
        assert json.loads(sent)["max_tokens"] == 5

    def test_a_whole_answer_gets_the_public_name(self) -> None:
        answer = DIALECT.read_answer(
            "chat", b'{"model":"real","content":[ ],"usage":{"input_tokens":3,"output_tokens":2}}'
        )
        assert DIALECT.encode_answer(answer, view()) == (
            b'{"model":"m","content":[ ],"usage":{"input_tokens":3,"output_tokens":2}}'
        )
        assert answer.usage.total == 5
        with pytest.raises(UnreadableAnswer):
            DIALECT.read_answer("chat", b"<html>")

    def test_a_stream_passes_untouched_but_for_the_name(self) -> None:
        reader = DIALECT.stream_reader(view(stream=True))
        ping = frame("ping")
        frames = [START, ping, TEXT, delta("a"), delta("b"), frame("content_block_stop", index=0), END, STOP]
        told = [reader.read(one) for one in frames]
        assert [one.content for one in told] == [False, False, False, True, True, False, True, False]
        assert [one.done for one in told] == [False] * 7 + [True]
        assert [one.bytes for one in told[1:]] == frames[1:]
        assert json.loads(sse_data(told[0].bytes))["message"]["model"] == "m"
        assert reader.usage is not None
        assert (reader.usage.input, reader.usage.cache_read, reader.usage.output) == (9, 4, 7)
        assert reader.usage.source == "reported"

    def test_a_cut_stream_has_an_estimate(self) -> None:
        reader = DIALECT.stream_reader(view(stream=True))
        for one in (START, TEXT, delta("a"), delta("b")):
            reader.read(one)
        assert reader.usage is not None
        assert (reader.usage.source, reader.usage.input) == ("estimated", 9)
        assert reader.content_events == 2
        assert reader.end_marker() is None

    def test_frames_without_an_event_line_get_one(self) -> None:
        reader = DIALECT.stream_reader(view(stream=True))
        for one in (START, TEXT, delta("a"), END):
            told = reader.read(b"data: " + sse_data(one) + b"\r\n\r\n")
            assert sse_name(told.bytes) == sse_name(one)
        assert reader.end_marker() == b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

    def test_an_error_in_the_stream_is_a_fault(self) -> None:
        reader = DIALECT.stream_reader(view(stream=True))
        fault = reader.read(frame("error", error={"type": "overloaded_error", "message": "Overloaded"})).fault
        assert fault is not None
        assert (fault.type, fault.message) == ("overloaded_error", "Overloaded")

    def test_a_call_that_begins_commits(self) -> None:
        reader = DIALECT.stream_reader(view(stream=True))
        reader.read(START)
        assert reader.read(frame("content_block_start", index=0, content_block={"type": "tool_use"})).content

    @pytest.mark.parametrize("base", ["", "/v1", "/proxy/v1", "/proxy"])
    def test_paths_with_and_without_a_version(self, base: str) -> None:
        path = DIALECT.upstream_path("chat", "m", base, None, stream=True)
        assert path == base.removesuffix("/v1") + "/v1/messages"


class TestUsage:
    def test_buckets_are_disjoint(self) -> None:
        usage = usage_of(
            b'{"input_tokens":5,"output_tokens":12,"cache_creation_input_tokens":30,"cache_read_input_tokens":40,'
            b'"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},'
            b'"output_tokens_details":{"thinking_tokens":7}}'
        )
        assert (usage.input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h) == (5, 40, 10, 20)
        assert (usage.output, usage.reasoning, usage.total) == (5, 7, 87)

    def test_a_split_that_is_older_than_its_total(self) -> None:
        usage = usage_of(
            b'{"input_tokens":5,"output_tokens":1,"cache_creation_input_tokens":30,'
            b'"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":20}}'
        )
        assert (usage.cache_write_5m, usage.cache_write_1h) == (10, 20)

    @pytest.mark.parametrize("raw", [b"null", b"{}", b"7", b'{"output_tokens":3}', b'{"input_tokens":3}'])
    def test_what_is_missing_is_unknown_and_never_zero(self, raw: bytes) -> None:
        assert usage_of(raw).source == "unknown"


class TestProblems:
    def test_the_sdk_reads_it(self) -> None:
        problem = Problem(status=429, code="budget_exceeded", message="spent", bucket="team/a", limit=5, used=5)
        raw = DIALECT.encode_problem(problem)
        told = ErrorResponse.model_validate_json(raw)
        assert (told.error.type, told.error.message) == ("rate_limit_error", "spent")
        assert json.loads(raw)["error"]["details"] == {
            "error_code": "budget_exceeded",
            "bucket": "team/a",
            "limit": 5,
            "used": 5,
            "resets_at_unix_ms": None,
        }

    @pytest.mark.parametrize(
        ("status", "kind"),
        [(400, "invalid_request_error"), (413, "invalid_request_error"), (404, "not_found_error"), (502, "api_error"),
         (503, "overloaded_error"), (504, "timeout_error"), (402, "billing_error")],
    )  # fmt: skip
    def test_types(self, status: int, kind: str) -> None:
        raw = DIALECT.encode_problem(Problem(status=status, code="c", message="m"))
        assert json.loads(raw)["error"]["type"] == kind

    def test_an_upstreams_error(self) -> None:
        fault = DIALECT.read_fault(
            429,
            b'{"type":"error","error":{"type":"rate_limit_error","message":"m",'
            b'"details":{"error_code":"enforced_spend_limit_reached"}}}',
        )
        assert (fault.type, fault.code, fault.message) == ("rate_limit_error", "enforced_spend_limit_reached", "m")
        assert DIALECT.read_fault(500, b"<html>").message == ""


# As the SDK reads it.

TO_ANTHROPIC = [case for case in cases("request") if case.path.parent.name.startswith("anthropic-to-")]


@pytest.mark.parametrize("case", [one for one in TO_ANTHROPIC if "answer" in one.sections], ids=case_id)
def test_the_sdk_takes_every_answer(case: Case) -> None:
    found = Message.model_validate_json(case.text("answer"), strict=True)
    assert set(found.model_extra or {}) <= {"native_finish_reason"}
    assert all(not block.model_extra for block in found.content)


@pytest.mark.parametrize("case", [one for one in TO_ANTHROPIC if "stream" in one.sections], ids=case_id)
def test_the_sdk_takes_every_stream(case: Case) -> None:
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    last = ""
    for one in SseSplitter().feed(case.text("stream")):
        last = sse_name(one).decode()
        if last == "error":
            break
        event = EVENTS.validate_json(sse_data(one), strict=True)
        assert event.type == last
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    assert last == ("error" if case.sections["stream"].argument == "cut" else "message_stop")
    if last == "message_stop":
        assert snapshot.stop_reason is not None


# Thoughts of other providers.


def test_a_foreign_thought_comes_back_as_it_went() -> None:
    """To an Anthropic client and back: signature, ciphertext, id and the signature of a call."""
    items: list[Any] = [
        Reasoning("short", encrypted="gAAA", summary=True, origin="openai-responses", id="rs_1"),
        Reasoning("", signature="c2ln", origin="gemini"),
        Reasoning("plain"),
        ToolCall("toolu_1", "f", "{}", signature="Z2Vt"),
    ]
    answer = Answer("a", items, Finish("tool_calls"), Usage())
    assert CHAT is not None
    content = json.loads(CHAT.encode_answer(answer, view()))["content"]
    assert [block["type"] for block in content] == [
        "thinking",
        "redacted_thinking",
        "thinking",
        "redacted_thinking",
        "tool_use",
    ]
    history: Any = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": content}]
    assert decode_request(view(messages=history).fields).items[1:] == items


def test_and_so_it_does_in_a_stream() -> None:
    events: list[Event] = [
        Begun("a"),
        ItemBegun(0, Reasoning(origin="openai-responses", id="rs_1", summary=True)),
        ReasoningDelta(0, "short"),
        ReasoningSealed(0, encrypted="gAAA"),
        ItemEnded(0),
        ItemBegun(1, Reasoning(origin="gemini")),
        ReasoningSealed(1, signature="c2ln"),
        ItemEnded(1),
        ItemBegun(2, ToolCall("toolu_1", "f", "", signature="Z2Vt")),
        ArgumentsDelta(2, "{}"),
        ItemEnded(2),
        Finished(Finish("tool_calls")),
    ]
    encoder = MessageEncoder(view(stream=True))
    out = b"".join(encoder.encode(event) for event in events) + encoder.end()
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for one in SseSplitter().feed(out):
        event = EVENTS.validate_json(sse_data(one))
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    content = [block.model_dump(exclude_none=True) for block in snapshot.content]
    history: Any = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": content}]
    assert decode_request(view(messages=history).fields).items[1:] == [
        Reasoning("short", encrypted="gAAA", summary=True, origin="openai-responses", id="rs_1"),
        Reasoning("", signature="c2ln", origin="gemini"),
        ToolCall("toolu_1", "f", "{}", signature="Z2Vt"),
    ]


def test_anthropic_itself_never_gets_a_sealed_thought() -> None:
    """A conversation that another provider answered for a while: its thoughts would be refused."""
    items: list[Any] = [Reasoning("plain", origin="openai"), ToolCall("toolu_1", "f", "{}", signature="Z2Vt")]
    assert CHAT is not None
    sealed = json.loads(CHAT.encode_answer(Answer("a", items, Finish("stop"), Usage()), view()))["content"]
    own: Any = [{"type": "thinking", "thinking": "", "signature": "c2ln"}, {"type": "text", "text": '"tidegate.x"'}]
    messages: Any = [
        {"role": "user", "content": '"tidegate.x"'},
        {"role": "assistant", "content": [*own, *sealed]},
        {"role": "assistant", "content": sealed[:1]},
    ]
    sent = json.loads(DIALECT.encode_request(view(messages=messages), UpstreamModel("b"), output_cap=None))
    assert sent["messages"] == [messages[0], {"role": "assistant", "content": [*own, sealed[-1]]}]
    odd: Any = ['"tidegate.', {"content": ["tidegate."]}]
    sent = json.loads(DIALECT.encode_request(view(messages=odd), UpstreamModel("b"), output_cap=None))
    assert sent["messages"] == odd


def test_a_broken_seal_is_an_opaque_text() -> None:
    block = {"type": "thinking", "thinking": "t", "signature": "tidegate.%%%"}
    items = decode_request(view(messages=[{"role": "assistant", "content": [block]}]).fields).items
    assert items == [Reasoning("t", signature="tidegate.%%%", origin="anthropic")]


# Names.


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("claude-3-7-sonnet-20250219", (3, 7)),
        ("claude-3-opus-20240229", (3, 0)),
        ("claude-opus-4-20250514", (4, 0)),
        ("claude-sonnet-4-5-20250929", (4, 5)),
        ("anthropic/claude-opus-4.6", (4, 6)),
        ("anthropic.claude-opus-4-7-v1:0", (4, 7)),
        ("claude-sonnet-5", (5, 0)),
        ("claude-latest", (99, 0)),
        ("kimi-k2", (4, 5)),
    ],
)
def test_versions(name: str, version: tuple[int, int]) -> None:
    assert version_of(name) == version


@ANY_SPEED
@given(st.lists(st.text(max_size=80), max_size=6, unique=True))
def test_tool_names_are_legal_and_come_back(names: list[str]) -> None:
    request = Request(items=[], tools=[Tool(name) for name in names])
    renamed = rename_tools(request, forbidden=FORBIDDEN, longest=LONGEST)
    sent = [renamed(name) for name in names]
    assert len(set(sent)) == len(names)
    assert all(0 < len(name) <= LONGEST and not FORBIDDEN.search(name) for name in sent)
    assert [request.renamed.get(name, name) for name in sent] == names


# Nothing breaks it.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["type", "text", "role", "content", "source", "id", "name", "input", "tool_use_id", "thinking", "signature",
             "data", "url", "media_type", "cache_control", "ttl", "index", "delta", "content_block", "usage", "message"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
BLOCKS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image", "document", "thinking", "redacted_thinking", "tool_use", "tool_result"])},
    optional={
        "text": JSON, "source": JSON, "id": st.text(max_size=3), "name": st.text(max_size=3), "input": JSON,
        "tool_use_id": st.text(max_size=3), "content": JSON, "thinking": JSON, "signature": JSON, "data": JSON,
        "cache_control": JSON,
    },
)  # fmt: skip


@ANY_SPEED
@given(st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content":
                                       st.lists(BLOCKS, max_size=4) | JSON}), max_size=4), st.dictionaries(
    st.sampled_from(["system", "tools", "tool_choice", "thinking", "output_config", "metadata", "stop_sequences"]), JSON,
    max_size=3))  # fmt: skip
def test_no_request_crashes_it(messages: list[object], fields: dict[str, object]) -> None:
    try:
        request = decode_request(view(messages=messages, **fields).fields)
        encode_request(request, UpstreamModel("claude-sonnet-4-5"))
    except UnreadableRequest as error:
        assert error.problem.status == 400


@ANY_SPEED
@given(st.lists(st.tuples(st.sampled_from(
    ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop",
     "ping", "error", "other", ""]), JSON | st.dictionaries(st.sampled_from(
         ["index", "message", "content_block", "delta", "usage"]), JSON)), max_size=6))  # fmt: skip
def test_no_events_crash_a_reader(told: list[tuple[str, object]]) -> None:
    decoder, reader = MessageDecoder(), DIALECT.stream_reader(view(stream=True))
    for name, data in told:
        one = sse_event(json.dumps(data).encode(), name.encode())
        for read in (decoder.decode, reader.read):
            try:
                read(one)
            except UnreadableAnswer:
                pass


@ANY_SPEED
@given(st.binary(max_size=200))
def test_no_bytes_crash_a_reader(raw: bytes) -> None:
    assert CHAT is not None
    reads: list[Any] = [MessageDecoder().decode, DIALECT.stream_reader(view(stream=True)).read, CHAT.decode_answer]
    for read in reads:
        for data in (raw, b"data: " + raw, b"event: message_start\ndata: " + raw):
            try:
                read(data)
            except UnreadableAnswer:
                pass


TEXTS = st.text(min_size=1, max_size=20).filter(lambda text: bool(text.strip()))
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
ARGUMENTS = st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=3).map(json.dumps)


@st.composite
def histories(draw: st.DrawFn) -> list[Any]:
    """Turns as a real conversation has them: the user's, then the model's with calls, then their results."""
    items: list[Any] = [Said("user", [Text(draw(TEXTS))])]
    for turn in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):
            items.append(Reasoning(draw(TEXTS), signature=draw(TEXTS), origin="anthropic"))
        if draw(st.booleans()):
            items.append(Said("assistant", [Text(draw(TEXTS))]))
        calls = [ToolCall(f"t{turn}_{place}", draw(IDS), draw(ARGUMENTS)) for place in range(draw(st.integers(1, 3)))]
        items += calls
        items += [ToolResult(call.id, [Text(draw(TEXTS))], is_error=draw(st.none() | st.booleans())) for call in calls]
        items.append(Said("user", [Text(draw(TEXTS))]))
    return items


@ANY_SPEED
@given(histories(), st.integers(1, 9000), st.none() | st.floats(0, 1), st.lists(TEXTS, max_size=2))
def test_what_is_encoded_is_decoded(items: list[Any], bound: int, temperature: float | None, stop: list[str]) -> None:
    request = Request(items=items, max_output_tokens=bound, temperature=temperature, stop=stop)
    sent = encode_request(request, UpstreamModel("claude-sonnet-4-5"))
    back = decode_request(DIALECT.read("chat", sent).fields)
    assert back.items == items
    assert (back.max_output_tokens, back.temperature, back.stop) == (bound, temperature, stop)
    assert not request.dropped
