"""Tools that stand in a Responses conversation count as the request's own."""

import json
from typing import Any

import pytest

from tidegate.core.usage import Usage
from tidegate.dialects.canon import Answer, Finish, ToolCall
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.responses import Responses
from tidegate.dialects.responses.codec import ResponsesChat

CODEC = ResponsesChat()
TOOL = {"type": "function", "name": "spawn", "parameters": {"type": "object", "properties": {}}}
HI = {"role": "user", "content": "Hi"}


def view(*items: Any, **fields: Any) -> Any:
    body = {"model": "m", "input": list(items), **fields}
    return Responses().read("chat", json.dumps(body).encode())


def added(*tools: Any) -> dict[str, Any]:
    return {"type": "additional_tools", "role": "developer", "tools": list(tools)}


def test_they_join_the_requests_tools() -> None:
    asked = view(HI, added(TOOL), added({**TOOL, "name": "wait"}), tools=[{"type": "custom", "name": "say"}])
    request = CODEC.decode_request(asked)
    assert [(tool.name, tool.custom) for tool in request.tools] == [("say", True), ("spawn", False), ("wait", False)]
    assert len(request.items) == 1


@pytest.mark.parametrize("tools", [{}, {"tools": None}, {"tools": []}])
def test_where_there_are_no_others(tools: dict[str, Any]) -> None:
    request = CODEC.decode_request(view(added(TOOL), HI, tool_choice="required", **tools))
    assert [tool.name for tool in request.tools] == ["spawn"]


def test_a_namespace_comes_back() -> None:
    asked = view(HI, added({"type": "namespace", "name": "agents", "tools": [TOOL]}))
    (tool,) = CODEC.decode_request(asked).tools
    assert tool.name == "agents__spawn"
    answer = Answer("r", [ToolCall("call_1", tool.name, "{}")], Finish("tool_calls"), Usage())
    (item,) = json.loads(CODEC.encode_answer(answer, asked))["output"]
    assert (item["namespace"], item["name"]) == ("agents", "spawn")


@pytest.mark.parametrize("item", [added({"type": "code_interpreter"}), added({"type": "function"}), added(5)])
def test_what_is_refused_of_tools_is_refused_here(item: Any) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        CODEC.decode_request(view(HI, item))
    assert caught.value.problem.field == "tools"


def test_talk_of_them_is_only_talk() -> None:
    request = CODEC.decode_request(view({"role": "user", "content": "What are additional_tools?"}))
    assert request.tools == []
