"""JSON Schema to what Claude can be held to: of objects every member is known, and most bounds can only be told.

Source: `anthropic.lib._parse._transform` of the official SDK, which does this to schemas made from types.
"""

from typing import Any, Final, cast

import msgspec
from msgspec import Raw

from tidegate.dialects.fields import bad_field

Json = dict[str, Any]

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder().decode

_SCHEMAS: Final = frozenset(("anyOf", "allOf", "oneOf"))
_NAMED_SCHEMAS: Final = frozenset(("properties", "$defs", "definitions"))
_BOUNDS: Final = frozenset(
    """minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength pattern maxItems uniqueItems
    minProperties maxProperties""".split()
)
_FORMATS: Final = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
)
_MOST_MIN_ITEMS: Final = 1


def for_claude(raw: Raw, where: str) -> Raw:
    """Byte for byte as it came if there is nothing to mend. Raises UnreadableRequest.

    An object that the client itself leaves open stays so, for Anthropic to refuse: closing it would empty the answer.
    """
    try:
        schema = _decode(raw)
        mended = _mended(schema)
        return raw if mended == schema else Raw(_encode(mended))
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"`{where}` has a schema that cannot be read: {error}.", where) from error


def _mended(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    mended: Json = {}
    told: Json = {}
    for name, value in cast(Json, schema).items():
        if _is_only_told(name, value):
            told[name] = value
        elif name in _NAMED_SCHEMAS and isinstance(value, dict):
            mended[name] = {key: _mended(one) for key, one in cast(Json, value).items()}
        elif name in _SCHEMAS and isinstance(value, list):
            mended["anyOf" if name == "oneOf" else name] = [_mended(one) for one in cast(list[Any], value)]
        else:
            mended[name] = _mended(value) if name == "items" else value
    if mended.get("type") == "object" or "properties" in mended:
        mended.setdefault("additionalProperties", False)
    if told:
        before = f"{mended['description']}\n\n" if mended.get("description") else ""
        mended["description"] = before + _encode(told).decode()
    return mended


def _is_only_told(name: str, value: Any) -> bool:
    """What holds no answer to it stands in the description."""
    if name == "minItems":
        return not isinstance(value, int) or value > _MOST_MIN_ITEMS
    return name in _BOUNDS or (name == "format" and value not in _FORMATS)
