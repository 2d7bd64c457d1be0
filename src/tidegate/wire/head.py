"""Reads the head of a request, strictly: RFC 9112 §2 to §6 without any of the leniencies it allows.

Sans-io. Whatever another HTTP parser could understand differently is refused, because a disagreement about where a
request ends is how a second one is smuggled past a gateway. Lines that recur (most of a client's do) are checked once
and remembered in bounded tables; those that hold credentials are never remembered.
"""

import re

from tidegate.wire.fault import WireFault, malformed, too_large
from tidegate.wire.message import TOKEN, Headers, Request

CHUNKED = -1
"""The body length of a request whose body is chunked."""

_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS"})
_CONTROLS = bytes({*range(32), 127} - {9})
_PATH = re.compile(rb"/(?:[A-Za-z0-9\-._~:@!$&'()*+,;=/]|%(?!00)[0-9A-Fa-f]{2})*")
_QUERY = re.compile(rb"(?:[A-Za-z0-9\-._~:@!$&'()*+,;=/?\[\]{}|]|%[0-9A-Fa-f]{2})*")
_AUTHORITY = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=]+)(?::[0-9]{0,5})?")
_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")
_ABSOLUTE = re.compile(rb"https?://([^/?]*)([^?]*)", re.IGNORECASE)
_LINE_ENDS = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")

