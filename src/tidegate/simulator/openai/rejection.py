"""Errors in OpenAI's words and shape (and Azure's)."""

import json
from typing import Any

from tidegate.simulator.rejection import Rejection

__all__ = ["Rejection", "encode_error", "missing", "out_of_range", "wrong_type", "wrong_value"]


def encode_error(rejection: Rejection, azure: bool = False) -> bytes:
    """As sent."""
    return (json.dumps({"error": _error_fields(rejection, azure)}, ensure_ascii=False, indent=2) + "\n").encode()


def _error_fields(rejection: Rejection, azure: bool = False) -> dict[str, Any]:
    """The error object. Azure's front door names a code and a message only."""
    if azure and rejection.status in (401, 403, 404, 429):
        code = "DeploymentNotFound" if rejection.code == "model_not_found" else str(rejection.status)
        return {"code": code, "message": rejection.message}
    return {
        "message": rejection.message,
        "type": rejection.kind,
        "param": rejection.param,
        "code": rejection.code or None,
    }


def missing(name: str) -> Rejection:
    """A parameter that must be there."""
    return Rejection(400, f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")


def wrong_type(name: str, expected: str, value: object) -> Rejection:
    """A value of another JSON type than the parameter's. `expected` comes with its article."""
    message = f"Invalid type for '{name}': expected {expected}, but got {_article(value)} instead."
    return Rejection(400, message, param=name, code="invalid_type")


def wrong_value(name: str, value: object, supported: tuple[str, ...]) -> Rejection:
    """A value that is not among those that the parameter may have."""
    *others, last = (f"'{item}'" for item in supported)
    listed = f"{', '.join(others)}{',' if len(others) > 1 else ''} and {last}" if others else last
    message = f"Invalid value: '{value}'. Supported values are: {listed}."
    return Rejection(400, message, param=name, code="invalid_value")


def out_of_range(name: str, value: object, bound: str, code: str) -> Rejection:
    """A number, or a length, outside of its bounds."""
    return Rejection(400, f"Invalid '{name}': {value} is out of bounds. Expected {bound}.", param=name, code=code)


def _article(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a decimal number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"
