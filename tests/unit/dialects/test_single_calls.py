"""One tool call an answer: what stays, whole and in streams, and what is noted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.chat_scenes import OSLO, ROME, TOOLS, Told, said

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.canon import (
    Ended,
    Event,
    Finish,
    Message,
    OutputItem,
    Reasoning,
    Request,
    Text,
    ToolCall,
    UsageTold,
)
from tidegate.dialects.dialect import UpstreamModel
from tidegate.dialects.folding import Fold, explode
from tidegate.dialects.registry import DIALECTS, relay_between
from tidegate.dialects.single_calls import FirstCallAlone
from tidegate.dialects.translation import Translation

PLAN = said("Let me look.", "assistant")
THOUGHT = Reasoning("Rome first", signature="c2lnbmVk", origin="gemini")
SIGNED = ToolCall("call_1", "get_weather", '{"city":"Rome"}', signature="c2lnbmVk")
AFTER = Reasoning("now Oslo", signature="b3RoZXI=", origin="gemini")
END = said("I wait.", "assistant")


def gist(items: list[OutputItem]) -> list[str]:
    told: list[str] = []
    for item in items:
        match item:
            case ToolCall():
                told.append(f"{item.id} {item.arguments} {item.signature}")
            case Reasoning():
                told.append(f"{item.text} {item.signature}")
            case Message():
                told.append("".join(part.text for part in item.parts if isinstance(part, Text)))
    return told


@pytest.mark.parametrize(
    ("told", "kept", "left_out"),
    [
        ([PLAN], [PLAN], 0),
        ([PLAN, ROME], [PLAN, ROME], 0),
        ([PLAN, ROME, OSLO], [PLAN, ROME], 1),
        ([THOUGHT, SIGNED, OSLO, ROME], [THOUGHT, SIGNED], 2),
        ([THOUGHT, SIGNED, AFTER, OSLO], [THOUGHT, SIGNED], 1),
        ([ROME, OSLO, END], [ROME, END], 1),
        ([ROME, AFTER, END], [ROME, END], 0),
    ],
)
def test_the_first_call_stays(told: list[OutputItem], kept: list[OutputItem], left_out: int) -> None:
    first = FirstCallAlone()
    assert first.items(told) == kept
    assert first.calls_left_out == left_out


def through(events: list[Event]) -> tuple[list[Event], int]:
    first = FirstCallAlone()
    kept = [passed for event in events if (passed := first.event(event)) is not None]
    return kept, first.calls_left_out


def folded(events: list[Event]) -> list[OutputItem]:
    fold = Fold()
    for event in events:
        fold.add(event)
    return fold.answer().items


ITEMS: list[OutputItem] = [PLAN, THOUGHT, SIGNED, ROME, OSLO, AFTER, END]


@given(st.lists(st.sampled_from(ITEMS), max_size=6))
def test_a_stream_says_what_the_whole_answer_says(items: list[OutputItem]) -> None:
    scene = Told("any", items, Finish("tool_calls"))
    events, left_out = through(scene.events())
    first = FirstCallAlone()
    assert gist(folded(events)) == gist(first.items(folded(scene.events())))
    assert left_out == first.calls_left_out
    indexes = [event.index for event in events if hasattr(event, "index")]
    assert sorted(set(indexes)) == list(range(len(set(indexes))))
    assert indexes == sorted(indexes)
    assert [event for event in events if isinstance(event, UsageTold)] == [UsageTold(scene.usage)]
    assert isinstance(events[-1], Ended)


def test_events_of_the_upstream_stay_as_they_are() -> None:
    """A decoder may hold on to what it gave out."""
    events = explode(Told("any", [ROME, OSLO, END], Finish("tool_calls")).answer())
    before = [str(event) for event in events]
    through(events)
    assert [str(event) for event in events] == before


def relay_and_view(upstream: str, *, stream: bool) -> tuple[Translation, View]:
    """Of a call by OpenAI's chat that allows one tool call at a time."""
    asking = DIALECTS["openai"]
    assert asking.chat is not None
    request = Request(items=[said("Weather?")], **TOOLS, parallel_tool_calls=False, stream=stream)  # type: ignore[arg-type]
    view = asking.read("chat", asking.chat.encode_request(request, UpstreamModel("public")))
    relay = relay_between("openai", DIALECTS[upstream], "chat")
    assert isinstance(relay, Translation)
    relay.encode_request(view, UpstreamModel("real"), output_cap=None)
    return relay, view


@pytest.mark.parametrize(
    ("upstream", "model", "alone"),
    [
        ("gemini", "real", True),
        ("cohere", "real", True),
        ("ollama", "real", True),
        ("bedrock", "amazon.nova-pro-v1:0", True),
        ("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", False),
        ("anthropic", "real", False),
        ("mistral", "real", False),
        ("openai-responses", "real", False),
    ],
)
def test_who_cannot_be_held_to_it(upstream: str, model: str, alone: bool) -> None:
    relay, view = relay_and_view(upstream, stream=False)
    relay.encode_request(view, UpstreamModel(model), output_cap=None)
    assert (view.first_call_alone, view.dropped) == (alone, ())


def test_without_tools_nothing_is_left_out() -> None:
    request = Request(items=[said("Hi")], parallel_tool_calls=False)
    for upstream in ("gemini", "cohere", "ollama"):
        chat = DIALECTS[upstream].chat
        assert chat is not None
        chat.encode_request(request, UpstreamModel("real"))
        assert not request.first_call_alone


@pytest.mark.parametrize("upstream", ["gemini", "cohere", "ollama"])
def test_what_was_left_out_is_counted_and_paid_for(upstream: str) -> None:
    chat = DIALECTS[upstream].chat
    assert chat is not None
    scene = Told("two", [ROME, OSLO], Finish("tool_calls"), Usage(input=11, output=7, source="reported"))
    made = View("x", "chat", "m", True, {}, 0, 0, 0, None, id="id-1", time_ns=10**18)

    relay, view = relay_and_view(upstream, stream=False)
    answer = relay.read_answer("chat", chat.encode_answer(scene.answer(), made))
    body = relay.encode_answer(answer, view)
    assert (body.count(b"get_weather"), view.calls_left_out, answer.usage.output) == (1, 1, 7)

    relay, view = relay_and_view(upstream, stream=True)
    encoder = chat.event_encoder(made)
    sent = b"".join(encoder.encode(event) for event in scene.events() if not isinstance(event, Ended)) + encoder.end()
    reader = relay.stream_reader(view)
    told = b"".join(reader.read(frame).bytes for frame in relay.splitter().feed(sent))
    told += reader.end_marker() or b""
    assert (told.count(b"get_weather"), view.calls_left_out) == (1, 1)
    assert reader.usage is not None
    assert reader.usage.output == 7
    all_events = relay.stream_reader(View("openai", "chat", "m", True, {}, 0, 0, 0, None))
    for frame in relay.splitter().feed(sent):
        all_events.read(frame)
    assert reader.content_events == all_events.content_events  # the estimate for a stream that is cut