_SINGLE = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"content-type",
        b"expect",
        b"origin",
        b"authorization",
        b"proxy-authorization",
    }
)
"""Fields of which a second one makes the request ambiguous."""
_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding"})
_FORGOTTEN = re.compile(rb"auth|key|token|cookie|secret|password|signature|credential|trace|protocol|-id$")
"""Fields that hold credentials (browsers put them into `sec-websocket-protocol`), or differ from request to request."""
_TRAILER_BANNED = _FRAMING | _SINGLE | {b"connection", b"te", b"trailer", b"upgrade", b"keep-alive", b"cookie"}
_CODINGS = frozenset({b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress"})
_TABLE_ENTRIES = 2048
_TABLE_LINE_BYTES = 256

_RequestLine = tuple[bytes, bytes, bytes, bytes, str, bytes]


class _RequestLines(dict[bytes, _RequestLine]):
    """Request line → (method, target, path, query, version, authority of an absolute target)."""

    def __missing__(self, line: bytes) -> _RequestLine:
        parsed = read_request_line(line)
        if len(line) <= _TABLE_LINE_BYTES and not parsed[3]:  # a query may hold a key
            if len(self) >= _TABLE_ENTRIES:
                self.clear()
            self[line] = parsed
        return parsed


class _FieldLines(dict[bytes, tuple[bytes, bytes]]):
    """Field line → (name, value)."""

    def __init__(self) -> None:
        self._names: dict[bytes, tuple[bytes, bool]] = {}
        """A field's name as it was written → in lower case, and whether its lines are worth remembering."""

    def __missing__(self, line: bytes) -> tuple[bytes, bytes]:
        written, colon, value = line.partition(b":")
        known = self._names.get(written)
        if known is None or not colon:
            field = read_field(line)
            name = field[0]
            remember = _FORGOTTEN.search(name) is None
            if name != b"host" and len(written) <= 64:  # Host has a grammar of its own
                if len(self._names) >= _TABLE_ENTRIES:
                    self._names.clear()
                self._names[written] = name, remember
        else:
            name, remember = known
            value = value.strip(b" \t")
            if len(value.translate(None, _CONTROLS)) != len(value):
                raise malformed("a field value holds a control character")
            field = name, value
        if remember and len(line) <= _TABLE_LINE_BYTES:
            if len(self) >= _TABLE_ENTRIES:
                self.clear()
            self[line] = field
        return field


class Head:
    """A request's head: the request, and how its body is framed and its connection is to go on.

    `length` is the body's size in bytes or `CHUNKED`; `expects` means that the client waits for a 100.
    """

    __slots__ = ("expects", "keep_alive", "length", "request")

    def __init__(self, request: Request, length: int, keep_alive: bool, expects: bool) -> None:
        self.request = request
        self.length = length
        self.keep_alive = keep_alive
        self.expects = expects


class HeadParser:
    """Parses heads; holds the tables of known lines. One per server."""

    __slots__ = ("_field", "_line", "max_headers")

    def __init__(self, max_headers: int) -> None:
        self.max_headers = max_headers
        self._line = _RequestLines().__getitem__
        self._field = _FieldLines().__getitem__

    def parse(self, head: bytes) -> Head:
        """`head` is everything before the empty line, without the CRLFs that end it. Raises WireFault."""
        lines = head.split(b"\r\n")
        if len(lines) > self.max_headers + 1:
            raise too_large(431, f"the request has more than {self.max_headers} header fields")
        method, target, path, query, version, authority = self._line(lines[0])
        del lines[0]
        headers = list(map(self._field, lines))
        fields = dict(headers)
        connection = fields.get(b"connection")
        if len(fields) != len(headers):
            _refuse_repeated(headers)
            fields = dict(reversed(headers))
            if connection is not None:
                connection = b",".join([value for name, value in headers if name == b"connection"])
        host = fields.get(b"host")
        if host is None:
            if version == "1.1":
                raise malformed("an HTTP/1.1 request needs a Host field")
        elif authority and host.lower() != authority:
            raise malformed("the Host field and the request target name different authorities")
        keep_alive = version == "1.1"
        if connection is not None:
            keep_alive = _keeps_alive(connection, keep_alive)
        length = 0
        if b"content-length" in fields or b"transfer-encoding" in fields:
            length = _body_length(fields, version)
        expects = False
        if b"expect" in fields:
            expects = _expects(fields[b"expect"], version)
        return Head(
            Request(method, target, path, query, version, headers=headers, fields=fields), length, keep_alive, expects
        )


def _refuse_repeated(headers: Headers) -> None:
    seen: set[bytes] = set()
    for name, _ in headers:
        if name in seen and name in _SINGLE:
            raise malformed(f"the field {name.decode()} is repeated")
        seen.add(name)


def _keeps_alive(connection: bytes, default: bool) -> bool:
    options = {option.strip(b" \t").lower() for option in connection.split(b",")}
    if not options.isdisjoint(_FRAMING):
        raise malformed("the Connection field names a field that frames the request")
    if b"close" in options:
        return False
    return default or b"keep-alive" in options


def _body_length(fields: dict[bytes, bytes], version: str) -> int:
    coding = fields.get(b"transfer-encoding")
    length = fields.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise malformed("the request has both Content-Length and Transfer-Encoding")
        if version != "1.1":
            raise malformed("HTTP/1.0 has no Transfer-Encoding")
        return _chunked(coding.lower())
    if length is None or not length.isdigit():
        raise malformed("Content-Length is not a number")
    if len(length) > 18:
        raise too_large(413, "Content-Length is beyond any limit")
    return int(length)


def _chunked(coding: bytes) -> int:
    if coding == b"chunked":
        return CHUNKED
    *others, last = [part.strip(b" \t") for part in coding.split(b",")]
    if last == b"chunked" and others and _CODINGS.issuperset(others):
        raise WireFault(501, "not_implemented", "the only transfer coding served is chunked")
    raise malformed("Transfer-Encoding is not chunked")


def _expects(expectation: bytes, version: str) -> bool:
    if version != "1.1":
        return False  # RFC 9110 §10.1.1: a 1.0 client cannot mean it
    if expectation.lower() != b"100-continue":
        raise WireFault(417, "expectation_failed", "the only expectation served is 100-continue")
    return True


def read_request_line(line: bytes) -> _RequestLine:
    """RFC 9112 §3: method SP target SP version, single spaces. Raises WireFault."""
    parts = line.split(b" ")
    if len(parts) != 3:
        raise malformed("the request line is not `method target HTTP/1.1`")
    method, target, version = parts
    if TOKEN.fullmatch(method) is None:
        raise malformed("the method is not a token")
    if _VERSION.fullmatch(version) is None:
        raise malformed("the request line does not end in an HTTP version")
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise WireFault(505, "http_version_not_supported", "this server speaks HTTP/1.1 and HTTP/1.0")
    if method not in _METHODS:
        raise WireFault(501, "not_implemented", "the method is not served here")
    path, query, authority = _read_target(method, target)
    return method, target, path, query, version[5:].decode(), authority


def _read_target(method: bytes, target: bytes) -> tuple[bytes, bytes, bytes]:
    """RFC 9112 §3.2 → (path, query, authority in lower case or empty)."""
    if target == b"*":
        if method != b"OPTIONS":
            raise malformed("the target * is for OPTIONS only")
        return target, b"", b""
    path, _, query = target.partition(b"?")
    authority = b""
    if path[:1] != b"/":
        match = _ABSOLUTE.fullmatch(path)
        if match is None:
            raise malformed("the request target is neither a path nor an http URI")
        authority, path = match.groups()
        authority = authority.lower()
        path = path or b"/"
        if _AUTHORITY.fullmatch(authority) is None:
            raise malformed("the authority of the request target is malformed")
    if _PATH.fullmatch(path) is None or _QUERY.fullmatch(query) is None:
        raise malformed("the request target holds a character that is not allowed in a URI")
    return path, query, authority


def read_field(line: bytes) -> tuple[bytes, bytes]:
    """RFC 9112 §5, one field line without its CRLF → (name in lower case, value). Raises WireFault."""
    name, colon, value = line.partition(b":")
    if TOKEN.fullmatch(name) is None or not colon:
        if line[:1] in (b" ", b"\t"):
            raise malformed("a header line is folded (obs-fold) or starts with whitespace")
        raise malformed("a header line does not start with a field name and a colon")
    if len(value.translate(None, _CONTROLS)) != len(value):
        raise malformed("a field value holds a control character")
    name = name.lower()
    value = value.strip(b" \t")
    if b"_" in name and name.replace(b"_", b"-") in _FRAMING:
        raise malformed("a field name imitates one that frames the request")
    if name == b"host" and _AUTHORITY.fullmatch(value) is None:
        raise malformed("the Host field is malformed")
    return name, value


def read_trailers(block: bytes, max_headers: int) -> None:
    """Checks the trailer section of a chunked body; its fields are dropped. Raises WireFault."""
    lines = block.split(b"\r\n")
    if len(lines) > max_headers:
        raise too_large(431, f"the request has more than {max_headers} trailer fields")
    for line in lines:
        if read_field(line)[0] in _TRAILER_BANNED:
            raise malformed("a trailer field belongs in the head")


def check_partial(data: bytes, line_done: bool) -> bool:
    """A head that is not whole yet is refused once it cannot become good. → whether its first line was checked."""
    if _LINE_ENDS.search(data) is not None:
        raise malformed("a line ends in a bare CR or LF")
    if not line_done:
        end = data.find(b"\r\n")
        if end >= 0:
            read_request_line(data[:end])
            return True
    return line_done
