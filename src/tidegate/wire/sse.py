"""Server-sent events, sans I/O: cut a byte stream into whole events, read one, write one.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html. Lines end with LF, CRLF or CR and with nothing else:
U+2028 inside JSON is text. Events are handled as bytes, so UTF-8 may be cut anywhere.
"""

import re
from typing import Final

from tidegate.wire.framing import FrameError

_BLANK: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LARGE: Final = 65_536
_LINE: Final = re.compile(rb"\r\n|\n|\r")


class SseOverflow(FrameError):
    """An event is larger than the bound."""


class SseSplitter:
    """Feed it chunks cut anywhere; it gives whole events, each with the blank line that ends it."""

    __slots__ = ("_max", "_more", "_rest", "_size")

    def __init__(self, max_event_bytes: int = 16 * 1024 * 1024) -> None:
        self._max = max_event_bytes
        self._rest = b""
        self._more: list[bytes] = []
        """What has come behind a large `_rest`: pieces without the end of a line, but for the last one's last bytes."""
        self._size = 0
        """Of `_rest` and `_more`, where there is `_more`."""

    def feed(self, data: bytes) -> list[bytes]:
        """Raises SseOverflow when what is held back grows over the bound."""
        if self._rest:
            if len(self._rest) <= _LARGE:
                data = self._rest + data
            elif self._completes(data):
                data = b"".join((self._rest, *self._more, data))
                self._more.clear()
            else:
                return []
            self._rest = b""
        if b"\r" in data:
            return self._feed_any(data)
        if data.endswith(b"\n\n") and data.find(b"\n\n") == len(data) - 2:
            return [data]  # as nearly every read of a stream is
        events = data.split(b"\n\n")
        rest = events.pop()
        if rest:
            self._hold(rest)
        return [event + b"\n\n" for event in events]

    def end(self) -> bytes:
        """What is left over: an event without its blank line, which is no event."""
        rest, self._rest = b"".join((self._rest, *self._more)), b""
        self._more.clear()
        return rest

    def _completes(self, data: bytes) -> bool:
        """Whether an event may end in `data`. If not it is kept apart: joined each time, a picture would cost its square."""
        before = self._more[-1] if self._more else self._rest
        if b"\n" in data or b"\r" in data or before.endswith((b"\n", b"\r")):
            return True
        self._size = (self._size if self._more else len(self._rest)) + len(data)
        if self._size > self._max:
            raise SseOverflow(f"an event is larger than {self._max} bytes")
        self._more.append(data)
        return False

    def _feed_any(self, data: bytes) -> list[bytes]:
        events: list[bytes] = []
        start = 0
        for blank in _BLANK.finditer(data):
            # A CR at the very end may be the first half of a CRLF.
            if blank.end() == len(data) and data.endswith(b"\r"):
                break
            events.append(data[start : blank.end()])
            start = blank.end()
        if start < len(data):
            self._hold(data[start:])
        return events

    def _hold(self, rest: bytes) -> None:
        if len(rest) > self._max:
            raise SseOverflow(f"an event is larger than {self._max} bytes")
        self._rest = rest


def sse_data(event: bytes) -> bytes:
    """The `data` of an event: its data lines joined by LF, one space after the colon taken off."""
    return _field(event, b"data")


def sse_name(event: bytes) -> bytes:
    """The `event` of an event; b"" when it has none."""
    return _field(event, b"event").rpartition(b"\n")[2]


def sse_event(data: bytes, name: bytes = b"") -> bytes:
    """Writes one event; line ends inside `data` become further data lines."""
    lines = b"".join(b"data: " + line + b"\n" for line in _LINE.split(data))
    return (b"event: " + name + b"\n" if name else b"") + lines + b"\n"


def _field(event: bytes, name: bytes) -> bytes:
    values: list[bytes] = []
    for line in event.split(b"\n") if b"\r" not in event else _LINE.split(event):
        if line.startswith(name):
            field, separator, value = line.partition(b":")
            if field == name:
                values.append(value.removeprefix(b" ") if separator else b"")
    return values[0] if len(values) == 1 else b"\n".join(values)
