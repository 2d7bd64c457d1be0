"""Collects a request's body: by its length, or by its chunks, strictly (RFC 9112 §6.3, §7.1). Sans-io.

Chunk extensions are checked and dropped, trailers are checked and dropped; both are bounded.
"""

import re

from tidegate.wire.fault import malformed, too_large
from tidegate.wire.head import read_trailers

_SMALL_BYTES = 4096
_SIZE_LINE_BYTES = 256
_EXTENSION_BYTES = 4096
_SIZE_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,15})"
    rb"((?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
    rb'|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"))?)*)'
)
_SIZE_START = re.compile(rb"[0-9A-Fa-f]{1,15}(?:;[\t\x20-\x7e\x80-\xff]*)?\r?")
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")


class SizedBody:
    """Feed it what arrives; when `done`, `whole` gives the body and `rest` is what follows the request."""

    __slots__ = ("_length", "_missing", "_pieces", "done", "rest")

    def __init__(self, length: int) -> None:
        self._length = length
        self._missing = length
        self._pieces: list[bytes | bytearray] = []
        """As they were read, for a body is copied once; small ones are run together, so that they stay few."""
        self.rest = b""
        self.done = False

    def feed(self, data: bytes) -> bool:
        """→ `done`."""
        if len(data) >= self._missing:
            self.rest = data[self._missing :]
            data = data[: self._missing]
            self.done = True
        self._missing -= len(data)
        last = self._pieces[-1] if self._pieces else None
        if len(data) >= _SMALL_BYTES:
            self._pieces.append(data)
        elif isinstance(last, bytearray):
            last += data
        else:
            self._pieces.append(bytearray(data))
        return self.done

    @property
    def size(self) -> int:
        """Bytes of it that have come."""
        return self._length - self._missing

    def whole(self) -> bytes:
        return b"".join(self._pieces)


class ChunkedBody:
    """As `SizedBody`; `feed` raises WireFault."""

    __slots__ = ("_body", "_extension_bytes", "_left", "_max_bytes", "_max_head_bytes", "_max_headers", "done", "rest")

    def __init__(self, max_bytes: int, max_head_bytes: int, max_headers: int) -> None:
        self._max_bytes = max_bytes
        self._max_head_bytes = max_head_bytes
        self._max_headers = max_headers
        self._extension_bytes = 0
        self._left = 0
        """Bytes of the chunk that are still to come, its CRLF counted; -1 in the trailer section."""
        self._body = bytearray()
        self.rest = b""
        self.done = False

    def feed(self, data: bytes) -> bool:
        """→ `done`. Raises WireFault."""
        if self.rest:
            data = self.rest + data
        position = 0
        while not self.done:
            if self._left > 0:
                moved = self._take_data(data, position)
            elif self._left == 0:
                moved = self._take_size(data, position)
            else:
                moved = self._take_trailers(data, position)
            if moved == position:
                break
            position = moved
        self.rest = data[position:]
        return self.done

    @property
    def size(self) -> int:
        return len(self._body)

    def whole(self) -> bytes:
        return bytes(self._body)

    def _take_data(self, data: bytes, position: int) -> int:
        payload = self._left - 2
        if payload > 0:
            piece = data[position : position + payload]
            self._body += piece
            self._left -= len(piece)
            return position + len(piece)
        end = data[position : position + 2]
        if end != b"\r\n"[: len(end)]:
            raise malformed("a chunk is longer than its size says")
        if len(end) == 2:
            self._left = 0
            return position + 2
        return position

    def _take_size(self, data: bytes, position: int) -> int:
        end = data.find(b"\r\n", position, position + _SIZE_LINE_BYTES)
        if end < 0:
            start = data[position : position + _SIZE_LINE_BYTES]
            if start and (len(start) == _SIZE_LINE_BYTES or _SIZE_START.fullmatch(start) is None):
                raise malformed("a chunk's size line is malformed")
            return position
        match = _SIZE_LINE.fullmatch(data, position, end)
        if match is None:
            raise malformed("a chunk's size line is malformed")
        digits, extension = match.groups()
        self._extension_bytes += len(extension)
        if self._extension_bytes > _EXTENSION_BYTES:
            raise malformed("the chunk extensions are too long")
        size = int(digits, 16)
        if len(self._body) + size > self._max_bytes:
            raise too_large(413, f"the request body is larger than {self._max_bytes} bytes")
        self._left = size + 2 if size else -1
        return end + 2

    def _take_trailers(self, data: bytes, position: int) -> int:
        if data.startswith(b"\r\n", position):
            self.done = True
            return position + 2
        end = data.find(b"\r\n\r\n", position)
        if end > position + self._max_head_bytes or (end < 0 and len(data) - position > self._max_head_bytes):
            raise too_large(431, f"the trailer section is larger than {self._max_head_bytes} bytes")
        if end < 0:
            if _BARE.search(data, position) is not None:
                raise malformed("a line ends in a bare CR or LF")
            return position
        read_trailers(data[position:end], self._max_headers)
        self.done = True
        return end + 4
