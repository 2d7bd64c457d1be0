"""Tools in namespaces (`{"type": "namespace", "name", "tools": [...]}`): other dialects have none, so each gets one name.

Source: `openai.types.responses.namespace_tool` of the official SDK.
"""

import re
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.dialects.tool_names import is_legal, legal_form

_FORBIDDEN: Final = re.compile("[^A-Za-z0-9_-]")
_LONGEST: Final = 64


class _Inner(Struct):
    name: str = ""


class _Outer(Struct):
    type: str = ""
    name: str | None = None
    tools: list[_Inner] | None = None


_decode = msgspec.json.Decoder(list[_Outer]).decode


def flat_name(namespace: str | None, name: str) -> str:
    """The one name; the same every time, so that a call in the history needs no table."""
    if not namespace:
        return name
    flat = f"{namespace}__{name}"
    return flat if is_legal(flat, _FORBIDDEN, _LONGEST) else legal_form(flat, _FORBIDDEN, _LONGEST)


def namespaces_of(tools: Raw | None) -> dict[str, tuple[str, str]]:
    """One name → (namespace, name), of a request's `tools` that have been decoded before."""
    if tools is None or b'"namespace"' not in bytes(tools):
        return {}
    found: dict[str, tuple[str, str]] = {}
    for outer in _decode(tools):
        if outer.type == "namespace" and outer.name:
            found |= {flat_name(outer.name, one.name): (outer.name, one.name) for one in outer.tools or ()}
    return found
