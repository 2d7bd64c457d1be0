"""Strict reading of a request's fields, in Google's words. Names may be written `camelCase` or `snake_case`."""

import json
import re
from typing import Any, Final

from tidegate.simulator import fields as shared
from tidegate.simulator.rejection import Rejection

_TYPES: Final = {
    "a string": "TYPE_STRING",
    "a boolean": "TYPE_BOOL",
    "an integer": "TYPE_INT32",
    "a decimal number": "TYPE_DOUBLE",
}
_UNDERSCORE: Final = re.compile(r"_([a-z0-9])")
_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")


def camel(name: str) -> str:
    """`function_call` → `functionCall`."""
    return _UNDERSCORE.sub(lambda match: match[1].upper(), name)


def snake(path: str) -> str:
    """`generationConfig.topK` → `generation_config.top_k`: so are fields named in messages."""
    return _CAPITAL.sub(lambda match: "_" + match[1].lower(), path)


def invalid(message: str, at: str = "") -> Rejection:
    """A 400. `at`: the field's path, told in the details too."""
    return Rejection(400, message, param=snake(at) or None, code="violation" if at else "")


class Fields(shared.Fields):
    """A JSON object, read field by field."""

    __slots__ = ()

    def __init__(self, values: dict[str, Any], at: str = "") -> None:
        super().__init__({camel(name): value for name, value in values.items()}, at)

    @classmethod
    def unreadable(cls, why: str) -> Rejection:
        return Rejection(400, f"Invalid JSON payload received. {why}")

    @classmethod
    def missing(cls, name: str) -> Rejection:
        return invalid(f"{snake(name)}: is required and cannot be empty.", name)

    @classmethod
    def wrong_type(cls, name: str, expected: str, value: object) -> Rejection:
        if expected in {"an array", "an object"}:
            return invalid(f"Invalid value at '{snake(name)}', expected {expected}: {json.dumps(value)[:200]}", name)
        kind = _TYPES.get(expected, expected)
        return invalid(f"Invalid value at '{snake(name)}' ({kind}), {json.dumps(value)[:200]}", name)

    @classmethod
    def wrong_value(cls, name: str, value: object, supported: tuple[str, ...]) -> Rejection:
        return invalid(f"Invalid value at '{snake(name)}' (TYPE_ENUM), {json.dumps(value)}", name)

    @classmethod
    def out_of_range(cls, name: str, value: object, bound: str, code: str) -> Rejection:
        words = bound.replace("a value >=", "must be at least").replace("a value <=", "must be at most")
        return invalid(f"* {snake(name)}: {snake(name.rsplit('.', 1)[-1])} {words}, not {value}.", name)

    @classmethod
    def unknown(cls, path: str, name: str) -> Rejection:
        owner = snake(path.rpartition(".")[0])
        where = f" at '{owner}'" if owner else ""
        text = f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
        return Rejection(400, text, param=owner, code="violation")

    @classmethod
    def too_long(cls, name: str, longest: int, found: int) -> Rejection:
        return invalid(f"* {snake(name)}: at most {longest} are supported, not {found}.", name)

    @classmethod
    def empty(cls, name: str) -> Rejection:
        return invalid(f"* GenerateContentRequest.{snake(name)}: {snake(name)} must not be empty.", name)
