"""What passes over HTTP/1.1: requests as the application sees them, header blocks, status lines.

Owns the meaning of a message's parts. Must not parse what came from a socket (`head`, `body`) and knows no connection.
"""

import re
from collections.abc import Iterable
from http import HTTPStatus

Headers = list[tuple[bytes, bytes]]
"""Names in lower case, values without surrounding whitespace; order and duplicates as they came."""

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""RFC 9110 §5.6.2."""


class Request:
    """One request.

    `target`, `path` and `query` are raw: nothing is decoded or normalised, so what is authorised is what is routed.
    `peer` is the client's address after trusted proxies are taken off. `body` is whole when the application's
    `on_request` is called, and empty in `on_head`.
    """

    __slots__ = ("_fields", "body", "headers", "method", "path", "peer", "query", "target", "version")

    def __init__(
        self,
        method: bytes,
        target: bytes,
        path: bytes,
        query: bytes,
        version: str,
        *,
        headers: Headers,
        fields: dict[bytes, bytes] | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.version = version
        self.headers = headers
        self._fields = dict(reversed(headers)) if fields is None else fields
        self.body = b""
        self.peer = ""

    def header(self, name: bytes) -> bytes | None:
        """The first value of the field `name` (in lower case), or None."""
        return self._fields.get(name)

    def has_any(self, names: frozenset[bytes]) -> bool:
        """Whether any field of these names (in lower case) is there."""
        return not names.isdisjoint(self._fields)

    def __repr__(self) -> str:
        return f"<Request {self.method.decode('latin-1')} {self.path.decode('latin-1')} from {self.peer}>"


class _FieldPrefixes(dict[bytes, bytes]):
    """`name` → `name: `, checked once per name; bounded."""

    def __missing__(self, name: bytes) -> bytes:
        if TOKEN.fullmatch(name) is None:
            raise ValueError(f"{name!r} is not a field name")
        if len(self) >= 1024:
            self.clear()
        prefix = self[name] = name + b": "
        return prefix


_PREFIXES = _FieldPrefixes()


def encode_headers(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """`[(b"a", b"1")]` → `b"a: 1\\r\\n"`. Raises ValueError on a bad name, or on CR, LF or NUL in a value."""
    lines = [_PREFIXES[name] + value for name, value in pairs]
    if not lines:
        return b""
    block = b"\r\n".join(lines) + b"\r\n"
    count = len(lines)
    if block.count(b"\n") != count or block.count(b"\r") != count or b"\0" in block:
        raise ValueError("a field value holds CR, LF or NUL")
    return block


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


STATUS_LINES = tuple(_status_line(status) for status in range(600))
"""Index by status, 100 to 599."""

BODYLESS = frozenset({204, 304})
"""Final statuses whose answers carry neither body nor `content-length` (RFC 9110 §6.4.1, §8.6)."""
