"""Strict reading of a request's fields: Jina's errors are FastAPI's, Voyage's are a sentence."""

from tidegate.simulator import fields as shared
from tidegate.simulator.rejection import Rejection


class JinaFields(shared.Fields):
    """A JSON object, read field by field. A Rejection's `code` is the kind of the mistake, its `param` the place."""

    __slots__ = ()

    @classmethod
    def unreadable(cls, why: str) -> Rejection:
        return _flawed("", f"JSON decode error: {why}", "json_invalid")

    @classmethod
    def missing(cls, name: str) -> Rejection:
        return _flawed(name, "Field required", "missing")

    @classmethod
    def wrong_type(cls, name: str, expected: str, value: object) -> Rejection:
        kind = expected.rpartition(" ")[2]
        return _flawed(name, f"Input should be a valid {kind}", f"{kind}_type")

    @classmethod
    def out_of_range(cls, name: str, value: object, bound: str, code: str) -> Rejection:
        return _flawed(name, f"Input should be {bound.replace('a value >=', 'greater than or equal to')}", "range")

    @classmethod
    def unknown(cls, path: str, name: str) -> Rejection:
        return _flawed(path, "Extra inputs are not permitted", "extra_forbidden")

    @classmethod
    def empty(cls, name: str) -> Rejection:
        return _flawed(name, "List should have at least 1 item after validation, not 0", "too_short")

    @staticmethod
    def item_path(name: str, index: int) -> str:
        return f"{name}.{index}"


class VoyageFields(shared.Fields):
    """The same in Voyage's words."""

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


def _flawed(place: str, message: str, kind: str) -> Rejection:
    return Rejection(422, message, param=place, code=kind)
