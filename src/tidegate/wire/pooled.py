"""One connection of a client pool: writes a request, parses its answer, watches its times, is used again.

Parsing is httptools' (llhttp); what it is lenient about and matters to a client is checked here.
"""

import asyncio
import logging
from typing import Final, Literal, Protocol, cast

import httptools

from tidegate.wire.link import Link
from tidegate.wire.message import Headers
from tidegate.wire.outbound import Call, Failure, FailureKind, UpgradeSink
from tidegate.wire.transport import WriteWatch

_MAX_HEAD_BYTES: Final = 65_536
_MAX_HEADERS: Final = 200
_JOIN_BYTES: Final = 65_536

Waiting = Literal["head", "body"]


log = logging.getLogger(__name__)


class BadAnswer(Exception):
    """The answer breaks a bound of ours."""


class Times(Protocol):
    """Of the pool's settings, what a connection watches; seconds."""

    @property
    def first_byte_timeout(self) -> float: ...

    @property
    def idle_timeout(self) -> float: ...


class Keeper(Protocol):
    """The pool, as its connections see it."""

    @property
    def settings(self) -> Times: ...

    def proxied(self, head: bytes) -> bytes: ...

    def joined(self, connection: "PooledConnection") -> None: ...

    def left(self, connection: "PooledConnection") -> None: ...

    def free(self, connection: "PooledConnection") -> None: ...

    def again(self, call: Call) -> None: ...


