"""Files at a provider that a request names: `file_id` and `file_ids`, wherever in it they are.

Keys are found as they may be spelled in JSON, escapes included: a file of another consumer must not be reached by writing
its key in another way.
"""

import re
from typing import Final

import msgspec

from tidegate.core.view import Reference
from tidegate.dialects.fields import bad_field


def _spelled(word: str) -> bytes:
    return b"".join(b"(?:%b|\\\\u00%b)" % (re.escape(one.encode()), _hex(ord(one))) for one in word)


def _hex(code: int) -> bytes:
    return b"".join(b"[%b%b]" % (digit.lower(), digit.upper()) for digit in (b"%x" % (code >> 4), b"%x" % (code & 15)))


_NAMED: Final = re.compile(
    rb'"%b(?:%b)?"\s*:\s*("(?:[^"\\]|\\.)*"|\[[^\]]*\])' % (_spelled("file_id"), _spelled("s")), re.DOTALL
)
_decode = msgspec.json.Decoder(str | list[str]).decode


def named_files(text: bytes, field: str) -> tuple[Reference, ...]:
    """`field`: the request's field that `text` is the value of, or `file_id`. Raises UnreadableRequest."""
    if not _may_name(text):
        return ()
    names: list[str] = []
    for match in _NAMED.finditer(text):
        try:
            told = _decode(match[1])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise bad_field("`file_id` must be the id of a file, and `file_ids` a list of such.", field) from error
        names += [told] if isinstance(told, str) else told
    return tuple(Reference("file", name, field) for name in dict.fromkeys(names))


def _may_name(text: bytes) -> bool:
    """Cheap, as megabytes of prose come by here: from the first byte that prose seldom has, and for short words first, as
    looking for those takes a third of the time."""
    start = text.find(b"_")
    if start >= 0 and text.find(b"_id", start) >= 0 and b"file_id" in text:
        return True
    start = text.find(b"\\")
    return start >= 0 and text.find(b"\\u00", start) >= 0
