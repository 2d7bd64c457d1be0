"""One call of one upstream. An Attempt is the sink of a wire call: it reads the answer and tells its owner once.

Until the first content byte nothing has gone to the client and the owner may try elsewhere; from then on (the commit) the
stream belongs to this attempt, and it ends well or breaks visibly.
"""

import logging
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from tidegate.core.problem import Problem
from tidegate.core.usage import UNKNOWN_USAGE, Usage
from tidegate.core.view import OPAQUE, View
from tidegate.decide.route import Candidate
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import (
    COUNTED,
    Dialect,
    RefusedAnswer,
    Relay,
    UnreadableAnswer,
    errors_in_headers,
    usage_in_headers,
)
from tidegate.dialects.registry import DIALECTS
from tidegate.gateway.headers import header_value, passed_back
from tidegate.wire.client import Failure
from tidegate.wire.framing import FrameError
from tidegate.wire.message import Headers
from tidegate.wire.server import Exchange

MAX_ANSWER_BYTES: Final = 128 * 1024 * 1024
MAX_FAULT_BYTES: Final = 1024 * 1024
_REFUSED: Final = 400
"""The status of a refusal whose own was 200."""
_MAX_HELD_BYTES: Final = 64 * 1024
"""Events before the first content byte (roles, comments) wait here."""

log = logging.getLogger(__name__)

_Read = TypeVar("_Read")

STREAM_BROKEN: Final = Problem(
    status=502,
    code="upstream_error",
    message="The upstream's stream broke off before its end. What came until here is incomplete.",
)


