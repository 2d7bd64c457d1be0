"""Bedrock: every case against botocore's model, the native relay, faults, paths, and arbitrary input."""

import json
from typing import Any

import pytest
from botocore.parsers import RestJSONParser
from hypothesis import given
from hypothesis import strategies as st
from tests.support.bedrock import event, exception, objections, read_answer, read_stream, service, streamed_text
from tests.support.decoders import decode_anything, json_values
from tests.support.dialect_case import Case, case_id, cases

from tidegate.core.problem import Problem
from tidegate.core.view import PathTells, View
from tidegate.dialects.bedrock import Bedrock
from tidegate.dialects.bedrock.usage import usage_of
from tidegate.dialects.canon import (
    Answer,
    Ended,
    Finish,
    Image,
    ItemBegun,
    ItemEnded,
    Message,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from tidegate.dialects.dialect import UnreadableAnswer, UnreadableRequest, UpstreamModel
from tidegate.wire.eventstream import EventStreamSplitter
from tidegate.wire.framing import FrameError

DIALECT = Bedrock()
CHAT = DIALECT.chat
assert CHAT is not None
CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
HELLO = [{"role": "user", "content": [{"text": "Hi"}]}]


def body(**fields: object) -> bytes:
    return json.dumps({"messages": HELLO, **fields}).encode()


def view(raw: bytes, *, stream: bool = False) -> View:
    return DIALECT.read("chat", raw, PathTells(model="m", stream=stream))


# The cases, by botocore's own model and parsers.


@pytest.mark.parametrize(
    "case", [one for one in cases("upstream-request") if one.upstream.name == DIALECT.name], ids=case_id
)
def test_what_goes_to_bedrock_is_as_its_model_has_it(case: Case) -> None:
    _, sent = case.sent()
    assert objections("ConverseStream" if "upstream-stream" in case.sections else "Converse", json.loads(sent)) == []


@pytest.mark.parametrize(
    "case", [one for one in cases("upstream-request") if one.client.name == DIALECT.name], ids=case_id
)
def test_what_the_cases_send_is_what_boto3_could(case: Case) -> None:
    told = {name: value for name, value in json.loads(case.text("request")).items() if value is not None}
    assert objections("Converse", told) == []


@pytest.mark.parametrize("case", [one for one in cases("answer") if one.client.name == DIALECT.name], ids=case_id)
def test_boto3_reads_the_answers(case: Case) -> None:
    read = read_answer(case.answered()[0], may_lack=("usage",))
    assert read["output"]["message"]["role"] == "assistant"


@pytest.mark.parametrize("case", [one for one in cases("stream") if one.client.name == DIALECT.name], ids=case_id)
def test_boto3_reads_the_streams(case: Case) -> None:
    stream, _, ended = case.streamed([case.text("upstream-stream")])
    events = read_stream(stream, may_lack=("usage",))
    assert events[0] == {"messageStart": {"role": "assistant"}}
    assert list(events[-1]) == (["metadata"] if ended else ["exception"])
    begun = [one for told in events for one in told.values() if "contentBlockIndex" in one]
    places = [one["contentBlockIndex"] for one in begun]
    assert places == sorted(places)
    assert set(places) == set(range(len(set(places))))


# The client's side.


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "model", "stream"),
        [
            (b"/model/gpt-4.1/converse", "gpt-4.1", False),
            (b"/model/anthropic.claude-v2%3A1/converse-stream", "anthropic.claude-v2:1", True),
            (b"/model/anthropic.claude-v2:1/converse", "anthropic.claude-v2:1", False),
            (b"/model/arn%3Aaws%3Abedrock%3A%3A1%3Aprofile%2Fx/converse", "arn:aws:bedrock::1:profile/x", False),
        ],
    )
    def test_the_model_is_in_the_path(self, path: bytes, model: str, stream: bool) -> None:
        assert DIALECT.match_path(path, b"") == ("chat", PathTells(model=model, stream=stream))

    @pytest.mark.parametrize(
        "path", [b"/model/x/invoke", b"/model//converse", b"/model/a/b/converse", b"/model/x/converse/", b"/v1/models"]
    )
    def test_what_is_not_served(self, path: bytes) -> None:
        assert DIALECT.match_path(path, b"") is None

    def test_the_upstreams_path_is_encoded_as_boto3_does(self) -> None:
        told = DIALECT.upstream_path("chat", "arn:aws:x/y", "", None, stream=True)
        assert told == "/model/arn%3Aaws%3Ax%2Fy/converse-stream"
        assert DIALECT.upstream_path("chat", "m", "/base", None, stream=False) == "/base/model/m/converse"


