"""Service tiers: a request may ask for one; an answer names the one that served it, and that is the one it is charged by."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from tidegate.core.usage import Usage

TIER_FIELDS: Final[Mapping[str, str]] = {
    "anthropic": "speed",
    "vertex-anthropic": "speed",
    "bedrock-claude": "speed",
    "bedrock-invoke": "speed",
    "gemini": "serviceTier",
    "vertex": "serviceTier",
    "bedrock": "serviceTier",
}
"""Dialect → the request's field that asks for a tier, where it is not `service_tier`."""
_STANDARD: Final = frozenset(("", "default", "standard", "auto", "on_demand"))
_STANDARD_RAW: Final = frozenset([b"null", *(f'"{name}"'.encode() for name in _STANDARD)])
_ASKED_STANDARD: Final = frozenset(("standard_only", "unspecified", "service_tier_unspecified"))
"""What some dialects' requests call it beside."""
_LONGEST_NAME: Final = 32


def tier_name(told: str | None) -> str:
    """A vendor's name of a tier, as prices have it; "" for the standard one."""
    return "" if told is None or told in _STANDARD else told[:_LONGEST_NAME]


def asked_tier(raw: Raw | None) -> str:
    """Of a request's field. What is no string is left to the upstream to refuse."""
    if raw is None or bytes(raw) in _STANDARD_RAW:
        return ""
    try:
        name = msgspec.json.decode(raw, type=str).lower()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return "" if name in _ASKED_STANDARD else tier_name(name)


def in_tier(usage: Usage, told: str | None) -> Usage:
    """`told`: the tier as an answer names it."""
    name = tier_name(told)
    return replace(usage, tier=name) if name else usage


def tiered(usage: Usage, told: Raw | None) -> Usage:
    """`told`: the JSON string in which an answer names its tier. What is no string is a tier without a price."""
    if told is None or bytes(told) in _STANDARD_RAW:
        return usage
    try:
        return in_tier(usage, msgspec.json.decode(told, type=str))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return replace(usage, tier="unknown")
