"""What the spool holds: one SpoolRecord per call, framed with its length and a checksum.

Owns the bytes of a frame and nothing of files. A frame is `length, crc, payload`: two little-endian u32 and msgpack.
The CRC-32 is seeded with the length, so a flipped bit in either is seen. A length of 0 is the end: segments are made of
zeros.
"""

import struct
from typing import Any
from zlib import crc32

import msgspec
from msgspec import Struct, structs

from tidegate.core.decision import Decision
from tidegate.core.usage import UsageEvent

FRAME = struct.Struct("<II")
MAX_PAYLOAD_BYTES = 65_536
"""A longer record loses its Decision, then its raw usage and tags: the event itself is always kept."""

_INT64_MAX = 2**63 - 1


class SpoolRecord(Struct, frozen=True, array_like=True):
    """`decision` is None where a policy switched logging off."""

    event: UsageEvent
    decision: Decision | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SpoolRecord).decode
_pack = FRAME.pack


def checksum(payload: bytes) -> int:
    return crc32(payload, len(payload))


def frame(record: SpoolRecord) -> bytes:
    """The bytes to append. What msgpack cannot hold (integers over 64 bits, lone surrogates) is mended, not refused."""
    try:
        payload = _encode(record)
    except (OverflowError, UnicodeError):
        payload = _encode(_mended(record))
    if len(payload) > MAX_PAYLOAD_BYTES:
        payload = _shortened(record)
    return _pack(len(payload), crc32(payload, len(payload))) + payload


def decode(payload: bytes) -> SpoolRecord:
    """Raises msgspec.MsgspecError where the payload is not a record of this version."""
    return _decode(payload)


def _shortened(record: SpoolRecord) -> bytes:
    event = _mended(record).event
    payload = _encode(SpoolRecord(event))
    if len(payload) <= MAX_PAYLOAD_BYTES:
        return payload
    usage = structs.replace(event.usage, raw=b"null")
    bare = {name: value[:512] for name, value in structs.asdict(event).items() if isinstance(value, str)}
    return _encode(SpoolRecord(structs.replace(event, **bare, usage=usage, tags={})))


def _mended(record: SpoolRecord) -> SpoolRecord:
    """The record without its Decision, each value made fit for msgpack; a cost out of range is unknown."""
    event = record.event
    usage = structs.replace(event.usage, **_fit(structs.asdict(event.usage)))
    cost = event.cost_nano if event.cost_nano is None or abs(event.cost_nano) <= _INT64_MAX else None
    fit = _fit(structs.asdict(event)) | {"usage": usage, "cost_nano": cost}
    return SpoolRecord(UsageEvent(**fit))


def _fit(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _fit_value(value) for name, value in fields.items()}


def _fit_value(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-_INT64_MAX, min(value, _INT64_MAX))
    if isinstance(value, dict):
        return {_fit_value(key): _fit_value(inner) for key, inner in value.items()}
    return value
