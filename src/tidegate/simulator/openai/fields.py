"""Strict reading of a request's fields, in OpenAI's words."""

from tidegate.simulator import fields as shared
from tidegate.simulator.openai import rejection
from tidegate.simulator.rejection import Rejection

_UNREADABLE = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble "
    "figuring out how to fix this, please contact us through our help center at help.openai.com.)"
)


class Fields(shared.Fields):
    """A JSON object, read field by field."""

    __slots__ = ()

    @classmethod
    def unreadable(cls, why: str) -> Rejection:
        return Rejection(400, _UNREADABLE)

    @classmethod
    def missing(cls, name: str) -> Rejection:
        return rejection.missing(name)

    @classmethod
    def wrong_type(cls, name: str, expected: str, value: object) -> Rejection:
        return rejection.wrong_type(name, expected, value)

    @classmethod
    def wrong_value(cls, name: str, value: object, supported: tuple[str, ...]) -> Rejection:
        return rejection.wrong_value(name, value, supported)

    @classmethod
    def out_of_range(cls, name: str, value: object, bound: str, code: str) -> Rejection:
        return rejection.out_of_range(name, value, bound, code)

    @classmethod
    def unknown(cls, path: str, name: str) -> Rejection:
        return Rejection(400, f"Unknown parameter: '{path}'.", param=name, code="unknown_parameter")

    @classmethod
    def too_long(cls, name: str, longest: int, found: int) -> Rejection:
        message = (
            f"Invalid '{name}': array too long. Expected an array with maximum length {longest}, "
            f"but got an array with length {found} instead."
        )
        return Rejection(400, message, param=name, code="array_above_max_length")

    @classmethod
    def empty(cls, name: str) -> Rejection:
        message = (
            f"Invalid '{name}': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        return Rejection(400, message, param=name, code="empty_array")

    def stop(self) -> tuple[str, ...]:
        """Up to four sequences."""
        value = self.values.get("stop")
        if isinstance(value, str):
            return (value,) if value else ()
        return tuple(item for item in self.texts("stop", longest=4) if item)


def as_fields(value: object, at: str) -> Fields:
    """An object inside of a request."""
    return Fields.of(value, at)
