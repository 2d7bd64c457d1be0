"""A model that declines, as OpenAI tells it: whole and streamed."""

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from tests.support.strict_models import read_strictly

from tidegate.simulator.behaviour import behaviour_from
from tidegate.simulator.openai.fields import Fields
from tidegate.simulator.openai.setting import Setting
from tidegate.simulator.openai.surface import read_order


def answer(refusal: str, stream: bool) -> Any:
    fields = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
    order = read_order(Fields(fields), "chat", "m", behaviour_from("m", {"refusal": refusal}))
    return order.build(Setting(seed=1, model="m"))


@pytest.mark.parametrize(("refusal", "finish"), [("answer", "stop"), ("prompt", "content_filter")])
def test_refusals(refusal: str, finish: str) -> None:
    choice = read_strictly(ChatCompletion, answer(refusal, False).body("1", 5)).choices[0]
    assert (choice.finish_reason, choice.message.content) == (finish, None)
    assert bool(choice.message.refusal) == (refusal == "answer")
    events = answer(refusal, True).events("1", 5)[:-1]
    chunks = [read_strictly(ChatCompletionChunk, event.removeprefix(b"data: ")) for event in events]
    told = "".join(chunk.choices[0].delta.refusal or "" for chunk in chunks)
    assert told == (choice.message.refusal or "")
    assert chunks[-1].choices[0].finish_reason == finish
    assert all(not json.loads(event.removeprefix(b"data: "))["choices"][0]["delta"].get("content") for event in events)
