"""What answers tell of tiers, searches, images, sound and characters reaches the usage, streamed or whole, on both paths."""

from typing import Any

import msgspec
import pytest

from tidegate.core.usage import Units, Usage
from tidegate.core.view import View
from tidegate.dialects.anthropic import Anthropic
from tidegate.dialects.bedrock.usage import tier_told
from tidegate.dialects.bedrock.usage import usage_of as bedrock_usage
from tidegate.dialects.dialect import Dialect
from tidegate.dialects.gemini.usage import usage_of as gemini_usage
from tidegate.dialects.openai import OpenAI
from tidegate.dialects.responses.dialect import Responses

TOKENS = {"prompt_tokens": 3, "completion_tokens": 2}
MESSAGE = {"input_tokens": 3, "output_tokens": 2}


def whole(dialect: Dialect, **body: Any) -> Usage:
    return dialect.read_answer("chat", msgspec.json.encode(body)).usage


@pytest.mark.parametrize(
    ("told", "tier"),
    [
        ("default", ""),
        ("auto", ""),
        ("standard", ""),
        (None, ""),
        ("priority", "priority"),
        ("flex", "flex"),
        ("x" * 99, "x" * 32),
        (7, "unknown"),
    ],
)
def test_the_tier_of_a_chat_completion(told: Any, tier: str) -> None:
    assert whole(OpenAI(), usage=TOKENS, service_tier=told).tier == tier
    reader = OpenAI().stream_reader(OpenAI().read("chat", b'{"model":"m","messages":[],"stream":true}'))
    reader.read(b"data: " + msgspec.json.encode({"choices": [], "usage": TOKENS, "service_tier": told}) + b"\n\n")
    assert reader.usage is not None
    assert reader.usage.tier == tier


@pytest.mark.parametrize(
    ("told", "tier", "searches"),
    [
        ({}, "", 0),
        ({"service_tier": "standard", "speed": "standard"}, "", 0),
        ({"service_tier": "priority", "server_tool_use": None}, "priority", 0),
        ({"service_tier": "standard", "speed": "fast"}, "fast", 0),
        ({"service_tier": "batch", "speed": None}, "batch", 0),
        ({"server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 5}}, "", 2),
    ],
)
def test_what_a_message_tells(told: dict[str, Any], tier: str, searches: int) -> None:
    usage = whole(Anthropic(), usage=MESSAGE | told)
    assert (usage.tier, usage.total) == (tier, 5)
    assert usage.units == (Units(web_searches=searches) if searches else None)


SEARCH = {"type": "web_search_call", "action": {"type": "search", "query": "q"}}
OPENED = {"type": "web_search_call", "action": {"type": "open_page", "url": "u"}}
FILES = {"type": "file_search_call", "queries": []}
SAID: dict[str, Any] = {"type": "message", "content": []}


@pytest.mark.parametrize(
    ("output", "tool_usage", "units"),
    [
        ([SAID], None, None),
        ([{"type": "function_call", "arguments": "{}"}], None, None),
        ([SEARCH, OPENED, SEARCH, SAID], None, Units(web_searches=2)),
        ([SEARCH, SEARCH], {"web_search": {"num_requests": 1}}, Units(web_searches=1)),
        ([SEARCH], {"web_search": {"num_requests": 0}, "image_gen": {"total_tokens": 0}}, None),
        ([FILES, SEARCH], None, Units(web_searches=1, file_searches=1)),
    ],
)
def test_what_hosted_tools_did_for_a_response(
    output: list[dict[str, Any]], tool_usage: dict[str, Any] | None, units: Units | None
) -> None:
    body = {"usage": MESSAGE, "output": output, "tool_usage": tool_usage, "service_tier": "flex"}
    usage = whole(Responses(), **body)
    assert (usage.units, usage.tier, usage.total) == (units, "flex", 5)
    assert streamed(body) == usage


@pytest.mark.parametrize(
    ("output", "tool_usage"),
    [
        ([{"type": "image_generation_call"}], None),
        ([], {"image_gen": {"total_tokens": 900}}),
        ([], 7),
        (["x_call"], None),
    ],
)
def test_a_second_model_or_nonsense_makes_it_unknown(output: list[Any], tool_usage: Any) -> None:
    usage = whole(Responses(), usage=MESSAGE, output=output, tool_usage=tool_usage)
    assert (usage.source, usage.raw) == ("unknown", msgspec.json.encode(MESSAGE))


def streamed(body: dict[str, Any]) -> Usage:
    view = View("openai-responses", "chat", "m", True, {}, 0, 0, 0, None)
    reader = Responses().stream_reader(view)
    reader.read(b"data: " + msgspec.json.encode({"type": "response.completed", "response": body}) + b"\n\n")
    assert reader.usage is not None
    return reader.usage


def test_bedrock_names_its_tier_beside_the_usage() -> None:
    raw = b'{"inputTokens":1,"outputTokens":1}'
    assert bedrock_usage(raw, tier_told(msgspec.Raw(b'{"type":"flex"}'))).tier == "flex"
    assert bedrock_usage(raw, tier_told(msgspec.Raw(b'{"type":"default"}'))).tier == ""
    assert bedrock_usage(raw, tier_told(msgspec.Raw(b"null"))).tier == ""
    assert bedrock_usage(raw, tier_told(None)).tier == ""


def test_gemini_tells_what_came_from_the_cache_by_its_kind() -> None:
    modalities = [{"modality": "AUDIO", "tokenCount": 2}, {"modality": "IMAGE", "tokenCount": 3}]
    usage = gemini_usage(
        msgspec.json.encode(
            {
                "promptTokenCount": 20,
                "cachedContentTokenCount": 9,
                "candidatesTokenCount": 1,
                "cacheTokensDetails": modalities,
                "promptTokensDetails": modalities,
                "trafficType": "ON_DEMAND_PRIORITY",
            }
        )
    )
    assert (usage.cache_read, usage.cache_read_audio, usage.cache_read_image, usage.input) == (4, 2, 3, 11)
    assert (usage.input_total, usage.tier) == (20, "priority")
