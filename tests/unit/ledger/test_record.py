"""Framing: what goes in comes out, and nothing that a call can hold makes it fail."""

import json
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from tests.support.usage_records import make_decision, make_event, make_record

from tidegate.core.usage import Usage
from tidegate.ledger.record import FRAME, MAX_PAYLOAD_BYTES, SpoolRecord, checksum, decode, frame

_INT64 = st.integers(0, 2**63 - 1)


def unframe(data: bytes) -> SpoolRecord:
    length, crc = FRAME.unpack_from(data)
    payload = data[FRAME.size :]
    assert (len(payload), checksum(payload)) == (length, crc)
    return decode(payload)


def test_a_record_comes_back_as_it_was() -> None:
    record = make_record(1, tags={"app": "búsqueda"}, cost_nano=None)
    assert unframe(frame(record)) == record


def test_a_record_without_decision_comes_back() -> None:
    record = SpoolRecord(make_event())
    assert unframe(frame(record)) == record


@given(raw=st.binary(max_size=200), tokens=_INT64, cost=st.none() | _INT64, tags=st.dictionaries(st.text(), st.text()))
def test_any_values_come_back(raw: bytes, tokens: int, cost: int | None, tags: dict[str, str]) -> None:
    record = SpoolRecord(make_event(usage=Usage(input=tokens, raw=raw), cost_nano=cost, tags=tags))
    assert unframe(frame(record)) == record


def test_the_checksum_covers_the_length() -> None:
    assert checksum(b"\x90") != crc32(b"\x90")


@pytest.mark.parametrize(
    "changes",
    [
        {"usage": Usage(input=2**70, output=10**30)},
        {"charged_nano": 2**64},
        {"tags": {"a\ud800": "b\udfff"}},
        {"model": "\ud800"},
    ],
)
def test_what_msgpack_cannot_hold_is_mended(changes: dict[str, object]) -> None:
    kept = unframe(frame(SpoolRecord(make_event(7, **changes), make_decision()))).event
    assert kept.id == "call-7"
    assert kept.consumer == "chatbot"


def test_a_cost_beyond_64_bits_is_unknown() -> None:
    assert unframe(frame(SpoolRecord(make_event(cost_nano=2**80)))).event.cost_nano is None


def test_a_long_decision_is_left_out_and_the_event_kept() -> None:
    decision = make_decision(notes=["x" * MAX_PAYLOAD_BYTES])
    kept = unframe(frame(SpoolRecord(make_event(tags={"a": "b"}), decision)))
    assert kept == SpoolRecord(make_event(tags={"a": "b"}))


def test_an_event_that_is_too_long_itself_loses_raw_usage_and_tags() -> None:
    long = "m" * 100_000
    usage = Usage(input=5, raw=json.dumps([long]).encode())
    data = frame(SpoolRecord(make_event(usage=usage, model=long, tags={"a": long})))
    kept = unframe(data).event
    assert len(data) < MAX_PAYLOAD_BYTES
    assert (kept.usage, kept.tags, kept.cost_nano) == (Usage(input=5), {}, 1_500)
    assert kept.model == long[:512]


def test_usage_holds_plain_bytes_for_a_raw_would_break_the_frame() -> None:
    """The reason for the type of `Usage.raw`: msgspec copies a Raw into msgpack as it stands."""
    usage: Usage = make_event().usage
    assert not isinstance(usage.raw, Raw)
