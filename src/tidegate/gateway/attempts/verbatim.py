"""An attempt that is passed through: the client's own request to a path of the provider, its answer as it comes.

What passes by is read for its usage, and never changed or waited for.
"""

import logging
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from tidegate.core.usage import UNKNOWN_USAGE, Usage
from tidegate.core.view import Operation, View
from tidegate.decide.route import Candidate
from tidegate.dialects.dialect import (
    COUNTED,
    Answer,
    Dialect,
    Relay,
    Splitter,
    StreamReader,
    UnreadableAnswer,
    UpstreamModel,
)
from tidegate.gateway.attempts.attempt import MAX_FAULT_BYTES, AttemptOwner
from tidegate.gateway.attempts.passing import PassingAttempt
from tidegate.gateway.headers import header_value
from tidegate.wire.framing import FrameError
from tidegate.wire.message import Headers, encode_headers

log = logging.getLogger(__name__)

_MAX_READ_BYTES: Final = 16 * 1024 * 1024
"""Larger answers are passed on, and not read for their usage."""
_NOTHING_USED: Final = Usage(source="reported")
_KEPT_BACK: Final = frozenset(
    (
        b"connection",
        b"content-length",
        b"content-type",
        b"date",
        b"keep-alive",
        b"proxy-authenticate",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-request-id",
        b"request-id",
        b"x-amzn-requestid",
    )
)
"""Headers of an answer that are the connection's, the gateway's own, or would sign a client in at the provider."""
_LIMITS: Final = (b"x-ratelimit-", b"anthropic-ratelimit-", b"access-control-", b"x-tidegate-")
"""The provider's rate limits are the account's, not the caller's."""


class Verbatim(Struct):
    """The request as it goes upstream: the `parts` of its View."""

    method: bytes
    target: bytes
    """Path and query of the request line."""
    headers: bytes
    """The client's own, as an encoded block."""
    body: bytes
    operation: Operation | None
    """What the provider's dialect does at this path; None where it does not know it."""
    reads: bool
    """It only asks for what is there: nothing is used."""


class VerbatimRelay:
    """Is a Relay: the dialect's own, but that requests are as they are."""

    native = True

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.upstream_media = dialect.upstream_media
        self.stream_head = dialect.stream_head

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        assert isinstance(view.parts, Verbatim)  # noqa: S101 - `relay_of` has looked
        return view.parts.body

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        return self._dialect.read_answer(operation, body)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        return self._dialect.encode_answer(answer, view)

    def stream_reader(self, view: View) -> StreamReader:
        return self._dialect.stream_reader(view)

    def splitter(self) -> Splitter:
        return self._dialect.splitter()


class VerbatimAttempt(PassingAttempt):
    """Commits with the first byte of any answer that is no error, even an empty one."""

    __slots__ = ("_tap",)

    def __init__(self, owner: AttemptOwner, candidate: Candidate, dialect: Dialect, relay: Relay, view: View) -> None:
        super().__init__(owner, candidate, dialect, relay, view)
        self._tap: _Tap | None = None

    def partial_usage(self) -> Usage:
        asked = self.view.parts
        if isinstance(asked, Verbatim) and asked.reads:
            return _NOTHING_USED
        return UNKNOWN_USAGE if self._tap is None else self._tap.usage()

    def passed_back(self) -> bytes:
        return encode_headers([pair for pair in self.headers if _passes_back(pair[0])])

    def on_head(self, status: int, headers: Headers) -> None:
        super().on_head(status, headers)
        asked = self.view.parts
        if isinstance(asked, Verbatim) and not asked.reads:
            self._tap = _tap(self.relay, asked.operation, self.view, headers)

    def on_data(self, data: bytes) -> None:
        if self.status >= 400:
            self.collect(data, MAX_FAULT_BYTES)
            return
        if self._tap is not None:
            self._tap.feed(data)
        if self.exchange is None:
            self._commit()
        if self.exchange is not None:
            self.exchange.write(data)

    def on_end(self) -> None:
        if self.status >= 400:
            self.status_fault()
            return
        if self.exchange is None:
            self.owner.first_byte(self)
            self.owner.settle_stream(self, None, "")  # first: of an answer without a body the head is the last byte
            self.exchange = self.owner.committed(self)
        else:
            self.owner.settle_stream(self, None, "")
        self.exchange.finish()

    def _commit(self) -> None:
        self.owner.first_byte(self)
        self.exchange = self.owner.committed(self)


class _Tap:
    """Reads an answer's usage as it passes; what cannot be read is unknown."""

    def feed(self, data: bytes) -> None: ...

    def usage(self) -> Usage:
        return UNKNOWN_USAGE


class _StreamTap(_Tap):
    def __init__(self, relay: Relay, view: View) -> None:
        self._reader = relay.stream_reader(view)
        self._splitter: Splitter | None = relay.splitter()

    def feed(self, data: bytes) -> None:
        if self._splitter is None:
            return
        try:
            for frame in self._splitter.feed(data):
                self._reader.read(frame)
        except (UnreadableAnswer, FrameError):
            self._splitter = None
        except Exception:
            log.exception("a stream that is passed on could not be read")  # a bug of a dialect: it passes all the same
            self._splitter = None

    def usage(self) -> Usage:
        told = self._reader.usage
        return UNKNOWN_USAGE if told is None or self._splitter is None else told


class _WholeTap(_Tap):
    def __init__(self, relay: Relay, operation: Operation) -> None:
        self._relay = relay
        self._operation: Operation = operation
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > _MAX_READ_BYTES:
            self._parts.clear()
        else:
            self._parts.append(data)

    def usage(self) -> Usage:
        try:
            usage = self._relay.read_answer(self._operation, b"".join(self._parts)).usage
        except UnreadableAnswer:
            return UNKNOWN_USAGE
        except Exception:
            # A bug of a dialect. The wire has let go of the call by now: what escaped would leave its client waiting.
            log.exception("an answer that is passed on could not be read")
            return UNKNOWN_USAGE
        return UNKNOWN_USAGE if usage is COUNTED else usage  # the request would say it, and was not read


def _tap(relay: Relay, operation: Operation | None, view: View, headers: Headers) -> _Tap | None:
    media = header_value(headers, b"content-type").lower()
    if operation is not None and view.stream and media.startswith(relay.upstream_media):
        return _StreamTap(relay, replace(view, operation=operation))
    return _WholeTap(relay, operation or "chat") if b"json" in media else None


def _passes_back(name: bytes) -> bool:
    return name not in _KEPT_BACK and not name.startswith(_LIMITS)
