"""Reading of a request's fields. Each reader raises the Rejection of its dialect; null is the same as absent."""

from typing import Any, Self, cast

import msgspec

from tidegate.simulator.rejection import Rejection


class Fields:
    """A JSON object, read field by field; `at` is its path for messages, "" at the top.

    A dialect derives from it, and says in its words what is wrong with a field.
    """

    __slots__ = ("at", "values")

    def __init__(self, values: dict[str, Any], at: str = "") -> None:
        self.values = values
        self.at = at

    # What a dialect says.

    @classmethod
    def unreadable(cls, why: str) -> Rejection:
        """The body is not a JSON object."""
        return Rejection(400, f"The request body is not a JSON object: {why}")

    @classmethod
    def missing(cls, name: str) -> Rejection:
        """`name` must be there."""
        return Rejection(400, f"{name}: is required", param=name)

    @classmethod
    def wrong_type(cls, name: str, expected: str, value: object) -> Rejection:
        """`expected` comes with its article."""
        return Rejection(400, f"{name}: expected {expected}", param=name)

    @classmethod
    def wrong_value(cls, name: str, value: object, supported: tuple[str, ...]) -> Rejection:
        """Not one of those that there are."""
        return Rejection(400, f"{name}: '{value}' is not one of {', '.join(supported)}", param=name)

    @classmethod
    def out_of_range(cls, name: str, value: object, bound: str, code: str) -> Rejection:
        """A number outside of its bounds; `code` is OpenAI's word for that."""
        return Rejection(400, f"{name}: {value} is not {bound}", param=name)

    @classmethod
    def unknown(cls, path: str, name: str) -> Rejection:
        """A field that nobody knows."""
        return Rejection(400, f"{path}: unknown field", param=name)

    @classmethod
    def too_long(cls, name: str, longest: int, found: int) -> Rejection:
        """A list with too many items."""
        return Rejection(400, f"{name}: at most {longest} items are allowed, not {found}", param=name)

    @classmethod
    def empty(cls, name: str) -> Rejection:
        """A list without items."""
        return Rejection(400, f"{name}: at least one item is required", param=name)

    @staticmethod
    def item_path(name: str, index: int) -> str:
        """`messages[0]`."""
        return f"{name}[{index}]"

    # Reading.

    @classmethod
    def of_body(cls, body: bytes) -> Self:
        """The top level of a request."""
        try:
            values = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise cls.unreadable(str(error)) from error
        if not isinstance(values, dict):
            raise cls.unreadable("it is something else")
        return cls(cast(dict[str, Any], values))

    @classmethod
    def of(cls, value: object, at: str) -> Self:
        """An object inside of a request."""
        if not isinstance(value, dict):
            raise cls.wrong_type(at, "an object", value)
        return cls(cast(dict[str, Any], value), at)

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
                raise self.unknown(self.path(name), name)

    def text(self, name: str, default: str | None = None) -> str | None:
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.wrong_type(self.path(name), "a string", value)
        return value

    def needed_text(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise self.missing(self.path(name))
        return value

    def choice(self, name: str, supported: tuple[str, ...], default: str | None = None) -> str | None:
        value = self.text(name, default)
        if value is not None and value not in supported:
            raise self.wrong_value(self.path(name), value, supported)
        return value

    def flag(self, name: str) -> bool:
        value = self.values.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self.wrong_type(self.path(name), "a boolean", value)
        return value

    def whole(self, name: str, low: int, high: int | None = None) -> int | None:
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong_type(self.path(name), "an integer", value)
        if value < low:
            raise self.out_of_range(self.path(name), value, f"a value >= {low}", "integer_below_min_value")
        if high is not None and value > high:
            raise self.out_of_range(self.path(name), value, f"a value <= {high}", "integer_above_max_value")
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong_type(self.path(name), "a decimal number", value)
        if value < low:
            raise self.out_of_range(self.path(name), value, f"a value >= {low:g}", "decimal_below_min_value")
        if value > high:
            raise self.out_of_range(self.path(name), value, f"a value <= {high:g}", "decimal_above_max_value")
        return float(value)

    def items(self, name: str, longest: int | None = None) -> list[Any] | None:
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self.wrong_type(self.path(name), "an array", value)
        found = cast(list[Any], value)
        if longest is not None and len(found) > longest:
            raise self.too_long(self.path(name), longest, len(found))
        return found

    def needed_items(self, name: str, longest: int | None = None) -> list[Any]:
        found = self.items(name, longest)
        if found is None:
            raise self.missing(self.path(name))
        if not found:
            raise self.empty(self.path(name))
        return found

    def each(self, name: str, longest: int | None = None) -> list[Self]:
        """The items, each an object; none if the field is absent."""
        found = self.items(name, longest) or []
        return [self.of(item, self.item_path(self.path(name), index)) for index, item in enumerate(found)]

    def texts(self, name: str, longest: int | None = None) -> tuple[str, ...]:
        """The items, each a string; none if the field is absent."""
        found = self.items(name, longest) or []
        for index, item in enumerate(found):
            if not isinstance(item, str):
                raise self.wrong_type(self.item_path(self.path(name), index), "a string", item)
        return tuple(found)

    def inner(self, name: str) -> Self | None:
        value = self.values.get(name)
        return None if value is None else self.of(value, self.path(name))

    def needed_inner(self, name: str) -> Self:
        found = self.inner(name)
        if found is None:
            raise self.missing(self.path(name))
        return found
