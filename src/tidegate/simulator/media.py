"""Pictures and sounds that can be told apart and opened: small, and the same for the same randomness."""

import random
import struct
import zlib
from base64 import b64decode
from typing import Final

_SIDE: Final = 8
_JPEG: Final = b64decode(
    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////"
    "////////wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPxA="
)
_WEBP: Final = b64decode("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
_RATE: Final = 24_000
"""Samples a second, of 16 bits: how OpenAI's `pcm` comes."""
_BEGINNINGS: Final = {
    "mp3": b"\xff\xfb\x90\x00",
    "opus": b"OggS\x00\x02",
    "aac": b"\xff\xf1\x50\x80",
    "flac": b"fLaC\x00\x00\x00\x22",
}


def picture(rng: random.Random, form: str) -> bytes:
    """`png` of random colours; `jpeg` and `webp` are one point each."""
    if form == "jpeg":
        return _JPEG
    if form == "webp":
        return _WEBP
    rows = b"".join(b"\x00" + rng.randbytes(_SIDE * 3) for _ in range(_SIDE))
    head = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def sound(rng: random.Random, form: str, milliseconds: int) -> bytes:
    """`pcm` and `wav` are noise of that length, 24 kHz, one channel; the others begin as such files do."""
    if form not in ("pcm", "wav"):
        return _BEGINNINGS[form] + rng.randbytes(milliseconds * 4)
    samples = rng.randbytes(_RATE * 2 * milliseconds // 1000 & ~1)
    if form == "pcm":
        return samples
    shape = struct.pack("<HHIIHH", 1, 1, _RATE, _RATE * 2, 2, 16)
    return b"".join(
        (
            b"RIFF" + struct.pack("<I", 36 + len(samples)) + b"WAVE",
            b"fmt " + struct.pack("<I", len(shape)) + shape,
            b"data" + struct.pack("<I", len(samples)) + samples,
        )
    )


def seconds_of(recording: bytes) -> float:
    """A WAV file says it; of all else 32 kbit/s are assumed."""
    if recording[:4] == b"RIFF" and recording[8:16] == b"WAVEfmt " and len(recording) >= 44:
        rate = struct.unpack_from("<I", recording, 28)[0]
        if rate:
            return float((len(recording) - 44) / rate)
    return len(recording) / 4_000


def picture_kind(data: bytes) -> str:
    """`png`, `jpeg`, `webp`, `gif`, or "" for what is none of them."""
    if data.startswith(b"\x89PNG"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    return "webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else ""


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
