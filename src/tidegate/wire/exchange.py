"""What an application is to the server, and one request with its answer as the application holds it.

Owns how an answer is framed. Knows its connection only as a `Carrier`; after the answer is complete, or the client is
gone, it is dead and holds no bytes.
"""

from typing import Protocol

from tidegate.wire.link import Link
from tidegate.wire.message import BODYLESS, STATUS_LINES, Request

_JOIN_BYTES = 32_768
"""Up to here head and body are one piece of memory; beyond, copying costs more than a second iovec."""


class ExchangeListener(Protocol):
    """What the application hears of the client while an answer is under way."""

    def on_disconnect(self) -> None:
        """The client is gone: once, and never after the answer was completed or aborted."""
        ...

    def on_pause(self) -> None:
        """The client reads too slowly: its buffer is above the high-water mark. Stop writing."""
        ...

    def on_resume(self) -> None:
        """The buffer has drained."""
        ...


class Application(Protocol):
    """What a server serves. Its methods are called on the loop and must not block."""

    def on_head(self, request: Request) -> tuple[int, bytes, bytes] | None:
        """(status, encoded headers, body) to refuse a request before its body is read, or None.

        Called only when the body did not come with the head.
        """
        ...

    def on_request(self, exchange: "Exchange") -> None:
        """A request is whole. Answer now or later through `exchange`."""
        ...

    def wire_error(self, request: Request | None, status: int, code: str, message: str) -> tuple[bytes, bytes]:
        """(encoded headers, body) of an error that the server itself answers; `request` is None if it was not read."""
        ...


class Carrier(Protocol):
    """The connection under an exchange."""

    def send(self, data: bytes) -> None: ...

    def answer_fields(self, keep_alive: bool, version: str) -> bytes:
        """`date`, and `connection` where it must be said."""
        ...

    def answered(self, keep_alive: bool) -> None:
        """The answer is complete."""
        ...

    def upgraded(self) -> Link:
        """The connection leaves HTTP: 101 was sent."""
        ...

    def torn(self, flush: bool) -> None:
        """The answer cannot be completed. `flush`: what was written so far is still to be sent."""
        ...


class Exchange:
    """A request and its answer. Either `respond`, or `start`, any number of `write`, then `finish`; or `upgrade`; or
    `abort`.

    `headers` are encoded blocks (`message.encode_headers`) without `content-length`, `transfer-encoding`, `connection`
    and `date`: those are the server's. Calls once it is `closed` do nothing; calls out of order raise RuntimeError.
    """

    __slots__ = (
        "_carrier",
        "_chunked",
        "_cors",
        "_keep_alive",
        "_mute",
        "closed",
        "listener",
        "request",
        "started",
        "writable",
    )

    def __init__(self, request: Request, carrier: Carrier, keep_alive: bool, cors: bytes) -> None:
        self.request = request
        self.listener: ExchangeListener | None = None
        self.writable = True
        """False while the client's buffer is above the high-water mark, and once it is gone."""
        self.started = False
        """The answer's head was sent."""
        self.closed = False
        """Complete, aborted, or the client has gone."""
        self._carrier = carrier
        self._keep_alive = keep_alive
        self._cors = cors
        self._chunked = False
        self._mute = False

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        """The whole answer at once."""
        if self.closed:
            return
        if self.started:
            raise RuntimeError("the answer has begun already")
        self.started = True
        self.closed = True
        carrier = self._carrier
        keep_alive = self._keep_alive
        if status in BODYLESS:
            size = body = b""
        else:
            size = b"content-length: %d\r\n" % len(body)
            if self.request.method == b"HEAD":
                body = b""
        fields = carrier.answer_fields(keep_alive, self.request.version)
        if len(body) <= _JOIN_BYTES:
            carrier.send(b"".join((STATUS_LINES[status], headers, self._cors, size, fields, b"\r\n", body)))
        else:
            carrier.send(b"".join((STATUS_LINES[status], headers, self._cors, size, fields, b"\r\n")))
            carrier.send(body)
        carrier.answered(keep_alive)

    def start(self, status: int, headers: bytes) -> None:
        """The head of an answer of unknown length: chunked, or until the connection's end for HTTP/1.0."""
        if self.closed:
            return
        if self.started:
            raise RuntimeError("the answer has begun already")
        self.started = True
        framing = b""
        self._mute = self.request.method == b"HEAD" or status in BODYLESS
        if self.request.version != "1.0":
            if status not in BODYLESS:
                framing = b"transfer-encoding: chunked\r\n"
                self._chunked = not self._mute
        elif not self._mute:
            self._keep_alive = False
        fields = self._carrier.answer_fields(self._keep_alive, self.request.version)
        self._carrier.send(b"".join((STATUS_LINES[status], headers, self._cors, framing, fields, b"\r\n")))

    def write(self, data: bytes) -> None:
        """A part of the body."""
        if self.closed:
            return
        if not self.started:
            raise RuntimeError("the answer has not begun")
        if not data or self._mute:
            return
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._carrier.send(data)

    def finish(self) -> None:
        """The clean end of the body."""
        if self.closed:
            return
        if not self.started:
            raise RuntimeError("the answer has not begun")
        self.closed = True
        if self._chunked:
            self._carrier.send(b"0\r\n\r\n")
        self._carrier.answered(self._keep_alive)

    def upgrade(self, headers: bytes) -> Link:
        """101: what follows is no HTTP. Only where the request asked for it, and had no body; not once it is `closed`.

        `headers` without `connection`. The link must be listened to at once.
        """
        if self.started or self.closed:
            raise RuntimeError("the answer has begun already, or the client is gone")
        self.started = True
        self.closed = True
        self._carrier.send(b"".join((STATUS_LINES[101], headers, self._cors, b"connection: Upgrade\r\n\r\n")))
        return self._carrier.upgraded()

    def abort(self) -> None:
        """No clean end: the connection is torn down so that the client sees a cut.

        What was written is still sent if the missing last chunk tells of the cut; a body that ends with its connection
        (HTTP/1.0) can only be cut by a reset.
        """
        if self.closed:
            return
        self.closed = True
        self.writable = False
        self._carrier.torn(flush=self._chunked or not self.started)

    def lost(self) -> None:
        """The carrier's word that the client has gone."""
        if self.closed:
            return
        self.closed = True
        self.writable = False
        if self.listener is not None:
            self.listener.on_disconnect()

    def paused(self) -> None:
        """The carrier's word that its buffer is above the high-water mark."""
        self.writable = False
        if self.listener is not None and not self.closed:
            self.listener.on_pause()

    def resumed(self) -> None:
        """The carrier's word that its buffer has drained."""
        if self.closed:
            return
        self.writable = True
        if self.listener is not None:
            self.listener.on_resume()
