"""Moulds: answers with ids and dates anywhere."""

from tidegate.simulator.template import DATE, ID, TIME, Flaws, Mould

FLAWS = Flaws(error_event=b"e", broken_event=b"b")


def test_marks_are_filled_and_nothing_else_changes() -> None:
    pieces = [f'{{"id":"x_{ID}","at":"{DATE}","on":"{TIME}"}}'.encode(), b"plain"]
    mould = Mould(model="m", pieces=pieces, flaws=FLAWS, stream=True)
    assert mould.events("7", 0) == [b'{"id":"x_7","at":0,"on":"1970-01-01T00:00:00Z"}', b"plain"]
    assert mould.events("8", 1)[0] == b'{"id":"x_8","at":1,"on":"1970-01-01T00:00:01Z"}'
    assert mould.content_type.startswith(b"text/event-stream")


def test_a_whole_answer_is_the_first_piece() -> None:
    mould = Mould(model="m", pieces=[f"{ID}".encode()], flaws=FLAWS)
    assert (mould.body("7", 0), mould.content_type) == (b"7", b"application/json")
