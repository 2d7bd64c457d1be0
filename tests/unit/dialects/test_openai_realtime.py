"""What is read of realtime events, and what is written: usage to disjoint buckets, bounds, names."""

import json
from typing import Any

import pytest
from msgspec import Raw

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.openai import realtime

USAGE = {
    "total_tokens": 260,
    "input_tokens": 200,
    "output_tokens": 60,
    "input_token_details": {
        "text_tokens": 80,
        "audio_tokens": 110,
        "image_tokens": 10,
        "cached_tokens": 70,
        "cached_tokens_details": {"text_tokens": 30, "audio_tokens": 35, "image_tokens": 5},
    },
    "output_token_details": {"text_tokens": 20, "audio_tokens": 40},
}


def raw(value: object) -> Raw:
    return Raw(json.dumps(value).encode())


def test_usage_to_disjoint_buckets() -> None:
    usage = realtime.usage_of(raw(USAGE))
    assert (usage.input, usage.input_audio, usage.input_image) == (50, 75, 5)
    assert (usage.cache_read, usage.cache_read_audio, usage.cache_read_image) == (30, 35, 5)
    assert (usage.output, usage.output_audio) == (20, 40)
    assert (usage.input_total, usage.output_total, usage.total) == (200, 60, 260)
    assert json.loads(usage.raw) == USAGE


@pytest.mark.parametrize(
    ("told", "total"),
    [
        ({"input_tokens": 3, "output_tokens": 4}, 7),
        ({"input_tokens": 0, "output_tokens": 0, "input_token_details": None}, 0),
        ({"input_tokens": 9, "output_tokens": 1, "input_token_details": {"cached_tokens": 4}}, 10),
    ],
)
def test_usage_without_details(told: dict[str, Any], total: int) -> None:
    usage = realtime.usage_of(raw(told))
    assert (usage.total, usage.source) == (total, "reported")


@pytest.mark.parametrize("told", [{}, {"input_tokens": 3}, {"output_tokens": 3}, {"input_tokens": "3"}, [], "x"])
def test_a_total_that_is_missing_is_unknown(told: object) -> None:
    assert realtime.usage_of(raw(told)).source == "unknown"


@pytest.mark.parametrize(
    ("response", "source"),
    [
        ({"status": "completed", "usage": USAGE}, "reported"),
        ({"status": "cancelled", "usage": None, "output": []}, "unknown"),
        ({"status": "completed", "output": []}, "unknown"),
        ({"status": "failed", "usage": None, "output": []}, "reported"),
        ({"status": "failed", "usage": None, "output": [{"type": "message"}]}, "unknown"),
        ({"status": "failed", "usage": USAGE}, "reported"),
    ],
)
def test_the_usage_of_what_is_over(response: dict[str, Any], source: str) -> None:
    """Nothing was used by what failed before it said a word; all else that says nothing is unknown, never zero."""
    assert realtime.settled_usage(realtime.read_response(raw(response))).source == source


def test_a_failure_without_output_is_free() -> None:
    failed = realtime.read_response(raw({"status": "failed", "output": []}))
    assert realtime.settled_usage(failed) == Usage(source="reported")


@pytest.mark.parametrize(
    ("session", "bound"),
    [
        ({"max_output_tokens": 100}, 100),
        ({"max_response_output_tokens": 100}, 100),
        ({"max_output_tokens": "inf"}, None),
        ({"max_output_tokens": None, "max_response_output_tokens": 7}, 7),
        ({"max_output_tokens": 1.5}, None),
        ({"max_output_tokens": -1}, None),
        ({"max_output_tokens": 10**30}, None),
        ({}, None),
        (None, None),
        ([], None),
    ],
)
def test_bounds(session: object, bound: int | None) -> None:
    assert realtime.read_bound(raw(session)) == bound


@pytest.mark.parametrize("payload", [b"", b"no JSON", b"[]", b"1", b'{"type": 3}', b"\xff", b"[" * 100_000])
def test_what_is_no_event(payload: bytes) -> None:
    assert realtime.read_event(payload) is None


def update(event: dict[str, Any], member: str = "session", cap: int | None = None) -> Any:
    payload = json.dumps(event).encode()
    told = realtime.client_update(payload, member, model="voice", upstream="gpt-realtime", cap=cap)
    return json.loads(told)


