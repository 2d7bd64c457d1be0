"""Requests that are forms of several parts (RFC 7578): what is read of them.

Natively they go on byte for byte but for the model's name. For an upstream of another dialect `FormFields` reads them whole.
"""

import re
from typing import Final

from msgspec import Struct

from tidegate.core.view import PathTells
from tidegate.dialects.fields import MAX_COUNT, bad_field
from tidegate.wire.multipart import Form, MultipartError, Part, read_form

_TRUE: Final = frozenset((b"true", b"1"))
_FALSE: Final = frozenset((b"", b"false", b"0"))
_MOST_DIGITS: Final = 9
_NUMBER: Final = re.compile(r"[+-]?\d{1,9}(\.\d{0,18})?([eE][+-]?\d{1,2})?|[+-]?\.\d{1,18}")


def read_parts(tells: PathTells, body: bytes) -> Form:
    """Raises UnreadableRequest."""
    try:
        return read_form(tells.media, body)
    except MultipartError as error:
        raise bad_field(f"The body must be multipart/form-data: {error}.") from error


def single(form: Form, name: str) -> Part | None:
    """Raises UnreadableRequest if there are several."""
    found = form.named(name)
    if len(found) > 1:
        raise bad_field(f"There are {len(found)} parts `{name}`: send one.", name)
    return found[0] if found else None


def model_asked(form: Form, tells: PathTells) -> str:
    """Of the path where that names it. Raises UnreadableRequest."""
    part = single(form, "model")
    if tells.model:
        return tells.model
    if part is None:
        raise bad_field("`model` is missing: name the model to call.", "model")
    return text(form, part, "model")


def text(form: Form, part: Part, name: str) -> str:
    """Raises UnreadableRequest."""
    try:
        value = form.value(part).decode()
    except UnicodeDecodeError:
        value = ""
    if not value or part.is_file:
        raise bad_field(f"`{name}` must be a text that is not empty.", name)
    return value


def flag(form: Form, name: str) -> bool:
    """False where it is absent. Raises UnreadableRequest."""
    part = single(form, name)
    value = b"" if part is None else form.value(part).strip().lower()
    if value not in _TRUE and value not in _FALSE:
        raise bad_field(f"`{name}` must be true or false.", name)
    return value in _TRUE


def count(form: Form, name: str) -> int:
    """1 where it is absent. Raises UnreadableRequest."""
    part = single(form, name)
    if part is None:
        return 1
    value = form.value(part).strip()
    number = int(value) if value.isdigit() and len(value) <= _MOST_DIGITS else 0
    if not 0 < number <= MAX_COUNT:
        raise bad_field(f"`{name}` must be a whole number from 1 to {MAX_COUNT}.", name)
    return number


def renamed(parts: Struct, model: str) -> bytes:
    """The form's body for an upstream that knows the model by another name. Raises UnreadableRequest."""
    assert isinstance(parts, Form)  # noqa: S101 - `read_parts` has made it
    try:
        return parts.with_value("model", model.encode())
    except MultipartError as error:
        raise bad_field(f"The body cannot be sent on: {error}. Choose another boundary.") from error


class SentFile(Struct, frozen=True):
    """What came in a part with a file name."""

    content: bytes
    name: str
    """As the client calls it; "" where it does not say."""
    media_type: str
    """As the client says; "" where it does not."""


class FormFields:
    """One form, read field by field for another dialect. What was never asked for is `unread`, to be refused by name.

    Lists are `name[]` for each of their items, as OpenAI's clients write them, or `name` several times.
    """

    def __init__(self, parts: Struct | None) -> None:
        assert isinstance(parts, Form)  # noqa: S101 - `read_parts` has made it
        self._form = parts
        self._read: set[str] = set()

    def text(self, name: str) -> str | None:
        """None where it is absent or empty. Raises UnreadableRequest."""
        self._read.add(name)
        part = single(self._form, name)
        return (self._text(part, name) or None) if part is not None else None

    def texts(self, name: str) -> list[str]:
        """Raises UnreadableRequest."""
        return [self._text(part, name) for part in self._listed(name)]

    def number(self, name: str) -> float | None:
        """None where it is absent or empty. Raises UnreadableRequest."""
        value = self.text(name)
        if value is None:
            return None
        if _NUMBER.fullmatch(value.strip()) is None:
            raise bad_field(f"`{name}` must be a number.", name)
        return float(value)

    def flag(self, name: str) -> bool:
        """False where it is absent. Raises UnreadableRequest."""
        self._read.add(name)
        return flag(self._form, name)

    def files(self, name: str) -> list[SentFile]:
        """Raises UnreadableRequest for a part that has no file name."""
        parts = self._listed(name)
        if not all(part.is_file for part in parts):
            raise bad_field(f"`{name}` must be a part with a file name.", name)
        return [SentFile(self._form.value(part), part.filename, part.media_type) for part in parts]

    def unread(self) -> list[str]:
        """The names of all other fields, without brackets, each once and in their order."""
        names = dict.fromkeys(_bare(part.name) for part in self._form.parts)
        return [name for name in names if name not in self._read]

    def _listed(self, name: str) -> list[Part]:
        self._read.add(name)
        return [part for part in self._form.parts if _bare(part.name) == name]

    def _text(self, part: Part, name: str) -> str:
        try:
            value = None if part.is_file else self._form.value(part).decode()
        except UnicodeDecodeError:
            value = None
        if value is None:
            raise bad_field(f"`{name}` must be a text.", name)
        return value


def _bare(name: str) -> str:
    return name.partition("[")[0]
