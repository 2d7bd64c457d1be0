"""Hosted searches of OpenAI's Responses: what a request allows of them.

Source: `openai.types.responses.tool_param` of the official SDK. `max_tool_calls` bounds all hosted tools together.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.view import HostedSearch
from tidegate.dialects.fields import bad_field, may_have, present, read_count
from tidegate.dialects.responses.additional_tools import offered_tools

BOUND: Final = "max_tool_calls"
_WEB: Final = b'"web_search'
_FILES: Final = b'"file_search"'


class _Tool(Struct):
    type: str | None = None


_decode_tools = msgspec.json.Decoder(list[_Tool]).decode


def searches_of(fields: dict[str, Raw], body: bytes) -> HostedSearch | None:
    """A prompt that is kept at the upstream may bring tools of its own. Raises UnreadableRequest."""
    prompt = "prompt" in fields and present(fields["prompt"]) is not None
    web = files = prompt
    if not prompt and (may_have(_WEB, body) or _FILES in body):
        kinds = _kinds(fields)
        web = any(kind.startswith("web_search") for kind in kinds)
        files = "file_search" in kinds
    if not web and not files:
        return None
    return HostedSearch(web=web, files=files, most=read_count(fields, BOUND))


def _kinds(fields: dict[str, Raw]) -> list[str]:
    try:
        tools = offered_tools(fields)
        told = [] if tools is None or present(tools) is None else _decode_tools(tools)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_field(f"`tools` cannot be read: {error}.", "tools") from error
    return [one.type or "" for one in told]
