"""One outbound call as its caller and its connection see it: what is heard of it, why it fails, how it is stopped."""

import logging
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from tidegate.wire.link import Link
from tidegate.wire.message import Headers

log = logging.getLogger(__name__)

FailureKind = Literal[
    "connect",
    "tls",
    "pool-full",
    "connect-timeout",
    "first-byte-timeout",
    "idle-timeout",
    "total-timeout",
    "reset",
    "protocol",
    "credential",
]
"""`credential`: it was never sent, as there is nothing to prove it with."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call has no whole answer. `answered`: some byte of one came."""

    kind: FailureKind
    message: str
    answered: bool = False


class Sink(Protocol):
    """Hears of one call: `on_head`, any number of `on_data`, then exactly one of `on_end` and `on_failure`.

    A sink that raises hears `on_failure` next, even where that was `on_end`: whoever waits for it must not wait on.
    Nothing is heard after `Call.cancel`.
    """

    def on_head(self, status: int, headers: Headers) -> None: ...

    def on_data(self, data: bytes) -> None: ...

    def on_end(self) -> None: ...

    def on_failure(self, failure: Failure) -> None: ...


@runtime_checkable
class UpgradeSink(Sink, Protocol):
    """Of a call that asks to leave HTTP. An answer that does not agree is told as that of any call."""

    def on_upgrade(self, headers: Headers, link: Link) -> None:
        """In place of everything else, and the last of the call. The link must be listened to, or aborted, at once."""
        ...


class Connection(Protocol):
    """What a Call needs of the connection that carries it."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def drop(self) -> None:
        """Closes at once; its call hears nothing."""
        ...


class Call:
    """One request under way. Owned by the pool until it is over."""

    __slots__ = ("body", "connection", "ends_at", "head", "over", "paused", "replayable", "sink", "starts_by")

    def __init__(self, head: bytes, body: bytes, sink: Sink, *, replayable: bool, starts_by: float, ends_at: float):
        self.head = head
        self.body = body
        self.sink = sink
        self.replayable = replayable
        """It may be sent once more, on a fresh connection, if a kept one proves dead before any answer."""
        self.starts_by = starts_by
        self.ends_at = ends_at
        self.connection: Connection | None = None
        self.paused = False
        self.over = False

    def cancel(self) -> None:
        """Closes its connection, or gives up its place in the queue. Nothing more is heard."""
        if self.over:
            return
        self.over = True
        if self.connection is not None:
            self.connection.drop()

    def pause(self) -> None:
        """Stops reading the upstream's socket, so that nothing piles up here."""
        self.paused = True
        if self.connection is not None:
            self.connection.pause()

    def resume(self) -> None:
        self.paused = False
        if self.connection is not None:
            self.connection.resume()

    def end(self) -> None:
        """The answer is whole. Nothing else would end a call whose sink fails here: no timeout watches one that is over."""
        self.over = True
        self.connection = None
        try:
            self.sink.on_end()
        except Exception:
            log.exception("a sink failed")
            self._tell(Failure("protocol", "the end of the answer could not be taken in", answered=True))

    def fail(self, failure: Failure) -> None:
        if not self.over:
            self.over = True
            self.connection = None
            self._tell(failure)

    def _tell(self, failure: Failure) -> None:
        try:
            self.sink.on_failure(failure)
        except Exception:  # a bug above us: who tells of it, a sweep of all timeouts perhaps, goes on
            log.exception("a sink failed")
