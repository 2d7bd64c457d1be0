"""The Responses dialect: what is read, what is relayed natively, what no input may do, what survives the hub."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects import canon
from tidegate.dialects.canon import Begun, Finish, Finished, ItemBegun, Message, TextDelta
from tidegate.dialects.dialect import UnreadableAnswer, UnreadableRequest, UpstreamModel
from tidegate.dialects.registry import DIALECTS, relay_between, spoken_to
from tidegate.dialects.responses import AzureResponses, Responses
from tidegate.dialects.responses.codec import ResponsesChat
from tidegate.dialects.responses.encoder import MAX_HELD
from tidegate.dialects.responses.seal import sealed, unsealed
from tidegate.dialects.responses.usage import usage_of
from tidegate.dialects.translation import Translation
from tidegate.wire.sse import sse_data

DIALECT = Responses()
CODEC = ResponsesChat()
UPSTREAM = UpstreamModel("real-1")
BROKEN = Problem(status=502, code="upstream_error", message="broke off")
NO_QUIRKS: frozenset[str] = frozenset()


def body(**fields: object) -> bytes:
    return json.dumps({"model": "m", "input": "hi", **fields}).encode()


def refused(raw: bytes) -> Problem:
    with pytest.raises(UnreadableRequest) as caught:
        DIALECT.read("chat", raw)
    return caught.value.problem


class TestRead:
    def test_the_fields_that_decisions_need(self) -> None:
        view = DIALECT.read("chat", body(stream=True, max_output_tokens=7))
        assert (view.dialect, view.model, view.stream, view.max_output_tokens) == ("openai-responses", "m", True, 7)
        assert view.worst_input_tokens >= view.estimated_input_tokens > 0
        assert view.affinity == b'"hi"'

    def test_pictures_elsewhere_are_counted(self) -> None:
        part = {"type": "input_image", "image_url": "https://example.org/a.png"}
        with_image = body(input=[{"role": "user", "content": [part]}])
        assert DIALECT.read("chat", with_image).worst_input_tokens > len(with_image) + 1000

    @pytest.mark.parametrize(
        ("raw", "field", "says"),
        [
            (b"", None, "no body"),
            (b'{"input":"x"}', "model", "missing"),
            (b'{"model":"m"}', "input", "missing"),
            (b'{"model":"m","input":null}', "input", "missing"),
            (b'{"model":"m","input":"x","stream":1}', "stream", "true or false"),
            (b'{"model":"m","input":"x","max_output_tokens":0}', "max_output_tokens", "whole number"),
        ],
    )
    def test_what_cannot_be_read_is_named(self, raw: bytes, field: str | None, says: str) -> None:
        problem = refused(raw)
        assert (problem.status, problem.code, problem.field) == (400, "invalid_request", field)
        assert says in problem.message

    def test_what_runs_in_the_background_is_an_upstreams_to_keep(self) -> None:
        view = DIALECT.read("chat", body(background=True))
        assert view.background
        with pytest.raises(UnreadableRequest) as caught:
            CODEC.decode_request(view)
        assert caught.value.problem.field == "background"

    def test_state_of_the_provider_alone_is_a_prompt(self) -> None:
        assert DIALECT.read("chat", b'{"model":"m","prompt":{"id":"p"}}').model == "m"


class TestSurfaces:
    def test_a_provider_that_serves_it_is_called_in_it(self) -> None:
        for provider, path in (("openai", "/v1/responses"), ("azure-openai", "/openai/v1/responses")):
            spoken = spoken_to("openai-responses", provider, frozenset(("responses", "no-stream-usage")), "gpt-5")
            assert spoken.upstream_path("chat", "x", "/v1" if provider == "openai" else "", None, stream=True) == path
            assert relay_between("openai-responses", spoken, "chat") is spoken

    def test_another_is_called_in_its_own(self) -> None:
        spoken = spoken_to("openai-responses", "openai", NO_QUIRKS, "gpt-5")
        assert spoken is DIALECTS["openai"]
        assert isinstance(relay_between("openai-responses", spoken, "chat"), Translation)

    def test_the_quirk_changes_nothing_for_other_clients(self) -> None:
        assert spoken_to("openai", "openai", frozenset(("responses",)), "gpt-5") is DIALECTS["openai"]

    @pytest.mark.parametrize("client", ["openai", "anthropic", "gemini", "openai-responses"])
    @pytest.mark.parametrize("provider", ["openai", "azure-openai"])
    def test_what_answers_responses_alone_is_asked_in_it_by_all(self, client: str, provider: str) -> None:
        serves, alone = frozenset(("responses",)), frozenset(("responses-only",))
        for model in ("gpt-5-pro", "gpt-5.2-pro-2026-01-01", "gpt-5.1-codex-max", "o3-pro", "o4-mini-deep-research"):
            spoken = spoken_to(client, provider, serves, model)
            assert spoken.family == "openai-responses"
            relay = relay_between(client, spoken, "chat")
            assert relay is not None
            assert relay.native == (client == "openai-responses")
            assert spoken_to(client, provider, NO_QUIRKS, model) is DIALECTS[provider]
        assert spoken_to(client, provider, alone, "anything").family == "openai-responses"
        for model in ("gpt-5", "gpt-5-mini", "o3", "o4-mini", "my-codex"):
            assert spoken_to("anthropic", provider, serves, model) is DIALECTS[provider]

    @pytest.mark.parametrize("base", ["", "/openai", "/openai/v1"])
    def test_azures_path(self, base: str) -> None:
        assert AzureResponses().upstream_path("chat", "d", base, None, stream=False) == "/openai/v1/responses"
        assert AzureResponses().credential_header("k") == (b"api-key", b"k")


class TestNativeRequest:
    def test_every_value_keeps_its_bytes(self) -> None:
        raw = b'{"model":"a", "input" : [ {"role":"user","content":"\\u00e9"} ],"x_unknown":1.50e3}'
        sent = DIALECT.encode_request(DIALECT.read("chat", raw), UPSTREAM, output_cap=None)
        assert sent == b'{"model":"real-1","input":[ {"role":"user","content":"\\u00e9"} ],"x_unknown":1.50e3}'

    def test_what_other_providers_sealed_stays_here(self) -> None:
        """The conversation began at another provider, whose signatures this one cannot read."""
        thought = sealed(canon.Reasoning("t", signature="c2ln", origin="anthropic"))
        told = [
            {"role": "user", "content": "not tidegate.1. at all"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": thought},
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAA"},
        ]
        sent = DIALECT.encode_request(DIALECT.read("chat", body(input=told)), UPSTREAM, output_cap=None)
        assert json.loads(sent)["input"] == [told[0], told[2]]

    def test_a_cap_only_where_the_client_set_none(self) -> None:
        free = DIALECT.encode_request(DIALECT.read("chat", body()), UPSTREAM, output_cap=50)
        bound = DIALECT.read("chat", body(max_output_tokens=9))
        assert json.loads(free)["max_output_tokens"] == 50
        assert b"50" not in DIALECT.encode_request(bound, UPSTREAM, output_cap=50)

    def test_what_an_earlier_translated_attempt_dropped_is_not_held_against_it(self) -> None:
        view = DIALECT.read("chat", body())
        view.dropped = ("truncation",)
        DIALECT.encode_request(view, UPSTREAM, output_cap=None)
        assert view.dropped == ()


class TestNativeAnswer:
    def test_the_public_name_and_nothing_else_changes(self) -> None:
        usage = b'"usage":{"input_tokens":3,"output_tokens":2}'
        raw = b'{"id":"resp_1","model":"real-1","output":[ {"type":"later_kind"} ],' + usage + b"}"
        answer = DIALECT.read_answer("chat", raw)
        assert answer.usage.total == 5
        assert DIALECT.encode_answer(answer, DIALECT.read("chat", body())) == raw.replace(b"real-1", b"m")

    @pytest.mark.parametrize("raw", [b'{"usage":null}', b"{}"])
    def test_no_usage_is_unknown(self, raw: bytes) -> None:
        assert DIALECT.read_answer("chat", raw).usage.source == "unknown"

    def test_what_is_no_object_is_no_answer(self) -> None:
        with pytest.raises(UnreadableAnswer):
            DIALECT.read_answer("chat", b"<html>")


class TestUsage:
    def test_buckets_are_disjoint(self) -> None:
        usage = usage_of(
            b'{"input_tokens":100,"output_tokens":50,"total_tokens":150,'
            b'"input_tokens_details":{"cached_tokens":60,"cache_write_tokens":5},'
            b'"output_tokens_details":{"reasoning_tokens":20}}'
        )
        assert (usage.input, usage.cache_read, usage.cache_write_5m) == (35, 60, 5)
        assert (usage.output, usage.reasoning, usage.total, usage.source) == (30, 20, 150, "reported")

    @pytest.mark.parametrize("raw", [b"null", b"{}", b"7", b'{"output_tokens":3}', b'{"input_tokens":"x"}'])
    def test_what_is_missing_is_unknown_and_never_zero(self, raw: bytes) -> None:
        assert usage_of(raw).source == "unknown"


def event(name: str, /, **members: object) -> bytes:
    told = json.dumps({"type": name, "sequence_number": 0, **members})
    return f"event: {name}\ndata: {told}\n\n".encode()


def response(status: str, **members: object) -> dict[str, object]:
    return {"id": "resp_1", "object": "response", "model": "real-1", "status": status, "output": [], **members}


DELTA = event("response.output_text.delta", delta='"model":"real-1"', item_id="i", output_index=0, content_index=0)
USED = {"input_tokens": 3, "output_tokens": 2}


class TestNativeStream:
    def reader(self) -> Any:
        return DIALECT.stream_reader(DIALECT.read("chat", body(stream=True)))

    def test_usage_is_folded_and_the_terminal_event_ends_it(self) -> None:
        reader = self.reader()
        events = [
            event("response.created", response=response("in_progress", usage=None)),
            event("response.output_item.added", item={"type": "message"}, output_index=0),
            DELTA,
            event("response.completed", response=response("completed", usage=USED)),
        ]
        told = [reader.read(one) for one in events]
        assert [one.content for one in told] == [False, False, True, True]
        assert [one.done for one in told] == [False, False, False, True]
        assert reader.usage.total == 5
        assert reader.content_events == 1
        assert told[2].bytes == DELTA
        for one in (told[0], told[3]):
            assert json.loads(sse_data(one.bytes))["response"]["model"] == "m"
            assert b"real-1" not in one.bytes

    def test_incomplete_is_an_end_too(self) -> None:
        reader = self.reader()
        assert reader.read(event("response.incomplete", response=response("incomplete", usage=USED))).done
        assert reader.usage.total == 5

    def test_a_failed_response_is_a_fault_with_its_usage(self) -> None:
        reader = self.reader()
        error = {"code": "server_error", "message": "broke"}
        told = reader.read(event("response.failed", response=response("failed", usage=USED, error=error)))
        assert (told.done, told.fault.code, told.fault.message) == (False, "server_error", "broke")
        assert reader.usage.total == 5
        assert b'"m"' in told.bytes

    @pytest.mark.parametrize(
        "members",
        [
            {"code": "server_error", "message": "broke"},
            {"error": {"code": "server_error", "message": "broke", "type": "x"}},
        ],
    )
    def test_an_error_event_is_a_fault(self, members: dict[str, object]) -> None:
        told = self.reader().read(event("error", **members))
        assert (told.fault.code, told.fault.message) == ("server_error", "broke")

    def test_a_body_that_just_ends_is_cut(self) -> None:
        reader = self.reader()
        reader.read(DELTA)
        assert reader.end_marker() is None
        told: Any = TypeAdapter(ResponseStreamEvent).validate_json(sse_data(reader.problem(BROKEN)), strict=True)
        assert (told.type, told.message, told.sequence_number) == ("error", "broke off", 1)

    def test_comments_pass_and_chats_marker_does_not(self) -> None:
        assert self.reader().read(b": still here\n\n").bytes == b": still here\n\n"
        assert self.reader().read(b"data: [DONE]\n\n").bytes == b""

    def test_an_answer_laid_out_over_lines_stays_whole(self) -> None:
        told = json.dumps({"type": "response.created", "response": response("in_progress")}, indent=1)
        frame = "".join(f"data: {line}\n" for line in told.splitlines()).encode() + b"\n"
        assert json.loads(sse_data(self.reader().read(frame).bytes))["response"]["model"] == "m"

    @pytest.mark.parametrize("frame", [b"data: <html>\n\n", b"data: 7\n\n", b'data: {"type":7}\n\n'])
    def test_garbage_is_told(self, frame: bytes) -> None:
        with pytest.raises(UnreadableAnswer):
            self.reader().read(frame)


class TestEncoder:
    def view(self) -> View:
        view = DIALECT.read("chat", body(stream=True))
        view.id = "call-1"
        return view

    def test_an_error_before_the_beginning(self) -> None:
        told: Any = TypeAdapter(ResponseStreamEvent).validate_json(
            sse_data(CODEC.event_encoder(self.view()).problem(BROKEN)), strict=True
        )
        assert (told.type, told.code) == ("error", "upstream_error")

    def test_an_answer_without_anything(self) -> None:
        encoder = CODEC.event_encoder(self.view())
        told = [json.loads(sse_data(one)) for one in encoder.end().split(b"\n\n") if one]
        assert [one["type"] for one in told] == ["response.created", "response.in_progress", "response.completed"]
        assert told[-1]["response"]["id"] == "resp_call-1"

    def test_what_it_holds_is_bounded(self) -> None:
        encoder = CODEC.event_encoder(self.view())
        encoder.encode(Begun("c"))
        encoder.encode(ItemBegun(0, Message("assistant", [])))
        piece = TextDelta(0, "x" * (1024 * 1024))
        with pytest.raises(UnreadableAnswer, match="longer than"):
            for _ in range(MAX_HELD // len(piece.text) + 1):
                encoder.encode(piece)
        assert b"response.failed" in encoder.problem(BROKEN)

    def test_a_delta_outside_of_an_item_is_no_stream(self) -> None:
        encoder = CODEC.event_encoder(self.view())
        with pytest.raises(UnreadableAnswer):
            encoder.encode(TextDelta(0, "x"))

    def test_the_answer_of_the_encoder_is_the_answer_whole(self) -> None:
        """The same items, streamed and at once, make the same response."""
        view = self.view()
        encoder = CODEC.event_encoder(view)
        item = Message("assistant", [canon.Text("Hello")])
        usage = Usage(input=3, output=2, source="reported")
        events: list[canon.Event] = [
            Begun("c"),
            ItemBegun(0, Message("assistant", [])),
            TextDelta(0, "Hel"),
            TextDelta(0, "lo"),
            canon.ItemEnded(0),
            Finished(Finish("length")),
            canon.UsageTold(usage),
        ]
        for one in events:
            encoder.encode(one)
        last = json.loads(sse_data(encoder.end().split(b"\n\n")[-2]))
        whole = CODEC.encode_answer(canon.Answer("c", [item], Finish("length"), usage), view)
        assert last["response"] == json.loads(whole)


# What no input may do.

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    "type role content text input output call_id name arguments id summary encrypted_content status delta item response "
    "output_index summary_index usage error annotation image_url file_data input_audio refusal".split()
)
TYPES = st.sampled_from(
    "message reasoning function_call custom_tool_call function_call_output item_reference input_text output_text refusal "
    "input_image input_file input_audio response.created response.completed response.failed response.output_item.added "
    "response.output_item.done response.output_text.delta response.reasoning_summary_text.delta error "
    "response.reasoning_summary_part.added response.function_call_arguments.delta "
    "response.output_text.annotation.added".split()
)
LIKELY = st.recursive(
    st.none() | TYPES | st.text(max_size=4) | st.integers(0, 2) | st.just("completed") | st.just("user"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    "input instructions text reasoning tools tool_choice include metadata user store truncation stream top_p "
    "temperature parallel_tool_calls max_output_tokens service_tier prompt_cache_key stream_options".split()
)


@given(st.binary(max_size=300))
def test_no_bytes_crash_a_reader(raw: bytes) -> None:
    try:
        DIALECT.read("chat", raw)
    except UnreadableRequest:
        pass
    for read in (CODEC.decode_answer, CODEC.event_decoder().decode):
        try:
            read(raw)
        except UnreadableAnswer:
            pass


@given(st.dictionaries(FIELDS, LIKELY | JSON, max_size=4), LIKELY)
def test_no_request_crashes_it(fields: dict[str, Any], given_input: Any) -> None:
    try:
        view = DIALECT.read("chat", json.dumps({"input": given_input, **fields, "model": "m"}).encode())
        request = CODEC.decode_request(view)
        CODEC.encode_request(request, UPSTREAM)
        CODEC.encode_answer(canon.Answer("c", [], Finish("stop"), Usage()), view)
    except UnreadableRequest as error:
        assert error.problem.status == 400
        assert error.problem.field


@given(st.lists(st.tuples(TYPES, st.dictionaries(NAMES, LIKELY, max_size=5)), max_size=6))
def test_no_stream_crashes_it(told: list[tuple[str, dict[str, Any]]]) -> None:
    reader = Translation(DIALECT, CODEC, DIALECT, CODEC).stream_reader(DIALECT.read("chat", body(stream=True)))
    native = DIALECT.stream_reader(DIALECT.read("chat", body(stream=True)))
    for name, members in told:
        for one in (reader, native):
            try:
                one.read(event(name, **{**members, "type": name}))
            except UnreadableAnswer:
                pass


@given(LIKELY)
def test_no_answer_crashes_it(output: Any) -> None:
    try:
        answer = CODEC.decode_answer(json.dumps({"id": "r", "status": "completed", "output": [output]}).encode())
    except UnreadableAnswer:
        return
    CODEC.encode_answer(answer, DIALECT.read("chat", body()))


# What survives.

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
LEGAL = st.text("abcXYZ019_-", min_size=1, max_size=12)
"""Names of tools that go up as they are; the others come back under their own (`tool_names`)."""
PART = st.one_of(
    st.builds(canon.Text, TEXTS),
    st.builds(canon.Image, url=st.just("https://example.org/a"), detail=st.sampled_from(["low", "high", "auto"])),
    st.builds(canon.Image, data=st.just("AAAA"), media_type=st.just("image/png"), detail=st.just("auto")),
    st.builds(canon.File, url=st.just("https://example.org/a.pdf")),
    st.builds(canon.File, data=st.just("AAAA"), media_type=st.just("application/pdf"), name=TEXTS),
)
SPOKEN = st.builds(Message, st.sampled_from(["system", "developer", "user"]), st.lists(PART, min_size=1, max_size=3))
SAID = st.builds(
    Message,
    st.just("assistant"),
    st.lists(st.builds(canon.Text, TEXTS) | st.builds(canon.Refusal, TEXTS), min_size=1, max_size=2),
)
THOUGHT = st.builds(
    canon.Reasoning,
    text=TEXTS,
    summary=st.booleans(),
    encrypted=TEXTS,
    origin=st.just("openai-responses"),
    id=st.just("rs_1"),
)
ARGUMENTS = st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=2).map(json.dumps)


@st.composite
def called(draw: Any) -> list[canon.Item]:
    own, custom = draw(TEXTS), draw(st.booleans())
    call = canon.ToolCall(own, draw(LEGAL), draw(TEXTS if custom else ARGUMENTS), custom=custom)
    return [call, canon.ToolResult(own, draw(st.lists(PART, min_size=1, max_size=2)))]


ITEMS = st.lists((SPOKEN | SAID | THOUGHT).map(lambda one: [one]) | called(), min_size=1, max_size=5).map(
    lambda groups: [item for group in groups for item in group]
)
TOOL = st.builds(
    canon.Tool,
    name=LEGAL,
    description=TEXTS,
    parameters=st.just(msgspec.Raw(b'{"type":"object","x":1.50}')),
    strict=st.booleans(),
)
REQUESTS = st.builds(
    canon.Request,
    items=ITEMS,
    tools=st.lists(TOOL, min_size=1, max_size=2),
    tool_choice=st.none() | st.sampled_from([canon.ToolChoice("required"), canon.ToolChoice("auto", ["a"])]),
    parallel_tool_calls=st.none() | st.booleans(),
    max_output_tokens=st.none() | st.integers(1, 9000),
    verbosity=st.none() | st.just("low"),
    thinking=st.none() | st.builds(canon.Thinking, effort=st.sampled_from(["low", "medium", "high"])),
    output_format=st.none() | st.just(canon.OutputFormat("json_schema", "n", msgspec.Raw(b'{"type":"object"}'), True)),
    service_tier=st.none() | st.just("flex"),
    prompt_cache_key=st.none() | TEXTS,
    stream=st.booleans(),
)


@given(REQUESTS)
def test_a_request_survives_the_wire(request: canon.Request) -> None:
    sent = CODEC.encode_request(request, UpstreamModel("gpt-5"))
    back = CODEC.decode_request(DIALECT.read("chat", sent))
    back.names, back.sealed = request.names, request.sealed
    assert msgspec.json.encode(back) == msgspec.json.encode(request)


@given(st.builds(canon.Reasoning, text=TEXTS, signature=TEXTS, encrypted=st.text(max_size=5), origin=TEXTS))
def test_what_another_provider_sealed_comes_back_as_it_was(thought: canon.Reasoning) -> None:
    text = sealed(thought)
    assert text is not None
    seal = unsealed(text)
    assert (seal.origin, seal.signature, seal.encrypted) == (thought.origin, thought.signature, thought.encrypted)


@given(st.text(max_size=40))
def test_what_is_not_ours_is_its_providers(text: str) -> None:
    assert unsealed(text).encrypted == text
    unsealed(f"tidegate.1.{text}")
