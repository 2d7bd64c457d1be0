"""Arbitrary input for a dialect's readers: nothing but the two errors that they may raise comes out."""

from typing import Any

from hypothesis import strategies as st

from tidegate.dialects.canon import Ended, Event
from tidegate.dialects.dialect import ChatCodec, UnreadableAnswer

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)


def json_values(names: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """Objects whose members mostly have names that the dialect knows."""
    keys = st.sampled_from((*names, "role", "content", "type", "text", "function", "name", "id", "index", "x"))
    inner = st.recursive(
        _LEAVES,
        lambda values: st.lists(values, max_size=3) | st.dictionaries(keys, values, max_size=4),
        max_leaves=12,
    )
    return st.dictionaries(st.sampled_from(names), inner, max_size=6)


def decode_anything(chat: ChatCodec, data: bytes, *, sse: bool) -> None:
    """As a whole answer and as frames of a stream."""
    try:
        chat.decode_answer(data)
    except UnreadableAnswer:
        pass
    decoder = chat.event_decoder()
    events: list[Event] = []
    for frame in (data, data):
        try:
            events += decoder.decode(b"data: " + frame + b"\n\n" if sse else frame + b"\n")
        except UnreadableAnswer:
            break
        if events and isinstance(events[-1], Ended):
            break  # nobody reads on
    else:
        events += decoder.end()
    assert all(not isinstance(event, Ended) for event in events[:-1])