class PooledConnection(asyncio.Protocol):
    """Carries one call at a time."""

    __slots__ = (
        "_answered",
        "_call",
        "_finished",
        "_head_bytes",
        "_headers",
        "_keeper",
        "_link",
        "_loop",
        "_parser",
        "_quiet_since",
        "_reading",
        "_status",
        "_transport",
        "_used",
        "idle_since",
        "usable",
    )

    def __init__(self, keeper: Keeper, loop: asyncio.AbstractEventLoop) -> None:
        self._keeper = keeper
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._call: Call | None = None
        self._link: Link | None = None
        self._headers: Headers = []
        self._head_bytes = 0
        self._status = 0
        self._answered = False
        self._finished = False
        self._used = False
        self._reading = True
        self._quiet_since = 0.0
        self.idle_since = 0.0
        self.usable = True

    # The pool's side.

    def begin(self, call: Call) -> None:
        """Sends the request. Only on a usable connection without a call."""
        transport = self._transport
        if transport is None:
            call.fail(Failure("reset", "the connection closed before the request was sent"))
            return
        self._call = call
        call.connection = self
        self._headers = []
        self._head_bytes = 0
        self._answered = False
        self._quiet_since = self._loop.time()
        head = self._keeper.proxied(call.head)
        if len(call.body) <= _JOIN_BYTES:
            transport.write(head + call.body)
        else:
            transport.write(head)
            transport.write(call.body)
        if call.paused:
            self.pause()

    def pause(self) -> None:
        if self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self._reading and self._transport is not None:
            self._reading = True
            self._quiet_since = self._loop.time()
            self._transport.resume_reading()

    def drop(self) -> None:
        self.usable = False
        self._call = None
        if self._transport is not None:
            self._transport.abort()

    def sweep(self, now: float, expired: float) -> None:
        """Called a few times a second: ends what has taken too long."""
        call = self._call
        if call is None:
            if self.usable and self.idle_since < expired:
                self.drop()
            return
        if now > call.ends_at:
            self._fail("total-timeout", "the call took longer than its total timeout")
        elif not self._answered:
            if now - self._quiet_since > self._keeper.settings.first_byte_timeout:
                self._fail("first-byte-timeout", "no byte of an answer came in time")
        elif self._reading and now - self._quiet_since > self._keeper.settings.idle_timeout:
            self._fail("idle-timeout", "the answer stood still for too long")

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.idle_since = self._loop.time()
        self._keeper.joined(self)

    def data_received(self, data: bytes) -> None:
        if self._call is None:
            if self._link is not None:
                self._link.received(data)
                return
            self.drop()  # bytes that nobody asked for: whatever they are, they must not become the next answer
            return
        self._answered = True
        self._quiet_since = self._loop.time()
        if not self._status:
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES and b"\r\n\r\n" not in data:
                self._fail("protocol", f"the head of the answer is larger than {_MAX_HEAD_BYTES} bytes")
                return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as leaving:
            self._upgrade(data[leaving.args[0] :])
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, BadAnswer):
                log.error("a sink failed", exc_info=cause)  # a bug above us: it ends its own call, not the process
            self._fail("protocol", str(cause) if isinstance(cause, BadAnswer) else "the answer could not be taken in")
        except httptools.HttpParserError as error:
            self._fail("protocol", f"the answer is not HTTP/1.1: {error}")
        else:
            if self._finished:
                self._hand_back()

    def eof_received(self) -> bool | None:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._transport = None
        call = self._call
        self._call = None
        self._keeper.left(self)
        link, self._link = self._link, None
        if link is not None:
            link.lost()
        if call is None or call.over:
            return
        if self._ends_with_connection():
            call.end()
        elif self._used and call.replayable and not self._answered:
            self._keeper.again(call)
        else:
            when = "in the middle of the answer" if self._answered else "before any answer"
            call.fail(Failure("reset", f"the upstream closed the connection {when}", self._answered))

    def pause_writing(self) -> None:
        if self._link is not None:
            self._link.paused()

    def resume_writing(self) -> None:
        if self._link is not None:
            self._link.resumed()

    # The parser's side.

    def on_message_begin(self) -> None:
        if self._finished:
            self.usable = False  # a second answer to one request: nothing on this connection can be trusted any more
        self._headers = []
        self._status = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))
        if len(self._headers) > _MAX_HEADERS:
            raise BadAnswer(f"the answer has more than {_MAX_HEADERS} headers")

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        call = self._call
        if call is not None and self._status >= 200:
            call.sink.on_head(self._status, self._headers)

    def on_body(self, body: bytes) -> None:
        call = self._call
        if call is not None and self._status >= 200:
            call.sink.on_data(body)

    def on_message_complete(self) -> None:
        call, status = self._call, self._status
        self._status = 0
        if call is None or status < 200:
            return  # 1xx answers are interim (RFC 9110 §15.2)
        self._call = None
        if self._framed_twice():
            self.usable = False  # what follows may be half of this answer (RFC 9112 §6.1): never read on
        self._used = True
        self._finished = True
        self.usable = self.usable and self._parser.should_keep_alive()
        call.end()

    # Ends.

    def _upgrade(self, early: bytes) -> None:
        """101: the connection is the sink's from here on, and never the pool's again. It counts as one until it ends."""
        call, transport = self._call, self._transport
        if call is None or transport is None or not isinstance(call.sink, UpgradeSink):
            self._fail("protocol", "the upstream left HTTP without being asked to")
            return
        self._call = None
        self.usable = False
        call.over = True
        call.connection = None
        self.resume()
        link = self._link = Link(transport, WriteWatch(), early, writable=True)
        try:
            call.sink.on_upgrade(self._headers, link)
        except Exception:
            log.exception("a sink failed")
            link.abort()

    def _hand_back(self) -> None:
        """Once all that was read is parsed: to the pool, or closed if anything about the answer was off."""
        self._finished = False
        if not self._reading:
            self.resume()
        if self.usable:
            self._keeper.free(self)
        elif self._transport is not None:
            self._transport.close()

    def _framed_twice(self) -> bool:
        names = [name for name, _ in self._headers if name in (b"content-length", b"transfer-encoding")]
        return len(names) > 1

    def _ends_with_connection(self) -> bool:
        """An answer with neither length nor chunks ends where the connection does (RFC 9112 §6.3)."""
        if self._status < 200:
            return False
        names = {name for name, _ in self._headers}
        return b"content-length" not in names and b"transfer-encoding" not in names

    def _fail(self, kind: FailureKind, message: str) -> None:
        call, answered = self._call, self._answered
        self.drop()
        if call is not None:
            call.fail(Failure(kind, message, answered))