class TestRead:
    def test_the_fields_that_decisions_need(self) -> None:
        told = view(body(inferenceConfig={"maxTokens": 7}), stream=True)
        assert (told.model, told.stream, told.max_output_tokens) == ("m", True, 7)
        assert told.worst_input_tokens >= told.estimated_input_tokens > 0
        assert view(body()).max_output_tokens is None
        assert view(body(inferenceConfig=None)).max_output_tokens is None

    def test_what_is_elsewhere_is_counted(self) -> None:
        far = [
            {"role": "user", "content": [{"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k"}}}}]}
        ]
        assert view(body(messages=far)).worst_input_tokens > 100_000

    @pytest.mark.parametrize(
        ("raw", "field"),
        [
            (b"", None),
            (b"[]", None),
            (b"{}", "messages"),
            (b'{"messages":null}', "messages"),
            (body(inferenceConfig=7), "inferenceConfig"),
            (body(inferenceConfig={"maxTokens": 0}), "inferenceConfig"),
            (body(inferenceConfig={"maxTokens": "x"}), "inferenceConfig"),
        ],
    )
    def test_what_cannot_be_read_is_named(self, raw: bytes, field: str | None) -> None:
        with pytest.raises(UnreadableRequest) as caught:
            view(raw)
        assert (caught.value.problem.status, caught.value.problem.field) == (400, field)

    def test_a_stored_prompt_needs_no_messages(self) -> None:
        of_a_prompt = view(b'{"promptVariables":{"a":{"text":"b"}}}')
        assert (of_a_prompt.model, of_a_prompt.hidden_context) == ("m", True)


class TestProblems:
    @pytest.mark.parametrize(
        ("problem", "name"),
        [
            (Problem(status=400, code="invalid_request", message="m"), "ValidationException"),
            (Problem(status=404, code="model_not_found", message="m"), "ResourceNotFoundException"),
            (Problem(status=429, code="rate_limited", message="m"), "ThrottlingException"),
            (Problem(status=503, code="no_healthy_target", message="m"), "ServiceUnavailableException"),
            (Problem(status=502, code="upstream_error", message="m"), "InternalServerException"),
        ],
    )
    def test_botocore_knows_them_by_name(self, problem: Problem, name: str) -> None:
        header, _, value = DIALECT.problem_headers(problem).strip().partition(": ")
        shape = service().operation_model("Converse").output_shape
        told = {"status_code": problem.status, "headers": {header: value}, "body": DIALECT.encode_problem(problem)}
        assert RestJSONParser().parse(told, shape)["Error"] == {"Message": "m", "Code": name}
        assert name in service().shape_names or name == "InternalServerException"

    def test_a_budget_that_is_spent_is_no_throttling(self) -> None:
        """botocore would try again and again."""
        spent = Problem(status=429, code="budget_exceeded", message="m", should_retry=False, bucket="b", limit=5)
        assert "ServiceQuotaExceededException" in DIALECT.problem_headers(spent)
        assert json.loads(DIALECT.encode_problem(spent))["tidegate"]["bucket"] == "b"


# The provider's side.


class TestFaults:
    @pytest.mark.parametrize(
        ("headers", "raw", "told"),
        [
            (
                [(b"x-amzn-errortype", b"ThrottlingException:http://internal.amazon.com/coral/x/")],
                b'{"message":"slow"}',
                ("ThrottlingException", "ThrottlingException", "slow"),
            ),
            (
                [],
                b'{"__type":"com.amazon.x#ValidationException","Message":"bad"}',
                ("ValidationException",) * 2 + ("bad",),
            ),
            ([], b'{"code":"Odd","message":null}', ("Odd", "Odd", "")),
            ([], b"<html>", ("ThrottlingException", "", "")),
            ([], b'{"message":7}', ("ThrottlingException", "", "")),
        ],
    )
    def test_where_their_names_are(self, headers: Any, raw: bytes, told: tuple[str, str, str]) -> None:
        fault = DIALECT.read_fault_headers(429, headers, raw)
        assert (fault.type, fault.code, fault.message) == told

    def test_without_headers_the_status_speaks(self) -> None:
        assert DIALECT.read_fault(424, b"{}").type == "ModelErrorException"


