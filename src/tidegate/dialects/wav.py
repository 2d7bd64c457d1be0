"""WAV files of the one kind that speech is: PCM of 16 bits, one channel.

Source: https://learn.microsoft.com/windows/win32/xaudio2/resource-interchange-file-format--riff-
"""

import struct
from typing import Final

_FORMAT: Final = struct.Struct("<HHIIHH")
_UNKNOWN: Final = 0xFFFF_FFFF
"""The length of what is not yet there, as those write it who send a WAV file while it is made."""
_HEADER_BYTES: Final = 44
_PCM: Final = 1


class WavError(Exception):
    """No WAV file, or not one of the kind; says why."""


def wav_header(rate: int, length: int | None) -> bytes:
    """44 bytes. `rate`: samples a second. `length`: of the samples that follow, in bytes; None if it is not known."""
    whole, data = (_UNKNOWN, _UNKNOWN) if length is None else (length + _HEADER_BYTES - 8, length)
    shape = _FORMAT.pack(_PCM, 1, rate, rate * 2, 2, 16)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", whole, b"WAVE", b"fmt ", len(shape))
        + shape
        + struct.pack("<4sI", b"data", data)
    )


def read_wav(file: bytes) -> tuple[bytes, int]:
    """(samples, how many a second). Raises WavError."""
    if file[:4] != b"RIFF" or file[8:12] != b"WAVE":
        raise WavError("it is no WAV file")
    at, rate = 12, 0
    while at + 8 <= len(file):
        kind, size = struct.unpack_from("<4sI", file, at)
        at += 8
        if kind == b"fmt ":
            rate = _rate(file[at : at + _FORMAT.size])
        elif kind == b"data":
            if not rate:
                break
            return file[at : at + size], rate  # a size beyond the end, or unknown, means: to the end
        at += size + (size & 1)
    raise WavError("the WAV file has no samples")


def _rate(shape: bytes) -> int:
    if len(shape) < _FORMAT.size:
        raise WavError("the WAV file is cut")
    kind, channels, rate, _, _, bits = _FORMAT.unpack(shape)
    if (kind, channels, bits) != (_PCM, 1, 16) or not rate:
        raise WavError(
            f"the WAV file is of kind {kind} with {channels} channels of {bits} bits, not PCM with one of 16"
        )
    return int(rate)
