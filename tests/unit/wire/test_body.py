"""Bodies fed in pieces; refused ones are the smuggling table's (tests/faults)."""

from sys import getsizeof

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
    assert (collected.whole(), collected.rest) == (body, rest)


def test_a_chunked_body_cut_at_every_byte() -> None:
    raw = b"5;a=b\r\nhello\r\n3\r\n\r\n!\r\n0\r\nA: b\r\n\r\n"
    for cut in range(len(raw)):
        body = chunked()
        assert not body.feed(raw[:cut])
        assert body.feed(raw[cut:] + b"next")
        assert (body.whole(), body.rest) == (b"hello\r\n!", b"next")


def test_tiny_chunks_cost_no_more_memory_than_their_bytes() -> None:
    body = chunked()
    body.feed(b"1\r\nx\r\n" * 10_000)
    assert body.whole() == b"x" * 10_000
    assert getsizeof(body._body) < 20_000


def test_tiny_reads_cost_no_more_memory_than_their_bytes() -> None:
    body = SizedBody(60_000)
    for _ in range(10_000):
        body.feed(b"xx")
    body.feed(b"y" * 20_000)
    for _ in range(10_000):
        body.feed(b"zz")
    assert body.done
    assert body.whole() == b"x" * 20_000 + b"y" * 20_000 + b"z" * 20_000
    assert sum(map(getsizeof, body._pieces)) < 80_000


@given(st.lists(st.tuples(st.sampled_from([1, 4095, 4096, 9000]), st.integers(0, 255)), min_size=1, max_size=12))
def test_reads_of_any_size_come_out_in_their_order(reads: list[tuple[int, int]]) -> None:
    pieces = [bytes([value]) * size for size, value in reads]
    body = SizedBody(sum(map(len, pieces)))
    assert [body.feed(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert body.whole() == b"".join(pieces)
