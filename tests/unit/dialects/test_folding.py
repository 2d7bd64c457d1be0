"""Streams folded to answers and answers told as streams: nothing is lost, nothing cut short looks whole."""

from copy import deepcopy
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.chat_scenes import TOLD, Told
from tests.unit.dialects.test_pairs import (
    CHAT,
    MODEL,
    assert_well_formed,
    client_view,
    codec,
    events_of,
    gist,
    pair_id,
    told_by,
    totals,
)

from tidegate.core.usage import Usage
from tidegate.dialects import folding
from tidegate.dialects.canon import (
    Answer,
    ArgumentsDelta,
    Begun,
    Citation,
    CitationAdded,
    Ended,
    Failed,
    Fault,
    Finish,
    Finished,
    Image,
    ItemBegun,
    Message,
    Reasoning,
    Refusal,
    Text,
    TextDelta,
    ToolCall,
    UsageTold,
)
from tidegate.dialects.dialect import Dialect, UnreadableAnswer
from tidegate.dialects.folding import Fold, explode
from tidegate.dialects.registry import DIALECTS, relay_between

UPSTREAMS = [DIALECTS[name] for name in ("openai", "anthropic", "gemini")]
PAIRS = list(product(CHAT, UPSTREAMS))


def folded(answer: Answer) -> Answer:
    fold = Fold()
    for event in explode(answer):
        fold.add(event)
    return fold.answer()


_some = st.text(min_size=1, max_size=20)
_any = st.text(max_size=20)
_citation = st.builds(Citation, _some, _any, st.none() | st.integers(0, 99), st.none() | st.integers(0, 99), _any)
_text = st.builds(
    lambda text, citations: Text(text, citations=citations), _any, st.lists(_citation, max_size=2)
).filter(lambda one: one.text or one.citations)
_refusal = st.builds(Refusal, _any)


def _alternating(parts: list[Text | Refusal]) -> list[Text | Refusal]:
    """A stream has no seam between two of one kind."""
    return [one for place, one in enumerate(parts) if not place or type(one) is not type(parts[place - 1])]


_message = st.builds(
    lambda parts, name, own: Message("assistant", [*_alternating(parts)], name, own),
    st.lists(_text | _refusal, max_size=4),
    _any,
    _any,
)
_thought = st.builds(Reasoning, _any, _any, _any, st.booleans(), _any, _any)
_call = st.builds(ToolCall, _some, _some, _some, st.booleans(), _any)
_answer = st.builds(
    Answer,
    _any,
    st.lists(_message | _thought | _call, max_size=5),
    st.builds(
        Finish, st.sampled_from(["stop", "length", "tool_calls", "content_filter"]), _any, st.none() | _some, _any
    ),
    st.builds(
        lambda read, told: Usage(input=read, output=told, source="reported"), st.integers(0, 9), st.integers(0, 9)
    ),
    _any,
)


@given(_answer)
def test_an_answer_told_as_a_stream_and_folded_is_itself(answer: Answer) -> None:
    events = explode(deepcopy(answer))
    assert_well_formed(events)
    assert folded(deepcopy(answer)) == answer


def test_neighbouring_texts_are_one_and_their_citations_move_along() -> None:
    texts = [
        Text("Tide. "),
        Text("Ebb.", citations=[Citation("https://e.example", "E", 0, 4)]),
        Refusal("No."),
        Text("A"),
    ]
    answer = Answer("a", [Message("assistant", [*texts])], Finish("stop"), Usage())
    whole = Text("Tide. Ebb.", citations=[Citation("https://e.example", "E", 6, 10)])
    assert folded(answer).items == [Message("assistant", [whole, Refusal("No."), Text("A")])]
    assert folded(answer).usage.source == "unknown"


def test_a_call_without_arguments_has_an_empty_object() -> None:
    calls = [ToolCall("1", "now", ""), ToolCall("2", "say", "", custom=True)]
    answer = folded(Answer("a", [*calls], Finish("tool_calls"), Usage()))
    assert [one.arguments for one in answer.items if isinstance(one, ToolCall)] == ["{}", ""]


def test_the_last_usage_counts() -> None:
    fold = Fold()
    for event in (Begun("a"), UsageTold(Usage(input=1)), Finished(Finish("stop")), UsageTold(Usage(input=2)), Ended()):
        fold.add(event)
    assert fold.answer().usage == Usage(input=2)