class TestUsage:
    def test_cached_tokens_apart_within_and_contradicting(self) -> None:
        apart = b'{"inputTokens":5,"outputTokens":2,"totalTokens":17,"cacheReadInputTokens":10}'
        within = b'{"inputTokens":15,"outputTokens":2,"totalTokens":17,"cacheReadInputTokens":10}'
        untold = b'{"inputTokens":5,"outputTokens":2,"totalTokens":7,"cacheReadInputTokens":10}'
        for raw in (apart, within, untold):
            usage = usage_of(raw)
            assert (usage.input, usage.cache_read, usage.output, usage.source) == (5, 10, 2, "reported")

    @pytest.mark.parametrize(
        "raw", [b"null", b"{}", b"7", b'{"inputTokens":3}', b'{"inputTokens":"x","outputTokens":1}']
    )
    def test_what_is_missing_is_unknown_and_never_zero(self, raw: bytes) -> None:
        assert usage_of(raw).source == "unknown"

    def test_writes_by_their_lifetime(self) -> None:
        raw = (
            b'{"inputTokens":1,"outputTokens":1,"totalTokens":12,"cacheWriteInputTokens":10,'
            b'"cacheDetails":[{"ttl":"1h","inputTokens":99},{"ttl":"5m","inputTokens":1}]}'
        )
        usage = usage_of(raw)
        assert (usage.cache_write_1h, usage.cache_write_5m) == (10, 0)


class TestNative:
    def test_every_value_keeps_its_bytes(self) -> None:
        raw = b'{"messages" : [ {"role":"user","content":[{"text":"\\u00e9 \xc3\xa9"}]} ],"later":1.50e3}'
        sent = DIALECT.encode_request(view(raw), UpstreamModel("b"), output_cap=None)
        assert sent == b'{"messages":[ {"role":"user","content":[{"text":"\\u00e9 \xc3\xa9"}]} ],"later":1.50e3}'

    def test_a_cap_only_where_the_client_set_none(self) -> None:
        told = view(body(inferenceConfig={"topP": 0.5}))
        sent = json.loads(DIALECT.encode_request(told, UpstreamModel("b"), output_cap=50))
        assert sent["inferenceConfig"] == {"topP": 0.5, "maxTokens": 50}
        assert json.loads(DIALECT.encode_request(view(body()), UpstreamModel("b"), output_cap=5))["inferenceConfig"]
        bound = view(body(inferenceConfig={"maxTokens": 9}))
        assert b"50" not in DIALECT.encode_request(bound, UpstreamModel("b"), output_cap=50)

    def test_thoughts_of_others_do_not_go_to_bedrock(self) -> None:
        """A conversation that another provider served before: its seals are the gateway's, and Bedrock would refuse them."""
        thoughts = [
            Reasoning("Hm.", "sig", origin="gemini"),
            Reasoning(encrypted="cipher", origin="openai"),
            Reasoning(encrypted="cipher", origin="anthropic"),
            Reasoning("Ha.", "c2ln", origin="bedrock"),
            Reasoning(encrypted="cmVk", origin="bedrock"),
            Reasoning("Oh.", "YW50", origin="anthropic"),
        ]
        answer = json.loads(
            CHAT.encode_answer(Answer("", [*thoughts], Finish("stop"), usage_of(b"null")), view(body()))
        )
        said = answer["output"]["message"]
        sent = DIALECT.encode_request(view(body(messages=[*HELLO, said, *HELLO])), UpstreamModel("b"), output_cap=None)
        assert json.loads(sent)["messages"][1]["content"] == said["content"][3:]
        back = CHAT.decode_request(view(body(messages=[*HELLO, said, *HELLO]))).items[1:-1]
        assert back[:5] == thoughts[:5]
        assert back[5] == Reasoning("Oh.", "YW50", origin="bedrock")

    def test_an_answer_keeps_its_bytes(self) -> None:
        raw = b'{"output":{"message":{"content":[]}},"usage":{"inputTokens":3,"outputTokens":1.0e0},"x":1.50}'
        answer = DIALECT.read_answer("chat", raw)
        assert DIALECT.encode_answer(answer, view(body())) == raw
        assert DIALECT.read_answer("chat", b"{}").usage.source == "unknown"
        with pytest.raises(UnreadableAnswer):
            DIALECT.read_answer("chat", b"<html>")

    def test_a_stream_passes_as_it_came_and_ends_with_its_metadata(self) -> None:
        reader = DIALECT.stream_reader(view(body(), stream=True))
        frames = streamed_text("a", "b")
        told = [reader.read(frame) for frame in frames]
        assert [one.bytes for one in told] == frames
        assert [one.content for one in told] == [False, True, True, False, True, False]
        assert [one.done for one in told] == [False] * 5 + [True]
        assert reader.usage is not None
        assert (reader.usage.input, reader.usage.output, reader.content_events) == (7, 2, 3)

    def test_a_stream_without_its_metadata_has_no_end(self) -> None:
        reader = DIALECT.stream_reader(view(body(), stream=True))
        for frame in streamed_text("a")[:-1]:
            reader.read(frame)
        assert reader.end_marker() is None
        (told,) = read_stream(reader.problem(Problem(status=502, code="upstream_error", message="broke")))
        assert told == {"exception": {"Code": "modelStreamErrorException", "Message": "broke"}}

    def test_an_exception_is_a_fault(self) -> None:
        frame = exception("throttlingException", "slow")
        told = DIALECT.stream_reader(view(body(), stream=True)).read(frame)
        assert told.bytes == frame
        assert told.fault is not None
        assert (told.fault.code, told.fault.message) == ("ThrottlingException", "slow")


