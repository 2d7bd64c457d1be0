"""One end of a WebSocket on a link: whole messages to its owner, control frames answered here, and how it all ends.

Owns pings, pongs, the closing handshake and the times of both. Messages mean nothing here.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Final, Protocol

from tidegate.wire.link import Link
from tidegate.wire.websocket import (
    CLOSE,
    LOST,
    PING,
    PONG,
    MessageReader,
    WebSocketFault,
    encode_close,
    encode_frame,
    read_close,
)

BEAT_SECONDS: Final = 20.0
"""A peer that has been silent for so long is pinged; one that is silent for as long again is gone."""
CLOSING_SECONDS: Final = 3.0
"""The peer has so long to answer a close frame, and to take what was written before it."""


class WebSocketOwner(Protocol):
    def on_message(self, end: "WebSocketEnd", opcode: int, payload: bytes) -> None: ...

    def on_closed(self, end: "WebSocketEnd", code: int, reason: str) -> None:
        """It is over, whoever began it: by the peer's close frame, by its fault, or lost (`LOST`). Once."""
        ...

    def on_pause(self, end: "WebSocketEnd") -> None:
        """The peer reads too slowly: send no more messages."""
        ...

    def on_resume(self, end: "WebSocketEnd") -> None: ...

    def on_drain(self, end: "WebSocketEnd") -> None:
        """The server is stopping."""
        ...


class WebSocketEnd:
    """`is_client`: our side of the connection made it, so that our frames are masked and the peer's are not."""

    __slots__ = (
        "_beat_timer",
        "_closing_timer",
        "_heard",
        "_is_client",
        "_link",
        "_loop",
        "_noise",
        "_over",
        "_owner",
        "_pinged",
        "_pong_due",
        "_reader",
        "_reading",
        "_stall_timeout",
        "closing",
    )

    def __init__(
        self,
        link: Link,
        owner: WebSocketOwner,
        *,
        loop: asyncio.AbstractEventLoop,
        is_client: bool,
        max_bytes: int,
        stall_timeout: float,
        noise: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """`max_bytes` of a message from the peer. `stall_timeout`: seconds for which it may take nothing of ours."""
        self._link = link
        self._owner = owner
        self._loop = loop
        self._is_client = is_client
        self._reader = MessageReader(from_client=not is_client, max_bytes=max_bytes)
        self._stall_timeout = stall_timeout
        self._noise = noise
        self._heard = True
        self._pinged = False
        self._pong_due: bytes | None = None
        self._reading = True
        self._over = False
        self._closing_timer: asyncio.TimerHandle | None = None
        self._beat_timer = loop.call_later(BEAT_SECONDS, self._beat)
        self.closing = False
        """A close frame was sent, or nothing more can be: messages are dropped both ways."""

    def begin(self) -> None:
        """Hears the link, at once what came early."""
        self._link.listen(self)

    @property
    def writable(self) -> bool:
        return self._link.writable

    def send(self, opcode: int, payload: bytes) -> None:
        if not self.closing:
            self._link.write(encode_frame(opcode, payload, self._mask_key()))

    def close(self, code: int, reason: str = "") -> None:
        """Begins the closing handshake, or does nothing where it has begun."""
        if self.closing:
            return
        self.closing = True
        self.resume()  # the peer's answer must be read
        self._link.write(encode_close(code, reason, self._mask_key()))
        if self._closing_timer is None:
            self._closing_timer = self._loop.call_later(CLOSING_SECONDS, self._link.abort)

    def abort(self) -> None:
        """Ends it without a word."""
        self._link.abort()

    def pause(self) -> None:
        """Reads no more from the peer."""
        if not self.closing:
            self._reading = False
            self._link.pause()

    def resume(self) -> None:
        self._reading = True
        self._heard = True
        self._link.resume()

    # The link.

    def on_data(self, data: bytes) -> None:
        self._heard = True
        if self._over:
            return
        try:
            for message in self._reader.feed(data):
                self._take(message.opcode, message.payload)
                if self._over:
                    return
        except WebSocketFault as fault:
            self.close(fault.code, str(fault))
            self._end(fault.code, str(fault))

    def on_lost(self) -> None:
        self.closing = True
        self._beat_timer.cancel()
        if self._closing_timer is not None:
            self._closing_timer.cancel()
        self._end(LOST, "the connection was lost")

    def on_pause(self) -> None:
        self._owner.on_pause(self)

    def on_resume(self) -> None:
        due, self._pong_due = self._pong_due, None
        if due is not None:
            self.send(PONG, due)
        self._owner.on_resume(self)

    def on_drain(self) -> None:
        if not self._over:
            self._owner.on_drain(self)

    # Inside.

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode < CLOSE:
            if not self.closing:
                self._owner.on_message(self, opcode, payload)
        elif opcode == PING:
            if self._link.writable:
                self.send(PONG, payload)
            else:
                self._pong_due = payload  # of pings that pile up the latest is answered (RFC 6455 §5.5.3)
        elif opcode == CLOSE:
            code, reason = read_close(payload)
            self.close(code)
            self._end(code, reason)
            if not self._is_client:
                self._link.close()  # the server ends the connection (§7.1.1); a client waits for it

    def _end(self, code: int, reason: str) -> None:
        if not self._over:
            self._over = True
            self._owner.on_closed(self, code, reason)

    def _mask_key(self) -> bytes:
        return self._noise(4) if self._is_client else b""

    def _beat(self) -> None:
        """Ends a peer that is gone without a word, and one that takes nothing of what is sent to it."""
        self._beat_timer = self._loop.call_later(BEAT_SECONDS, self._beat)
        if self._link.stalled_for(self._loop.time()) > self._stall_timeout:
            self._link.abort()
        elif self._heard or not self._reading:
            self._heard = self._pinged = False
        elif self._pinged:
            self._link.abort()
        else:
            self._pinged = True
            self.send(PING, b"")
