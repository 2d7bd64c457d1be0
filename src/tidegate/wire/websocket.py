"""WebSocket (RFC 6455), sans-io: the opening handshake's key, frames out, bytes in to whole messages.

No extension is ever negotiated, so a reserved bit is a fault. Fragments are joined: an endpoint without extensions may send
a message in other frames than it came in (§5.4).
"""

from base64 import b64decode, b64encode
from collections.abc import Iterator
from hashlib import sha1
from typing import Final, NamedTuple

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
NO_CODE: Final = 1005
"""The close frame was empty. Never sent, as `LOST`."""
LOST: Final = 1006
"""The connection ended without a close frame."""
NOT_UTF8: Final = 1007
POLICY: Final = 1008
TOO_BIG: Final = 1009
INTERNAL: Final = 1011

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTROL_BYTES: Final = 125
_UNSENDABLE: Final = frozenset((1004, NO_CODE, LOST, 1015))
_FAMILIAR_CODES: Final = range(1000, 1015)
_PRIVATE_CODES: Final = range(3000, 5000)


class WebSocketFault(Exception):
    """The peer broke the protocol or a bound: close with `code`. The message may be told to it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Message(NamedTuple):
    """A whole message, or a control frame, by `opcode`."""

    opcode: int
    payload: bytes


def is_key(value: bytes) -> bool:
    """Whether it can be a `sec-websocket-key`: sixteen bytes in base64."""
    try:
        return len(value) == 24 and len(b64decode(value, validate=True)) == 16
    except ValueError:
        return False


def key_of(noise: bytes) -> bytes:
    """A `sec-websocket-key` from sixteen random bytes."""
    return b64encode(noise)


def accept_of(key: bytes) -> bytes:
    """The `sec-websocket-accept` that answers a key."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def masked(payload: bytes, key: bytes) -> bytes:
    """`payload` under the four bytes of `key`; twice is the identity. One big XOR: linear, and no loop of ours."""
    size = len(payload)
    if not size:
        return b""
    repeated = (key * ((size >> 2) + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")).to_bytes(size, "little")


def encode_frame(opcode: int, payload: bytes, mask_key: bytes = b"") -> bytes:
    """One whole message. `mask_key`: four random bytes from a client, b"" from a server (§5.1)."""
    size = len(payload)
    mask_bit = 0x80 if mask_key else 0
    if size < 126:
        head = bytes((0x80 | opcode, mask_bit | size))
    elif size < 65_536:
        head = bytes((0x80 | opcode, mask_bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, mask_bit | 127)) + size.to_bytes(8, "big")
    return b"".join((head, mask_key, masked(payload, mask_key))) if mask_key else head + payload


def encode_close(code: int, reason: str = "", mask_key: bytes = b"") -> bytes:
    """A close frame; one without a code for codes that are never sent. A reason that is too long is cut."""
    payload = b""
    if code not in _UNSENDABLE:
        text = reason.encode("utf-8", "replace")[: _CONTROL_BYTES - 2].decode("utf-8", "ignore")
        payload = code.to_bytes(2, "big") + text.encode()
    return encode_frame(CLOSE, payload, mask_key)


def read_close(payload: bytes) -> tuple[int, str]:
    """(code, reason) of a close frame. Raises WebSocketFault."""
    if not payload:
        return NO_CODE, ""
    code = int.from_bytes(payload[:2], "big")
    known = code in _PRIVATE_CODES or (code in _FAMILIAR_CODES and code not in _UNSENDABLE)
    if len(payload) < 2 or not known:
        raise WebSocketFault(PROTOCOL_ERROR, "the close frame has no valid code")
    return code, _text(payload[2:])


class MessageReader:
    """Bytes of one side, cut anywhere, to messages and control frames.

    `from_client`: its frames must be masked, a server's must not. `max_bytes` bounds a message, fragments together.
    """

    __slots__ = ("_buffer", "_from_client", "_max_bytes", "_opcode", "_parts")

    def __init__(self, *, from_client: bool, max_bytes: int) -> None:
        self._from_client = from_client
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._opcode = CONTINUATION
        """Of the message whose first fragments have come; CONTINUATION: none."""
        self._parts = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Each as soon as it is whole. Raises WebSocketFault; nothing can be read after that."""
        buffer = self._buffer
        buffer += data
        position = 0
        try:
            while (frame := self._frame(position)) is not None:
                final, opcode, payload, position = frame
                message = self._joined(final, opcode, payload)
                if message is not None:
                    yield message
        finally:
            del buffer[:position]

    def _frame(self, start: int) -> tuple[bool, int, bytes, int] | None:
        """(final, opcode, payload, where the next one begins); None where it is not whole."""
        buffer = self._buffer
        if len(buffer) - start < 2:
            return None
        first, second = buffer[start], buffer[start + 1]
        opcode, size = first & 0x0F, second & 0x7F
        self._check(first, opcode, size, is_masked=second >= 0x80)
        body = start + 2
        if size >= 126:
            width = 2 if size == 126 else 8
            body += width
            if len(buffer) < body:
                return None
            least = 126 if width == 2 else 65_536
            size = int.from_bytes(buffer[body - width : body], "big")
            if size < least or size >= 1 << 63:
                raise WebSocketFault(PROTOCOL_ERROR, "the length of a frame is not written as it must be")
        if size + len(self._parts) > self._max_bytes and opcode < CLOSE:
            raise WebSocketFault(TOO_BIG, f"a message is larger than {self._max_bytes} bytes")
        mask_end = body + 4 if self._from_client else body
        end = mask_end + size
        if len(buffer) < end:
            return None
        payload = bytes(memoryview(buffer)[mask_end:end])
        if self._from_client:
            payload = masked(payload, bytes(buffer[body:mask_end]))
        return first >= 0x80, opcode, payload, end

    def _check(self, first: int, opcode: int, size: int, *, is_masked: bool) -> None:
        if first & 0x70:
            raise WebSocketFault(PROTOCOL_ERROR, "a reserved bit is set, and no extension was agreed upon")
        if is_masked != self._from_client:
            raise WebSocketFault(PROTOCOL_ERROR, "a client must mask its frames, and a server must not")
        if opcode >= CLOSE:
            if opcode > PONG or first < 0x80 or size > _CONTROL_BYTES:
                raise WebSocketFault(PROTOCOL_ERROR, "a control frame is unknown, in fragments or too long")
        elif opcode > BINARY:
            raise WebSocketFault(PROTOCOL_ERROR, "a frame has an unknown opcode")
        elif (opcode == CONTINUATION) != (self._opcode != CONTINUATION):
            raise WebSocketFault(PROTOCOL_ERROR, "the fragments of a message are out of order")

    def _joined(self, final: bool, opcode: int, payload: bytes) -> Message | None:
        if opcode >= CLOSE:
            return Message(opcode, payload)
        if not final or opcode == CONTINUATION:
            self._opcode = self._opcode or opcode
            self._parts += payload
            if not final:
                return None
            opcode, payload = self._opcode, bytes(self._parts)
            self._opcode = CONTINUATION
            self._parts = bytearray()
        if opcode == TEXT:
            _text(payload)
        return Message(opcode, payload)


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise WebSocketFault(NOT_UTF8, "a text is not UTF-8") from None
