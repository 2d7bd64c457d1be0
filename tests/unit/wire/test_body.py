"""Bodies fed in pieces; refused ones are the smuggling table's (tests/faults)."""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire.body import ChunkedBody, SizedBody


def chunked() -> ChunkedBody:
    return ChunkedBody(1_000_000, 8192, 50)


@given(st.binary(max_size=200), st.binary(max_size=20), st.lists(st.integers(1, 50), max_size=8))
def test_a_sized_body_ends_where_it_says(body: bytes, rest: bytes, sizes: list[int]) -> None:
    collected = SizedBody(len(body))
    left = body
    for size in sizes:
        if size >= len(left):
            break
        assert not collected.feed(left[:size])
        left = left[size:]
    assert collected.feed(left + rest)
    assert (bytes(collected.body), collected.rest) == (body, rest)


def test_a_chunked_body_cut_at_every_byte() -> None:
    raw = b"5;a=b\r\nhello\r\n3\r\n\r\n!\r\n0\r\nA: b\r\n\r\n"
    for cut in range(len(raw)):
        body = chunked()
        assert not body.feed(raw[:cut])
        assert body.feed(raw[cut:] + b"next")
        assert (bytes(body.body), body.rest) == (b"hello\r\n!", b"next")


def test_tiny_chunks_cost_no_more_memory_than_their_bytes() -> None:
    body = chunked()
    body.feed(b"1\r\nx\r\n" * 10_000)
    assert body.body == b"x" * 10_000
    assert body.body.__sizeof__() < 20_000