def test_what_has_no_end_or_failed_is_no_answer() -> None:
    fold = Fold()
    for event in (Begun("a"), ItemBegun(0, Message("assistant", [])), TextDelta(0, "Hi")):
        fold.add(event)
    with pytest.raises(UnreadableAnswer, match="without a finish reason"):
        fold.answer()
    fold.add(Finished(Finish("stop")))
    fold.add(Failed(Fault("overloaded_error", "", "busy")))
    assert fold.fault == Fault("overloaded_error", "", "busy")
    with pytest.raises(UnreadableAnswer):
        fold.answer()


@pytest.mark.parametrize(
    "event", [TextDelta(0, "Hi"), ArgumentsDelta(0, "{}"), CitationAdded(0, Citation("https://e.example"))]
)
def test_content_belongs_to_an_item_of_its_kind(event: TextDelta) -> None:
    fold = Fold()
    fold.add(ItemBegun(0, Reasoning()))
    with pytest.raises(UnreadableAnswer, match="outside of an item"):
        fold.add(event)


def test_what_is_held_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MAX_FOLDED", 10_000)
    fold = Fold()
    fold.add(ItemBegun(0, Message("assistant", [])))
    with pytest.raises(UnreadableAnswer, match="larger than"):
        for _ in range(1000):
            fold.add(TextDelta(0, "a"))  # small pieces cost more than their characters


def test_a_part_that_no_stream_tells_is_refused() -> None:
    with pytest.raises(UnreadableAnswer, match="no stream"):
        explode(Answer("a", [Message("assistant", [Image(url="https://e.example")])], Finish("stop"), Usage()))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("client", "upstream"), PAIRS, ids=pair_id)
def test_the_upstream_is_asked_for_what_it_does(client: Dialect, upstream: Dialect, stream: bool) -> None:
    relay = relay_between(client.name, upstream, "chat", stream)
    assert relay is not None
    assert not relay.native
    body = relay.encode_request(client_view(client, stream=not stream), MODEL, output_cap=None)
    assert upstream.name == "gemini" or (b'"stream":true' in body) is stream


@pytest.mark.parametrize("scene", TOLD, ids=pair_id)
@pytest.mark.parametrize(("client", "upstream"), PAIRS, ids=pair_id)
def test_a_stream_reaches_a_client_that_wants_the_whole_answer(client: Dialect, upstream: Dialect, scene: Told) -> None:
    if {client.name, upstream.name} & scene.without:
        return
    relay = relay_between(client.name, upstream, "chat", True)
    assert relay is not None
    reader = relay.stream_reader(client_view(client, stream=False))
    body = None
    for frame in relay.splitter().feed(told_by(upstream, scene)[1]):
        event = reader.read(frame)
        assert event.done or not event.bytes
        if event.done:
            body = event.bytes
            break
    got = codec(client).decode_answer(body or reader.end_marker() or b"")
    assert gist([*got.items]) == gist([*scene.items])
    assert got.finish.reason == scene.finish.reason
    assert totals(reader.usage) == totals(scene.usage) == totals(got.usage)


@pytest.mark.parametrize("scene", TOLD, ids=pair_id)
@pytest.mark.parametrize(("client", "upstream"), PAIRS, ids=pair_id)
def test_a_whole_answer_reaches_a_client_that_wants_a_stream(client: Dialect, upstream: Dialect, scene: Told) -> None:
    if {client.name, upstream.name} & scene.without:
        return
    relay = relay_between(client.name, upstream, "chat", False)
    assert relay is not None
    answer = relay.read_answer("chat", told_by(upstream, scene)[0])
    events = events_of(client, relay.encode_answer(answer, client_view(client, stream=True)))
    assert_well_formed(events)
    fold = Fold()
    for event in events:
        fold.add(event)
    got = fold.answer()
    assert gist([*got.items]) == gist([*scene.items])
    assert got.finish.reason == scene.finish.reason
    assert totals(answer.usage) == totals(scene.usage) == totals(got.usage)


@pytest.mark.parametrize("streams", [True, False])
def test_names_of_tools_are_the_clients(streams: bool) -> None:
    upstream, scene = DIALECTS["anthropic"], TOLD[4]
    relay = relay_between("openai", upstream, "chat", streams)
    assert relay is not None
    view = client_view(DIALECTS["openai"], stream=not streams)
    view.renamed_tools = {"get_weather": "weather.get"}
    whole, stream = told_by(upstream, scene)
    if streams:
        reader = relay.stream_reader(view)
        body = b"".join(reader.read(frame).bytes for frame in relay.splitter().feed(stream))
    else:
        body = relay.encode_answer(relay.read_answer("chat", whole), view)
    assert b'"weather.get"' in body
    assert b"get_weather" not in body
