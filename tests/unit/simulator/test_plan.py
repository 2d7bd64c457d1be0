"""Plans: what of an answer is sent when something is to go wrong with it."""

import itertools

import pytest

from tidegate.simulator.behaviour import FAULTS, Behaviour, behaviour_from
from tidegate.simulator.plan import Plan, plan_answer
from tidegate.simulator.template import DONE, Template

TAILS = [b',"choices":[{"delta":{"content":"%d"}}]}' % number for number in range(4)]


def template(stream: bool) -> Template:
    return Template(model="m", opening=b'{"id":"x-', middle=b'","created":', tails=TAILS, stream=stream)


def planned(stream: bool, fault: str = "", behaviour: Behaviour | None = None) -> Plan:
    return plan_answer(template(stream), behaviour or Behaviour(), fault, headers=b"a: b\r\n", answer_id="1", created=5)


def sent(plan: Plan) -> bytes:
    return b"".join(plan.pieces)


WHOLE = b'{"id":"x-1","created":5' + TAILS[0] + b"\n"
EVENTS = [b'data: {"id":"x-1","created":5' + tail + b"\n\n" for tail in TAILS]


def test_without_a_fault_all_is_sent() -> None:
    whole, stream = planned(False), planned(True)
    assert (whole.form, whole.status, whole.headers, sent(whole)) == ("whole", 200, b"a: b\r\n", WHOLE)
    assert (stream.form, stream.ending, list(stream.pieces)) == ("pieces", "finish", [*EVENTS, DONE])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"no-usage", "endless"}))
def test_a_fault_never_looks_like_a_whole_answer(fault: str, stream: bool) -> None:
    plan = planned(stream, fault)
    whole = (b"".join(EVENTS) + DONE) if stream else WHOLE
    assert sent(plan) != whole or plan.form == "short"


@pytest.mark.parametrize(
    ("fault", "form", "ending"),
    [
        ("stall-before-head", "nothing", "stall"),
        ("reset-before-head", "nothing", "reset"),
        ("stall-after-head", "pieces", "stall"),
        ("reset-after-head", "pieces", "reset"),
        ("stall-mid-answer", "pieces", "stall"),
        ("reset-mid-answer", "pieces", "reset"),
        ("cut-clean", "pieces", "finish"),
        ("wrong-length", "short", "reset"),
        ("html-error", "whole", "finish"),
        ("empty", "whole", "finish"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_how_it_ends(fault: str, form: str, ending: str, stream: bool) -> None:
    plan = planned(stream, fault)
    assert (plan.form, plan.ending) == (form, ending)


def test_a_reset_in_the_middle_cuts_an_event() -> None:
    found = sent(planned(True, "reset-mid-answer"))
    assert found.startswith(EVENTS[0] + EVENTS[1])
    assert not found.endswith(b"\n\n")


def test_an_error_event_is_the_last() -> None:
    *events, error = planned(True, "error-event").pieces
    assert events == EVENTS[:2]
    assert error.startswith(b'data: {"error":{')


def test_an_endless_stream_repeats_content() -> None:
    plan = planned(True, "endless")
    assert plan.endless
    assert list(itertools.islice(plan.pieces, 4)) == [EVENTS[0], EVENTS[1], EVENTS[1], EVENTS[1]]


def test_html_of_a_proxy() -> None:
    plan = planned(False, "html-error")
    assert plan.status == 502
    assert b"text/html" in plan.headers


def test_small_pieces_join_to_the_same() -> None:
    behaviour = behaviour_from("m", {"writeBytes": 3})
    stream = planned(True, behaviour=behaviour)
    pieces = list(stream.pieces)
    assert {len(piece) for piece in pieces[:-1]} <= {1, 2, 3}
    assert b"".join(pieces) == b"".join(EVENTS) + DONE
    whole = planned(False, behaviour=behaviour)
    assert whole.form == "pieces"
    assert sent(whole) == WHOLE


def test_styles_of_streams() -> None:
    crlf = list(planned(True, behaviour=behaviour_from("m", {"crlf": True})).pieces)
    assert crlf[0] == EVENTS[0].replace(b"\n", b"\r\n")
    comments = list(planned(True, behaviour=behaviour_from("m", {"comments": True})).pieces)
    assert comments[0] == b": keep-alive\n\n" + EVENTS[0]
