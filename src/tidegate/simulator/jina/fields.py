"""Strict reading of a request's fields in Voyage's words; Jina's are Pydantic's."""

from tidegate.simulator import fields as shared
from tidegate.simulator.rejection import Rejection


class VoyageFields(shared.Fields):
    """A JSON object, read field by field. Each mistake is a sentence."""

    __slots__ = ()

    @classmethod
    def unreadable(cls, why: str) -> Rejection:
        return Rejection(400, f"The request body is not valid JSON: {why}")

    @classmethod
    def missing(cls, name: str) -> Rejection:
        return Rejection(400, f"Argument '{name}' is required but was not provided")

    @classmethod
    def wrong_type(cls, name: str, expected: str, value: object) -> Rejection:
        return Rejection(400, f"The value provided for argument '{name}' is not valid: it should be {expected}")

    @classmethod
    def out_of_range(cls, name: str, value: object, bound: str, code: str) -> Rejection:
        return Rejection(400, f"Value '{value}' provided for argument '{name}' is not valid: it should be {bound}")

    @classmethod
    def unknown(cls, path: str, name: str) -> Rejection:
        return Rejection(400, f"Argument '{path}' is not supported by our API")

    @classmethod
    def too_long(cls, name: str, longest: int, found: int) -> Rejection:
        return Rejection(400, f"Argument '{name}' has at most {longest} items, and {found} were provided")

    @classmethod
    def empty(cls, name: str) -> Rejection:
        return Rejection(400, f"Argument '{name}' must not be an empty list")