# Streams that are not as they should be.


def decoded(*frames: bytes) -> list[Any]:
    decoder = CHAT.event_decoder()
    events = [one for frame in frames for one in decoder.decode(frame)]
    return [*events, *decoder.end()]


START = event("contentBlockStart", contentBlockIndex=0, start={"toolUse": {"toolUseId": "a", "name": "n"}})
INPUT = event("contentBlockDelta", contentBlockIndex=0, delta={"toolUse": {"input": "{}"}})
STOP = event("contentBlockStop", contentBlockIndex=0)
END = event("messageStop", stopReason="end_turn")
METADATA = event("metadata", usage={"inputTokens": 1, "outputTokens": 1, "totalTokens": 2})


@pytest.mark.parametrize(
    "frames",
    [
        (METADATA,),
        (START, STOP, INPUT, END),
        (START, event("contentBlockDelta", contentBlockIndex=1, delta={"toolUse": {"input": "{}"}})),
        (event("contentBlockStart", contentBlockIndex=0, start={"toolUse": {"toolUseId": "", "name": ""}}),),
        (END, event("contentBlockDelta", contentBlockIndex=1, delta={"text": "more"})),
        (event("messageStop", stopReason="malformed_tool_use"),),
        (event("contentBlockDelta", contentBlockIndex=-1, delta=7),),
    ],
)
def test_a_stream_that_makes_no_sense_is_told(frames: tuple[bytes, ...]) -> None:
    with pytest.raises(UnreadableAnswer):
        decoded(*frames)


def test_an_answer_that_failed_is_none() -> None:
    raw = {"output": {"message": {"content": []}}, "stopReason": "malformed_model_output"}
    with pytest.raises(UnreadableAnswer, match="malformed_model_output"):
        CHAT.decode_answer(json.dumps(raw).encode())


def test_what_a_server_does_by_itself_is_passed_over() -> None:
    """A server's own tools and generated images have no place in the hub; what follows them has."""
    events = decoded(
        event("messageStart", role="assistant"),
        event(
            "contentBlockStart",
            contentBlockIndex=0,
            start={"toolUse": {"toolUseId": "a", "name": "n", "type": "server_tool_use"}},
        ),
        INPUT,
        STOP,
        event("contentBlockStart", contentBlockIndex=1, start={"toolResult": {"toolUseId": "a"}}),
        event("contentBlockDelta", contentBlockIndex=1, delta={"toolResult": [{"text": "x"}]}),
        event("contentBlockStop", contentBlockIndex=1),
        event("contentBlockDelta", contentBlockIndex=2, delta={"text": "Done."}),
        event("contentBlockStop", contentBlockIndex=2),
        event("later", anything=1),
        END,
        METADATA,
    )
    assert [one.item for one in events if isinstance(one, ItemBegun)] == [Message("assistant", [])]
    assert sum(isinstance(one, ItemEnded) for one in events) == 1
    assert isinstance(events[-1], Ended)


