"""What hosted tools did for a Response, which comes on top of its tokens.

Source: `openai.types.responses.response.ToolUsage` of the official SDK; where it is left out the items of the output are
counted. Of a web search's actions, searches alone are charged.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from tidegate.core.usage import Units, Usage
from tidegate.dialects.fields import NULL, present


class _Searched(Struct):
    num_requests: int = 0


class _Drawn(Struct):
    total_tokens: int = 0


class _ToolUsage(Struct):
    web_search: _Searched | None = None
    image_gen: _Drawn | None = None


class _Action(Struct):
    type: str = "search"


class _Item(Struct):
    type: str = ""
    action: _Action | None = None


_decode_usage = msgspec.json.Decoder(_ToolUsage).decode
_decode_items = msgspec.json.Decoder(list[_Item]).decode
_MARK: Final = b"_call"
"""Is in the type of every hosted tool's item: an output without it need not be read."""


def with_tools(usage: Usage, output: Raw, told: Raw = NULL) -> Usage:
    """By a Response's `output` and `tool_usage`. Unknown where another model has drawn images: it has another price."""
    if usage.source == "unknown" or (_MARK not in bytes(output) and present(told) is None):
        return usage
    try:
        items = _decode_items(output) if present(output) is not None else []
        tools = _decode_usage(told) if present(told) is not None else _ToolUsage()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Usage(raw=usage.raw)
    drawn = tools.image_gen is not None and tools.image_gen.total_tokens
    if drawn or any(one.type == "image_generation_call" for one in items):
        return Usage(raw=usage.raw)
    files = sum(one.type == "file_search_call" for one in items)
    if tools.web_search is not None:
        web = tools.web_search.num_requests
    else:
        web = sum(one.type == "web_search_call" and (one.action or _Action()).type == "search" for one in items)
    return replace(usage, units=Units(web_searches=web, file_searches=files)) if web or files else usage
