"""Server-sent events: any cut of a stream gives the same events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire.sse import SseOverflow, SseSplitter, sse_data, sse_event, sse_name

STREAMS = [
    b'data: {"a":1}\n\ndata: {"b":2}\n\ndata: [DONE]\n\n',
    b'data: {"a":1}\r\n\r\n: comment\r\n\r\nevent: x\r\ndata: 2\r\n\r\n',
    b"data: a\r\rdata: b\r\r",
    'data: {"text":"line\u2028still the line \u5915\u6f6e \U0001f30a"}\n\ndata: b\n\n'.encode(),
    b"event: message\ndata: one\ndata: two\n\nid: 7\nretry: 10\n\n",
]


@pytest.mark.parametrize("stream", STREAMS)
def test_every_cut_gives_the_same_events(stream: bytes) -> None:
    whole = SseSplitter().feed(stream)
    assert b"".join(whole) + b"" == stream or stream.endswith(b"\r\r")
    for cut in range(len(stream) + 1):
        splitter = SseSplitter()
        events = splitter.feed(stream[:cut]) + splitter.feed(stream[cut:])
        assert events == whole
    byte_by_byte = SseSplitter()
    assert [event for at in range(len(stream)) for event in byte_by_byte.feed(stream[at : at + 1])] == whole


@given(st.lists(st.binary(max_size=40), max_size=12), st.data())
def test_no_byte_is_lost(parts: list[bytes], data: st.DataObject) -> None:
    splitter = SseSplitter()
    events = [event for part in parts for event in splitter.feed(part)]
    assert b"".join(events) + splitter.end() == b"".join(parts)


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), min_size=1))
def test_what_is_written_is_read(lines: list[str]) -> None:
    data = "\n".join(lines).encode()
    (event,) = SseSplitter().feed(sse_event(data, b"name"))
    assert (sse_data(event), sse_name(event)) == (data, b"name")


@pytest.mark.parametrize(
    "data", [b"\n", b"x", b"x\n", b"\n\n", b"x\n\n", b"\n\n\n", b"x\n\n\n", b"x\n\ny\n\n", b"\n\n\n\n"]
)
def test_one_read_is_cut_as_its_bytes_are(data: bytes) -> None:
    whole, byte_by_byte = SseSplitter(), SseSplitter()
    events = [event for at in range(len(data)) for event in byte_by_byte.feed(data[at : at + 1])]
    assert (whole.feed(data), whole.end()) == (events, byte_by_byte.end())


def test_an_endless_event_is_refused() -> None:
    splitter = SseSplitter(max_event_bytes=100)
    splitter.feed(b"data: " + b"x" * 90)
    with pytest.raises(SseOverflow):
        splitter.feed(b"x" * 90)


def test_a_space_is_taken_off_once() -> None:
    assert sse_data(b"data:  two\n\n") == b" two"
    assert sse_data(b"data:none\n\n") == b"none"
    assert sse_data(b"data\n\n") == b""


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\n\r\n", b"\r\r"])
@pytest.mark.parametrize("piece", [65_537, 70_001])
def test_a_large_event_in_pieces(end: bytes, piece: int) -> None:
    stream = b"data: " + b"x" * 300_000 + end + b"data: y\n\n"
    splitter = SseSplitter()
    events = [event for at in range(0, len(stream), piece) for event in splitter.feed(stream[at : at + piece])]
    assert b"".join(events) == stream
    assert [len(event) for event in events] == [300_006 + len(end), 9]
    for cut in range(300_004, 300_012):
        splitter = SseSplitter()
        pieces = (stream[:100_000], stream[100_000:cut], stream[cut:])
        assert [event for part in pieces for event in splitter.feed(part)] == events
    splitter = SseSplitter(max_event_bytes=200_000)
    assert splitter.feed(stream[:100_000]) == splitter.feed(stream[100_000:150_000]) == []
    assert splitter.end() == stream[:150_000]
    splitter.feed(stream[:100_000])
    splitter.feed(stream[100_000:190_000])
    with pytest.raises(SseOverflow):
        splitter.feed(stream[190_000:210_000])
