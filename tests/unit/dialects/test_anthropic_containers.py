"""Containers at Anthropic: named by a request, left by an answer, in a stream too."""

import json
from typing import Any

import msgspec
import pytest

from tidegate.core.view import View
from tidegate.dialects.anthropic.dialect import Anthropic
from tidegate.dialects.dialect import UnreadableRequest

ANTHROPIC = Anthropic()
LEFT = (("container", "container_1"),)


def view(**fields: Any) -> View:
    asked = {"model": "thinker", "max_tokens": 9, "messages": [{"role": "user", "content": "Go."}], **fields}
    return ANTHROPIC.read("chat", json.dumps(asked).encode())


@pytest.mark.parametrize(
    ("container", "names"),
    [
        ("container_1", ["container_1"]),
        ({"id": "container_1", "skills": []}, ["container_1"]),
        ({"skills": [{"type": "anthropic", "skill_id": "pdf"}]}, []),
        (None, []),
    ],
)
def test_a_request_names_it(container: Any, names: list[str]) -> None:
    assert [(one.kind, one.name) for one in view(container=container).refers] == [("container", one) for one in names]


def test_what_cannot_be_told_is_refused() -> None:
    with pytest.raises(UnreadableRequest):
        view(container=5)


@pytest.mark.parametrize(("told", "left"), [({"id": "container_1"}, LEFT), (None, ()), ({"id": 5}, ())])
def test_an_answer_leaves_it(told: Any, left: Any) -> None:
    asked = view()
    answer = ANTHROPIC.read_answer("chat", json.dumps({"model": "claude", "container": told}).encode())
    ANTHROPIC.encode_answer(answer, asked)
    assert asked.left == left


@pytest.mark.parametrize(
    "event",
    [
        {"type": "message_start", "message": {"id": "msg_1", "model": "claude", "container": {"id": "container_1"}}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "container": {"id": "container_1"}}},
    ],
)
def test_a_stream_leaves_it(event: dict[str, Any]) -> None:
    asked = view(stream=True)
    name = event["type"].encode()
    ANTHROPIC.stream_reader(asked).read(b"event: %b\ndata: %b\n\n" % (name, msgspec.json.encode(event)))
    assert asked.left == LEFT
