"""Strict reading of a request's fields, in Cohere's words."""

from typing import Final

from tidegate.simulator import fields as shared
from tidegate.simulator.rejection import Rejection

_TYPES: Final = {
    "a string": "string",
    "a boolean": "bool",
    "an integer": "int",
    "a decimal number": "float64",
    "an array": "array",
    "an object": "object",
}


def invalid(message: str, status: int = 400) -> Rejection:
    """An `invalid request`."""
    return Rejection(status, f"invalid request: {message}")


class Fields(shared.Fields):
    """A JSON object, read field by field."""

    __slots__ = ()

    @classmethod
    def unreadable(cls, why: str) -> Rejection:
        return invalid(f"the request body is not valid JSON: {why}")

    @classmethod
    def missing(cls, name: str) -> Rejection:
        return invalid(f"{name} is required")

    @classmethod
    def wrong_type(cls, name: str, expected: str, value: object) -> Rejection:
        found = {str: "string", bool: "bool", list: "array", dict: "object", type(None): "null"}.get(
            type(value), "number"
        )
        kind = _TYPES.get(expected, expected)
        return Rejection(400, f"invalid type: parameter {name} is of type {found} but should be of type {kind}.")

    @classmethod
    def wrong_value(cls, name: str, value: object, supported: tuple[str, ...]) -> Rejection:
        return invalid(f"{name} must be one of [{', '.join(supported)}], but got '{value}'")

    @classmethod
    def out_of_range(cls, name: str, value: object, bound: str, code: str) -> Rejection:
        return invalid(f"{name} must be {bound}, but got {value}")

    @classmethod
    def unknown(cls, path: str, name: str) -> Rejection:
        return Rejection(422, f"unknown field: parameter '{path}' is not a valid field")

    @classmethod
    def too_long(cls, name: str, longest: int, found: int) -> Rejection:
        return invalid(f"{name} has at most {longest} items, but got {found}")

    @classmethod
    def empty(cls, name: str) -> Rejection:
        return invalid(f"{name} must not be empty")
