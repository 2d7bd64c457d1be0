"""WAV files of speech, as Python's own reader and writer have them."""

import io
import struct
import wave

import pytest

from tidegate.dialects.wav import WavError, read_wav, wav_header

PCM = bytes(range(250)) * 4


def written(channels: int = 1, width: int = 2, rate: int = 24_000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as made:
        made.setnchannels(channels)
        made.setsampwidth(width)
        made.setframerate(rate)
        made.writeframes(PCM)
    return file.getvalue()


def test_what_is_written_is_read_by_others() -> None:
    with wave.open(io.BytesIO(wav_header(16_000, len(PCM)) + PCM)) as read:
        assert (read.getnchannels(), read.getsampwidth(), read.getframerate()) == (1, 2, 16_000)
        assert read.readframes(10_000) == PCM
    assert wav_header(24_000, len(PCM)) + PCM == written()


def test_what_others_write_is_read() -> None:
    assert read_wav(written(rate=48_000)) == (PCM, 48_000)
    listed = written().replace(b"data", b"LIST\x03\x00\x00\x00abc\x00data", 1)
    assert read_wav(listed) == (PCM, 24_000)


def test_a_length_that_is_not_known_means_to_the_end() -> None:
    assert read_wav(wav_header(24_000, None) + PCM) == (PCM, 24_000)
    assert read_wav(wav_header(24_000, 0)) == (b"", 24_000)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"RIFF",
        b"\xff\xfb\x90\x00" * 20,
        written()[:30],
        written()[:36],
        written(channels=2),
        written(width=1),
        written(rate=24_000).replace(struct.pack("<I", 24_000), bytes(4), 1),
        written().replace(b"fmt ", b"fmt_", 1),
    ],
)
def test_what_is_none_is_refused(file: bytes) -> None:
    with pytest.raises(WavError):
        read_wav(file)
