"""The published JSON Schema, and the descriptions that it and the docs are made of."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tidegate.config import json_schema
from tidegate.config.docstrings import field_docs
from tidegate.config.resources import KINDS
from tidegate.config.shape import ListShape, MapShape, Shape, StructShape, fields_of, shape_of


def structs() -> list[type[msgspec.Struct]]:
    """Every Struct that a kind is made of."""
    found: list[type[msgspec.Struct]] = list(KINDS.values())
    for struct in found:
        for field in fields_of(struct):
            inner = inside(field.shape)
            if isinstance(inner, StructShape) and inner.struct not in found:
                found.append(inner.struct)
    return found


def inside(shape: Shape) -> Shape:
    while isinstance(shape, ListShape | MapShape):
        shape = shape.item
    return shape


@pytest.mark.parametrize("struct", structs(), ids=lambda struct: struct.__name__)
def test_every_field_is_described(struct: type[msgspec.Struct]) -> None:
    docs = field_docs(struct)
    assert [field.name for field in fields_of(struct) if not docs.get(field.name, "").endswith((".", ")"))] == []


@pytest.mark.parametrize("struct", structs(), ids=lambda struct: struct.__name__)
def test_keys_are_camel_case_and_closed(struct: type[msgspec.Struct]) -> None:
    assert struct.__struct_config__.forbid_unknown_fields
    assert struct.__struct_config__.frozen
    assert all("_" not in field.key for field in fields_of(struct))


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from nodes(child)
    elif isinstance(value, list):
        for child in value:
            yield from nodes(child)


def test_every_reference_resolves() -> None:
    schema = json_schema()
    references = {one["$ref"] for one in nodes(schema) if "$ref" in one}
    assert references == {f"#/$defs/{name}" for name in schema["$defs"]}
    assert len(schema["oneOf"]) == len(KINDS)


def test_the_schema_is_plain_json() -> None:
    assert json.loads(json.dumps(json_schema())) == json_schema()


def test_what_an_editor_learns_of_a_target() -> None:
    target = json_schema()["$defs"]["Target"]
    assert target["required"] == ["provider", "model"]
    assert target["additionalProperties"] is False
    assert target["properties"]["capacity"]["enum"] == ["on-demand", "provisioned"]
    weight = target["properties"]["weight"]
    assert weight["anyOf"] == [{"type": "integer", "minimum": 0}, {"$ref": "#/$defs/reference"}]
    assert weight["description"].startswith("Share within its priority group")


def test_a_kind_is_told_by_its_name() -> None:
    model = json_schema()["$defs"]["Model"]
    assert model["properties"]["kind"]["enum"] == ["Model"]
    assert model["required"] == ["kind", "metadata", "spec"]


def test_a_definition_that_no_shape_covers_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="no shape"):
        shape_of(complex)
    with pytest.raises(TypeError, match="one type or null"):
        shape_of(int | str)
