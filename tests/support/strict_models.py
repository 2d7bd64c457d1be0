"""Reads answers by the official SDK's own types, strictly: right types, and not a field that they do not know."""

from typing import Any, TypeVar

import pydantic
from openai import BaseModel

M = TypeVar("M", bound=BaseModel)
_UNTYPED = {
    "Response": {"frequency_penalty", "presence_penalty", "store", "native_finish_reason"},
    "Message": {"native_finish_reason"},
}
"""What the SDK has no type for: what OpenAI's answers hold and Open Responses requires, and the native finish reason."""


def read_strictly(kind: type[M], document: bytes | str) -> M:
    """The document as `kind`. Fails on wrong types and on unknown fields, at any depth."""
    found = kind.model_validate_json(document, strict=True)
    unknown = list(_unknown_fields(found, kind.__name__))
    assert not unknown, f"fields that {kind.__name__} does not know: {unknown}"
    return found


def _unknown_fields(value: Any, at: str) -> list[str]:
    if isinstance(value, pydantic.BaseModel):
        untyped = _UNTYPED.get(type(value).__name__, set[str]())
        found = [f"{at}.{name}" for name in value.model_extra or {} if name not in untyped]
        for name in type(value).model_fields:
            found += _unknown_fields(getattr(value, name), f"{at}.{name}")
        return found
    if isinstance(value, list):
        return [field for index, item in enumerate(value) for field in _unknown_fields(item, f"{at}[{index}]")]
    if isinstance(value, dict):
        return [field for name, item in value.items() for field in _unknown_fields(item, f"{at}.{name}")]
    return []
