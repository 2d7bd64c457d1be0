"""Reading of a request's fields, in the words of Go's JSON decoder; unknown fields are ignored."""

from typing import Final

from tidegate.simulator import fields as shared
from tidegate.simulator.rejection import Rejection

_TYPES: Final = {
    "a string": "string",
    "a boolean": "bool",
    "an integer": "int",
    "a decimal number": "float32",
    "an array": "array",
    "an object": "object",
}


class Fields(shared.Fields):
    """A JSON object, read field by field."""

    __slots__ = ()

    @classmethod
    def unreadable(cls, why: str) -> Rejection:
        return Rejection(400, f"invalid JSON: {why}")

    @classmethod
    def missing(cls, name: str) -> Rejection:
        return Rejection(400, f"{name} is required")

    @classmethod
    def wrong_type(cls, name: str, expected: str, value: object) -> Rejection:
        found = {str: "string", bool: "bool", list: "array", dict: "object"}.get(type(value), "number")
        kind = _TYPES.get(expected, expected)
        return Rejection(400, f"json: cannot unmarshal {found} into Go struct field {name} of type {kind}")

    @staticmethod
    def item_path(name: str, index: int) -> str:
        return name
