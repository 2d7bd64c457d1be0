"""Reading a Gemini request's objects, whose members may be written in camelCase or in snake_case, mixed at will.

That is how protocol buffers are read from JSON, and Google's own SDK sends both in one body. For the same reason one object
may stand where a list of them is expected, and a number may be written as a string.
"""

from typing import Any, Final, cast

import msgspec
from msgspec import Raw

from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.fields import bad_field

_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_any = msgspec.json.Decoder().decode
_NOTHING: Final = b"null"
_MOST: Final = 1e300


def camel(name: str) -> str:
    """`mime_type` → `mimeType`; camelCase stays as it is."""
    if "_" not in name:
        return name
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


class Members:
    """One object. Every reader gives None, or an empty list, for a member that is absent or null; each may raise
    UnreadableRequest, with the path of what it could not read.
    """

    def __init__(self, fields: dict[str, Raw], where: str = "") -> None:
        self._where = where
        self._written = {camel(name): name for name in fields}
        self._fields = {camel(name): raw for name, raw in fields.items()}
        self._twins = len(fields) - len(self._fields)

    @classmethod
    def of(cls, raw: Raw, where: str) -> "Members":
        try:
            return cls(_decode_object(raw), where)
        except (msgspec.DecodeError, RecursionError) as error:
            raise bad_field(f"`{where}` must be an object.", where) from error

    def refuse_twins(self) -> None:
        """Of a member in both spellings nobody knows which one the upstream obeys."""
        if self._twins:
            where = self._where or "The body"
            raise bad_field(
                f"`{where}` has a member twice: once in camelCase, once with underscores.", self._where or None
            )

    def names(self) -> list[str]:
        """Of the members that are neither absent nor null, in camelCase."""
        return [name for name, raw in self._fields.items() if bytes(raw) != _NOTHING]

    def path(self, name: str) -> str:
        """Where a member stands, as the client wrote it."""
        written = self._written.get(name, name)
        return f"{self._where}.{written}" if self._where else written

    @property
    def where(self) -> str:
        return self._where

    def raw(self, name: str) -> Raw | None:
        raw = self._fields.get(name)
        return None if raw is None or bytes(raw) == _NOTHING else raw

    def value(self, name: str) -> Any:
        raw = self.raw(name)
        if raw is None:
            return None
        try:
            return _decode_any(raw)
        except (msgspec.DecodeError, RecursionError) as error:
            raise self.bad(name, f"cannot be read: {error}") from error

    def string(self, name: str) -> str | None:
        value = self.value(name)
        if value is None or isinstance(value, str):
            return value
        raise self.bad(name, "must be a string")

    def boolean(self, name: str) -> bool | None:
        value = self.value(name)
        if value is None or isinstance(value, bool):
            return value
        raise self.bad(name, "must be true or false")

    def number(self, name: str) -> float | None:
        value = self.value(name)
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                pass
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MOST:
            raise self.bad(name, "must be a number")
        return value

    def integer(self, name: str) -> int | None:
        value = self.number(name)
        if value is None:
            return None
        if value != int(value):
            raise self.bad(name, "must be a whole number")
        return int(value)

    def strings(self, name: str) -> list[str]:
        value = self.value(name)
        if value is None:
            return []
        if isinstance(value, str):
            return [value]
        if not isinstance(value, list) or not all(isinstance(one, str) for one in cast(list[Any], value)):
            raise self.bad(name, "must be a list of strings")
        return cast(list[str], value)

    def object(self, name: str) -> "Members | None":
        raw = self.raw(name)
        return None if raw is None else Members.of(raw, self.path(name))

    def objects(self, name: str) -> list["Members"]:
        raw = self.raw(name)
        if raw is None:
            return []
        where = self.path(name)
        if bytes(memoryview(raw)[:1]) == b"{":
            return [Members.of(raw, where)]
        try:
            several = _decode_list(raw)
        except (msgspec.DecodeError, RecursionError) as error:
            raise self.bad(name, "must be a list of objects") from error
        return [Members.of(one, f"{where}[{place}]") for place, one in enumerate(several)]

    def bad(self, name: str, why: str) -> UnreadableRequest:
        where = self.path(name)
        return bad_field(f"`{where}` {why}.", where)
