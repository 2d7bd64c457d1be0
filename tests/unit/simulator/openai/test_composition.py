"""What a model says: where it stops, which tools it calls."""

import json
import random
from typing import Any

import pytest

from tidegate.simulator.behaviour import behaviour_from
from tidegate.simulator.openai.chat_request import read_chat
from tidegate.simulator.openai.composition import Choice, compose_choice, cut
from tidegate.simulator.openai.fields import Fields

WEATHER = {"type": "function", "function": {"name": "getWeather", "parameters": {"properties": {"city": {}}}}}
TIDE = {"type": "custom", "custom": {"name": "tide_table"}}


def compose(text: str = "hi", behaviour: dict[str, Any] | None = None, **fields: Any) -> Choice:
    request = read_chat(Fields({"messages": [{"role": "user", "content": text}], **fields}), strict=True)
    return compose_choice(request, behaviour_from("m", behaviour or {}), random.Random(1))


@pytest.mark.parametrize(
    ("limit", "stop", "expected"),
    [
        (9, (), ("one two three", "stop")),
        (3, (), ("one two three", "stop")),
        (2, (), ("one two", "length")),
        (0, (), ("", "length")),
        (9, ("two",), ("one ", "stop")),
        (9, ("wo t", "three"), ("one t", "stop")),
        (9, ("four",), ("one two three", "stop")),
        (2, ("three",), ("one two", "length")),
        (2, ("one",), ("", "stop")),
    ],
)
def test_where_it_stops(limit: int, stop: tuple[str, ...], expected: tuple[str, str]) -> None:
    tokens, finish = cut(["one", " two", " three"], limit, stop)
    assert ("".join(tokens), finish) == expected


def test_an_exact_count_of_tokens() -> None:
    assert compose(behaviour={"tokens": 37}).completion_tokens == 37


def test_reasoning_counts_and_is_bounded_too() -> None:
    choice = compose(behaviour={"tokens": 5, "reasoningTokens": 20})
    assert (choice.reasoning_tokens, choice.completion_tokens) == (20, 25)
    cut_short = compose(behaviour={"tokens": 5, "reasoningTokens": 20}, max_tokens=12)
    assert (cut_short.reasoning_tokens, cut_short.text, cut_short.finish) == (12, "", "length")


@pytest.mark.parametrize(
    ("text", "fields", "names", "finish"),
    [
        ("hi", {}, [], "stop"),
        ("the weather?", {}, ["getWeather"], "tool_calls"),
        ("weather and tide", {}, ["getWeather", "tide_table"], "tool_calls"),
        ("weather and tide", {"parallel_tool_calls": False}, ["getWeather"], "tool_calls"),
        ("weather", {"tool_choice": "none"}, [], "stop"),
        ("hi", {"tool_choice": "required"}, ["getWeather"], "tool_calls"),
        ("hi", {"tool_choice": {"type": "custom", "custom": {"name": "tide_table"}}}, ["tide_table"], "stop"),
        (
            "hi",
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}}},
            ["getWeather"],
            "tool_calls",
        ),
    ],
)
def test_which_tools_are_called(text: str, fields: dict[str, Any], names: list[str], finish: str) -> None:
    choice = compose(text, tools=[WEATHER, TIDE], **fields)
    assert [call.tool.name for call in choice.calls] == names
    assert choice.finish == finish
    for call in choice.calls:
        if call.tool.kind == "function":
            assert set(json.loads(call.arguments)) == {"city"}


def test_deprecated_functions() -> None:
    choice = compose("weather", functions=[WEATHER["function"]])
    assert choice.finish == "function_call"
    assert [call.tool.name for call in choice.calls] == ["getWeather"]


def test_a_result_is_answered_in_words() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "getWeather", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "weather"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "weather: fine"},
    ]
    request = read_chat(Fields({"messages": messages, "tools": [WEATHER]}), strict=True)
    assert compose_choice(request, behaviour_from("m", {}), random.Random(1)).calls == []
