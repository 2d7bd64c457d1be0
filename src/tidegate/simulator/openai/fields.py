"""Strict reading of a request's fields. Each reader raises Rejection; null is the same as absent, as OpenAI has it."""

from typing import Any, cast

import msgspec

from tidegate.simulator.openai.rejection import Rejection, missing, out_of_range, wrong_type, wrong_value

_UNREADABLE = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble "
    "figuring out how to fix this, please contact us through our help center at help.openai.com.)"
)


class Fields:
    """A JSON object, read field by field; `at` is its path for messages, "" at the top."""

    __slots__ = ("at", "values")

    def __init__(self, values: dict[str, Any], at: str = "") -> None:
        self.values = values
        self.at = at

    @classmethod
    def of_body(cls, body: bytes) -> "Fields":
        """The top level of a request."""
        try:
            values = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise Rejection(400, _UNREADABLE) from error
        if not isinstance(values, dict):
            raise Rejection(400, _UNREADABLE)
        return cls(cast(dict[str, Any], values))

    def path(self, name: str) -> str:
        """`messages[0].role`."""
        return f"{self.at}.{name}" if self.at else name

    def get(self, name: str) -> Any:
        """The value as it stands, or None."""
        return self.values.get(name)

    def only(self, known: frozenset[str]) -> None:
        """Refuses fields that nobody knows."""
        for name in self.values:
            if name not in known:
                raise Rejection(400, f"Unknown parameter: '{self.path(name)}'.", param=name, code="unknown_parameter")

    def text(self, name: str, default: str | None = None) -> str | None:
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise wrong_type(self.path(name), "a string", value)
        return value

    def needed_text(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise missing(self.path(name))
        return value

    def choice(self, name: str, supported: tuple[str, ...], default: str | None = None) -> str | None:
        value = self.text(name, default)
        if value is not None and value not in supported:
            raise wrong_value(self.path(name), value, supported)
        return value

    def flag(self, name: str) -> bool:
        value = self.values.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise wrong_type(self.path(name), "a boolean", value)
        return value

    def whole(self, name: str, low: int, high: int | None = None) -> int | None:
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(self.path(name), "an integer", value)
        if value < low:
            raise out_of_range(self.path(name), value, f"a value >= {low}", "integer_below_min_value")
        if high is not None and value > high:
            raise out_of_range(self.path(name), value, f"a value <= {high}", "integer_above_max_value")
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(self.path(name), "a decimal number", value)
        if value < low:
            raise out_of_range(self.path(name), value, f"a value >= {low:g}", "decimal_below_min_value")
        if value > high:
            raise out_of_range(self.path(name), value, f"a value <= {high:g}", "decimal_above_max_value")
        return float(value)

    def items(self, name: str, longest: int | None = None) -> list[Any] | None:
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise wrong_type(self.path(name), "an array", value)
        found = cast(list[Any], value)
        if longest is not None and len(found) > longest:
            message = (
                f"Invalid '{self.path(name)}': array too long. Expected an array with maximum length {longest}, "
                f"but got an array with length {len(found)} instead."
            )
            raise Rejection(400, message, param=self.path(name), code="array_above_max_length")
        return found

    def needed_items(self, name: str, longest: int | None = None) -> list[Any]:
        found = self.items(name, longest)
        if found is None:
            raise missing(self.path(name))
        if not found:
            message = (
                f"Invalid '{self.path(name)}': empty array. Expected an array with minimum length 1, "
                "but got an empty array instead."
            )
            raise Rejection(400, message, param=self.path(name), code="empty_array")
        return found

    def inner(self, name: str) -> "Fields | None":
        value = self.values.get(name)
        return None if value is None else as_fields(value, self.path(name))

    def needed_inner(self, name: str) -> "Fields":
        found = self.inner(name)
        if found is None:
            raise missing(self.path(name))
        return found

    def stop(self) -> tuple[str, ...]:
        """Up to four sequences."""
        value = self.values.get("stop")
        if isinstance(value, str):
            return (value,) if value else ()
        found = self.items("stop", longest=4) or []
        for index, item in enumerate(found):
            if not isinstance(item, str):
                raise wrong_type(f"stop[{index}]", "a string", item)
        return tuple(item for item in found if item)


def as_fields(value: object, at: str) -> Fields:
    """An object inside of a request."""
    if not isinstance(value, dict):
        raise wrong_type(at, "an object", value)
    return Fields(cast(dict[str, Any], value), at)
