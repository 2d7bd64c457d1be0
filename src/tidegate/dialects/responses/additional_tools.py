"""Tools that stand in the conversation (`{"type": "additional_tools", "tools": [...]}`): Codex puts them there.

Source: `openai.types.responses.response_input_item_param` of the official SDK.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.dialects.fields import may_have

KIND: Final = "additional_tools"


class _Item(Struct):
    type: str | None = None
    tools: list[Raw] | None = None


class _Typed(Struct):
    type: str | None = None


_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_typed = msgspec.json.Decoder(_Typed).decode
_decode_item = msgspec.json.Decoder(_Item).decode


def offered_tools(fields: Mapping[str, Raw]) -> Raw | None:
    """The request's `tools`, and behind them those of its input; as it came where there are none.

    Raises msgspec.DecodeError.
    """
    tools, items = fields.get("tools"), fields.get("input")
    text = b"" if items is None else bytes(items)
    if text[:1] != b"[" or not may_have(KIND.encode(), text):
        return tools
    typed = [one for one in _decode_list(text) if _decode_typed(one).type == KIND]
    more = [tool for one in typed for tool in _decode_item(one).tools or ()]
    if not more:
        return tools
    first = [] if tools is None or bytes(tools) == b"null" else _decode_list(tools)
    return Raw(msgspec.json.encode([*first, *more]))
