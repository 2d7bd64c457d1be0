"""Hosted searches: what requests allow of them, the bound that is set for want of one, and what Gemini's answers tell."""

from typing import Any

import msgspec
import pytest

from tidegate.core.usage import Units
from tidegate.core.view import HostedSearch, PathTells, View
from tidegate.dialects.anthropic import Anthropic
from tidegate.dialects.dialect import Dialect, UnreadableRequest, UpstreamModel
from tidegate.dialects.gemini import Gemini
from tidegate.dialects.responses.dialect import Responses
from tidegate.dialects.vertex import VertexClaude

UPSTREAM = UpstreamModel("up")
PATHS = PathTells(model="m")
FUNCTION = {"type": "function", "name": "web_search_of_mine", "parameters": {"type": "object"}}
WEB, FILES = {"type": "web_search"}, {"type": "file_search", "vector_store_ids": ["vs"]}
DATED = {"type": "web_search_preview_2025_03_11"}
CLAUDES = {"type": "web_search_20250305", "name": "web_search"}


def read(dialect: Dialect, **fields: Any) -> View:
    asked = {"model": "m", "messages": [], "input": "web_search"} if dialect.name != "gemini" else {"contents": []}
    return dialect.read("chat", msgspec.json.encode(asked | fields), PATHS)


@pytest.mark.parametrize(
    ("fields", "searches"),
    [
        ({}, None),
        ({"tools": None}, None),
        ({"tools": [FUNCTION]}, None),
        ({"tools": [FUNCTION, WEB]}, HostedSearch(web=True)),
        ({"tools": [DATED], "max_tool_calls": 3}, HostedSearch(web=True, most=3)),
        ({"tools": [FILES], "max_tool_calls": None}, HostedSearch(files=True)),
        ({"tools": [WEB, FILES]}, HostedSearch(web=True, files=True)),
        ({"input": [{"type": "additional_tools", "tools": [WEB]}]}, HostedSearch(web=True)),
        # A prompt that OpenAI keeps has tools of its own, which show nowhere.
        ({"prompt": {"id": "pmpt_1"}}, HostedSearch(web=True, files=True)),
    ],
)
def test_what_a_response_may_search(fields: dict[str, Any], searches: HostedSearch | None) -> None:
    assert read(Responses(), **fields).searches == searches


@pytest.mark.parametrize(
    ("tools", "searches"),
    [
        ([{"name": "web_search_", "input_schema": {}}], None),
        ([CLAUDES], HostedSearch(web=True)),
        ([CLAUDES | {"max_uses": 2}], HostedSearch(web=True, most=2)),
        ([CLAUDES | {"max_uses": 2}, CLAUDES | {"type": "web_search_20260209"}], HostedSearch(web=True)),
        ([{"type": "web_fetch_20250910", "name": "web_fetch"}], None),
    ],
)
def test_what_a_message_may_search(tools: list[Any], searches: HostedSearch | None) -> None:
    assert read(Anthropic(), tools=tools).searches == searches


@pytest.mark.parametrize(
    ("tools", "searches"),
    [
        ([{"functionDeclarations": [{"name": "research"}]}], None),
        ([{"googleSearch": {}}], HostedSearch(web=True, boundable=False)),
        ({"google_search": {}}, HostedSearch(web=True, boundable=False)),
        ([{"google_search_retrieval": {}}, {"codeExecution": {}}], HostedSearch(web=True, boundable=False)),
        ([{"fileSearch": {}}], None),
    ],
)
def test_what_gemini_may_search(tools: Any, searches: HostedSearch | None) -> None:
    assert read(Gemini(), tools=tools).searches == searches


@pytest.mark.parametrize("tools", [[7, WEB], {"type": "web_search"}, [{"type": 7}, WEB], [CLAUDES, []]])
def test_tools_that_cannot_be_read_are_refused(tools: Any) -> None:
    dialect = Anthropic() if tools == [CLAUDES, []] else Responses()
    with pytest.raises(UnreadableRequest) as refused:
        read(dialect, tools=tools)
    assert refused.value.problem.field == "tools"


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (Anthropic(), rb'{"messages":[],"tools":[{"type":"web\u005fsearch_20250305","name":"web_search"}]}'),
        (Responses(), rb'{"input":"x","tools":[{"type":"web\u005Fsearch"}]}'),
        (Responses(), rb'{"input":[{"type":"additional\u005ftools","tools":[{"type":"web_search"}]}]}'),
        (Gemini(), rb'{"contents":[],"tools":[{"googleS\u0065arch":{}}]}'),
    ],
)
def test_a_search_is_seen_however_it_is_spelled(dialect: Dialect, body: bytes) -> None:
    """One that is not seen would pass a hard budget by."""
    searches = dialect.read("chat", b'{"model":"m",' + body[1:], PATHS).searches
    assert searches is not None and searches.web


def test_a_response_gets_its_bound_upstream() -> None:
    view = read(Responses(), tools=[WEB])
    assert b"max_tool_calls" not in Responses().encode_request(view, UPSTREAM, output_cap=None)
    view.search_cap = 5
    sent = msgspec.json.decode(Responses().encode_request(view, UPSTREAM, output_cap=None))
    assert (sent["max_tool_calls"], sent["tools"]) == (5, [WEB])


@pytest.mark.parametrize("dialect", [Anthropic(), VertexClaude()])
def test_a_message_gets_its_bound_upstream(dialect: Dialect) -> None:
    mine = {"name": "f", "input_schema": {"max_uses": None}}
    view = read(Anthropic(), tools=[mine, CLAUDES, CLAUDES | {"max_uses": 2}])
    view.search_cap = 5
    sent = msgspec.json.decode(dialect.encode_request(view, UPSTREAM, output_cap=None))
    assert sent["tools"] == [mine, CLAUDES | {"max_uses": 5}, CLAUDES | {"max_uses": 2}]


def grounded(model: str, *queries: str) -> dict[str, Any]:
    grounding = {"webSearchQueries": list(queries), "searchEntryPoint": {}}
    candidate = {"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP", "groundingMetadata": grounding}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model}


@pytest.mark.parametrize(
    ("answer", "searches"),
    [
        (grounded("gemini-3-pro", "a", "b", "", "a"), 2),
        (grounded("gemini-2.5-flash-001", "a", "b"), 1),
        (grounded("gemini-2.5-flash-001"), 0),
        (grounded("gemini-3-pro", ""), 0),
    ],
)
def test_searches_that_gemini_tells_of(answer: dict[str, Any], searches: int) -> None:
    told = Units(web_searches=searches) if searches else None
    body = msgspec.json.encode(answer)
    usage = Gemini().read_answer("chat", body).usage
    assert (usage.units, usage.total) == (told, 5)
    reader = Gemini().stream_reader(read(Gemini()))
    reader.read(b"data: " + body + b"\n\n")
    assert reader.usage == usage


def test_searches_of_a_stream_add_up() -> None:
    reader = Gemini().stream_reader(read(Gemini()))
    for queries in (["a"], ["a", "b"], []):
        reader.read(b"data: " + msgspec.json.encode(grounded("gemini-3-pro", *queries)) + b"\n\n")
    assert reader.usage is not None and reader.usage.units == Units(web_searches=2)


def test_grounding_that_cannot_be_read_makes_the_usage_unknown() -> None:
    answer = grounded("gemini-3-pro", "a")
    answer["candidates"][0]["groundingMetadata"]["webSearchQueries"] = 7
    assert Gemini().read_answer("chat", msgspec.json.encode(answer)).usage.source == "unknown"
