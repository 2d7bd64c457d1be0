"""An attempt whose answer means nothing to the gateway: audio, given on as it comes and never held whole."""

from tidegate.core.view import View
from tidegate.decide.route import Candidate
from tidegate.dialects.dialect import Dialect, Relay
from tidegate.gateway.attempt import MAX_FAULT_BYTES, STREAM_BROKEN, Attempt, AttemptOwner, StreamAttempt, UnaryAttempt
from tidegate.wire.client import Failure
from tidegate.wire.server import Exchange


class PassingAttempt(Attempt):
    """Commits with the first byte. A cut is told by the connection: such a body has no place for an error."""

    __slots__ = ("exchange",)

    def __init__(self, owner: AttemptOwner, candidate: Candidate, dialect: Dialect, relay: Relay, view: View) -> None:
        super().__init__(owner, candidate, dialect, relay, view)
        self.exchange: Exchange | None = None

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


def attempt_kind(view: View) -> type[StreamAttempt | UnaryAttempt | PassingAttempt]:
    if view.operation == "speech":
        return PassingAttempt
    return StreamAttempt if view.stream else UnaryAttempt
