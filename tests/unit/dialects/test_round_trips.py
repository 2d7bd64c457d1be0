"""decode(encode(x)) is x, for what every chat dialect can say: requests, whole answers, streams. No bytes crash a decoder.

What only some can say (signatures, pictures, citations) is in the tests of each dialect, and in `test_pairs`.
"""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.decoders import decode_anything, json_values
from tests.unit.dialects.test_pairs import CHAT, MODEL, as_client, assert_well_formed, client_view, codec, gist, pair_id

from tidegate.core.usage import Usage
from tidegate.core.view import PathTells
from tidegate.dialects.canon import (
    Answer,
    Ended,
    Event,
    Finish,
    FinishReason,
    Item,
    Message,
    OutputItem,
    Reasoning,
    Request,
    Text,
    ToolCall,
    ToolResult,
    UsageTold,
)
from tidegate.dialects.dialect import Dialect, UnreadableAnswer, UnreadableRequest
from tidegate.dialects.folding import Fold, explode

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
WORDS = TEXTS.filter(str.strip)
"""Of requests: Anthropic refuses texts of spaces alone, so none are sent to it."""
NAMES = st.text("abcXYZ019_", min_size=1, max_size=12).filter(lambda name: not name[0].isdigit())
ARGUMENTS = st.dictionaries(TEXTS, st.integers() | TEXTS | st.booleans() | st.none(), max_size=3).map(json.dumps)
COUNTS = st.integers(0, 10**6)
MEMBERS = (
    "choices", "delta", "message", "messages", "usage", "candidates", "parts", "output", "response", "item", "error",
    "content", "tool_calls", "finish_reason", "stop_reason", "done", "index", "type", "id", "model", "input",
)  # fmt: skip


@st.composite
def said(draw: Any) -> Answer:
    """In the order that all dialects have: thoughts, words, calls."""
    items: list[OutputItem] = []
    if draw(st.booleans()):
        items.append(Reasoning(draw(TEXTS)))
    if draw(st.booleans()):
        items.append(Message("assistant", [Text(draw(TEXTS))]))
    calls = draw(st.lists(st.tuples(NAMES, ARGUMENTS), max_size=3))
    items += [ToolCall(f"call_{place}", name, arguments) for place, (name, arguments) in enumerate(calls)]
    reasons: list[FinishReason] = ["tool_calls"] if calls else ["stop", "length"]
    usage = Usage(input=draw(COUNTS), cache_read=draw(COUNTS), output=draw(COUNTS), source="reported")
    return Answer("id-1", items, Finish(draw(st.sampled_from(reasons))), usage)


@st.composite
def asked(draw: Any) -> Request:
    """Turns about, with calls and their results."""
    items: list[Item] = [Message("system", [Text(draw(WORDS))])] if draw(st.booleans()) else []
    for turn in range(draw(st.integers(1, 3))):
        items.append(Message("user", [Text(draw(WORDS))]))
        items.append(Message("assistant", [Text(draw(WORDS))]))
        calls = draw(st.lists(st.tuples(NAMES, ARGUMENTS, WORDS), max_size=2))
        items += [ToolCall(f"call_{turn}_{place}", name, told) for place, (name, told, _) in enumerate(calls)]
        items += [ToolResult(f"call_{turn}_{place}", [Text(told)]) for place, (_, _, told) in enumerate(calls)]
    items.append(Message("user", [Text(draw(WORDS))]))
    return Request(items=items, max_output_tokens=draw(st.integers(1, 9000)), stream=draw(st.booleans()))


def essence(items: Iterable[Item]) -> list[object]:
    return gist([*items])


def told(usage: Usage) -> tuple[int, int]:
    return usage.input_total, usage.output_total


def dialects(function: Any) -> Any:
    return pytest.mark.parametrize("dialect", CHAT, ids=pair_id)(function)


@dialects
@settings(max_examples=25)
@given(asked())
def test_requests(dialect: Dialect, request: Request) -> None:
    before = essence(request.items)
    offered = {item.name for item in request.items if isinstance(item, ToolCall)}
    if offered and dialect.family == "bedrock":
        return  # takes no history of calls without their tools
    body = codec(dialect).encode_request(request, MODEL)
    back = codec(dialect).decode_request(as_client(dialect, body, stream=request.stream))
    assert essence(back.items) == before
    assert (back.max_output_tokens, back.stream) == (request.max_output_tokens, request.stream)
    assert not request.dropped


@dialects
@settings(max_examples=40)
@given(said())
def test_answers(dialect: Dialect, answer: Answer) -> None:
    before, used, reason = essence(answer.items), told(answer.usage), answer.finish.reason
    back = codec(dialect).decode_answer(codec(dialect).encode_answer(answer, client_view(dialect, stream=False)))
    assert (essence(back.items), told(back.usage), back.finish.reason) == (before, used, reason)


@dialects
@settings(max_examples=40)
@given(said(), st.data())
def test_streams(dialect: Dialect, answer: Answer, data: st.DataObject) -> None:
    """However they are cut."""
    before, used, reason = essence(answer.items), told(answer.usage), answer.finish.reason
    encoder = codec(dialect).event_encoder(client_view(dialect, stream=True))
    events = [event for event in explode(answer) if not isinstance(event, Ended)]
    stream = b"".join(map(encoder.encode, events)) + encoder.end()
    place = data.draw(st.integers(0, len(stream)))
    splitter, decoder = dialect.splitter(), codec(dialect).event_decoder()
    frames = [*splitter.feed(stream[:place]), *splitter.feed(stream[place:])]
    back: list[Event] = []
    for frame in frames:
        back += decoder.decode(frame)
        if back and isinstance(back[-1], Ended):
            break
    else:
        back += decoder.end()
    assert_well_formed(back)
    fold = Fold()
    for event in back:
        fold.add(event)
    folded = fold.answer()
    assert (essence(folded.items), folded.finish.reason) == (before, reason)
    assert told([event for event in back if isinstance(event, UsageTold)][-1].usage) == used


@dialects
@given(st.binary(max_size=200) | json_values(MEMBERS).map(lambda value: json.dumps(value).encode()))
def test_no_bytes_crash_a_decoder(dialect: Dialect, raw: bytes) -> None:
    decode_anything(codec(dialect), raw, sse=dialect.upstream_media == b"text/event-stream")
    dialect.read_fault(400, raw)
    try:
        codec(dialect).decode_request(dialect.read("chat", raw, PathTells(model="m")))
    except UnreadableRequest:
        pass
    try:
        dialect.read_answer("chat", raw)
    except UnreadableAnswer:
        pass
