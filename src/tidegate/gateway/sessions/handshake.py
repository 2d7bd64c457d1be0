"""The call that opens a session: an upstream is connected first, then the client is let in.

Until then it is a Call like any other: candidates, retries, fallbacks, an upstream's own refusal given on. A session begins
where another call has its first byte.
"""

import os
from typing import Final

from tidegate.core.view import View
from tidegate.decide.admit import Admission
from tidegate.decide.route import Candidate
from tidegate.dialects.dialect import Dialect, Relay
from tidegate.gateway.attempts.attempt import AttemptOwner, UnaryAttempt
from tidegate.gateway.attempts.kinds import AttemptKind
from tidegate.gateway.call import Call
from tidegate.gateway.headers import answer_head, header_value, passed_back
from tidegate.gateway.record import CallRecord, End
from tidegate.gateway.runtime import Runtime
from tidegate.gateway.sessions.meter import Meter, Reservation
from tidegate.gateway.sessions.opening import Opening
from tidegate.gateway.sessions.session import Session
from tidegate.state.memory import Grant
from tidegate.wire.link import Link
from tidegate.wire.message import Headers
from tidegate.wire.server import Exchange
from tidegate.wire.websocket import accept_of, key_of

_PREVIEW: Final = b"openai-beta: realtime=v1\r\n"


class HandshakeAttempt(UnaryAttempt):
    """One upstream that is asked to open a session. Any answer but 101 is a fault."""

    __slots__ = ("key",)

    def __init__(self, owner: AttemptOwner, candidate: Candidate, dialect: Dialect, relay: Relay, view: View) -> None:
        super().__init__(owner, candidate, dialect, relay, view)
        self.key = key_of(os.urandom(16))

    def on_upgrade(self, headers: Headers, link: Link) -> None:
        self.status = 101
        self.headers = headers
        agreed = header_value(headers, b"sec-websocket-accept") == accept_of(self.key)
        if not agreed or header_value(headers, b"sec-websocket-extensions"):
            link.abort()
            self.malformed("the upstream opened no WebSocket that it was asked for")
        elif isinstance(self.owner, Handshake):
            self.owner.first_byte(self)
            self.owner.opened(self, link)

    def on_end(self) -> None:
        if self.status >= 400:
            self.status_fault()
        else:
            self.malformed(f"a session was asked for, the answer is {self.status}")


class Handshake(Call):
    """`first`: what is reserved for the session's first response."""

    __slots__ = ("_first", "_opening", "_region")

    def __init__(
        self,
        runtime: Runtime,
        exchange: Exchange,
        view: View,
        admission: Admission,
        grant: Grant,
        record: CallRecord,
        *,
        first: Reservation,
        opening: Opening,
        region: str | None,
    ) -> None:
        super().__init__(runtime, exchange, view, admission, grant, record)
        self._first = first
        self._opening = opening
        self._region = region

    def opened(self, attempt: HandshakeAttempt, link: Link) -> None:
        """The upstream is there: the client's turn. From here on the session settles what was taken."""
        runtime, record, exchange, opening = self._runtime, self._record, self._exchange, self._opening
        candidate = attempt.candidate
        self._succeeded(attempt)
        exchange.listener = None
        meter = Meter(runtime, record, self._view, self._grant, self._first, candidate, opening.key, self._region)
        preview = opening.preview or candidate.target.provider.api_version is not None
        session = Session(
            runtime, meter, self._record.consumer.name, self._view.model, candidate.target, preview=preview
        )
        agreed = f"sec-websocket-protocol: {opening.protocol}\r\n" if opening.protocol else ""
        remaining = runtime.state.remaining(self._grant.counters)
        head = (
            f"upgrade: websocket\r\nsec-websocket-accept: {accept_of(opening.websocket_key).decode()}\r\n{agreed}"
            f"{answer_head(record, candidate.target.label, remaining, runtime.clock.now_ns())}"
        )
        client = exchange.upgrade(head.encode() + passed_back(attempt.headers))
        session.begin(client, link, cap=self._admission.output_cap)

    def _framing(self, body: bytes) -> bytes:
        attempt = self._attempt
        key = attempt.key if isinstance(attempt, HandshakeAttempt) else b""
        asked = self._exchange.request.header(b"openai-beta") is not None
        return (
            b"%bconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: %b\r\n\r\n"
            % (
                _PREVIEW if self._opening.preview and not asked else b"",
                key,
            )
        )

    def _kind_of_attempt(self, relay: Relay) -> AttemptKind:
        return HandshakeAttempt

    def _end(self, end: End) -> int | None:
        self._runtime.state.release(self._first.grant)
        return super()._end(end)
