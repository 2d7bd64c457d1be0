"""Response objects that the gateway makes have every member that Open Responses requires, each once."""

import json
from typing import Any

import pytest

from tidegate.core.clock import ManualClock
from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.canon import Answer, Begun, Ended, Event, Finish, Finished, ItemBegun, Message, Text, TextDelta
from tidegate.dialects.responses import Responses
from tidegate.dialects.responses.codec import ResponsesChat
from tidegate.wire.sse import sse_data

REQUIRED = frozenset(
    (
        "id object created_at completed_at status incomplete_details model previous_response_id instructions output error "
        "tools tool_choice truncation parallel_tool_calls text top_p presence_penalty frequency_penalty top_logprobs "
        "temperature reasoning usage max_output_tokens max_tool_calls store background service_tier metadata "
        "safety_identifier prompt_cache_key"
    ).split()
)
"""Of `ResponseResource`, specification of 2026-04-24."""
ARRIVED = 1_760_000_000
USAGE = Usage(source="reported", input=3, output=2)
CODEC = ResponsesChat()


def asked(**fields: object) -> View:
    view = Responses().read("chat", json.dumps({"model": "m", "input": "hi", **fields}).encode())
    view.id, view.time_ns, view.clock = "1", ARRIVED * 1_000_000_000, ManualClock((ARRIVED + 7) * 1_000_000_000)
    return view


def read(body: bytes) -> dict[str, Any]:
    """Fails on a member that is there twice."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), names
        return dict(pairs)

    return json.loads(body, object_pairs_hook=members)


def whole(view: View, reason: Any = "stop", tier: str = "") -> dict[str, Any]:
    items: Any = [Message("assistant", [Text("Hello")])]
    return read(CODEC.encode_answer(Answer("a", items, Finish(reason), USAGE, tier), view))


def streamed(view: View, *events: Event) -> list[dict[str, Any]]:
    encoder = CODEC.event_encoder(view)
    told = b"".join(encoder.end() if isinstance(event, Ended) else encoder.encode(event) for event in events)
    return [read(sse_data(frame + b"\n\n") or b"") for frame in told.split(b"\n\n") if frame]


def test_a_whole_answer() -> None:
    response = whole(asked())
    assert REQUIRED <= set(response)
    assert (response["created_at"], response["completed_at"]) == (ARRIVED, ARRIVED + 7)
    assert (response["store"], response["service_tier"]) == (True, "default")


def test_an_answer_that_was_cut_is_not_completed() -> None:
    response = whole(asked(), "length")
    assert REQUIRED <= set(response)
    assert (response["status"], response["completed_at"]) == ("incomplete", None)


def test_it_repeats_what_was_asked_for() -> None:
    view = asked(store=False, service_tier="flex", frequency_penalty=0.5, presence_penalty=-1)
    response = whole(view, tier="priority")
    told = [response[name] for name in ("store", "service_tier", "frequency_penalty", "presence_penalty")]
    assert told == [False, "priority", 0.5, -1]
    request = CODEC.decode_request(view)
    assert (request.frequency_penalty, request.presence_penalty) == (0.5, -1)


def test_a_tool_without_a_description_has_a_null() -> None:
    (tool,) = whole(asked(tools=[{"type": "function", "name": "f"}]))["tools"]
    assert tool == {"type": "function", "name": "f", "description": None, "parameters": None, "strict": None}


def test_objects_are_repeated_whole() -> None:
    response = whole(asked(reasoning={"effort": "high"}, text={"verbosity": "low"}))
    assert response["reasoning"] == {"effort": "high", "summary": None}
    assert response["text"] == {"format": {"type": "text"}, "verbosity": "low"}


def test_every_response_in_a_stream() -> None:
    view = asked(stream=True, service_tier="flex")
    events = streamed(
        view,
        Begun("a"),
        ItemBegun(0, Message("assistant", [])),
        TextDelta(0, "Hello"),
        Finished(Finish("stop")),
        Ended(),
    )
    responses = [event["response"] for event in events if "response" in event]
    assert [response["status"] for response in responses] == ["in_progress", "in_progress", "completed"]
    assert all(set(response) >= REQUIRED for response in responses)
    assert [response["completed_at"] for response in responses] == [None, None, ARRIVED + 7]
    assert [response["service_tier"] for response in responses] == ["flex", "flex", "default"]


@pytest.mark.parametrize("code", ["rate_limit_exceeded", "upstream_error"])
def test_a_stream_that_fails(code: str) -> None:
    encoder = CODEC.event_encoder(asked(stream=True))
    encoder.encode(Begun("a"))
    told = encoder.problem(Problem(status=502, code=code, message="broke off"))
    response = read(sse_data(told) or b"")["response"]
    assert REQUIRED <= set(response)
    assert (response["status"], response["completed_at"]) == ("failed", None)
