"""Lines of JSON, cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire.framing import FrameError
from tidegate.wire.ndjson import NdjsonSplitter


def fed(pieces: list[bytes], most: int = 1000) -> list[bytes]:
    splitter = NdjsonSplitter(most)
    return [line for piece in pieces for line in splitter.feed(piece)]


def test_lines() -> None:
    assert fed([b'{"a":1}\n{"b":', b'2}\r\n\n  \n{"c":3}']) == [b'{"a":1}\n', b'{"b":2}\r\n']
    assert fed([b"", b"\n", b"x", b"", b"\n"]) == [b"x\n"]


def test_nothing_but_lf_ends_a_line() -> None:
    text = '{"a":"\u2028\u0085\x0b"}\n'.encode()
    assert fed([text]) == [text]


@pytest.mark.parametrize(
    "pieces",
    [[b"x" * 11], [b"x" * 6, b"x" * 6], [b"a\n" + b"x" * 11 + b"\n"], [b"a\n" + b"x" * 11], [b"x" * 11 + b"\n"]],
)
def test_what_is_too_long_is_refused(pieces: list[bytes]) -> None:
    with pytest.raises(FrameError):
        fed(pieces, 10)


def test_the_bound_itself_is_allowed() -> None:
    assert fed([b"x" * 10 + b"\n", b"x" * 10, b"\n"], 10) == [b"x" * 10 + b"\n"] * 2


@given(st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=20)), st.data())
def test_cuts_change_nothing(lines: list[str], data: st.DataObject) -> None:
    text = b"".join(line.encode() + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert fed(pieces) == [line.encode() + b"\n" for line in lines if line.encode().strip()]
