"""Hints within the content: an upstream gets them, or the client is told that it did not."""

import pytest
from msgspec import Raw
from tests.support.chat_scenes import PIXEL

from tidegate.core.view import PathTells
from tidegate.dialects.canon import CacheMark, Image, Message, Request, Text, Tool, ToolCall, ToolResult
from tidegate.dialects.dialect import UpstreamModel
from tidegate.dialects.hints import drop_hints
from tidegate.dialects.registry import DIALECTS

MARK = CacheMark()
HINTS = {
    "prompt_cache_breakpoint": [
        [Message("user", [Text("Hi", cache=MARK)])],
        [Message("system", [Text("Be brief", cache=MARK)]), Message("user", [Text("Hi")])],
        [Message("user", [Image(data=PIXEL, media_type="image/png", cache=MARK)])],
        [Message("user", [Text("Hi")]), ToolCall("c1", "f", "{}"), ToolResult("c1", [Text("1")], cache=MARK)],
    ],
    "name": [[Message("user", [Text("Hi")], name="ann")]],
    "detail": [[Message("user", [Image(data=PIXEL, media_type="image/png", detail="low")])]],
    "is_error": [
        [Message("user", [Text("Hi")]), ToolCall("c1", "f", "{}"), ToolResult("c1", [Text("1")], is_error=True)]
    ],
}
UPSTREAMS = ("openai", "openai-responses", "anthropic", "gemini", "bedrock", "cohere", "mistral", "ollama")
CASES = [(hint, place) for hint, places in HINTS.items() for place in range(len(places))]


def found(request: Request) -> set[str]:
    """The hints that a request has."""
    counted = Request(items=request.items, tools=request.tools)
    drop_hints(counted, "prompt_cache_breakpoint", "name", "detail", "is_error")
    return set(counted.dropped)


@pytest.mark.parametrize(("hint", "place"), CASES)
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_no_hint_is_lost_in_silence(upstream: str, hint: str, place: int) -> None:
    dialect = DIALECTS[upstream]
    chat = dialect.chat
    assert chat is not None
    request = Request(
        items=HINTS[hint][place], tools=[Tool("f")], max_output_tokens=9, names={hint: "the client's name"}
    )
    body = chat.encode_request(request, UpstreamModel("anthropic.claude-sonnet-5-5"))
    arrived = found(chat.decode_request(dialect.read("chat", body, PathTells(model="m"))))
    assert (hint in arrived) != ("the client's name" in request.dropped)


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_tool_whose_schema_binds(upstream: str) -> None:
    dialect = DIALECTS[upstream]
    chat = dialect.chat
    assert chat is not None
    schema = Raw(b'{"type":"object","properties":{},"additionalProperties":false}')
    tools = [Tool("f", parameters=schema, strict=True)]
    request = Request(items=[Message("user", [Text("Hi")])], tools=tools, max_output_tokens=9)
    body = chat.encode_request(request, UpstreamModel("anthropic.claude-sonnet-5-5"))
    arrived = chat.decode_request(dialect.read("chat", body, PathTells(model="m"))).tools[0].strict
    assert (arrived is True) != ("strict" in request.dropped)


def test_a_mark_on_a_tool() -> None:
    request = Request(items=[Message("user", [Text("Hi")])], tools=[Tool("f", cache=MARK), Tool("g", cache=MARK)])
    drop_hints(request, "prompt_cache_breakpoint")
    assert request.dropped == ["prompt_cache_breakpoint"]


def test_what_is_usual_is_no_hint() -> None:
    image = Image(data=PIXEL, media_type="image/png", detail="auto")
    request = Request(items=[Message("user", [image]), ToolResult("c", [Text("1")], is_error=False)])
    assert found(request) == set()
