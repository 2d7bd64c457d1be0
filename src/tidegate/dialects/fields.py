"""Reading the top level of a JSON request body: every dialect's reader begins here.

Each value's bytes stay untouched (`Raw`), of duplicate keys the last counts.
"""

from typing import Final

import msgspec
from msgspec import Raw

from tidegate.core.problem import Problem
from tidegate.dialects.dialect import UnreadableRequest

MAX_COUNT: Final = 100_000_000
"""No bound on tokens or choices is larger."""

NULL: Final = Raw(b"null")
"""The default of a `Raw` field: msgspec knows no `Raw | None`."""

_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_int = msgspec.json.Decoder(int).decode


def bad_field(message: str, field: str | None = None) -> UnreadableRequest:
    """400 `invalid_request`."""
    return UnreadableRequest(Problem(status=400, code="invalid_request", message=message, field=field))


def unsupported_field(field: str, message: str) -> UnreadableRequest:
    """400 `unsupported_field`: dropping it would change the answer or its price."""
    return UnreadableRequest(Problem(status=400, code="unsupported_field", message=message, field=field))


def read_fields(body: bytes) -> dict[str, Raw]:
    """The object's members. Raises UnreadableRequest."""
    if not body:
        raise bad_field("The request has no body: send a JSON object.")
    try:
        if not body.isascii():
            str(body, "utf-8")  # the decoder does not check bytes inside the strings that it skips
        return _decode_object(body)
    except UnicodeDecodeError as error:
        raise bad_field(f"The body is not UTF-8: byte {error.start} cannot be read.") from error
    except RecursionError as error:
        raise bad_field("The body is nested too deeply.") from error
    except msgspec.ValidationError as error:
        raise bad_field(f"The body must be a JSON object: {error}.") from error
    except msgspec.DecodeError as error:
        raise bad_field(f"The body is not JSON: {error}.") from error


def read_string(fields: dict[str, Raw], name: str) -> str:
    """A string that must be there and not be empty. Raises UnreadableRequest."""
    raw = fields.get(name)
    if raw is None:
        hint = ": name the model to call, for example `gpt-4.1`" if name == "model" else ""
        raise bad_field(f"`{name}` is missing{hint}.", name)
    try:
        value = _decode_str(raw)
    except msgspec.DecodeError:
        value = ""
    if not value:
        raise bad_field(f"`{name}` must be a string that is not empty.", name)
    return value


def read_boolean(fields: dict[str, Raw], name: str) -> bool:
    """False where it is absent or null. Raises UnreadableRequest."""
    raw = fields.get(name)
    if raw is None:
        return False
    text = bytes(raw)
    if text == b"true":
        return True
    if text in (b"false", b"null"):
        return False
    raise bad_field(f"`{name}` must be true or false.", name)


def read_count(fields: dict[str, Raw], name: str) -> int | None:
    """A whole number from 1; None where it is absent or null. Raises UnreadableRequest."""
    raw = fields.get(name)
    if raw is None or bytes(raw) == b"null":
        return None
    try:
        value = _decode_int(raw)
    except msgspec.DecodeError:
        value = 0
    if not 0 < value <= MAX_COUNT:
        raise bad_field(f"`{name}` must be a whole number from 1 to {MAX_COUNT}.", name)
    return value


def field_of(error: Exception) -> str | None:
    """The top-level field in msgspec's path (`... - at `$.messages[0].role``)."""
    _, found, path = str(error).rpartition("`$.")
    return path.rstrip("`").split(".")[0].split("[")[0] if found else None


def may_have(word: bytes, text: bytes) -> bool:
    """Whether `word`, in ASCII, may be in this JSON: any of its letters can be written as an escape."""
    return word in text or b"\\u00" in text


def present(raw: Raw) -> Raw | None:
    """None for null and absent."""
    return None if bytes(raw) == b"null" else raw