class Underway(Protocol):
    """What an attempt does with its call on the wire."""

    def cancel(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class UpstreamFault(Struct):
    """Why an attempt failed before its commit."""

    kind: str
    """A wire failure's kind, or `status`, or `malformed`."""
    status: int
    """The upstream's status; 0 when none came."""
    headers: Headers
    body: bytes
    told: Fault
    detail: str
    usage: Usage | None = None
    """What a refusal used that came with a status of success."""


class AttemptOwner(Protocol):
    """The Call that an attempt reports to; exactly one of `answered`, `faulted`, `settle_stream` is called, once."""

    def first_byte(self, attempt: "Attempt") -> None: ...

    def answered(self, attempt: "Attempt", usage: Usage, body: bytes) -> None:
        """`body` is the client's: whatever can fail about it has been done, so that it may be settled."""
        ...

    def faulted(self, attempt: "Attempt", fault: UpstreamFault) -> None: ...

    def committed(self, attempt: "Attempt") -> Exchange:
        """The answer's head goes out; the attempt writes the body and ends it."""
        ...

    def settle_stream(self, attempt: "Attempt", problem: Problem | None, detail: str) -> None:
        """Accounting, before the end marker (or the error frame, if there is a problem) goes out."""
        ...

    def broken(self) -> None:
        """In place of all these, or after one that failed: a bug of ours has ended the attempt halfway."""
        ...


class Attempt:
    """What both kinds share: the upstream's head, and faults in place of an answer."""

    __slots__ = (
        "candidate",
        "dialect",
        "headers",
        "owner",
        "parts",
        "relay",
        "size",
        "started",
        "status",
        "view",
        "wire",
    )

    def __init__(self, owner: AttemptOwner, candidate: Candidate, dialect: Dialect, relay: Relay, view: View) -> None:
        self.owner = owner
        self.candidate = candidate
        self.dialect = dialect
        """The upstream's."""
        self.relay = relay
        self.view = view
        self.started = 0.0
        self.status = 0
        self.headers: Headers = []
        self.parts: list[bytes] = []
        self.size = 0
        self.wire: Underway | None = None

    def cancel(self) -> None:
        """Stops the upstream; nothing more is told to the owner."""
        if self.wire is not None:
            self.wire.cancel()

    def pause(self) -> None:
        if self.wire is not None:
            self.wire.pause()

    def resume(self) -> None:
        if self.wire is not None:
            self.wire.resume()

    def on_head(self, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = headers

    def on_failure(self, failure: Failure) -> None:
        self.owner.faulted(
            self, UpstreamFault(failure.kind, self.status, self.headers, b"", Fault("", "", ""), failure.message)
        )

    def collect(self, data: bytes, bound: int) -> None:
        self.size += len(data)
        if self.size > bound:
            self.cancel()
            self.malformed(f"the answer is larger than {bound} bytes")
            return
        self.parts.append(data)

    def partial_usage(self) -> Usage:
        """What is known to be used when it ends early. A whole answer tells its usage only at its end."""
        return UNKNOWN_USAGE

    def passed_back(self) -> bytes:
        """The block of the upstream's headers that go to the client."""
        return passed_back(self.headers)

    def body(self) -> bytes:
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)

    def status_fault(self) -> None:
        body = self.body()
        named = errors_in_headers(self.dialect)
        if named is None:
            told = self.dialect.read_fault(self.status, body)
        else:
            told = named.read_fault_headers(self.status, self.headers, body)
        self.owner.faulted(self, UpstreamFault("status", self.status, self.headers, body, told, told.message))

    def taken_in(self, read: Callable[[], _Read]) -> _Read | None:
        """What `read` makes of the end of an answer; None where it cannot, and then the owner has been told.

        The wire has let go of the call by now: what escaped from here would leave its client waiting for ever.
        """
        try:
            return read()
        except RefusedAnswer as refused:
            self.refused(refused)
            return None
        except UnreadableAnswer as error:
            detail = str(error)
        except Exception:
            log.exception("an answer's end could not be read")  # a bug of a dialect: it ends its own call, not more
            detail = "the answer could not be taken in"
        self.unreadable(detail)
        return None

    def unreadable(self, detail: str) -> None:
        self.malformed(detail)

    def refused(self, refusal: RefusedAnswer) -> None:
        """The upstream would not do it, with a status of success."""
        told = refusal.fault
        self.owner.faulted(
            self, UpstreamFault("status", _REFUSED, self.headers, b"", told, told.message, refusal.usage)
        )

    def malformed(self, detail: str) -> None:
        self.owner.faulted(self, UpstreamFault("malformed", self.status, self.headers, b"", Fault("", "", ""), detail))


class UnaryAttempt(Attempt):
    """The whole answer is read, then told."""

    __slots__ = ()

    def on_data(self, data: bytes) -> None:
        if not self.parts:
            self.owner.first_byte(self)
        self.collect(data, MAX_ANSWER_BYTES if self.status == 200 else MAX_FAULT_BYTES)

    def on_end(self) -> None:
        if self.status != 200:
            self.status_fault()
            return
        told = self.taken_in(lambda: whole_answer(self))
        if told is not None:
            self.owner.answered(self, *told)


def whole_answer(attempt: Attempt) -> tuple[Usage, bytes]:
    """(what it used, the client's body). Raises UnreadableAnswer."""
    view, relay, body = attempt.view, attempt.relay, attempt.body()
    if view.operation in OPAQUE and relay.native and not _is_object(attempt.headers, body):
        return UNKNOWN_USAGE, body
    answer = relay.read_answer(view.operation, body)
    usage = answer.usage
    if usage is COUNTED:
        usage = Usage(input=view.estimated_input_tokens, source="reported")
    elif usage.source == "unknown":
        named = usage_in_headers(attempt.dialect)
        if named is not None:
            usage = answer.usage = named.read_usage_headers(attempt.headers)
    if view.operation == "speech":
        usage = replace(usage, units=view.units, source="reported")  # what was asked to be said is known in any case
    return usage, relay.encode_answer(answer, view)


def _is_object(headers: Headers, body: bytes) -> bool:
    """It calls itself JSON and begins as an object: some servers send mere text as a JSON string."""
    return b"json" in header_value(headers, b"content-type").lower() and body.lstrip()[:1] == b"{"


class StreamAttempt(Attempt):
    """Relays events as they come: folds usage, keeps nothing."""

    __slots__ = ("exchange", "held", "over", "reader", "splitter")

    def __init__(self, owner: AttemptOwner, candidate: Candidate, dialect: Dialect, relay: Relay, view: View) -> None:
        super().__init__(owner, candidate, dialect, relay, view)
        self.reader = relay.stream_reader(view)
        self.splitter = relay.splitter()
        self.exchange: Exchange | None = None
        self.held: list[bytes] = []
        self.over = False

    def partial_usage(self) -> Usage:
        """As reported; else an estimate, marked as one: a token in four bytes of the text that has passed, as of prompts;
        where that is not counted, or less, a token an event."""
        told = self.reader.usage
        if self.view.searches is not None and self._passes and (told is None or told.source != "reported"):
            return UNKNOWN_USAGE  # nobody can guess what was searched and read
        output = max(self.reader.content_events, self.reader.content_bytes >> 2)
        if told is not None:
            # Anthropic tells the prompt's tokens at the start, and a guess of the answer's.
            guess = told.source == "estimated" and told.output < output
            return replace(told, output=output) if guess else told
        return Usage(input=self.view.estimated_input_tokens, output=output, source="estimated")

    @property
    def _passes(self) -> bool:
        """The request went up as it is, with all of its tools."""
        return self.dialect.family == DIALECTS[self.view.dialect].family

    def on_data(self, data: bytes) -> None:
        if self.over:
            return
        if self.status != 200:
            self.collect(data, MAX_FAULT_BYTES)
            return
        out: list[bytes] = []
        try:
            for event in self.splitter.feed(data):
                self._relay(event, out)
                if self.over:
                    return
        except (UnreadableAnswer, FrameError) as error:
            self._write(out)
            self._break(str(error))
            return
        self._write(out)

    def on_end(self) -> None:
        if self.over:
            return
        if self.status != 200:
            self.status_fault()
            return
        media = header_value(self.headers, b"content-type")
        if self.exchange is None and not media.startswith(self.relay.upstream_media):
            self._break("a stream was asked for, the answer is none")
            return
        marker = self.taken_in(self._ended)
        if marker is not None:
            self._finish([], marker)

    def _ended(self) -> bytes:
        """The client's end marker. Raises UnreadableAnswer."""
        marker = self.reader.end_marker()
        if marker is None:
            raise UnreadableAnswer("the stream ended without its end marker")
        return marker

    def unreadable(self, detail: str) -> None:
        self._break(detail)

    def refused(self, refusal: RefusedAnswer) -> None:
        told = refusal.fault
        if self.exchange is None:
            self.over = True
            self.cancel()
            super().refused(refusal)
        else:
            code = told.code or told.type or "upstream_error"
            self._break(told.message, self.reader.problem(Problem(status=_REFUSED, code=code, message=told.message)))

    def on_failure(self, failure: Failure) -> None:
        if self.exchange is None:
            self.over = True
            super().on_failure(failure)
        elif not self.over:
            self._break(failure.message)
        else:
            self.owner.broken()  # unless it has all been said: the wire fails once more where the end of a call did

    def _relay(self, event: bytes, out: list[bytes]) -> None:
        told = self.reader.read(event)
        if told.fault is not None:
            self._write(out)
            self._upstream_error(told.bytes, told.fault)
        elif told.done:
            self._finish(out, told.bytes)
        elif told.bytes:
            if self.exchange is None:
                self._hold(told.bytes, committing=told.content)
            else:
                out.append(told.bytes)

    def _hold(self, event: bytes, *, committing: bool) -> None:
        self.held.append(event)
        self.size += len(event)
        if committing or self.size > _MAX_HELD_BYTES:
            self._commit()

    def _commit(self) -> None:
        self.owner.first_byte(self)
        self.exchange = self.owner.committed(self)
        self.exchange.write(b"".join(self.held))
        self.held.clear()

    def _write(self, out: list[bytes]) -> None:
        if out and self.exchange is not None:
            self.exchange.write(out[0] if len(out) == 1 else b"".join(out))
            out.clear()

    def _finish(self, out: list[bytes], end_marker: bytes) -> None:
        if self.exchange is None:
            self._commit()
        self.over = True
        self.owner.settle_stream(self, None, "")
        out.append(end_marker)
        self._write(out)
        if self.exchange is not None:
            self.exchange.finish()

    def _upstream_error(self, frame: bytes, fault: Fault) -> None:
        if self.exchange is None:
            self.over = True
            self.cancel()
            self.owner.faulted(self, UpstreamFault("in-band", 0, self.headers, b"", fault, fault.message))
        else:
            self._break(fault.message, frame)

    def _break(self, detail: str, frame: bytes | None = None) -> None:
        """Ends visibly: an error frame and no end marker; before the commit, a fault that may be retried."""
        self.over = True
        self.cancel()
        if self.exchange is None:
            self.malformed(detail)
            return
        self.owner.settle_stream(self, STREAM_BROKEN, detail)
        self.exchange.write(frame or self.reader.problem(STREAM_BROKEN))
        self.exchange.finish()
