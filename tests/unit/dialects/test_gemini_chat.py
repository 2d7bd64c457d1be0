"""Gemini through the hub: what the official SDK's types make of it, schemas, signatures, and what nobody expects."""

import json
from typing import Any

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec import Raw
from tests.support.dialect_case import Case, case_id, cases

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.canon import (
    Answer,
    Begun,
    Citation,
    CitationAdded,
    Event,
    Finish,
    Finished,
    Image,
    Item,
    ItemBegun,
    ItemEnded,
    Message,
    Reasoning,
    ReasoningDelta,
    ReasoningSealed,
    Request,
    Text,
    TextDelta,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from tidegate.dialects.dialect import UnreadableAnswer, UnreadableRequest, UpstreamModel
from tidegate.dialects.gemini import Gemini
from tidegate.dialects.gemini.models import thinking_config
from tidegate.dialects.gemini.schemas import for_gemini, to_json_schema
from tidegate.dialects.gemini.signatures import packed, unpacked

DIALECT = Gemini()
CHAT = DIALECT.chat
assert CHAT is not None
UPSTREAM = UpstreamModel("gemini-2.5-flash")
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
_KEYWORDS = st.sampled_from(
    "type properties items anyOf allOf $defs required enum nullable const $ref exclusiveMinimum min_items".split()
)
_MEMBERS = st.sampled_from(
    (
        "contents parts text functionCall function_response name args id response inlineData candidates content "
        "finishReason thought thoughtSignature usageMetadata promptTokenCount promptFeedback blockReason error "
        "generationConfig tools functionDeclarations role thinking_config safetySettings toolConfig systemInstruction "
        "citationMetadata citations uri"
    ).split()
)


def nested(inner: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(_KEYWORDS, inner, max_size=4)


def nested_members(inner: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(_MEMBERS, inner, max_size=4)


JSON = st.recursive(SCALARS | st.sampled_from(["STOP", "model", "user"]), nested_members, max_leaves=20)


def read(body: bytes, path: bytes = b"/v1/models/m:generateContent", query: bytes = b"") -> View:
    found = DIALECT.match_path(path, query)
    assert found is not None
    view = DIALECT.read(found[0], body, found[1])
    view.id = "call-1"
    return view


# What the official SDK makes of it: its types refuse every field that they do not know.


@pytest.mark.parametrize(
    "case", [one for one in cases("upstream-request") if one.upstream.name == "gemini"], ids=case_id
)
def test_the_sdk_knows_every_field_that_goes_upstream(case: Case) -> None:
    body = json.loads(case.sent()[1])
    for content in body.pop("contents"):
        types.Content.model_validate(content)
    for tool in body.pop("tools", []):
        types.Tool.model_validate(tool)
    types.Content.model_validate(body.pop("systemInstruction", {}))
    types.ToolConfig.model_validate(body.pop("toolConfig", {}))
    types.GenerationConfig.model_validate(body.pop("generationConfig", {}))
    types.ServiceTier(body.pop("serviceTier", "standard"))
    assert body == {}


def as_the_sdk_reads(document: dict[str, object]) -> types.GenerateContentResponse:
    """Without what its types do not know, which may be the upstream's own finish reason alone."""
    for candidate in document.get("candidates", []):  # type: ignore[attr-defined]
        candidate.pop("nativeFinishReason", None)
    return types.GenerateContentResponse.model_validate(document)


@pytest.mark.parametrize("case", [one for one in cases("answer") if one.client.name == "gemini"], ids=case_id)
def test_the_sdk_reads_every_answer(case: Case) -> None:
    told = as_the_sdk_reads(json.loads(case.answered()[0]))
    assert told.candidates is not None
    assert told.candidates[0].finish_reason in tuple(types.FinishReason)


@pytest.mark.parametrize("case", [one for one in cases("stream") if one.client.name == "gemini"], ids=case_id)
def test_the_sdk_reads_every_stream(case: Case) -> None:
    out, _, ended = case.streamed([case.text("upstream-stream")])
    if out.startswith(b"["):
        chunks = json.loads(out if ended else out + b"]")
    else:
        frames = out.split(b"\n\n")
        assert frames.pop() == b"" and all(frame.startswith(b"data: ") for frame in frames)
        chunks = [json.loads(frame.removeprefix(b"data: ")) for frame in frames]
    if not ended:
        assert list(chunks.pop()) == ["error"]
    told = [as_the_sdk_reads(one) for one in chunks]
    reasons = [one.candidates[0].finish_reason for one in told if one.candidates]
    assert [reason is not None for reason in reasons] == [False] * (len(reasons) - ended) + [True] * ended


# Requests.


@given(st.builds(lambda value: json.dumps(value).encode(), st.dictionaries(_MEMBERS, JSON, max_size=5)))
def test_no_request_crashes_it(body: bytes) -> None:
    try:
        request = CHAT.decode_request(read(body))
        CHAT.encode_request(request, UPSTREAM)
    except UnreadableRequest:
        pass


_NAME = st.text("abcXYZ_.:-", min_size=1, max_size=9).map(lambda text: "f" + text)
_WORDS = st.text(max_size=9).filter(bool)


@st.composite
def histories(draw: Any) -> list[Item]:
    """Turns as Gemini keeps them apart: what a user says, what the model says and calls, the results in order."""
    items: list[Item] = []
    for turn in range(draw(st.integers(1, 3))):
        items.append(Message("user", [Text(draw(_WORDS)), Image(data="/+79", media_type="image/png")]))
        if draw(st.booleans()):
            items.append(Reasoning(draw(_WORDS), draw(st.sampled_from(["", "c2ln"])), summary=True, origin="gemini"))
        items.append(Message("assistant", [Text(draw(_WORDS))]))
        names = draw(st.lists(_NAME, max_size=3))
        arguments = [json.dumps(draw(st.dictionaries(_WORDS, SCALARS, max_size=2))) for _ in names]
        calls = [ToolCall(f"id-{turn}-{n}", name, arguments[n]) for n, name in enumerate(names)]
        items += calls
        items += [ToolResult(call.id, [Text('{"n": 1.50}')], call.name) for call in calls]
    return [*items, Message("user", [Text("end")])]


@given(histories())
def test_a_request_keeps_its_values(items: list[Item]) -> None:
    request = Request(
        items=[Message("system", [Text("s")]), *items],
        tools=[Tool("f", "d", Raw(b'{"type": "object", "properties": {"a": {"type":"string"}}}'))],
        tool_choice=ToolChoice("required", ["f", "g"]),
        max_output_tokens=9,
        temperature=0.25,
        top_k=3,
        stop=["a", "b"],
        thinking=Thinking(budget_tokens=99, show=True),
    )
    again = CHAT.decode_request(read(CHAT.encode_request(request, UPSTREAM)))
    assert merged(again.items) == merged(request.items)
    assert (again.tools, again.tool_choice) == (request.tools, request.tool_choice)
    assert (again.max_output_tokens, again.temperature, again.top_k) == (9, 0.25, 3)
    assert (again.stop, again.thinking, again.dropped) == (["a", "b"], request.thinking, [])


def merged(items: list[Item]) -> list[Item]:
    """Neighbouring messages of one side are one."""
    whole: list[Item] = []
    for item in items:
        last = whole[-1] if whole else None
        if isinstance(item, Message) and isinstance(last, Message) and item.role == last.role:
            whole[-1] = Message(item.role, [*last.parts, *item.parts])
        else:
            whole.append(item)
    return whole


@pytest.mark.parametrize(
    ("model", "thinking", "config", "honoured"),
    [
        ("gemini-3-flash", Thinking(effort="none"), {"thinkingLevel": "MINIMAL"}, False),
        (
            "gemini-3-pro",
            Thinking(budget_tokens=9_000, show=True),
            {"thinkingLevel": "HIGH", "includeThoughts": True},
            True,
        ),
        ("models/gemini-2.5-pro", Thinking(budget_tokens=1), {"thinkingBudget": 128}, True),
        ("gemini-2.5-flash", Thinking(budget_tokens=99_999), {"thinkingBudget": 24_576}, True),
        ("gemini-2.5-flash", Thinking(adaptive=True), {"thinkingBudget": -1}, True),
        ("gemini-2.5-flash", Thinking(effort="max"), {"thinkingBudget": 24_576}, True),
        ("gemini-2.5-pro", Thinking(effort="max"), {"thinkingBudget": 32_768}, True),
        ("gemini-2.0-flash", Thinking(effort="none"), {}, True),
        ("gemini-2.0-flash", Thinking(effort="low"), {}, False),
        ("gemini-flash-latest", Thinking(show=False), {"includeThoughts": False}, True),
    ],
)
def test_thinking_by_model(model: str, thinking: Thinking, config: dict[str, Any], honoured: bool) -> None:
    assert thinking_config(thinking, model) == (config, honoured)


# Answers.


@given(JSON)
def test_no_answer_crashes_it(value: Any) -> None:
    try:
        CHAT.decode_answer(json.dumps(value).encode())
    except UnreadableAnswer:
        pass


@given(st.lists(JSON, max_size=5))
def test_no_stream_crashes_it(values: list[Any]) -> None:
    decoder = CHAT.event_decoder()
    try:
        for value in values:
            decoder.decode(b"data: " + json.dumps(value).encode() + b"\n\n")
        decoder.end()
    except UnreadableAnswer:
        pass


@given(st.binary(max_size=100))
def test_no_bytes_crash_it(data: bytes) -> None:
    for decode in (CHAT.decode_answer, CHAT.event_decoder().decode):
        try:
            decode(b"data: " + data)
            decode(data)
        except UnreadableAnswer:
            pass


@pytest.mark.parametrize(
    "reason",
    ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER", "NO_IMAGE", "FINISH_REASON_UNSPECIFIED", "NEW"],
)
def test_a_failure_is_not_called_a_stop(reason: str) -> None:
    body = json.dumps(
        {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": reason, "finishMessage": "why"}]}
    )
    with pytest.raises(UnreadableAnswer, match=f"{reason}`: why"):
        CHAT.decode_answer(body.encode())
    with pytest.raises(UnreadableAnswer, match=reason):
        CHAT.event_decoder().decode(b"data: " + body.encode() + b"\n\n")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{}", "no candidate"),
        (b'{"promptFeedback": {}}', "no candidate"),
        (b'{"candidates": [{"content": {"parts": [{"text": "a"}]}}]}', "no finishReason"),
        (b'{"candidates": [{"content": {"parts": [{"functionCall": {}}]}, "finishReason": "STOP"}]}', "no name"),
        (b'{"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": 1}}]}}]}', "not an object"),
        (b'{"candidates": [{"content": {"parts": [{"inlineData": {}}]}, "finishReason": "STOP"}]}', "picture"),
    ],
)
def test_what_cannot_be_an_answer_is_told(body: bytes, says: str) -> None:
    with pytest.raises(UnreadableAnswer, match=says):
        CHAT.decode_answer(body)


def test_ids_that_are_not_there_are_made_from_what_is() -> None:
    def ids(response: str) -> list[str]:
        call = {"functionCall": {"name": "f", "args": {}}}
        candidate = {"content": {"parts": [call, call]}, "finishReason": "STOP"}
        body = json.dumps({"candidates": [candidate], "responseId": response}).encode()
        streamed = CHAT.event_decoder().decode(b"data: " + body + b"\n\n")
        begun = [one.item.id for one in streamed if isinstance(one, ItemBegun) and isinstance(one.item, ToolCall)]
        whole = [item.id for item in CHAT.decode_answer(body).items if isinstance(item, ToolCall)]
        assert begun == whole
        return whole

    assert ids("r1") == ids("r1")
    assert len({*ids("r1"), *ids("r2")}) == 4


def test_a_citation_comes_with_a_part() -> None:
    encoder = CHAT.event_encoder(read(b'{"contents": []}', b"/v1/models/m:streamGenerateContent", b"alt=sse"))
    encoder.encode(Begun("a"))
    frame = encoder.encode(CitationAdded(0, Citation("https://example.com", "E", 0, 3)))
    told = types.GenerateContentResponse.model_validate_json(frame.removeprefix(b"data: "))
    assert told.candidates is not None
    content, cited = told.candidates[0].content, told.candidates[0].citation_metadata
    assert content is not None and content.parts == [types.Part(text="")]
    assert cited is not None and cited.citations == [types.Citation(uri="https://example.com", title="E")]


# Signatures.


@pytest.mark.parametrize(
    "thought",
    [
        Reasoning(signature="EqQB/+==", origin="anthropic"),
        Reasoning(encrypted="gAAA", origin="openai", id="rs_1"),
        Reasoning(signature="~~~???>>>", origin="bedrock"),
        Reasoning(signature="c2ln+/8=", origin="gemini"),
    ],
)
def test_a_signature_survives_a_client_that_writes_base64_anew(thought: Reasoning) -> None:
    signature = packed(thought)
    part = types.Part.model_validate({"text": "", "thought": True, "thoughtSignature": signature})
    again = json.loads(part.model_dump_json(exclude_none=True, by_alias=True))["thoughtSignature"]
    if thought.origin == "gemini":
        assert signature == thought.signature
    else:
        assert unpacked(again) == thought
    assert unpacked(signature) == thought


@pytest.mark.parametrize("broken", ["dGlkZWdhdGU6", "dGlkZWdhdGU6e30=", "dGlkZWdhdGU6!!"])
def test_what_only_looks_like_one_of_ours_stays_as_it_is(broken: str) -> None:
    assert unpacked(broken) == Reasoning(signature=broken, origin="gemini")


def test_thoughts_of_another_provider_through_a_clients_history() -> None:
    """Whole and streamed: what the client sends back on its next turn is what the provider said."""
    thought = Reasoning("Hm.", "sig+/", origin="anthropic")
    message = Message("assistant", [Text("Yes.")])
    view = read(b'{"contents": []}', b"/v1/models/m:streamGenerateContent", b"alt=sse")
    whole = json.loads(CHAT.encode_answer(Answer("a", [thought, message], Finish("stop"), Usage()), view))
    events: list[Event] = [
        Begun("a"),
        ItemBegun(0, Reasoning(origin="anthropic")),
        ReasoningDelta(0, "H"),
        ReasoningDelta(0, "m."),
        ReasoningSealed(0, "sig+/"),
        ItemEnded(0),
        ItemBegun(1, Message("assistant", [])),
        TextDelta(1, "Yes."),
        ItemEnded(1),
        Finished(Finish("stop")),
    ]
    encoder = CHAT.event_encoder(view)
    frames = b"".join(encoder.encode(event) for event in events).split(b"\n\n")[:-1]
    chunks = [json.loads(frame.removeprefix(b"data: ")) for frame in frames]
    streamed = [part for one in chunks for part in one["candidates"][0]["content"]["parts"]]
    for several in ([whole["candidates"][0]["content"]["parts"]], [streamed], [[part] for part in streamed]):
        body = json.dumps({"contents": [{"role": "model", "parts": parts} for parts in several]}).encode()
        items = CHAT.decode_request(read(body)).items
        assert items == [Reasoning("Hm.", "sig+/", summary=True, origin="anthropic"), message]


# Schemas.


class TestSchemas:
    def test_of_geminis_own_kind(self) -> None:
        own = {
            "type": "OBJECT",
            "properties": {"type": {"type": "STRING", "example": "x"}, "min_items": {"ref": "#/$defs/A", "title": "T"}},
            "defs": {"A": {"anyOf": [{"type": "STRING"}], "nullable": True, "maxLength": "9"}},
            "additionalProperties": {"type": "TYPE_UNSPECIFIED", "default": None},
            "propertyOrdering": ["type"],
        }
        assert json.loads(bytes(to_json_schema(raw(own), "x"))) == {
            "type": "object",
            "properties": {
                "type": {"type": "string", "examples": ["x"]},
                "min_items": {"$ref": "#/$defs/A", "title": "T"},
            },
            "$defs": {"A": {"anyOf": [{"type": "string"}, {"type": "null"}], "maxLength": 9}},
            "additionalProperties": {"default": None},
        }

    def test_what_needs_no_cleaning_keeps_its_bytes(self) -> None:
        written = raw({"type": "object", "properties": {"a": {"type": ["string", "null"], "minLength": 1}}}, indent=1)
        assert for_gemini(written, "x") == written

    def test_a_property_may_be_called_like_a_keyword(self) -> None:
        schema = {"type": "object", "properties": {"not": {"type": "string"}, "$schema": {"type": "string", "not": {}}}}
        cleaned = json.loads(bytes(for_gemini(raw(schema), "x")))
        assert cleaned["properties"] == {"not": {"type": "string"}, "$schema": {"type": "string"}}

    def test_depth_is_refused_and_no_crash(self) -> None:
        deep = '{"items":' * 600 + "{}" + "}" * 600
        for convert in (to_json_schema, for_gemini):
            try:
                convert(Raw(deep.encode()), "x")
            except UnreadableRequest:
                pass

    @given(st.recursive(SCALARS, nested, max_leaves=12))
    def test_no_schema_crashes_it(self, schema: Any) -> None:
        for convert in (to_json_schema, for_gemini):
            try:
                json.loads(bytes(convert(raw(schema), "x")))
            except UnreadableRequest:
                pass


def raw(value: Any, indent: int | None = None) -> Raw:
    return Raw(json.dumps(value, indent=indent).encode())
