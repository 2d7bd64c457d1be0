"""What lies at a provider and is named by a key that tells its kind: `file_id`, `vector_store_ids`, wherever in a text.

Keys are found as they may be spelled in JSON, escapes included: a file of another consumer must not be reached by writing
its key in another way.
"""

import json
import re
from collections.abc import Collection, Iterable
from typing import Final, Literal

import msgspec

from tidegate.core.view import Reference
from tidegate.dialects.fields import bad_field

Named = Literal["file", "vector_store", "container"]


def _spelled(word: str) -> bytes:
    return b"".join(b"(?:%b|\\\\u00%b)" % (re.escape(one.encode()), _hex(ord(one))) for one in word)


def _hex(code: int) -> bytes:
    return b"".join(b"[%b%b]" % (digit.lower(), digit.upper()) for digit in (b"%x" % (code >> 4), b"%x" % (code & 15)))


def _keyed(word: str, rest: str) -> re.Pattern[bytes]:
    """The values, strings and lists, of the keys `word` and `word` + `rest`."""
    return re.compile(
        rb'"%b(?:%b)?"\s*:\s*("(?:[^"\\]|\\.)*"|\[[^\]]*\])' % (_spelled(word), _spelled(rest)), re.DOTALL
    )


_KEYS: Final[dict[Named, tuple[bytes, re.Pattern[bytes]]]] = {
    "file": (b"file_id", _keyed("file_id", "s")),
    "vector_store": (b"vector_store_id", _keyed("vector_store_id", "s")),
    "container": (b"container", _keyed("container", "_id")),
}
_decode = msgspec.json.Decoder(str | list[str]).decode


def named_files(text: bytes, field: str) -> tuple[Reference, ...]:
    """`field`: the request's field that `text` is the value of, or `file_id`. Raises UnreadableRequest."""
    return named_things("file", text, field)


def named_things(kind: Named, text: bytes, field: str) -> tuple[Reference, ...]:
    """As `named_files`."""
    plain, pattern = _KEYS[kind]
    if not may_name(kind, text):
        return ()
    names: list[str] = []
    for match in pattern.finditer(text):
        try:
            told = _decode(match[1])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            word = plain.decode()
            raise bad_field(
                f"`{word}` must be the id of a {kind.replace('_', ' ')}, or a list of such.", field
            ) from error
        names += [told] if isinstance(told, str) else told
    return tuple(Reference(kind, name, field) for name in dict.fromkeys(names))


def has_key(kind: Named, text: bytes) -> bool:
    """Whether one of its keys has a string or a list, be it of ids or not."""
    return may_name(kind, text) and _KEYS[kind][1].search(text) is not None


def check_left_out(kinds: Iterable[Named], text: bytes, found: Collection[Reference], field: str) -> None:
    """What `text` names beside `found` was left out for what stands next to it, such as a `type`: that must stand there
    once, as of two an upstream may take the other. Raises UnreadableRequest."""
    names = {one.name for one in found}
    if not any(_values(kind, text) - names for kind in kinds):
        return
    try:
        json.loads(text, object_pairs_hook=_once, strict=False, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise bad_field(
            f"A request that names what a provider keeps must be told in one way only: {error}.", field
        ) from error


def _values(kind: Named, text: bytes) -> set[str]:
    """Those that cannot be read stand for themselves."""
    found: set[str] = set()
    for match in _KEYS[kind][1].finditer(text):
        try:
            told = _decode(match[1])
        except (msgspec.DecodeError, UnicodeDecodeError):
            told = match[1].decode(errors="replace")
        found.update([told] if isinstance(told, str) else told)
    return found


def _once(pairs: list[tuple[str, object]]) -> None:
    names: set[str] = set()
    for name, _ in pairs:
        if name in names:
            raise ValueError(f"`{name[:100]}` stands twice in one object")
        names.add(name)


def may_name(kind: Named, text: bytes) -> bool:
    """Cheap, as megabytes of prose come by here: from the first byte that prose seldom has, and for short words first, as
    looking for those takes a third of the time."""
    word = _KEYS[kind][0]
    start = text.find(b"_") if b"_" in word else 0
    if start >= 0 and (kind == "container" or text.find(b"_id", start) >= 0) and word in text:
        return True
    start = text.find(b"\\")
    return start >= 0 and text.find(b"\\u00", start) >= 0
