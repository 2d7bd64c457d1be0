"""`multipart/form-data` as strictly as JSON: parts are fields, texts are read as what they stand for, files stay files."""

from typing import Any, Final, Self, cast

from msgspec import Struct

from tidegate.simulator.openai.fields import Fields
from tidegate.simulator.openai.rejection import Rejection, missing, wrong_type
from tidegate.wire.multipart import Form, MultipartError, Part, read_form

_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}


class SentFile(Struct, frozen=True):
    """What came in a part with a file name."""

    content: bytes


class FormFields(Fields):
    """The parts of a form: `name[]` is an item of the list `name`, all else is there once."""

    __slots__ = ()

    @classmethod
    def of_form(cls, media: bytes, body: bytes) -> Self:
        """Raises Rejection."""
        try:
            form = read_form(media, body)
        except MultipartError as error:
            raise Rejection(400, f"Could not parse multipart form: {error}") from error
        values: dict[str, Any] = {}
        for part in form.parts:
            name, listed, _ = part.name.partition("[")
            value = _value(form, part)
            if listed:
                values.setdefault(name, [])
            if isinstance(values.get(name), list):
                cast(list[Any], values[name]).append(value)
            elif name in values:
                raise Rejection(400, f"Duplicate parameter: '{name}'.", param=name, code="duplicate_parameter")
            else:
                values[name] = value
        return cls(values)

    def flag(self, name: str) -> bool:
        value = self.values.get(name)
        if value is None:
            return False
        if not isinstance(value, str) or value.lower() not in _FLAGS:
            raise wrong_type(name, "a boolean", value)
        return _FLAGS[value.lower()]

    def whole(self, name: str, low: int, high: int | None = None) -> int | None:
        value = self.values.get(name)
        if isinstance(value, str):
            if not value.removeprefix("-").isdecimal():
                raise wrong_type(name, "an integer", value)
            return Fields({name: int(value)}).whole(name, low, high)
        return super().whole(name, low, high)

    def number(self, name: str, low: float, high: float) -> float | None:
        value = self.values.get(name)
        if isinstance(value, str):
            try:
                return Fields({name: float(value)}).number(name, low, high)
            except ValueError:
                raise wrong_type(name, "a decimal number", value) from None
        return super().number(name, low, high)


def files(fields: Fields, name: str) -> list[SentFile]:
    """One file or a list of them; none if the field is absent. Raises Rejection."""
    value = fields.get(name)
    found = cast(list[Any], value) if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(one, SentFile) for one in found):
        raise wrong_type(name, "a file", "")
    return found


def needed_file(fields: Fields, name: str) -> SentFile:
    """Raises Rejection."""
    found = files(fields, name)
    if not found:
        raise missing(name)
    return found[0]


def _value(form: Form, part: Part) -> str | SentFile:
    content = form.value(part)
    if part.is_file:
        return SentFile(content)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Rejection(400, f"Parameter '{part.name}' is not UTF-8.", param=part.name) from error
