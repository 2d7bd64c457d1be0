"""What of a Responses request lies at an upstream, and what of an answer stays there."""

import json
from typing import Any

import msgspec
import pytest

from tidegate.core.view import Reference
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.responses.references import left_by_answer, left_by_item, references

MESSAGE = {"role": "user", "content": 'an "id" and an item_reference', "id": "msg_1"}


def raw(**fields: Any) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in fields.items()}


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"input": 'an "id"'}, []),
        ({"input": [MESSAGE], "previous_response_id": None, "conversation": None}, []),
        ({"input": "x", "previous_response_id": "resp_1"}, [("response", "resp_1", "previous_response_id")]),
        ({"conversation": "conv_1"}, [("conversation", "conv_1", "conversation")]),
        ({"conversation": {"id": "conv_1"}}, [("conversation", "conv_1", "conversation")]),
        ({"input": [MESSAGE, {"type": "item_reference", "id": "msg_2"}]}, [("item", "msg_2", "input")]),
        ({"input": [{"id": "msg_2"}]}, [("item", "msg_2", "input")]),
        ({"input": [{"id": "msg_2", "type": None}]}, [("item", "msg_2", "input")]),
        ({"input": [{"id": "msg_2", "role": None}]}, [("item", "msg_2", "input")]),
        (
            {"input": [{"type": "item_reference", "id": "msg_2", "encrypted_content": "x"}]},
            [("item", "msg_2", "input")],
        ),
        ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, [("thought", "rs_1", "input")]),
        (
            {
                "input": [
                    {"type": "reasoning", "id": "rs_1", "encrypted_content": "first"},
                    MESSAGE,
                    {"type": "compaction", "encrypted_content": "last"},
                ]
            },
            [("sealed", "last", "input"), ("sealed", "first", "input")],
        ),
    ],
)
def test_what_a_request_names(fields: dict[str, Any], found: list[tuple[Any, str, str]]) -> None:
    assert references(raw(**fields)) == tuple(Reference(*one) for one in found)


@pytest.mark.parametrize("name", [rb'"\u0069d"', rb'"i\u0064"', rb'"\u0069\u0064"'])
def test_a_name_is_seen_however_it_is_written(name: bytes) -> None:
    text = b'[{"type": "item_reference", ' + name + b': "msg_2"}]'
    assert references({"input": msgspec.Raw(text)}) == (Reference("item", "msg_2", "input"),)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"previous_response_id": 5}, "previous_response_id"),
        ({"conversation": 5}, "conversation"),
        ({"input": [{"id": 5}]}, "input"),
        ({"input": ["id", {"id": "x"}]}, "input"),
    ],
)
def test_what_cannot_be_told_is_refused(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        references(raw(**fields))
    assert caught.value.problem.field == field


def test_what_an_answer_leaves() -> None:
    items = [{"type": "reasoning", "id": "rs_1", "encrypted_content": "text"}, {"type": "message", "id": "msg_1"}]
    told = raw(id="resp_1", output=items)
    sealed, kept = ("sealed", "text"), [("response", "resp_1"), ("item", "rs_1"), ("sealed", "text"), ("item", "msg_1")]
    assert left_by_answer(told, stored=True) == tuple(kept)
    assert left_by_answer(told, stored=False) == (sealed,)
    assert left_by_item(msgspec.Raw(json.dumps(items[0]).encode()), stored=False) == (sealed,)
    for strange in (raw(id=5, output=[]), raw(id="x", output={}), raw(id="x", output=[{"id": 5}])):
        assert left_by_answer(strange, stored=True) == ()
    assert left_by_item(msgspec.Raw(b'{"id":5}'), stored=True) == ()


@pytest.mark.parametrize("environment", [None, {"type": "local"}, {"container_id": None}, {"container_id": 5}, "mine"])
def test_an_environment_without_a_container_takes_nothing_from_the_rest(environment: Any) -> None:
    told = raw(id="resp_1", output=[{"type": "shell_call", "id": "sh_1", "environment": environment}])
    assert left_by_answer(told, stored=True) == (("response", "resp_1"), ("item", "sh_1"))


@pytest.mark.parametrize(
    "item",
    [
        {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1"},
        {"type": "shell_call", "id": "sh_1", "environment": {"type": "container_reference", "container_id": "cntr_1"}},
    ],
)
def test_a_container_of_the_providers_is_left(item: dict[str, Any]) -> None:
    """It is the consumer's who has made it work."""
    assert left_by_answer(raw(output=[item]), stored=False) == (("container", "cntr_1"),)