# Arbitrary input.

NAMES = (
    "messages", "system", "inferenceConfig", "toolConfig", "outputConfig", "additionalModelRequestFields", "serviceTier",
    "output", "message", "stopReason", "usage", "toolUse", "toolResult", "reasoningContent", "reasoningText", "source",
    "bytes", "image", "document", "delta", "start", "contentBlockIndex", "toolUseId", "input", "signature",
    "redactedContent", "citation", "location", "web", "url", "additionalModelResponseFields",
)  # fmt: skip
EVENTS = ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "x")


@given(json_values(NAMES))
def test_no_request_crashes_it(told: Any) -> None:
    raw = json.dumps(told).encode()
    try:
        request = CHAT.decode_request(view(raw))
        CHAT.encode_request(request, UpstreamModel(CLAUDE))
    except UnreadableRequest:
        pass
    try:
        DIALECT.encode_request(view(raw), UpstreamModel("b"), output_cap=7)
    except UnreadableRequest:
        pass


@given(json_values(NAMES) | st.binary(max_size=200))
def test_no_answer_crashes_it(told: Any) -> None:
    raw = told if isinstance(told, bytes) else json.dumps(told).encode()
    decode_anything(CHAT, raw, sse=False)
    DIALECT.read_fault(500, raw)
    try:
        DIALECT.encode_answer(DIALECT.read_answer("chat", raw), view(body()))
    except UnreadableAnswer:
        pass


@given(st.lists(st.tuples(st.sampled_from(EVENTS), json_values(NAMES)), max_size=5), st.booleans())
def test_no_stream_crashes_it(told: list[tuple[str, Any]], native: bool) -> None:
    decoder, encoder = CHAT.event_decoder(), CHAT.event_encoder(view(body(), stream=True))
    reader = DIALECT.stream_reader(view(body(), stream=True))
    out = b""
    for name, payload in told:
        frame = event(name, **payload)
        try:
            if native:
                reader.read(frame)
                continue
            for one in decoder.decode(frame):
                out += encoder.end() if isinstance(one, Ended) else encoder.encode(one)
        except UnreadableAnswer:
            break
    splitter = EventStreamSplitter()
    splitter.feed(out)
    assert not splitter.unfinished


@given(st.binary(max_size=300))
def test_no_bytes_crash_it(data: bytes) -> None:
    try:
        for frame in DIALECT.splitter().feed(data):
            CHAT.event_decoder().decode(frame)
    except (FrameError, UnreadableAnswer):
        pass


# Values survive the way to Bedrock and back.

words = st.text(min_size=1, max_size=20).filter(lambda text: text.strip() != "")
ids = st.from_regex(r"\A[a-zA-Z0-9_.:-]{1,64}\Z")
names = st.from_regex(r"\A[a-zA-Z0-9_-]{1,64}\Z")
arguments = st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8), max_size=3).map(json.dumps)
calls = st.builds(ToolCall, ids, names, arguments)
said = st.one_of(
    st.builds(lambda text: Message("assistant", [Text(text)]), words),
    st.builds(lambda text, signature: Reasoning(text, signature, origin="bedrock"), words, words),
    calls,
)


@given(words, st.lists(said, max_size=4), calls, words, st.booleans())
def test_values_survive(asked: str, answered: list[Any], call: ToolCall, result: str, failed: bool) -> None:
    items = [
        Message("system", [Text("Be brief.")]),
        Message("user", [Text(asked), Image(data="aGk=", media_type="image/png")]),
        *answered,
        call,
        ToolResult(call.id, [Text(result)], is_error=failed),
    ]
    request = Request(items=items, tools=[Tool(call.name)], max_output_tokens=9)
    sent = CHAT.encode_request(request, UpstreamModel(CLAUDE))
    assert objections("Converse", json.loads(sent)) == []
    back = CHAT.decode_request(view(sent))
    merged: list[Any] = []
    for item in items:
        last = merged[-1] if merged else None
        if isinstance(item, Message) and isinstance(last, Message) and last.role == item.role:
            last.parts += item.parts
        else:
            merged.append(item)
    assert back.items == merged
    assert (back.max_output_tokens, [tool.name for tool in back.tools]) == (9, [call.name])
