"""The reader believes nothing: whatever happened to the bytes, it gives the valid prefix and never fails."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.usage_records import make_record

from tidegate.ledger.reader import SegmentReader, read_segment, segments
from tidegate.ledger.record import FRAME, SpoolRecord, checksum, frame
from tidegate.ledger.segment import HEADER_BYTES, MAGIC, Segment

RECORDS = [make_record(number) for number in range(6)]
FRAMES = [frame(record) for record in RECORDS]
WHOLE = MAGIC.ljust(HEADER_BYTES, b"\0") + b"".join(FRAMES)
ENDS = [HEADER_BYTES + sum(map(len, FRAMES[:count])) for count in range(len(FRAMES) + 1)]


def read(data: bytes, offset: int = 0) -> tuple[list[SpoolRecord], list[int], str]:
    with tempfile.NamedTemporaryFile(suffix=".seg") as file:
        file.write(data)
        file.flush()
        with SegmentReader(Path(file.name)) as segment:
            found = list(segment.records(offset))
            return [record for record, _ in found], [end for _, end in found], segment.damage


def test_all_records_with_their_ends() -> None:
    assert read(WHOLE) == (RECORDS, ENDS[1:], "")


def test_the_unused_room_of_a_segment_is_no_damage() -> None:
    assert read(WHOLE + bytes(3_000_000)) == (RECORDS, ENDS[1:], "")


def test_reading_goes_on_from_an_offset() -> None:
    assert read(WHOLE, ENDS[4]) == (RECORDS[4:], ENDS[5:], "")


def test_an_offset_beyond_the_end_gives_nothing() -> None:
    assert read(WHOLE, len(WHOLE) + 5000) == ([], [], "")


@settings(max_examples=150)
@given(cut=st.integers(0, len(WHOLE)))
def test_truncated_anywhere_the_valid_prefix_is_read(cut: int) -> None:
    records, _, damage = read(WHOLE[:cut])
    whole = sum(end <= cut for end in ENDS[1:])
    assert records == RECORDS[:whole]
    assert bool(damage) == ((cut > HEADER_BYTES and cut not in ENDS) or 0 < cut < len(MAGIC))


@settings(max_examples=200)
@given(bit=st.integers(0, len(WHOLE) * 8 - 1))
def test_any_flipped_bit_is_seen_and_what_was_before_it_is_read(bit: int) -> None:
    broken = bytearray(WHOLE)
    broken[bit // 8] ^= 1 << bit % 8
    records, _, damage = read(bytes(broken))
    if bit // 8 < len(MAGIC):
        assert (records, bool(damage)) == ([], True)
    elif bit // 8 < HEADER_BYTES:
        assert (records, damage) == (RECORDS, "")
    else:
        assert records == RECORDS[: sum(end * 8 <= bit for end in ENDS[1:])]
        assert damage


@settings(max_examples=150)
@given(
    start=st.integers(0, len(WHOLE)),
    garbage=st.binary(max_size=2000),
    offset=st.integers(0, len(WHOLE) + 100),
    prefixed=st.booleans(),
)
def test_any_garbage_from_any_offset_never_fails(start: int, garbage: bytes, offset: int, prefixed: bool) -> None:
    data = WHOLE[:start] + garbage if prefixed else garbage
    records, ends, _ = read(data, offset)
    assert ends == sorted(set(ends))
    if prefixed and offset == 0:
        whole = sum(end <= start for end in ENDS[1:])
        assert records[:whole] == RECORDS[:whole]


def test_a_frame_that_is_no_record_is_passed_over_and_reported() -> None:
    payload = b"\xa3abc"
    odd = FRAME.pack(len(payload), checksum(payload)) + payload
    records, _, damage = read(WHOLE[: ENDS[2]] + odd + FRAMES[2])
    assert records == RECORDS[:3]
    assert "not of this version" in damage


def test_deep_nesting_in_a_payload_does_not_end_the_reader() -> None:
    payload = b"\x91" * 50_000
    odd = FRAME.pack(len(payload), checksum(payload)) + payload
    assert read(WHOLE[: ENDS[1]] + odd + FRAMES[1])[0] == RECORDS[:2]


def test_a_live_segment_is_tailed_and_its_torn_end_is_no_damage(tmp_path: Path) -> None:
    live = Segment.create(tmp_path / "a.seg", 65_536)
    live.write(FRAMES[0])
    live.write(FRAMES[1][:-1])
    with SegmentReader(tmp_path / "a.seg") as segment:
        assert [record for record, _ in segment.records()] == RECORDS[:1]
        assert (segment.closed, segment.damage) == (False, "")
    live.close()
    with SegmentReader(tmp_path / "a.seg") as segment:
        assert [record for record, _ in segment.records()] == RECORDS[:1]
        assert segment.closed
        assert "torn" in segment.damage


def test_what_is_no_segment_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.seg").write_bytes(b"#!/bin/sh\n")
    with SegmentReader(tmp_path / "a.seg") as segment:
        assert list(segment.records()) == []
        assert "not a spool segment" in segment.damage


def test_segments_of_all_workers_are_found_oldest_first(tmp_path: Path) -> None:
    for name in ("w1/2.seg", "w1/1.seg", "w0/3.seg", "0.seg", "w0/3.damaged", "w0/4.partial"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert [str(path.relative_to(tmp_path)) for path in segments(tmp_path)] == [
        "0.seg",
        "w0/3.seg",
        "w1/1.seg",
        "w1/2.seg",
    ]


def test_read_segment_is_the_short_form(tmp_path: Path) -> None:
    (tmp_path / "a.seg").write_bytes(WHOLE)
    assert [record for record, _ in read_segment(tmp_path / "a.seg")] == RECORDS
