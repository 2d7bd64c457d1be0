"""Strict reading of a request's fields, in the words of Pydantic: providers that are built with FastAPI answer so."""

from typing import Any

from tidegate.simulator import fields as shared
from tidegate.simulator.rejection import Rejection


class PydanticFields(shared.Fields):
    """A JSON object, read field by field. A Rejection's `code` is the kind of the mistake, its `param` the place."""

    __slots__ = ()

    @classmethod
    def unreadable(cls, why: str) -> Rejection:
        return flawed("", f"JSON decode error: {why}", "json_invalid")

    @classmethod
    def missing(cls, name: str) -> Rejection:
        return flawed(name, "Field required", "missing")

    @classmethod
    def wrong_type(cls, name: str, expected: str, value: object) -> Rejection:
        word = expected.rpartition(" ")[2]
        kind = {"array": "list", "object": "dictionary"}.get(word, word)
        return flawed(name, f"Input should be a valid {kind}", f"{kind}_type")

    @classmethod
    def wrong_value(cls, name: str, value: object, supported: tuple[str, ...]) -> Rejection:
        return flawed(name, f"Input should be {' or '.join(repr(one) for one in supported)}", "literal_error")

    @classmethod
    def out_of_range(cls, name: str, value: object, bound: str, code: str) -> Rejection:
        word = "greater" if bound.startswith("a value >=") else "less"
        text = f"Input should be {word} than or equal to {bound.rpartition(' ')[2]}"
        return flawed(name, text, f"{word}_than_equal")

    @classmethod
    def unknown(cls, path: str, name: str) -> Rejection:
        return flawed(path, "Extra inputs are not permitted", "extra_forbidden")

    @classmethod
    def too_long(cls, name: str, longest: int, found: int) -> Rejection:
        return flawed(name, f"List should have at most {longest} items after validation, not {found}", "too_long")

    @classmethod
    def empty(cls, name: str) -> Rejection:
        return flawed(name, "List should have at least 1 item after validation, not 0", "too_short")

    @staticmethod
    def item_path(name: str, index: int) -> str:
        return f"{name}.{index}"


def flawed(place: str, message: str, kind: str) -> Rejection:
    """A 422."""
    return Rejection(422, message, param=place, code=kind)


def details(rejection: Rejection) -> list[dict[str, Any]]:
    """Of a field's mistake: its kind, its place, the words."""
    place = [int(one) if one.isdecimal() else one for one in (rejection.param or "").split(".") if one]
    return [{"type": rejection.code, "loc": ["body", *place], "msg": rejection.message}]
