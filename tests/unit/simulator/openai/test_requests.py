"""What OpenAI refuses of a request, field by field, and what it reads from a good one."""

import json
from typing import Any

import pytest

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.openai.chat_request import ChatRequest, read_chat
from tidegate.simulator.openai.completions import read_completion
from tidegate.simulator.openai.embeddings import read_embedding
from tidegate.simulator.openai.fields import Fields
from tidegate.simulator.openai.moderations import read_moderation
from tidegate.simulator.openai.rejection import Rejection

USER = {"role": "user", "content": "hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING = {"role": "assistant", "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "4"}
TOOL = {"type": "function", "function": {"name": "get_weather"}}


def chat(**fields: Any) -> ChatRequest:
    return read_chat(Fields.of_body(json.dumps({"model": "m", "messages": [USER], **fields}).encode()), strict=True)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": "hi"}, "messages", "invalid_type"),
        ({"messages": ["hi"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "bot", "content": "hi"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": 3, "content": "hi"}]}, "messages[0].role", "invalid_type"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content", "invalid_type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
            "messages[0].content[0].type",
            "invalid_value",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text", None),
        ({"messages": [{"role": "assistant"}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "tool", "content": "4"}]}, "messages[0].tool_call_id", "missing_required_parameter"),
        ({"messages": [RESULT]}, "messages.[0].role", ""),
        ({"messages": [USER, CALLING]}, "messages.[2].role", ""),
        ({"messages": [USER, CALLING, USER]}, "messages.[2].role", ""),
        ({"messages": [USER, CALLING, RESULT, RESULT]}, "messages.[3].role", ""),
        ({"temperature": 2.1}, "temperature", "decimal_above_max_value"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"temperature": True}, "temperature", "invalid_type"),
        ({"top_p": -1}, "top_p", "decimal_below_min_value"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": 129}, "n", "integer_above_max_value"),
        ({"n": 1.5}, "n", "invalid_type"),
        ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens", "invalid_parameter_combination"),
        ({"stop": ["a"] * 5}, "stop", "array_above_max_length"),
        ({"stop": [1]}, "stop[0]", "invalid_type"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream_options": {"include_usage": True}}, "stream_options", ""),
        ({"stream": True, "stream_options": {"usage": True}}, "usage", "unknown_parameter"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
        ({"tools": [{"type": "search"}]}, "tools[0].type", "invalid_value"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "missing_required_parameter"),
        ({"tool_choice": "auto"}, "tool_choice", ""),
        ({"tools": [TOOL], "tool_choice": "always"}, "tool_choice", "invalid_value"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice", ""),
        ({"response_format": {"type": "yaml"}}, "response_format.type", "invalid_value"),
        ({"response_format": {"type": "json_object"}}, "messages", ""),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "missing_required_parameter"),
        ({"top_logprobs": 2}, "top_logprobs", ""),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "integer_above_max_value"),
        ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
        ({"service_tier": "cheap"}, "service_tier", "invalid_value"),
        ({"reasoning_effort": "huge"}, "reasoning_effort", "invalid_value"),
        ({"frobnicate": 1}, "frobnicate", "unknown_parameter"),
    ],
)
def test_what_is_refused_of_a_chat(fields: dict[str, Any], param: str, code: str | None) -> None:
    with pytest.raises(Rejection) as caught:
        chat(**fields)
    assert (caught.value.status, caught.value.param) == (400, param)
    if code is not None:
        assert caught.value.code == code


def test_null_is_absent() -> None:
    fields = ("temperature", "n", "stop", "stream", "stream_options", "tools", "tool_choice", "response_format", "user")
    assert chat(**dict.fromkeys(fields)) == chat()


def test_what_is_read_of_a_chat() -> None:
    request = chat(
        messages=[USER, CALLING, RESULT],
        stream=True,
        stream_options={"include_usage": True, "include_obfuscation": False},
        n=2,
        max_completion_tokens=7,
        stop="END",
        tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
        parallel_tool_calls=False,
        logprobs=True,
        service_tier="fast",
    )
    assert (request.stream, request.include_usage, request.obfuscation, request.n) == (True, True, False, 2)
    assert (request.limit, request.stop, request.parallel, request.top_logprobs) == (7, ("END",), False, 0)
    assert (request.tool_choice, request.answers_tool, request.service_tier) == ("=get_weather", True, "priority")


def test_images_are_tokens_too() -> None:
    part = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    picture = chat(messages=[{"role": "user", "content": [{"type": "text", "text": "hi"}, part]}])
    assert picture.prompt_tokens > chat().prompt_tokens + 200
    assert picture.last_text.strip() == "hi"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": 3}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [{}]}, "prompt"),
        ({"prompt": "x", "n": 3, "best_of": 2}, "best_of"),
        ({"prompt": "x", "stream_options": {}}, "stream_options"),
        ({"prompt": "x", "logprobs": 6}, "logprobs"),
        ({"prompt": "x", "messages": []}, "messages"),
    ],
)
def test_what_is_refused_of_a_completion(body: dict[str, Any], param: str) -> None:
    with pytest.raises(Rejection) as caught:
        read_completion(Fields(body), strict=True)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("prompt", "prompts", "tokens"),
    [("abcd", 1, 1), (["abcd", "efgh"], 2, 2), ([1, 2, 3], 1, 3), ([[1, 2], [3]], 2, 3)],
)
def test_prompts_in_four_forms(prompt: Any, prompts: int, tokens: int) -> None:
    request = read_completion(Fields({"prompt": prompt}), strict=True)
    assert (len(request.prompts), request.prompt_tokens, request.limit) == (prompts, tokens, 16)


@pytest.mark.parametrize("value", ["", [], [""], ["a", 1], {}, 3, ["x"] * 2049, [[]], [["a"]]])
def test_inputs_that_cannot_be_embedded(value: Any) -> None:
    with pytest.raises(Rejection) as caught:
        read_embedding(Fields({"input": value}), Behaviour(task="embedding"))
    assert caught.value.status == 400


@pytest.mark.parametrize("fields", [{}, {"input": "x", "dimensions": 9999}, {"input": "x", "encoding_format": "hex"}])
def test_what_else_is_refused_of_an_embedding(fields: dict[str, Any]) -> None:
    with pytest.raises(Rejection):
        read_embedding(Fields(fields), Behaviour(task="embedding"))


@pytest.mark.parametrize("value", [None, [], 3, [3], [{"type": "audio"}], [{"type": "image_url"}]])
def test_inputs_that_cannot_be_moderated(value: Any) -> None:
    with pytest.raises(Rejection):
        read_moderation(Fields({"input": value}), strict=True)


def test_parts_are_one_input() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://x"}}]
    request = read_moderation(Fields({"input": parts}), strict=True)
    assert (request.texts, request.images) == (["a"], True)