def test_an_event_passes_byte_for_byte_where_nothing_must_be_said() -> None:
    payload = b'{ "type" : "session.update", "session": {"type": "realtime", "x": [1,  2]} }'
    assert realtime.client_update(payload, "session", model="a", upstream="b", cap=None) == payload


@pytest.mark.parametrize("name", ["voice", "gpt-realtime"])
def test_the_model_goes_by_the_upstreams_name(name: str) -> None:
    event = {"type": "session.update", "session": {"type": "realtime", "model": name, "tools": []}}
    assert update(event)["session"] == {"type": "realtime", "model": "gpt-realtime", "tools": []}


@pytest.mark.parametrize(
    ("member", "before", "after"),
    [
        ("session", {"max_output_tokens": "inf"}, {"max_output_tokens": 300}),
        ("session", {"max_response_output_tokens": None}, {"max_response_output_tokens": 300}),
        ("session", {"max_output_tokens": 20}, {"max_output_tokens": 20}),
        ("session", {"type": "realtime"}, {"type": "realtime"}),
        ("response", {"max_output_tokens": "inf"}, {"max_output_tokens": 300}),
        ("response", {}, {}),
    ],
)
def test_a_cap_stands_in_for_no_bound(member: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    assert update({"type": "t", member: before}, member, cap=300)[member] == after


def test_an_event_without_the_member_is_left_without_it() -> None:
    assert update({"type": "response.create"}, "response", cap=300) == {"type": "response.create"}


def test_of_a_repeated_key_the_last_counts_on_both_sides() -> None:
    payload = b'{"type":"response.create","response":{"max_output_tokens":"inf"},"response":{"max_output_tokens":5}}'
    told = realtime.client_update(payload, "response", model="a", upstream="b", cap=9)
    assert told == b'{"type":"response.create","response":{"max_output_tokens":5}}'


@pytest.mark.parametrize(
    ("session", "field"),
    [
        ({"audio": {"input": {"transcription": {"model": "whisper-1"}}}}, "session.audio.input.transcription"),
        ({"input_audio_transcription": {"model": "whisper-1"}}, "session.audio.input.transcription"),
        ({"model": "gpt-realtime-2"}, "session.model"),
    ],
)
def test_refused_under_a_hard_budget(session: dict[str, Any], field: str) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        update({"type": "session.update", "session": session}, cap=300)
    assert caught.value.problem.field == field


@pytest.mark.parametrize("session", [{"audio": None}, {"audio": {"input": {"transcription": None}}}, {"audio": []}])
def test_no_transcription_is_none(session: dict[str, Any]) -> None:
    assert update({"type": "session.update", "session": session}, cap=300)["session"] == session


def test_sessions_are_told_under_the_public_name() -> None:
    event = b'{"type":"session.created","session":{"model":"gpt-realtime","voice":"x"},"event_id":"e"}'
    told = realtime.renamed_session(event, "voice")
    assert told == b'{"type":"session.created","session":{"model":"voice","voice":"x"},"event_id":"e"}'
    assert realtime.renamed_session(b'{"session": {}}', "voice") == b'{"session": {}}'


def test_errors_say_what_they_are_about() -> None:
    problem = Problem(status=429, code="budget_exceeded", message="No.", bucket="b", limit=1, used=1, resets_at_ns=0)
    event = json.loads(realtime.error_event(problem, "event_1", "mine"))
    assert event["type"] == "error"
    assert event["error"]["code"] == "budget_exceeded"
    assert event["error"]["event_id"] == "mine"
    assert event["error"]["tidegate"]["bucket"] == "b"
    assert realtime.refused_event(raw({"event_id": "mine"})) == "mine"
    assert realtime.refused_event(raw("x")) == ""


@pytest.mark.parametrize(
    ("preview", "session"),
    [
        (False, {"type": "realtime", "max_output_tokens": 300}),
        (True, {"max_response_output_tokens": 300}),
    ],
)
def test_the_event_that_sets_a_bound(preview: bool, session: dict[str, Any]) -> None:
    event = json.loads(realtime.bound_event(300, "e", preview=preview))
    assert event == {"type": "session.update", "event_id": "e", "session": session}


def test_paths() -> None:
    assert realtime.upstream_path("a b/c", "/v1") == "/v1/realtime?model=a%20b%2Fc"
    assert realtime.azure_path("d", "/root", None) == "/root/openai/v1/realtime?model=d"
    assert realtime.azure_path("d", "", "2025-04-01") == "/openai/realtime?api-version=2025-04-01&deployment=d"
