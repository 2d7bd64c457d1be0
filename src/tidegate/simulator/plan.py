"""What of an answer is sent, given what is to go wrong with it. Pure: no time, no sockets."""

import itertools
from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.template import Reply

_HTML: Final = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
_HTML_HEADERS: Final = b"server: nginx\r\ncontent-type: text/html\r\n"

Form = Literal["whole", "pieces", "short", "nothing"]
Ending = Literal["finish", "stall", "reset"]


class Plan(Struct):
    """`whole`: one piece with its length. `pieces`: an answer of unknown length. `short`: one piece, less than its
    head claims. `nothing`: not even a head."""

    form: Form
    pieces: Iterable[bytes] = ()
    ending: Ending = "finish"
    status: int = 200
    headers: bytes = b""
    endless: bool = False


def plan_answer(
    reply: Reply, behaviour: Behaviour, fault: str, *, headers: bytes, answer_id: str, created: int
) -> Plan:
    """`fault` is a fault's name or ""."""
    match fault:
        case "stall-before-head" | "reset-before-head":
            return Plan("nothing", ending=_ending(fault))
        case "stall-after-head" | "reset-after-head":
            return Plan("pieces", ending=_ending(fault), headers=headers)
        case "html-error":
            return Plan("whole", [_HTML], status=502, headers=_HTML_HEADERS)
        case "empty":
            return Plan("whole", [b""], headers=headers)
    if reply.stream:
        plan = _plan_stream(reply, reply.events(answer_id, created), fault)
        if behaviour.crlf or behaviour.comments:
            plan.pieces = (_styled(event, behaviour, reply.flaws.comment) for event in plan.pieces)
    else:
        plan = _plan_whole(reply.body(answer_id, created), fault)
    if behaviour.write_bytes and plan.form != "short":
        plan.form = "pieces"
        plan.pieces = _recut(plan.pieces, behaviour.write_bytes)
    plan.headers = headers
    return plan


def _plan_stream(reply: Reply, events: list[bytes], fault: str) -> Plan:
    half = len(events) // 2
    match fault:
        case "bad-json":
            return Plan("pieces", [*events[:half], reply.flaws.broken_event, *events[half:]])
        case "error-event":
            return Plan("pieces", [*events[:half], reply.flaws.error_event])
        case "cut-clean":
            return Plan("pieces", events[:half])
        case "wrong-length":
            return Plan("short", [b"".join(events)], ending="reset")
        case "endless":
            again = min(reply.repeated, len(events) - 1)
            return Plan("pieces", itertools.chain(events[:again], itertools.repeat(events[again])), endless=True)
        case "stall-mid-answer" | "reset-mid-answer":
            return Plan("pieces", [*events[:half], events[half][: len(events[half]) // 2]], _ending(fault))
    return Plan("pieces", events)


def _plan_whole(body: bytes, fault: str) -> Plan:
    half = body[: len(body) // 2]
    match fault:
        case "bad-json" | "error-event":
            return Plan("whole", [half])
        case "cut-clean":
            return Plan("pieces", [half])
        case "wrong-length":
            return Plan("short", [body], ending="reset")
        case "endless":
            return Plan("pieces", itertools.chain([half], itertools.cycle([b" " * 1024])), endless=True)
        case "stall-mid-answer" | "reset-mid-answer":
            return Plan("pieces", [half], _ending(fault))
    return Plan("whole", [body])


def _ending(fault: str) -> Ending:
    return "stall" if fault.startswith("stall") else "reset"


def _styled(event: bytes, behaviour: Behaviour, comment: bytes) -> bytes:
    if behaviour.comments:
        event = comment + event
    return event.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") if behaviour.crlf else event


def _recut(pieces: Iterable[bytes], size: int) -> Iterable[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), size):
            yield piece[start : start + size]
