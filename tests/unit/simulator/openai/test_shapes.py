"""Every answer, in every variant, read strictly by the official SDK's types: no wrong type, no unknown field."""

import json
from typing import Any

import pytest
from openai.types import Completion, CreateEmbeddingResponse, ModerationCreateResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from tests.support.strict_models import read_strictly

from tidegate.simulator.behaviour import Behaviour, behaviour_from
from tidegate.simulator.openai.fields import Fields
from tidegate.simulator.openai.setting import Setting
from tidegate.simulator.openai.surface import read_order
from tidegate.simulator.template import Template

TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "parameters": {"properties": {"city": {}}}}},
    {"type": "function", "function": {"name": "get_tide"}},
]
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "several": {"n": 3},
    "short": {"max_tokens": 2},
    "logprobs": {"logprobs": True, "top_logprobs": 3},
    "tools": {"tools": TOOLS},
    "named tool": {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "get_tide"}}},
    "functions": {"functions": [tool["function"] for tool in TOOLS]},
    "json": {"response_format": {"type": "json_object"}},
    "tier": {"service_tier": "flex"},
}
SETTING = Setting(seed=1, model="m", cached_tokens=1024)


def template(task: Any, fields: dict[str, Any], behaviour: Behaviour | None = None) -> Template:
    return read_order(Fields(fields), task, "m", behaviour or Behaviour(task=task)).build(SETTING)


def chat(variant: str, **fields: Any) -> Template:
    messages = [{"role": "user", "content": "weather and tide, as json"}]
    return template("chat", {"model": "m", "messages": messages, **VARIANTS[variant], **fields})


@pytest.mark.parametrize("variant", VARIANTS)
def test_whole_chats(variant: str) -> None:
    found = read_strictly(ChatCompletion, chat(variant).body("1", 5))
    assert (found.id, found.created) == ("chatcmpl-1", 5)
    assert found.usage is not None
    assert found.usage.prompt_tokens_details is not None
    assert found.usage.prompt_tokens_details.cached_tokens == 1024


@pytest.mark.parametrize("variant", VARIANTS)
def test_streamed_chats_say_the_same(variant: str) -> None:
    events = chat(variant, stream=True, stream_options={"include_usage": True}).events("1", 5)
    chunks = [read_strictly(ChatCompletionChunk, event.removeprefix(b"data: ")) for event in events[:-1]]
    whole = read_strictly(ChatCompletion, chat(variant).body("1", 5))
    assert chunks[-1].usage == whole.usage
    for choice in whole.choices:
        mine = [piece for chunk in chunks for piece in chunk.choices if piece.index == choice.index]
        assert "".join(piece.delta.content or "" for piece in mine) == (choice.message.content or "")
        assert [piece.finish_reason for piece in mine] == [None] * (len(mine) - 1) + [choice.finish_reason]
        arguments: dict[int, str] = {}
        for piece in mine:
            for call in piece.delta.tool_calls or []:
                assert call.function is not None
                arguments[call.index] = arguments.get(call.index, "") + (call.function.arguments or "")
        whole_calls = choice.message.tool_calls or []
        assert [call.function.arguments for call in whole_calls if call.type == "function"] == list(arguments.values())


@pytest.mark.parametrize(
    "fields",
    [{}, {"n": 2}, {"echo": True}, {"logprobs": 2}, {"prompt": ["a", "b"]}, {"prompt": [1, 2]}, {"stop": "e"}],
)
def test_legacy_completions(fields: dict[str, Any]) -> None:
    asked = {"model": "m", "prompt": "Once", "max_tokens": 9, **fields}
    whole = read_strictly(Completion, template("completion", asked).body("1", 5))
    events = template("completion", {**asked, "stream": True}).events("1", 5)
    texts: dict[int, str] = {}
    for event in events[:-1]:
        for choice in json.loads(event.removeprefix(b"data: "))["choices"]:
            texts[choice["index"]] = texts.get(choice["index"], "") + choice["text"]
    assert texts == {choice.index: choice.text for choice in whole.choices}


def test_embeddings_and_moderations() -> None:
    vectors = template("embedding", {"model": "m", "input": ["a", "b"], "dimensions": 5})
    assert [item.index for item in read_strictly(CreateEmbeddingResponse, vectors.body("", 0)).data] == [0, 1]
    moderation = template("moderation", {"input": ["fine", "I hate it"]})
    found = read_strictly(ModerationCreateResponse, moderation.body("1", 0))
    assert [result.flagged for result in found.results] == [False, True]
    assert found.results[1].categories.hate


def test_usage_can_be_missing() -> None:
    order = read_order(
        Fields({"model": "m", "messages": [{"role": "user", "content": "hi"}]}), "chat", "m", behaviour_from("m", {})
    )
    answer = order.build(Setting(seed=1, model="m", usage=False)).body("1", 5)
    assert read_strictly(ChatCompletion, answer).usage is None
