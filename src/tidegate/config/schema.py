"""JSON Schema of a resource, for editors: made from the same shapes that the reader uses, and from the docstrings."""

from typing import Any, Final

from msgspec import Struct

from tidegate.config.docstrings import field_docs, struct_doc
from tidegate.config.resources import KINDS
from tidegate.config.shape import FieldShape, ListShape, MapShape, ScalarShape, Shape, StructShape, fields_of

_REFERENCE: Final[dict[str, Any]] = {"$ref": "#/$defs/reference"}
_DURATION: Final = r"^\d+(\.\d+)?(ms|s|m|h|d)$"
_SIZE: Final = r"^\d+ ?(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?$"
_SCALARS: Final[dict[str, dict[str, Any]]] = {
    "text": {"type": ["string", "number", "boolean"]},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "duration": {"type": "string", "pattern": _DURATION},
    "size": {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": _SIZE}]},
    "usd": {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^\d+(\.\d+)?$"}]},
    "timezone": {"type": "string"},
    "secret": {"type": ["string", "number", "boolean"]},
}


def json_schema() -> dict[str, Any]:
    """Draft 2020-12; one alternative per kind."""
    definitions: dict[str, Any] = {
        "reference": {
            "description": "A value from outside the file.",
            "type": "object",
            "properties": {"env": {"type": "string"}, "file": {"type": "string"}},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }
    }
    for kind in KINDS.values():
        _define(kind, definitions)
        definitions[kind.__name__]["required"].insert(0, "kind")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tidegate resource",
        "oneOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in KINDS.values()],
        "$defs": definitions,
    }


def _define(struct: type[Struct], definitions: dict[str, Any]) -> None:
    if struct.__name__ in definitions:
        return
    definitions[struct.__name__] = schema = {
        "type": "object",
        "properties": {},
        "required": [field.key for field in fields_of(struct) if field.required],
        "additionalProperties": False,
    }
    if doc := struct_doc(struct):
        schema["description"] = doc
    docs = field_docs(struct)
    for field in fields_of(struct):
        schema["properties"][field.key] = _field(field, docs.get(field.name, ""), definitions)


def _field(field: FieldShape, doc: str, definitions: dict[str, Any]) -> dict[str, Any]:
    schema = _value(field.shape, definitions)
    return {"description": doc, **schema} if doc else schema


def _value(shape: Shape, definitions: dict[str, Any]) -> dict[str, Any]:
    schema = _required_value(shape, definitions)
    return {"anyOf": [schema, {"type": "null"}]} if shape.optional else schema


def _required_value(shape: Shape, definitions: dict[str, Any]) -> dict[str, Any]:
    match shape:
        case StructShape():
            _define(shape.struct, definitions)
            return {"$ref": f"#/$defs/{shape.struct.__name__}"}
        case ListShape():
            item = _value(shape.item, definitions)
            many = {"type": "array", "items": item}
            return {"anyOf": [many, item]} if shape.one_or_many else many
        case MapShape():
            return {"type": "object", "additionalProperties": _value(shape.item, definitions)}
        case ScalarShape(form="choice"):
            return {"enum": list(shape.choices)}
        case ScalarShape():
            return {"anyOf": [_scalar(shape), _REFERENCE]}


def _scalar(shape: ScalarShape) -> dict[str, Any]:
    schema: dict[str, Any] = dict(_SCALARS[shape.form])
    if shape.pattern is not None:
        schema = {"type": "string", "pattern": shape.pattern}
    if shape.form in ("integer", "number"):
        if shape.minimum is not None:
            schema["minimum"] = shape.minimum
        if shape.maximum is not None:
            schema["maximum"] = shape.maximum
    return schema
