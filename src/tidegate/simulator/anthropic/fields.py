"""Strict reading of a request's fields, in Anthropic's words, which are those of pydantic."""

from typing import Final

from tidegate.simulator import fields as shared
from tidegate.simulator.rejection import Rejection

_EXPECTED: Final = {
    "a string": "Input should be a valid string",
    "a boolean": "Input should be a valid boolean",
    "an integer": "Input should be a valid integer",
    "a decimal number": "Input should be a valid number",
    "an array": "Input should be a valid list",
    "an object": "Input should be an object",
}


class Fields(shared.Fields):
    """A JSON object, read field by field. Paths are written `messages.0.content`."""

    __slots__ = ()

    @classmethod
    def unreadable(cls, why: str) -> Rejection:
        return Rejection(400, f"The request body is not valid JSON: {why}")

    @classmethod
    def missing(cls, name: str) -> Rejection:
        return Rejection(400, f"{name}: Field required", param=name)

    @classmethod
    def wrong_type(cls, name: str, expected: str, value: object) -> Rejection:
        return Rejection(400, f"{name}: {_EXPECTED.get(expected, f'Input should be {expected}')}", param=name)

    @classmethod
    def wrong_value(cls, name: str, value: object, supported: tuple[str, ...]) -> Rejection:
        *others, last = (f"'{item}'" for item in supported)
        listed = f"{', '.join(others)} or {last}" if others else last
        return Rejection(400, f"{name}: Input should be {listed}", param=name)

    @classmethod
    def out_of_range(cls, name: str, value: object, bound: str, code: str) -> Rejection:
        words = bound.replace("a value >=", "greater than or equal to").replace("a value <=", "less than or equal to")
        return Rejection(400, f"{name}: Input should be {words}", param=name)

    @classmethod
    def unknown(cls, path: str, name: str) -> Rejection:
        return Rejection(400, f"{path}: Extra inputs are not permitted", param=path)

    @classmethod
    def too_long(cls, name: str, longest: int, found: int) -> Rejection:
        return Rejection(400, f"{name}: List should have at most {longest} items after validation, not {found}")

    @classmethod
    def empty(cls, name: str) -> Rejection:
        return Rejection(400, f"{name}: at least one item is required", param=name)

    @staticmethod
    def item_path(name: str, index: int) -> str:
        return f"{name}.{index}"
