"""A connection that has left HTTP (RFC 9110 §7.8): bytes both ways, on the server's side and on the client's alike."""

import asyncio
from typing import Protocol

from tidegate.wire.transport import WriteWatch, reset


class LinkListener(Protocol):
    """What is heard of a link. Nothing is heard after `on_lost`."""

    def on_data(self, data: bytes) -> None: ...

    def on_lost(self) -> None:
        """The other end is gone, or has ended its half: nothing can be sent any more. Once."""
        ...

    def on_pause(self) -> None:
        """The other end reads too slowly: the buffer is above the high-water mark. Stop writing."""
        ...

    def on_resume(self) -> None:
        """The buffer has drained."""
        ...

    def on_drain(self) -> None:
        """The server is stopping: end soon. Never on a client's side."""
        ...


class Link:
    """Made by the connection that hands it over and tells it what the transport says."""

    __slots__ = ("_early", "_listener", "_reading", "_transport", "_watch", "open", "writable")

    def __init__(self, transport: asyncio.Transport, watch: WriteWatch, early: bytes, *, writable: bool) -> None:
        """`early`: what came right behind the head of the message that upgraded the connection."""
        self._transport = transport
        self._watch = watch
        self._early = early
        self._listener: LinkListener | None = None
        self._reading = True
        self.open = True
        """It can be written to."""
        self.writable = writable
        """False while its buffer is above the high-water mark."""

    def listen(self, listener: LinkListener) -> None:
        """From here on `listener` hears of it; at once, what came early, or that it is lost already."""
        self._listener = listener
        early, self._early = self._early, b""
        if early:
            listener.on_data(early)
        if not self.open:
            self.lost()

    def write(self, data: bytes) -> None:
        if self.open:
            self._watch.sent += len(data)
            self._transport.write(data)

    def pause(self) -> None:
        """Stops reading."""
        if self._reading and self.open:
            self._reading = False
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self._reading and self.open:
            self._reading = True
            self._transport.resume_reading()

    def close(self) -> None:
        """Sends what is written, then ends. The listener hears `on_lost`."""
        if self.open:
            self.open = False
            self._transport.close()

    def abort(self) -> None:
        """Ends it now, whatever is unsent. The listener hears `on_lost`."""
        self.open = False
        reset(self._transport)

    def stalled_for(self, now: float) -> float:
        """Seconds for which not a byte of what waits has left; `now` is the loop's time."""
        unflushed = self._transport.get_write_buffer_size()
        return self._watch.stalled_for(unflushed, now) if unflushed else 0.0

    # What the connection tells.

    def received(self, data: bytes) -> None:
        if self._listener is None:
            self._early += data
        elif self.open:
            self._listener.on_data(data)

    def paused(self) -> None:
        self.writable = False
        if self._listener is not None:
            self._listener.on_pause()

    def resumed(self) -> None:
        self.writable = True
        if self._listener is not None:
            self._listener.on_resume()

    def lost(self) -> None:
        self.open = False
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.on_lost()

    def draining(self) -> None:
        if self._listener is not None:
            self._listener.on_drain()
