"""Anthropic's hosted search of the web: what a request allows of it.

Source: `anthropic.types.web_search_tool_20250305_param` and its successors of the official SDK.
"""

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct

from tidegate.core.view import HostedSearch
from tidegate.dialects.fields import MAX_COUNT, bad_field, may_have

_MARK: Final = b'"web_search_'
"""Stands before the version in the type of every such tool; any other request's tools need not be read."""


class _Tool(Struct):
    type: str | None = None
    max_uses: Annotated[int, Meta(le=MAX_COUNT)] | None = None

    @property
    def searches(self) -> bool:
        return self.type is not None and self.type.startswith("web_search_")


_encode = msgspec.json.Encoder().encode
_decode_tools = msgspec.json.Decoder(list[_Tool]).decode
_decode_objects = msgspec.json.Decoder(list[dict[str, Raw]]).decode


def searches_of(fields: Mapping[str, Raw]) -> HostedSearch | None:
    """Raises UnreadableRequest."""
    tools = fields.get("tools")
    if tools is None or not may_have(_MARK, bytes(tools)):
        return None
    uses = [one.max_uses for one in _read(tools) if one.searches]
    if not uses:
        return None
    bounds = [one for one in uses if one is not None]
    return HostedSearch(web=True, most=max(0, sum(bounds)) if len(bounds) == len(uses) else None)


def bounded(tools: Raw, most: int) -> Raw:
    """Every search that has no bound gets one; the other tools' bytes stay untouched."""
    objects = _decode_objects(tools)
    for told, tool in zip(_read(tools), objects, strict=True):
        if told.searches and told.max_uses is None:
            tool["max_uses"] = Raw(b"%d" % most)
    return Raw(_encode(objects))


def _read(tools: Raw) -> list[_Tool]:
    try:
        return _decode_tools(tools)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_field(f"`tools` cannot be read: {error}.", "tools") from error
