"""Attempts at upstreams that can only stream, or cannot, for clients that asked for the other."""

from tidegate.core.usage import UNKNOWN_USAGE, Usage
from tidegate.core.view import View
from tidegate.decide.route import Candidate
from tidegate.dialects.dialect import Dialect, Relay
from tidegate.gateway.attempts.attempt import AttemptOwner, StreamAttempt, UnaryAttempt, whole_answer


class FoldedAttempt(StreamAttempt):
    """A stream is read to its end, then told as a whole answer: until then nothing has gone to the client, and whatever
    ends it early may be tried elsewhere."""

    __slots__ = ()

    def _finish(self, out: list[bytes], end_marker: bytes) -> None:
        """`end_marker` is the client's answer."""
        self.over = True
        self.owner.first_byte(self)
        self.owner.answered(self, self.partial_usage(), end_marker)


class ExplodedAttempt(UnaryAttempt):
    """A whole answer is read, then told as a stream. Its usage is known before its first event goes out."""

    __slots__ = ("usage",)

    def __init__(self, owner: AttemptOwner, candidate: Candidate, dialect: Dialect, relay: Relay, view: View) -> None:
        super().__init__(owner, candidate, dialect, relay, view)
        self.usage = UNKNOWN_USAGE

    def partial_usage(self) -> Usage:
        return self.usage

    def on_end(self) -> None:
        if self.status != 200:
            self.status_fault()
            return
        told = self.taken_in(lambda: whole_answer(self))
        if told is None:
            return
        self.usage, stream = told
        exchange = self.owner.committed(self)
        self.owner.settle_stream(self, None, "")
        exchange.write(stream)
        exchange.finish()


def reshaped(view: View, streams: bool) -> bool | None:
    """`streams`, what the upstream always does, where this call's client wants the other; else None."""
    return streams if view.operation == "chat" and view.stream != streams else None


def reshaping_kind(view: View) -> type[FoldedAttempt | ExplodedAttempt]:
    return ExplodedAttempt if view.stream else FoldedAttempt
