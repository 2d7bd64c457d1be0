"""Strict reading of a request's fields, in Bedrock's words."""

from typing import Final

from tidegate.simulator import fields as shared
from tidegate.simulator.rejection import Rejection

_FOUND: Final = {str: "String", bool: "Boolean", int: "Integer", float: "Number", list: "JSONArray", dict: "JSONObject"}


class Fields(shared.Fields):
    """A JSON object, read field by field. Paths are written `messages.0.content`."""

    __slots__ = ()

    @classmethod
    def unreadable(cls, why: str) -> Rejection:
        return Rejection(400, f"The request body could not be read: {why}", kind="SerializationException")

    @classmethod
    def missing(cls, name: str) -> Rejection:
        text = f"1 validation error detected: Value at '{name}' failed to satisfy constraint: Member must not be null"
        return invalid(text)

    @classmethod
    def wrong_type(cls, name: str, expected: str, value: object) -> Rejection:
        found = _FOUND.get(type(value), "Null")
        return Rejection(400, f"{name}: {found} value found, expected {expected}", kind="SerializationException")

    @classmethod
    def wrong_value(cls, name: str, value: object, supported: tuple[str, ...]) -> Rejection:
        listed = ", ".join(supported)
        return invalid(
            f"Value '{value}' at '{name}' failed to satisfy constraint: Member must satisfy enum: [{listed}]"
        )

    @classmethod
    def out_of_range(cls, name: str, value: object, bound: str, code: str) -> Rejection:
        return invalid(f"Value '{value}' at '{name}' failed to satisfy constraint: Member must have {bound}")

    @classmethod
    def unknown(cls, path: str, name: str) -> Rejection:
        return invalid(f"extraneous key [{path}] is not permitted")

    @classmethod
    def empty(cls, name: str) -> Rejection:
        return invalid(
            f"Value at '{name}' failed to satisfy constraint: Member must have length greater than or equal to 1"
        )

    @staticmethod
    def item_path(name: str, index: int) -> str:
        return f"{name}.{index}"


def invalid(text: str) -> Rejection:
    """A ValidationException."""
    return Rejection(400, text)
