"""One client's connection: bytes in, exchanges out, in order.

Owns the framing state, the bounded input buffer and what is owed to the client. No task, no timer of its own: the
server's sweep asks it `overdue` now and then.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from tidegate.wire.body import ChunkedBody, SizedBody
from tidegate.wire.exchange import Exchange
from tidegate.wire.fault import WireFault, too_large
from tidegate.wire.head import CHUNKED, Head, check_partial
from tidegate.wire.link import Link
from tidegate.wire.message import STATUS_LINES, Request
from tidegate.wire.peer import client_address, is_trusted
from tidegate.wire.transport import WriteWatch, peer_address, reset

if TYPE_CHECKING:
    from tidegate.wire.server import Server

log = logging.getLogger(__name__)

_HEAD, _BODY, _BUSY, _UPGRADED, _LINGER, _CLOSED = range(6)
_PIPELINE_BYTES = 65_536
"""What a client may send ahead while its request is being answered; then its socket is not read."""
_HIGH_WATER_BYTES = 65_536
_LINGER_SECONDS = 2.0
_BATCH = 32
"""Pipelined requests served in one turn of the loop."""
_BODY_BYTES_PER_SECOND = 32_768
"""A body may take the body timeout, and a second more for each so many bytes that have come."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """HTTP/1.1 and 1.0 on one transport (RFC 9112)."""

    __slots__ = (
        "_body",
        "_buffer",
        "_exchange",
        "_head",
        "_line_checked",
        "_link",
        "_peer",
        "_position",
        "_reading_paused",
        "_running",
        "_served",
        "_server",
        "_since",
        "_state",
        "_transport",
        "_trusted",
        "_unflushed",
        "_writes",
    )

    _transport: asyncio.Transport

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._state = _HEAD
        self._since = server.now
        self._served = False
        self._buffer = b""
        self._position: int = 0
        self._line_checked = False
        self._head: Head | None = None
        self._body: SizedBody | ChunkedBody | None = None
        self._exchange: Exchange | None = None
        self._link: Link | None = None
        self._running = False
        self._reading_paused = False
        self._unflushed = False
        self._writes = WriteWatch()
        self._peer = ""
        self._trusted = False

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # a loop's own class need not be a subclass
        self._transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        self._peer = peer_address(self._transport)
        self.trust()
        self._server.admit(self)

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state in (_HEAD, _BUSY):
            if self._buffer:
                data = self._buffer[self._position :] + data
            elif state == _HEAD:
                self._since = self._server.now
            self._buffer = data
            self._position = 0
            if state == _HEAD:
                self._advance()
            if len(self._buffer) > _PIPELINE_BYTES and not self._reading_paused and self._state in (_HEAD, _BUSY):
                self._reading_paused = True
                self._transport.pause_reading()
        elif state == _BODY:
            self._feed(data)
        elif self._link is not None:
            self._link.received(data)

    def eof_received(self) -> bool | None:
        # A half-closed client cannot be told from one that has gone: like every proxy we take it as gone.
        if self._state == _BUSY:
            reset(self._transport)
        else:
            self._state = _CLOSED
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._state = _CLOSED
        self._buffer = b""
        self._body = None
        self._server.forget(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.lost()
        link, self._link = self._link, None
        if link is not None:
            link.lost()

    def pause_writing(self) -> None:
        self._unflushed = True
        if self._exchange is not None:
            self._exchange.paused()
        elif self._link is not None:
            self._link.paused()

    def resume_writing(self) -> None:
        self._unflushed = False
        if self._exchange is not None:
            self._exchange.resumed()
        elif self._link is not None:
            self._link.resumed()
        elif self._buffer:
            self._server.loop.call_soon(self._advance)

    # Reading.

    def _advance(self) -> None:
        """Serves what the buffer holds, until a request is under way or more bytes are needed."""
        if self._running:
            return
        self._running = True
        try:
            for _ in range(_BATCH):
                if self._state != _HEAD or self._unflushed or not self._buffer or not self._next():
                    break
            else:
                self._server.loop.call_soon(self._advance)
        except WireFault as fault:
            self._refuse(None if self._head is None else self._head.request, fault)
        finally:
            self._running = False

    def _next(self) -> bool:
        """Takes one head, and its body if that is there too. → whether there may be another."""
        buffer = self._buffer
        position = self._position
        settings = self._server.settings
        start = position
        if buffer[position] == 13 and buffer.startswith(b"\r\n", position):
            start += 2  # RFC 9112 §2.2: one empty line before the request line
        end = buffer.find(b"\r\n\r\n", start)
        if end < 0 or end - start > settings.max_head_bytes:
            self._await_head(buffer, start, end)
            return False
        head = self._server.parser.parse(buffer[start:end])
        position = end + 4
        request = head.request
        request.peer = self._peer if not self._trusted else self._client(request)
        length = head.length
        if length > settings.max_body_bytes:
            self._head = head
            raise too_large(413, f"the request body is larger than {settings.max_body_bytes} bytes")
        if 0 <= length <= len(buffer) - position:
            if length:
                request.body = buffer[position : position + length]
                position += length
            if position == len(buffer):
                self._buffer = b""
                position = 0
            self._position = position
            self._dispatch(head)
        else:
            self._buffer = b""
            self._position = 0
            self._begin_body(head, buffer[position:])
        return True

    def _await_head(self, buffer: bytes, start: int, end: int) -> None:
        limit = self._server.settings.max_head_bytes
        if end >= 0 or len(buffer) - start > limit + 3:
            if buffer.find(b"\r\n", start, start + limit) < 0:
                raise too_large(414, f"the request line is longer than {limit} bytes")
            raise too_large(431, f"the head of the request is larger than {limit} bytes")
        self._line_checked = check_partial(buffer[start:], self._line_checked)

    def _begin_body(self, head: Head, rest: bytes) -> None:
        settings = self._server.settings
        self._head = head
        if head.length == CHUNKED:
            body = ChunkedBody(settings.max_body_bytes, settings.max_head_bytes, settings.max_headers)
        else:
            body = SizedBody(head.length)
        self._body = body
        if body.feed(rest):
            self._end_body(head, body)
            return
        try:
            refusal = self._server.app.on_head(head.request)
        except Exception:
            log.exception("the application failed on the head of a request")
            raise WireFault(500, "internal_error", "the gateway failed on this request") from None
        if refusal is not None:
            self._answer_and_leave(head.request, *refusal)
            return
        self._state = _BODY
        self._since = self._server.now
        if head.expects:
            self.send(_CONTINUE)

    def _feed(self, data: bytes) -> None:
        head, body = self._head, self._body
        if head is None or body is None:
            return
        try:
            done = body.feed(data)
        except WireFault as fault:
            self._refuse(head.request, fault)
            return
        if done:
            self._end_body(head, body)
            self._advance()

    def _end_body(self, head: Head, body: SizedBody | ChunkedBody) -> None:
        self._head = None
        self._body = None
        head.request.body = body.whole()
        self._buffer = body.rest
        self._position = 0
        self._dispatch(head)

    def _client(self, request: Request) -> str:
        forwarded = [value for name, value in request.headers if name == b"x-forwarded-for"]
        return client_address(self._peer, forwarded, self._server.settings.trusted_proxies)

    # Serving.

    def _dispatch(self, head: Head) -> None:
        request = head.request
        server = self._server
        self._state = _BUSY
        self._served = True
        self._line_checked = False
        cors = server.cors
        exchange = self._exchange = Exchange(
            request, self, head.keep_alive, b"" if cors is None else cors.answer_headers(request.header(b"origin"))
        )
        if request.method == b"OPTIONS" and server.answer_options(exchange):
            return
        try:
            server.app.on_request(exchange)
        except Exception:
            log.exception("the application failed on a request")
            self._fail(exchange)

    def _fail(self, exchange: Exchange) -> None:
        if self._link is not None:
            self._link.abort()
        elif exchange.started:
            exchange.abort()
        else:
            exchange.respond(
                500,
                *self._server.app.wire_error(
                    exchange.request, 500, "internal_error", "the gateway failed on this request"
                ),
            )

    def send(self, data: bytes) -> None:
        self._writes.sent += len(data)
        self._transport.write(data)

    def answer_fields(self, keep_alive: bool, version: str) -> bytes:
        server = self._server
        if not keep_alive or server.draining:
            return server.fields_close
        return server.fields if version != "1.0" else server.fields_keep_alive

    def answered(self, keep_alive: bool) -> None:
        self._exchange = None
        if not keep_alive or self._server.draining:
            self._leave()
            return
        self._state = _HEAD
        self._since = self._server.now
        if self._reading_paused and len(self._buffer) - self._position <= _PIPELINE_BYTES:
            self._reading_paused = False
            self._transport.resume_reading()
        if self._buffer and not self._running:
            self._server.loop.call_soon(self._advance)

    def upgraded(self) -> Link:
        self._exchange = None
        self._state = _UPGRADED
        early, self._buffer = self._buffer[self._position :], b""
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        link = self._link = Link(self._transport, self._writes, early, writable=not self._unflushed)
        if self._server.draining:
            self._server.loop.call_soon(link.draining)
        return link

    def torn(self, flush: bool) -> None:
        self._exchange = None
        self._state = _CLOSED
        if flush:
            self._transport.close()
        else:
            reset(self._transport)

    # Refusing and leaving.

    def _refuse(self, request: Request | None, fault: WireFault) -> None:
        headers, body = self._server.app.wire_error(request, fault.status, fault.code, fault.message)
        self._answer_and_leave(request, fault.status, headers, body)

    def _answer_and_leave(self, request: Request | None, status: int, headers: bytes, body: bytes) -> None:
        """Answers a request that was not read to its end, so that nothing after it can be read either."""
        size = b"content-length: %d\r\n" % len(body)
        cors = b""
        if request is not None:
            if request.method == b"HEAD":
                body = b""
            if self._server.cors is not None:
                cors = self._server.cors.answer_headers(request.header(b"origin"))
        self.send(b"".join((STATUS_LINES[status], headers, cors, size, self._server.fields_close, b"\r\n", body)))
        self._linger()

    def _leave(self) -> None:
        if self._buffer or self._reading_paused:
            self._linger()
        else:
            self._state = _CLOSED
            self._transport.close()

    def _linger(self) -> None:
        """Ends our side and drops what still comes: closing at once would reset the answer away (RFC 9112 §9.6)."""
        self._buffer = b""
        self._position = 0
        self._head = None
        self._body = None
        if not self._transport.can_write_eof():
            self._state = _CLOSED
            self._transport.close()
            return
        self._state = _LINGER
        self._since = self._server.now
        self._transport.write_eof()
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()

    # What the server asks.

    def trust(self) -> None:
        """Finds out whether the peer is a trusted proxy: at the start, and when the settings change."""
        self._trusted = is_trusted(self._peer, self._server.settings.trusted_proxies)

    def turn_away(self) -> None:
        """The server has too many connections."""
        self._refuse(None, WireFault(503, "overloaded", "the gateway has too many connections; try again shortly"))

    def drain(self) -> None:
        """Ends the connection if nothing is under way; else its running answer will be its last."""
        if self._state == _HEAD and not self._buffer:
            self._state = _CLOSED
            self._transport.close()
        elif self._link is not None:
            self._link.draining()

    def kill(self) -> None:
        """Ends the connection now."""
        reset(self._transport)

    def sweep(self, now: float) -> None:
        """Enforces the timeouts. `now` is the loop's time."""
        settings = self._server.settings
        unflushed = self._transport.get_write_buffer_size()
        if unflushed:
            if self._writes.stalled_for(unflushed, now) > settings.write_stall_timeout:
                reset(self._transport)
            return
        state = self._state
        waited = now - self._since
        if state == _HEAD:
            if not self._buffer:
                if waited > (settings.idle_timeout if self._served else settings.head_timeout):
                    self._state = _CLOSED
                    self._transport.close()
            elif waited > settings.head_timeout:
                self._refuse(None, WireFault(408, "request_timeout", "the head of the request did not come in time"))
        elif state == _BODY:
            self._sweep_body(waited)
        elif state == _LINGER and waited > _LINGER_SECONDS:
            reset(self._transport)

    def _sweep_body(self, waited: float) -> None:
        if self._head is None or self._body is None:
            return
        if waited > self._server.settings.body_timeout + self._body.size / _BODY_BYTES_PER_SECOND:
            fault = WireFault(408, "request_timeout", "the body of the request did not come in time")
            self._refuse(self._head.request, fault)
