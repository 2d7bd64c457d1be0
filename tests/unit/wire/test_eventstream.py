"""Event-stream frames: both ways against botocore's own parser, and everything that cannot be a frame."""

from struct import pack
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire.eventstream import (
    MAX_HEADERS,
    MAX_PAYLOAD,
    EventStreamSplitter,
    Frame,
    decode_frame,
    encode_frame,
)
from tidegate.wire.framing import FrameError

EVENT = [(":message-type", "event"), (":event-type", "metadata"), (":content-type", "application/json")]
names = st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=40)
frames = st.tuples(st.dictionaries(names, st.text(max_size=60), max_size=5), st.binary(max_size=300))


def framed(block: bytes, payload: bytes = b"") -> bytes:
    """A frame with this block of headers, whatever it is."""
    lengths = pack("!II", 16 + len(block) + len(payload), len(block))
    message = lengths + pack("!I", crc32(lengths)) + block + payload
    return message + pack("!I", crc32(message))


def announced(total: int, headers: int) -> bytes:
    lengths = pack("!II", total, headers)
    return lengths + pack("!I", crc32(lengths))


@given(st.lists(frames, max_size=4), st.data())
def test_what_is_written_is_read_by_both_parsers_however_it_is_cut(
    told: list[tuple[dict[str, str], bytes]], data: st.DataObject
) -> None:
    stream = b"".join(encode_frame(headers.items(), payload) for headers, payload in told)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    splitter, theirs = EventStreamSplitter(), EventStreamBuffer()
    found: list[bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += splitter.feed(stream[start:end])
        theirs.add_data(stream[start:end])
    assert b"".join(found) == stream
    assert not splitter.unfinished
    assert [decode_frame(one) for one in found] == [Frame(headers, payload) for headers, payload in told]
    assert [(one.headers, one.payload) for one in theirs] == told


def test_one_byte_at_a_time() -> None:
    stream = encode_frame(EVENT, b'{"usage":{}}') * 3
    splitter = EventStreamSplitter()
    assert [one for byte in stream for one in splitter.feed(bytes([byte]))] == [stream[: len(stream) // 3]] * 3


def test_headers_of_other_types_are_passed_over() -> None:
    block = (
        b"\x01a\x00\x01b\x01\x01c\x02\x05\x01d\x03\x00\x05\x01e\x04\x00\x00\x00\x05"
        b"\x01f\x05\x00\x00\x00\x00\x00\x00\x00\x05\x01g\x06\x00\x02xy\x01h\x08\x00\x00\x00\x00\x00\x00\x00\x05"
        b"\x01i\x09" + b"u" * 16 + b"\x01j\x07\x00\x01z"
    )
    frame = framed(block, b"p")
    assert decode_frame(frame) == Frame({"j": "z"}, b"p")
    theirs = EventStreamBuffer()
    theirs.add_data(frame)
    assert len(next(iter(theirs)).headers) == 10


@pytest.mark.parametrize("place", range(0, 60, 3))
def test_a_flipped_bit_is_noticed(place: int) -> None:
    frame = bytearray(encode_frame(EVENT, b"{}"))
    frame[place] ^= 4
    with pytest.raises(FrameError):
        EventStreamSplitter().feed(bytes(frame))


@pytest.mark.parametrize(
    ("prelude", "says"),
    [
        (announced(MAX_PAYLOAD + 17, 0), "payload is larger"),
        (announced(MAX_HEADERS + 17, MAX_HEADERS + 1), "headers are larger"),
        (announced(20, 5), "longer than the frame"),
        (announced(0, 0), "longer than the frame"),
        (announced(16, 0)[:-1] + b"?", "prelude does not match"),
        (b"HTTP/1.1 200 OK\r\n", "prelude does not match"),
    ],
)
def test_a_prelude_is_refused_before_its_frame_comes(prelude: bytes, says: str) -> None:
    with pytest.raises(FrameError, match=says):
        EventStreamSplitter().feed(prelude)


def test_long_headers_and_short_ones_are_read_alike() -> None:
    for length in (10, 1_000, 32_767):
        headers = {"a": "x" * length, "b": "é"}
        assert decode_frame(encode_frame(headers.items(), b"p")) == (headers, b"p")


def test_the_bounds_themselves_are_allowed() -> None:
    splitter = EventStreamSplitter()
    assert splitter.feed(announced(MAX_PAYLOAD + MAX_HEADERS + 16, MAX_HEADERS)) == []
    assert splitter.unfinished
    frame = encode_frame([], b"x" * MAX_PAYLOAD)
    assert EventStreamSplitter().feed(frame) == [frame]
    with pytest.raises(ValueError, match="larger than"):
        encode_frame([], b"x" * (MAX_PAYLOAD + 1))
    with pytest.raises(ValueError, match="1 to 255"):
        encode_frame([("n" * 256, "")], b"")


@pytest.mark.parametrize(
    "block",
    [
        b"\x05ab",
        b"\x01a",
        b"\x01a\x0a",
        b"\x01a\x07\x00",
        b"\x01a\x07\x00\x05x",
        b"\x01a\x04\x00",
        b"\x01a\x07\x00\x01\xff",
        b"\x01\xff\x07\x00\x01x",
        b"\x01a\x00\x01a\x00",
    ],
)
def test_headers_that_cannot_be_read(block: bytes) -> None:
    frame = framed(block)
    assert EventStreamSplitter().feed(frame) == [frame]
    with pytest.raises(FrameError):
        decode_frame(frame)


@given(st.binary(max_size=200))
def test_no_bytes_crash_it(data: bytes) -> None:
    for read in (EventStreamSplitter().feed, lambda block: decode_frame(framed(block))):
        try:
            read(data)
        except FrameError:
            pass
