"""What clients of Responses get by the case files, read by the SDK: its types strictly, and its own fold of a stream."""

import json
from typing import Any

import pytest
from openai import omit
from openai._streaming import SSEDecoder
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from tests.support.dialect_case import Case, case_id, cases
from tests.support.strict_models import read_strictly

from tidegate.wire.sse import SseSplitter, sse_data, sse_name

_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def of_responses(*needed: str) -> list[Case]:
    return [case for case in cases(*needed) if case.client.name == "openai-responses"]


def events_of(stream: bytes) -> list[Any]:
    """Each event strictly read; its name is its type, and its sequence number its place."""
    frames = SseSplitter().feed(stream)
    found: list[Any] = []
    for place, frame in enumerate(frames):
        assert frame.count(b"\ndata: ") == 1, "an event is one line"
        event = read_strictly(type(_EVENT.validate_json(sse_data(frame))), sse_data(frame))
        assert sse_name(frame).decode() == event.type
        assert event.sequence_number == place
        found.append(event)
    return found


@pytest.mark.parametrize("case", of_responses("answer"), ids=case_id)
def test_whole_answers_are_the_sdks(case: Case) -> None:
    response = read_strictly(Response, case.text("answer"))
    assert response.status in ("completed", "incomplete")


@pytest.mark.parametrize("case", of_responses("stream"), ids=case_id)
def test_streams_are_the_sdks(case: Case) -> None:
    events = events_of(case.text("stream"))
    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    for event in events:
        state.handle_event(event)
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    last = events[-1]
    if case.sections["stream"].argument == "cut":
        assert last.type == "response.failed"
        assert last.response.error.message
        return
    assert last.type in ("response.completed", "response.incomplete")
    done = [event.item.to_dict() for event in events if event.type == "response.output_item.done"]
    assert [item.to_dict() for item in last.response.output] == done


@pytest.mark.parametrize("case", of_responses("stream"), ids=case_id)
def test_what_came_in_pieces_is_what_is_said_to_be_done(case: Case) -> None:
    """Deltas, `done` events, parts and items all say the same."""
    pieces: dict[tuple[str, str, int], str] = {}
    for event in events_of(case.text("stream")):
        kind, _, what = event.type.removeprefix("response.").rpartition(".")
        part = getattr(event, "content_index", getattr(event, "summary_index", 0))
        if what == "delta":
            at = (kind, event.item_id, part)
            pieces[at] = pieces.get(at, "") + event.delta
        elif what == "done" and kind not in ("output_item", "content_part", "reasoning_summary_part"):
            whole = next(
                getattr(event, name) for name in ("text", "refusal", "arguments", "input") if hasattr(event, name)
            )
            assert pieces[kind, event.item_id, part] == whole
        elif event.type == "response.content_part.done":
            told = event.part.to_dict()
            name = told["type"]
            text = told["refusal" if name == "refusal" else "text"]
            assert pieces[name, event.item_id, part] == text


def test_the_sdk_reads_a_whole_stream_from_the_wire() -> None:
    """Not only its types: its reader of server-sent events too."""
    case = next(case for case in of_responses("stream") if case.path.stem == "tools_stream")
    told = list(SSEDecoder().iter_bytes(iter([case.text("stream")])))
    assert [json.loads(one.data)["type"] for one in told] == [one.event for one in told]
    assert told[-1].event == "response.completed"
