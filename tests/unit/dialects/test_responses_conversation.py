"""Going on from an earlier response: what the next turn asks, and what the earlier one asked."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseItemList
from tests.support.strict_models import read_strictly

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.canon import Answer, Begun, Finish, Message, Text, ToolCall
from tidegate.dialects.responses import Responses
from tidegate.dialects.responses.codec import ResponsesChat
from tidegate.dialects.responses.conversation import asked_items, input_list, recall, response_names, resume

DIALECT = Responses()
CODEC = ResponsesChat()
SAID = Answer("c1", [Message("assistant", [Text("Yes?")]), ToolCall("call_a", "f", "{}")], Finish("stop"), Usage())


def view(**fields: object) -> View:
    told = DIALECT.read("chat", json.dumps({"model": "m", "input": "Hi", **fields}).encode())
    told.id = "c1"
    return told


def resumed(first: View, second: View) -> list[dict[str, Any]]:
    resume(second, asked_items(first), CODEC.encode_answer(SAID, first))
    return json.loads(bytes(second.fields["input"]))


def test_the_earlier_turn_comes_first() -> None:
    result = {"type": "function_call_output", "call_id": "call_a", "output": "1"}
    second = view(input=[result], previous_response_id="resp_c1")
    before = (second.worst_input_tokens, second.estimated_input_tokens, second.body_bytes)
    items = resumed(view(), second)
    assert [item["type"] for item in items] == ["message", "message", "function_call", "function_call_output"]
    assert items[0]["content"][0]["text"] == "Hi"
    assert "previous_response_id" not in second.fields
    assert (second.worst_input_tokens, second.estimated_input_tokens, second.body_bytes) > before
    request = CODEC.decode_request(second)
    assert len(request.items) == 4


def test_instructions_are_not_carried_over() -> None:
    items = resumed(view(instructions="Be brief."), view(previous_response_id="resp_c1"))
    assert "Be brief." not in json.dumps(items)


def test_pictures_of_the_earlier_turn_count_again() -> None:
    part = {"type": "input_image", "image_url": "https://example.org/a.png"}
    first = view(input=[{"role": "user", "content": [part]}])
    second = view(previous_response_id="resp_c1")
    resumed(first, second)
    assert second.worst_input_tokens > second.body_bytes + 1000


def test_documents_elsewhere_are_reserved_for() -> None:
    part = {"type": "input_file", "file_id": "file-1"}
    first = view(input=[{"role": "user", "content": [part]}])
    second = view(previous_response_id="resp_c1")
    resumed(first, second)
    assert min(first.worst_input_tokens, second.worst_input_tokens) > 100_000


@pytest.mark.parametrize(
    ("fields", "hidden"),
    [
        ({}, False),
        ({"previous_response_id": None}, False),
        ({"previous_response_id": "resp_upstreams"}, True),
        ({"conversation": {"id": "conv_1"}}, True),
        ({"prompt": {"id": "pmpt_1"}}, True),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, True),
        ({"input": [{"id": "msg_1"}]}, True),  # a reference needs no type
        ({"input": [{"role": "user", "content": '"item_reference"'}]}, False),
    ],
)
def test_what_the_upstream_alone_knows_is_reserved_for(fields: dict[str, object], hidden: bool) -> None:
    assert view(**fields).hidden_context is hidden


def test_an_earlier_turn_that_is_here_hides_nothing() -> None:
    second = view(previous_response_id="resp_c1")
    resumed(view(), second)
    assert not second.hidden_context


def test_the_answer_says_where_it_goes_on_from() -> None:
    second = view(previous_response_id="resp_c1")
    resumed(view(), second)
    assert json.loads(CODEC.encode_answer(SAID, second))["previous_response_id"] == "resp_c1"


@pytest.mark.parametrize(("store", "kept"), [(None, True), (True, True), (False, False)])
def test_store_false_keeps_nothing(store: bool | None, kept: bool) -> None:
    whole, streamed = view(store=store), view(store=store)
    body = CODEC.encode_answer(SAID, whole)
    assert whole.kept == (body if kept else b"")
    encoder = CODEC.event_encoder(streamed)
    encoder.encode(Begun("c1"))
    assert streamed.kept == b""
    encoder.end()
    assert bool(streamed.kept) == kept


def test_the_items_of_a_turn() -> None:
    told: list[dict[str, Any]] = [
        {"role": "user", "content": "a"},
        {"type": "message", "id": "msg_x", "role": "assistant", "status": "completed", "content": []},
        {"role": "user", "content": [{"type": "input_text", "text": "b"}]},
    ]
    asked, body = json.dumps(told).encode(), CODEC.encode_answer(SAID, view())
    page = read_strictly(ResponseItemList, input_list(body, asked, after="", limit=2, newest_first=True))
    assert [item.id for item in page.data] == ["msg_c1_in_2", "msg_x"]
    assert page.has_more
    rest = read_strictly(ResponseItemList, input_list(body, asked, after="msg_x", limit=2, newest_first=True))
    assert [item.id for item in rest.data] == ["msg_c1_in_0"]
    assert not rest.has_more
    first = read_strictly(ResponseItemList, input_list(body, asked, after="", limit=9, newest_first=False))
    assert first.data[0].to_dict()["content"] == [{"type": "input_text", "text": "a"}]


@given(st.sampled_from(["7", "{}", "[7]", '"x"', "[[]]", '[{"type":7}]', "[null]"]))
def test_an_input_that_cannot_be_read_is_its_readers_to_refuse(text: str) -> None:
    second = view(input=json.loads(text), previous_response_id="resp_c1")
    resumed(view(), second)


def test_items_come_in_the_place_of_references_to_them() -> None:
    body = CODEC.encode_answer(SAID, view())
    name, (said, called) = response_names(body)
    found = {said: body, called: body}
    asked = [
        {"role": "user", "content": "Hi"},
        {"type": "item_reference", "id": said},
        {"type": "item_reference", "id": called},
        {"type": "function_call_output", "call_id": "call_a", "output": "1"},
    ]
    second = view(input=asked)
    assert second.refers
    assert second.hidden_context
    before = second.worst_input_tokens
    recall(second, lambda item: found.get(item, b""))
    items = json.loads(bytes(second.fields["input"]))
    assert (name, [item["type"] for item in items[1:]]) == (
        "resp_c1",
        ["message", "function_call", "function_call_output"],
    )
    assert items[1]["content"][0]["text"] == "Yes?"
    assert second.worst_input_tokens > before
    assert not second.hidden_context
    assert len(CODEC.decode_request(second).items) == 4


def test_references_to_what_is_not_here_are_left() -> None:
    asked = [{"role": "user", "content": "an item_reference"}, {"type": "item_reference", "id": "msg_9"}]
    second = view(input=asked)
    recall(second, lambda item: b"")
    assert json.loads(bytes(second.fields["input"])) == asked
    assert second.hidden_context
