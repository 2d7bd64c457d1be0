"""Invented content: exact counts, lossless tokens, values that satisfy their schema."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.simulator.invention import estimate_tokens, invent_json, invent_prose, invent_tokens, split_tokens


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(split_tokens(text)) == text


@given(st.integers(0, 500), st.integers())
def test_as_many_tokens_as_asked_for(count: int, seed: int) -> None:
    assert len(invent_tokens(random.Random(seed), count)) == count


def test_prose_ends_with_a_sentence() -> None:
    text = "".join(invent_prose(random.Random(3), 100))
    assert len(invent_prose(random.Random(3), 100)) >= 100
    assert text.rstrip("🌊 ").endswith((".", "without"))


def test_the_same_state_invents_the_same() -> None:
    assert invent_tokens(random.Random(5), 50) == invent_tokens(random.Random(5), 50)
    assert invent_tokens(random.Random(5), 50) != invent_tokens(random.Random(6), 50)


def test_tokens_are_estimated_from_bytes() -> None:
    assert [estimate_tokens(b"x" * size) for size in (0, 1, 4, 5)] == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer", "minimum": 3, "maximum": 3}, 3),
        ({"enum": ["a"]}, "a"),
        ({"const": {"x": 1}}, {"x": 1}),
        ({"type": "null"}, None),
        ({"type": ["null", "integer"], "minimum": 4, "maximum": 4}, 4),
        ({"anyOf": [{"const": 1}, {"const": 2}]}, 1),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 9}}}, 9),
        ({"type": "array", "items": {"const": 0}, "maxItems": 1}, [0]),
        ({"type": "array", "items": {"const": 0}, "minItems": 3}, [0, 0, 0]),
        ({"properties": {"a": {"const": 1}, "b": {"const": 2}}}, {"a": 1, "b": 2}),
        ({"type": "object"}, {}),
    ],
)
def test_values_satisfy_their_schema(schema: dict[str, Any], expected: object) -> None:
    assert json.loads(invent_json(random.Random(1), schema)) == expected


def test_a_schema_that_refers_to_itself_ends() -> None:
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    assert isinstance(json.loads(invent_json(random.Random(1), schema)), dict)
