"""Attempts at media: audio is given on as it comes and never held whole, streams of events are read like others."""

from tidegate.core.usage import UNKNOWN_USAGE, Usage
from tidegate.core.view import View
from tidegate.decide.route import Candidate
from tidegate.dialects.dialect import Dialect, Relay
from tidegate.gateway.attempts.attempt import (
    MAX_ANSWER_BYTES,
    MAX_FAULT_BYTES,
    STREAM_BROKEN,
    Attempt,
    AttemptOwner,
    StreamAttempt,
    whole_answer,
)
from tidegate.gateway.headers import header_value
from tidegate.wire.client import Failure
from tidegate.wire.message import Headers
from tidegate.wire.server import Exchange


class PassingAttempt(Attempt):
    """Commits with the first byte. A cut is told by the connection: such a body has no place for an error."""

    __slots__ = ("exchange",)

    def __init__(self, owner: AttemptOwner, candidate: Candidate, dialect: Dialect, relay: Relay, view: View) -> None:
        super().__init__(owner, candidate, dialect, relay, view)
        self.exchange: Exchange | None = None

    def partial_usage(self) -> Usage:
        """Speech is charged by the characters of its request, however much of it is heard."""
        return Usage(units=self.view.units, source="reported")

    def on_data(self, data: bytes) -> None:
        if self.status != 200:
            self.collect(data, MAX_FAULT_BYTES)
            return
        if self.exchange is None:
            self.owner.first_byte(self)
            self.exchange = self.owner.committed(self)
        self.exchange.write(data)

    def on_end(self) -> None:
        if self.status != 200:
            self.status_fault()
        elif self.exchange is None:
            self.malformed("the answer is empty")
        else:
            self.owner.settle_stream(self, None, "")
            self.exchange.finish()

    def on_failure(self, failure: Failure) -> None:
        if self.exchange is None:
            super().on_failure(failure)
            return
        self.owner.settle_stream(self, STREAM_BROKEN, failure.message)
        self.exchange.abort()


class MediaStreamAttempt(StreamAttempt):
    """Some models (`whisper-1`) take the wish for a stream and answer whole all the same: that is given on as it is."""

    __slots__ = ("whole",)

    def __init__(self, owner: AttemptOwner, candidate: Candidate, dialect: Dialect, relay: Relay, view: View) -> None:
        super().__init__(owner, candidate, dialect, relay, view)
        self.whole = False

    def partial_usage(self) -> Usage:
        """As reported. Events say nothing of what a picture or a recording comes to."""
        return self.reader.usage or UNKNOWN_USAGE

    def on_head(self, status: int, headers: Headers) -> None:
        super().on_head(status, headers)
        media = header_value(headers, b"content-type").lower()
        self.whole = status == 200 and self.relay.native and not media.startswith(self.relay.upstream_media)

    def on_data(self, data: bytes) -> None:
        if not self.whole:
            super().on_data(data)
            return
        if not self.parts:
            self.owner.first_byte(self)
        self.collect(data, MAX_ANSWER_BYTES)

    def on_end(self) -> None:
        if not self.whole:
            super().on_end()
            return
        told = self.taken_in(lambda: whole_answer(self))
        if told is not None:
            self.owner.answered(self, *told)
