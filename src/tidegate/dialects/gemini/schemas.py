"""Schemas: Gemini's own kind (OpenAPI's, with types in upper case) to JSON Schema, and JSON Schema to what Gemini takes.

Source: `google.genai.types.Schema` of the official SDK; https://ai.google.dev/gemini-api/docs/structured-output for the
keywords of JSON Schema that are understood. The others are refused with 400 by some models and versions.
"""

from typing import Any, Final, cast

import msgspec
from msgspec import Raw

from tidegate.dialects.fields import bad_field
from tidegate.dialects.gemini.members import camel

Json = dict[str, Any]

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder().decode

_COUNTS: Final = frozenset(("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"))
_SCHEMA: Final = frozenset(("items", "additionalProperties"))
_SCHEMAS: Final = frozenset(("anyOf", "oneOf", "prefixItems"))
_NAMED_SCHEMAS: Final = frozenset(("properties", "$defs"))
_KEPT: Final = (
    frozenset(("$id", "$ref", "$anchor", "type", "title", "description", "enum", "required", "minimum", "maximum"))
    | frozenset(("default", "pattern", "nullable", "propertyOrdering"))
    | _COUNTS
)
_FORMATS: Final = frozenset(("date-time", "date", "time", "duration", "int32", "int64", "float", "double"))
_KEYWORDS: Final = {"ref": "$ref", "defs": "$defs", "example": "examples"}
_OLD_REF: Final = "#/definitions/"


def to_json_schema(raw: Raw, where: str) -> Raw:
    """A schema of Gemini's own kind. Raises UnreadableRequest."""
    try:
        schema = _decode(raw)
        if isinstance(schema, dict):
            return Raw(_encode(_standard(cast(Json, schema))))
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"`{where}` cannot be read: {error}.", where) from error
    raise bad_field(f"`{where}` must be an object.", where)


def for_gemini(raw: Raw, where: str) -> Raw:
    """A JSON Schema without the keywords that Gemini refuses: byte for byte as it came if it has none.

    Raises UnreadableRequest.
    """
    try:
        schema = _decode(raw)
        cleaned = _cleaned(schema)
        return raw if cleaned == schema else Raw(_encode(cleaned))
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"`{where}` has a schema that cannot be read: {error}.", where) from error


def _standard(schema: Json) -> Json:
    standard: Json = {}
    for written, value in schema.items():
        name = _KEYWORDS.get(written) or camel(written)
        if name in ("nullable", "propertyOrdering") or (name == "format" and value == "enum"):
            continue
        converted = _standard_value(name, value)
        if converted is not None or name == "default":
            standard[name] = converted
    if schema.get("nullable") is True:
        _allow_null(standard)
    return standard


def _standard_value(name: str, value: Any) -> Any:
    if name == "type":
        return _lower(value)
    if name == "examples":
        return cast(list[Any], value) if isinstance(value, list) else [value]
    if name in _SCHEMA:
        return _standard_any(value)
    if name in _NAMED_SCHEMAS and isinstance(value, dict):
        return {key: _standard_any(one) for key, one in cast(Json, value).items()}
    if name in _SCHEMAS and isinstance(value, list):
        return [_standard_any(one) for one in cast(list[Any], value)]
    if name in _COUNTS and isinstance(value, str) and value.isdecimal() and len(value) < 19:
        return int(value)  # 64-bit numbers are strings in protocol buffers' JSON
    return value


def _standard_any(value: Any) -> Any:
    return _standard(cast(Json, value)) if isinstance(value, dict) else value


def _lower(value: Any) -> Any:
    if isinstance(value, list):
        return [_lower(one) for one in cast(list[Any], value)]
    if not isinstance(value, str) or value == "TYPE_UNSPECIFIED":
        return None
    return value.lower()


def _allow_null(schema: Json) -> None:
    kind = schema.get("type")
    if isinstance(kind, str):
        schema["type"] = [kind, "null"]
    if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    if isinstance(schema.get("anyOf"), list):
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]


def _cleaned(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return {} if isinstance(schema, bool) else schema
    cleaned: Json = {}
    for name, value in cast(Json, schema).items():
        if name in ("properties", "$defs", "definitions") and isinstance(value, dict):
            named = {key: _cleaned(one) for key, one in cast(Json, value).items()}
            cleaned["properties" if name == "properties" else "$defs"] = named
        elif name == "items" and isinstance(value, list):
            cleaned["prefixItems"] = [_cleaned(one) for one in cast(list[Any], value)]
        elif name in _SCHEMA:
            cleaned[name] = value if isinstance(value, bool) and name != "items" else _cleaned(value)
        elif name in _SCHEMAS and isinstance(value, list):
            cleaned[name] = [_cleaned(one) for one in cast(list[Any], value)]
        elif name == "$ref" and isinstance(value, str) and value.startswith(_OLD_REF):
            cleaned[name] = "#/$defs/" + value[len(_OLD_REF) :]
        elif name in _KEPT or (name == "format" and value in _FORMATS):
            cleaned[name] = value
    _put_otherwise(cleaned, cast(Json, schema))
    return cleaned


def _put_otherwise(cleaned: Json, schema: Json) -> None:
    """What can be said by keywords that Gemini has."""
    if "const" in schema:
        cleaned.setdefault("enum", [schema["const"]])
    if schema.get("type") == "integer":
        above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
        if isinstance(above, int) and not isinstance(above, bool):
            cleaned.setdefault("minimum", above + 1)
        if isinstance(below, int) and not isinstance(below, bool):
            cleaned.setdefault("maximum", below - 1)
    several = schema.get("allOf")
    for one in cast(list[Any], several) if isinstance(several, list) else ():
        part = _cleaned(one)
        for name, value in cast(Json, part).items() if isinstance(part, dict) else ():
            own = cleaned.get(name)
            if name in _NAMED_SCHEMAS and isinstance(own, dict):
                cleaned[name] = {**cast(Json, value), **cast(Json, own)}
            elif name == "required" and isinstance(own, list) and isinstance(value, list):
                cleaned[name] = list(dict.fromkeys([*cast(list[Any], own), *cast(list[Any], value)]))
            else:
                cleaned.setdefault(name, value)
