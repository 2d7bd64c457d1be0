"""One request to one credential of a provider, outside of routing: its answer is held whole, or passed on as it comes."""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from tidegate.gateway.upstreams import Credential
from tidegate.wire.client import Call as WireCall
from tidegate.wire.client import Failure
from tidegate.wire.message import Headers, encode_headers

MAX_HELD_BYTES: Final = 4 * 1024 * 1024


class Told(NamedTuple):
    """An upstream's whole answer. Status 200 is any success; 0: there is none, and `failure` says why."""

    status: int
    headers: Headers
    body: bytes
    failure: Failure | None = None


class Taker(Protocol):
    """Takes the body of a 200 as it comes."""

    def begin(self, headers: Headers) -> None: ...

    def take(self, data: bytes) -> None: ...


class Errand:
    """The sink of its call. `done` is called once, unless it was cancelled: with the whole answer, or, where a taker took
    the body of a 200, with an empty one."""

    __slots__ = ("_done", "_headers", "_parts", "_size", "_status", "_taker", "wire")

    def __init__(self, done: Callable[[Told], None], taker: Taker | None = None) -> None:
        self._done = done
        self._taker = taker
        self._status = 0
        self._headers: Headers = []
        self._parts: list[bytes] = []
        self._size = 0
        self.wire: WireCall | None = None

    def send(
        self,
        credential: Credential,
        method: bytes,
        path: str,
        *,
        own: bytes = b"",
        body: bytes = b"",
        media: bytes = b"",
    ) -> None:
        """`own`: header lines beside the credential's. Only what changes nothing may go twice over a dead connection."""
        head = credential.object_head(method, path) + own
        if media:
            head += encode_headers([(b"content-type", media)])
        if method == b"POST":
            head += b"content-length: %d\r\n" % len(body)
        self.go(credential, head, body, replayable=method == b"GET")

    def go(self, credential: Credential, head: bytes, body: bytes = b"", *, replayable: bool) -> None:
        """`head`: the request line and all headers."""
        self.wire = credential.pool.send(head + b"\r\n", body, self, replayable=replayable)

    def cancel(self) -> None:
        if self.wire is not None:
            self.wire.cancel()

    def on_head(self, status: int, headers: Headers) -> None:
        self._status = 200 if 200 <= status < 300 else status  # Azure says 201 of what it has made
        self._headers = headers
        if self._taker is not None and self._status == 200:
            self._taker.begin(headers)

    def on_data(self, data: bytes) -> None:
        if self._taker is not None and self._status == 200:
            self._taker.take(data)
            return
        self._size += len(data)
        if self._size > MAX_HELD_BYTES:
            self.cancel()
            self.on_failure(Failure("protocol", f"the answer is larger than {MAX_HELD_BYTES} bytes", answered=True))
            return
        self._parts.append(data)

    def on_end(self) -> None:
        self.wire = None
        self._done(Told(self._status, self._headers, b"".join(self._parts)))

    def on_failure(self, failure: Failure) -> None:
        self.wire = None
        self._done(Told(0, [], b"", failure))
