"""Gemini's grounding by Google Search: what a request allows of it, and what an answer says of it.

Gemini 2.5 and older are billed by the prompt that was grounded, later models by the search; empty and repeated searches do
not count. No field bounds them. Sources: https://ai.google.dev/gemini-api/docs/pricing,
https://ai.google.dev/gemini-api/docs/google-search, `google.genai.types.GroundingMetadata` of the official SDK.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from tidegate.core.usage import Units, Usage
from tidegate.core.view import HostedSearch
from tidegate.dialects.fields import NULL, may_have, present
from tidegate.dialects.gemini.members import Members
from tidegate.dialects.model_rules import searches_by_prompt

_TOOLS: Final = frozenset(("googleSearch", "googleSearchRetrieval", "enterpriseWebSearch"))
_SEARCH: Final = b"earch"
"""Is in the name of each in both spellings: a request without it need not be read."""
_QUERIES: Final = b'"webSearchQueries"'
_MOST_QUERIES: Final = 1_000


class Grounding(Struct, rename="camel"):
    """`groundingMetadata` of a candidate."""

    web_search_queries: list[str] | None = None


class _Candidate(Struct, rename="camel"):
    grounding_metadata: Grounding | None = None


_decode_candidates = msgspec.json.Decoder(list[_Candidate]).decode
_decode_string = msgspec.json.Decoder(str).decode


class Searches:
    """Counts the searches that an answer tells of, piece by piece."""

    def __init__(self) -> None:
        self._queries: set[str] = set()
        self._model = ""

    def told(self, grounding: Grounding | None, model: Raw) -> None:
        """`model`: as the answer names it. Raises msgspec.DecodeError."""
        if grounding is None:
            return
        if present(model) is not None:
            self._model = _decode_string(model)
        for query in grounding.web_search_queries or ():
            if query and len(self._queries) < _MOST_QUERIES:
                self._queries.add(query)

    def put_into(self, usage: Usage) -> Usage:
        if not self._queries or usage.source == "unknown":
            return usage
        return replace(usage, units=Units(web_searches=1 if searches_by_prompt(self._model) else len(self._queries)))


def searches_of(fields: Mapping[str, Raw]) -> HostedSearch | None:
    """Raises UnreadableRequest."""
    tools = fields.get("tools")
    if tools is None or not may_have(_SEARCH, bytes(tools)):
        return None
    named = {name for tool in Members({"tools": tools}).objects("tools") for name in tool.names()}
    return HostedSearch(web=True, boundable=False) if named & _TOOLS else None


def with_searches(usage: Usage, fields: Mapping[str, Raw]) -> Usage:
    """Of a whole answer. What cannot be read makes it unknown."""
    candidates = fields.get("candidates")
    if candidates is None or _QUERIES not in bytes(candidates):
        return usage
    searches = Searches()
    try:
        for one in _decode_candidates(candidates):
            searches.told(one.grounding_metadata, fields.get("modelVersion", NULL))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Usage(raw=usage.raw)
    return searches.put_into(usage)
