"""Newline-delimited JSON, sans I/O: cut a byte stream into whole lines.

Source: https://github.com/ndjson/ndjson-spec. Lines end with LF; a CR before it is white space to a JSON
parser. Lines are handled as bytes, so UTF-8 may be cut anywhere.
"""

from tidegate.wire.framing import FrameError


class LineOverflow(FrameError):
    """A line is larger than the bound."""


class NdjsonSplitter:
    """Feed it chunks cut anywhere; it gives whole lines, each with its LF, and none that are blank."""

    __slots__ = ("_held", "_max", "_size")

    def __init__(self, max_line_bytes: int = 16 * 1024 * 1024) -> None:
        self._max = max_line_bytes
        self._held: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Raises LineOverflow when a line grows over the bound."""
        first, newline, rest = data.partition(b"\n")
        self._size += len(first)
        if self._size > self._max:
            raise LineOverflow(f"a line is larger than {self._max} bytes")
        if first:
            self._held.append(first)
        if not newline:
            return []
        lines = [b"".join(self._held), *rest.split(b"\n")]
        last = lines.pop()
        self._held = [last] if last else []
        self._size = len(last)
        if self._size > self._max or any(len(line) > self._max for line in lines):
            raise LineOverflow(f"a line is larger than {self._max} bytes")
        return [line + b"\n" for line in lines if line and not line.isspace()]
