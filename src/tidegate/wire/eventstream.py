"""AWS event-stream frames, sans I/O: cut a byte stream into whole frames, read one, write one.

Source: https://smithy.io/2.0/aws/amazon-eventstream.html. All numbers are big-endian:

    4 total length, 4 headers length, 4 CRC-32 of these eight bytes, headers, payload, 4 CRC-32 of all before
    a header: 1 name length, name, 1 type, value (of a string, type 7: 2 length, UTF-8)
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple
from zlib import crc32

from tidegate.wire.framing import FrameError

MAX_HEADERS: Final = 128 * 1024
MAX_PAYLOAD: Final = 24 * 1024 * 1024

_PRELUDE: Final = Struct("!III")
_CRC: Final = Struct("!I")
_LENGTH: Final = Struct("!H")
_OVERHEAD: Final = _PRELUDE.size + _CRC.size
_STRING: Final = 7
_FIXED: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Length of the value of each type that has no length of its own: booleans, integers, timestamp, UUID."""
_KNOWN_BYTES: Final = 256
"""Header blocks up to this are remembered: a stream has a few of them, over and over."""
_MEASURED: Final = frozenset((6, _STRING))
"""Types whose value begins with its length: bytes and strings."""


class Frame(NamedTuple):
    headers: Mapping[str, str]
    """Those that are strings; every header that AWS's APIs define is one."""
    payload: bytes


def encode_frame(headers: Iterable[tuple[str, str]], payload: bytes) -> bytes:
    """Raises ValueError where a header is too long for its length field, or the whole for the bounds."""
    block = b"".join(_header(name.encode(), value.encode()) for name, value in headers)
    if len(block) > MAX_HEADERS or len(payload) > MAX_PAYLOAD:
        raise ValueError("the headers or the payload are larger than a frame may be")
    lengths = _PRELUDE.pack(_OVERHEAD + len(block) + len(payload), len(block), 0)[:8]
    message = b"".join((lengths, _CRC.pack(crc32(lengths)), block, payload))
    return message + _CRC.pack(crc32(message))


def decode_frame(frame: bytes) -> Frame:
    """`frame` is one whole frame as the splitter gives it, its checksums checked. Raises FrameError."""
    size = _PRELUDE.unpack_from(frame)[1] if len(frame) >= _OVERHEAD else 0
    if len(frame) < _OVERHEAD + size:
        raise FrameError("a frame is shorter than it says")
    start = _PRELUDE.size
    block = frame[start : start + size]
    headers = _known_headers(block) if size <= _KNOWN_BYTES else _headers(block)
    return Frame(headers, frame[start + size : -_CRC.size])


class EventStreamSplitter:
    """Feed it chunks cut anywhere; it gives whole frames, checked by both their checksums."""

    __slots__ = ("_held", "_needed")

    def __init__(self) -> None:
        self._held = bytearray()
        self._needed = _PRELUDE.size
        """How many held bytes the next step wants: a prelude, or the frame that a prelude announced."""

    @property
    def unfinished(self) -> bool:
        """A frame has begun and not ended."""
        return bool(self._held)

    def feed(self, data: bytes) -> list[bytes]:
        """Raises FrameError when what came cannot be a frame, or announces more than a frame may have."""
        held = self._held
        held += data
        frames: list[bytes] = []
        start = 0
        while len(held) - start >= self._needed:
            if self._needed == _PRELUDE.size:
                self._needed = _lengths(held, start)[0]
                continue
            end = start + self._needed
            (told,) = _CRC.unpack_from(held, end - _CRC.size)
            frame = bytes(memoryview(held)[start:end])
            if told != crc32(memoryview(frame)[: -_CRC.size]):
                raise FrameError("a frame's checksum does not match its bytes")
            frames.append(frame)
            start = end
            self._needed = _PRELUDE.size
        del held[:start]
        return frames


def _lengths(data: bytes | bytearray, start: int = 0) -> tuple[int, int]:
    """(of the frame, of its headers), from a prelude that is whole."""
    if len(data) - start < _PRELUDE.size:
        raise FrameError("a frame is shorter than its prelude")
    total, headers, told = _PRELUDE.unpack_from(data, start)
    if told != crc32(bytes(data[start : start + 8])):
        raise FrameError("a frame's prelude does not match its checksum")
    if headers > MAX_HEADERS:
        raise FrameError(f"a frame's headers are larger than {MAX_HEADERS} bytes")
    if total > MAX_PAYLOAD + headers + _OVERHEAD:
        raise FrameError(f"a frame's payload is larger than {MAX_PAYLOAD} bytes")
    if total < headers + _OVERHEAD:
        raise FrameError("a frame's headers are longer than the frame")
    return total, headers


def _header(name: bytes, value: bytes) -> bytes:
    if not 0 < len(name) < 256 or len(value) > 0x7FFF:
        raise ValueError("a header's name has 1 to 255 bytes, its value at most 32767")
    return b"%c%b%c%b%b" % (len(name), name, _STRING, _LENGTH.pack(len(value)), value)


@lru_cache(maxsize=128)
def _known_headers(block: bytes) -> Mapping[str, str]:
    return _headers(block)


def _headers(block: bytes) -> Mapping[str, str]:
    found: dict[str, str] = {}
    seen: set[bytes] = set()
    place = 0
    try:
        while place < len(block):
            end = place + 1 + block[place]
            name, kind = block[place + 1 : end], block[end]
            place = end + 1
            if name in seen:
                raise FrameError(f"a frame has the header {name.decode('latin-1')} twice")
            seen.add(name)
            if kind in _MEASURED:
                (size,) = _LENGTH.unpack_from(block, place)
                place += _LENGTH.size
            else:
                size = _FIXED[kind]
            if place + size > len(block):
                raise FrameError("a frame's header is longer than all its headers")
            if kind == _STRING:
                found[name.decode()] = block[place : place + size].decode()
            place += size
    except (IndexError, KeyError, UnicodeDecodeError, ValueError) as error:
        raise FrameError("a frame's headers cannot be read") from error
    except StructError as error:
        raise FrameError("a frame's headers end too early") from error
    return found
