"""`multipart/form-data` (RFC 7578) without sockets: where its parts are, and the same body with one value replaced.

Strict, since the body goes on as it came: what two parsers could read differently is an error. No preamble, no epilogue,
CRLF alone, no folded header lines, no escapes in names.
"""

import re
from typing import Final, NamedTuple

from msgspec import Struct

MAX_PARTS: Final = 128
MAX_HEAD_BYTES: Final = 8_192
MAX_VALUE_BYTES: Final = 4 * 1024 * 1024
"""Of a part that is no file."""

_MEDIA: Final = re.compile(rb"multipart/form-data[ \t]*((?:;[^;]*)*)", re.IGNORECASE)
_BOUNDARY: Final = re.compile(rb"[0-9A-Za-z'()+_,\-./:=?]{1,70}")
_TOKEN: Final = re.compile(rb"[0-9A-Za-z'+_\-.]+")
_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n\0]*)")
_DISPOSITION: Final = re.compile(
    rb"form-data((?:[ \t]*;[ \t]*[0-9A-Za-z*\-]+=(?:\"[^\"]*\"|[^\s\";]+))+)[ \t]*", re.IGNORECASE
)
_PARAMETER: Final = re.compile(rb";[ \t]*([0-9A-Za-z*\-]+)=(?:\"([^\"]*)\"|([^\s\";]+))")
_PLAIN: Final = frozenset((b"7bit", b"8bit", b"binary"))


class MultipartError(Exception):
    """Not a form that can be read in one way only; says why."""


class Part(Struct, frozen=True):
    name: str
    is_file: bool
    start: int
    end: int
    """Where its content is in the body."""
    filename: str = ""
    """As the client calls it; bytes that are not UTF-8 are replaced."""
    media_type: str = ""
    """Its content type in lower case, without parameters; "" where none is told."""


class _Head(NamedTuple):
    name: str
    is_file: bool
    filename: str
    media_type: str


class Form(Struct, frozen=True):
    body: bytes
    boundary: bytes
    parts: tuple[Part, ...]

    @property
    def content_type(self) -> bytes:
        plain = _TOKEN.fullmatch(self.boundary) is not None
        return b"multipart/form-data; boundary=" + (self.boundary if plain else b'"%b"' % self.boundary)

    def named(self, name: str) -> list[Part]:
        return [part for part in self.parts if part.name == name]

    def value(self, part: Part) -> bytes:
        return self.body[part.start : part.end]

    def with_value(self, name: str, value: bytes) -> bytes:
        """The body with the content of the part `name` replaced, or with such a part in front. Raises MultipartError."""
        if b"\r\n--" + self.boundary in b"\r\n" + value:
            raise MultipartError("the boundary is in a value")
        found = self.named(name)
        if found:
            return self.body[: found[0].start] + value + self.body[found[0].end :]
        head = b'--%b\r\ncontent-disposition: form-data; name="%b"\r\n\r\n' % (self.boundary, name.encode())
        return b"".join((head, value, b"\r\n", self.body))


def read_form(content_type: bytes, body: bytes) -> Form:
    """Raises MultipartError."""
    boundary = _boundary_of(content_type)
    opening = b"--" + boundary
    delimiter = b"\r\n" + opening
    if not body.startswith(opening):
        raise MultipartError("the body does not begin with the boundary")
    at = len(opening)
    parts: list[Part] = []
    while body[at : at + 2] == b"\r\n":
        if len(parts) == MAX_PARTS:
            raise MultipartError(f"there are more than {MAX_PARTS} parts")
        part = _part(body, at + 2, delimiter)
        parts.append(part)
        at = part.end + len(delimiter)
    if body[at:] not in (b"--", b"--\r\n"):
        raise MultipartError(f"what follows the boundary at byte {at} is no part, and not the end")
    if not parts:
        raise MultipartError("there is no part")
    return Form(body, boundary, tuple(parts))


def _boundary_of(content_type: bytes) -> bytes:
    media = _MEDIA.fullmatch(content_type.strip())
    if media is None:
        raise MultipartError("the content type is not multipart/form-data")
    found: list[bytes] = []
    for parameter in media[1].split(b";"):
        name, _, value = parameter.strip().partition(b"=")
        if name.lower() == b"boundary":
            quoted = len(value) > 1 and value[:1] == value[-1:] == b'"'
            found.append(value[1:-1] if quoted else value)
    if len(found) != 1 or _BOUNDARY.fullmatch(found[0]) is None:
        raise MultipartError("the content type does not say one boundary of 1 to 70 plain characters")
    return found[0]


def _part(body: bytes, start: int, delimiter: bytes) -> Part:
    """The part whose head begins at `start`."""
    head_end = body.find(b"\r\n\r\n", start, start + MAX_HEAD_BYTES)
    if head_end < 0:
        raise MultipartError(f"the head of the part at byte {start} does not end within {MAX_HEAD_BYTES} bytes")
    head = _read_head(body[start:head_end], start)
    content = head_end + 4
    end = body.find(delimiter, content)
    if end < 0:
        raise MultipartError(f"the part `{head.name}` does not end")
    if not head.is_file and end - content > MAX_VALUE_BYTES:
        raise MultipartError(f"the part `{head.name}` is larger than {MAX_VALUE_BYTES} bytes and is no file")
    return Part(head.name, head.is_file, content, end, head.filename, head.media_type)


def _read_head(head: bytes, at: int) -> _Head:
    dispositions: list[bytes] = []
    media_type = b""
    for line in head.split(b"\r\n"):
        match = _LINE.fullmatch(line)
        if match is None:
            raise MultipartError(f"a header line of the part at byte {at} cannot be read")
        field, value = match[1].lower(), match[2].strip()
        if field == b"content-disposition":
            dispositions.append(value)
        elif field == b"content-transfer-encoding" and value.lower() not in _PLAIN:
            raise MultipartError(f"the part at byte {at} has a transfer encoding")
        elif field == b"content-type":
            media_type = value.partition(b";")[0].strip().lower()
    if len(dispositions) != 1:
        raise MultipartError(f"the part at byte {at} does not have one content-disposition")
    return _read_disposition(dispositions[0], media_type.decode(errors="replace"), at)


def _read_disposition(value: bytes, media_type: str, at: int) -> _Head:
    match = _DISPOSITION.fullmatch(value)
    if match is None or b'\\"' in value:  # half of all parsers end a string there, and half do not
        raise MultipartError(f"the content-disposition of the part at byte {at} cannot be read")
    found: dict[bytes, bytes] = {}
    for parameter in _PARAMETER.finditer(match[1]):
        key = parameter[1].lower()
        if key in found:
            raise MultipartError(f"the part at byte {at} says `{key.decode()}` twice")
        found[key] = parameter[3] if parameter[2] is None else parameter[2]
    try:
        name = found.get(b"name", b"").decode()
    except UnicodeDecodeError as error:
        raise MultipartError(f"the name of the part at byte {at} is not UTF-8") from error
    if not name or b"name*" in found or not name.isprintable() or "\\" in name:
        raise MultipartError(f"the part at byte {at} has no plain name")
    is_file = b"filename" in found or b"filename*" in found
    return _Head(name, is_file, found.get(b"filename", b"").decode(errors="replace"), media_type)
