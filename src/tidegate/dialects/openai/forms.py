"""Requests that are forms of several parts (RFC 7578): what is read of them.

They go on byte for byte but for the model's name.
"""

from typing import Final

from msgspec import Struct

from tidegate.core.view import PathTells
from tidegate.dialects.fields import MAX_COUNT, bad_field
from tidegate.wire.multipart import Form, MultipartError, Part, read_form

_TRUE: Final = frozenset((b"true", b"1"))
_FALSE: Final = frozenset((b"", b"false", b"0"))
_MOST_DIGITS: Final = 9


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
