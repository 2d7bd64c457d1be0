"""The upstream of streams and of large bodies: plain sockets and epoll, everything encoded before the first request.

A stream gets one chunk every 20 ms. Streams are spread over 20 phases of a 1 ms tick, as independent streams would be.
Run as a program: `stream_upstream.py PORT`.
"""

import selectors
import socket
import sys
import time
from collections import deque

from messages import CHUNK_SECONDS, chunks, completion

PHASES = 20
TICK = CHUNK_SECONDS / PHASES
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


PARTS = [framed(event) for event in chunks()]
PARTS[0] = HEAD + PARTS[0]
PARTS[-1] += b"0\r\n\r\n"
BODY = completion()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)
_SCRATCH = bytearray(1 << 20)
_LOOKED_AT = 16_384


class Connection:
    """Reads requests; answers at the end of each body, whole or as a stream."""

    __slots__ = ("left", "pending", "position", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.pending = b""
        self.left = 0  # bytes still to come of a body too large to look at
        self.position = 0

    def readable(self) -> bool:
        """True when a request for a stream is complete. Raises ConnectionError when the peer is gone."""
        if self.left:
            got = self.sock.recv_into(_SCRATCH, min(self.left, len(_SCRATCH)))
            if not got:
                raise ConnectionResetError
            self.left -= got
            if not self.left:
                self.sock.send(ANSWER)
            return False
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionResetError
        self.pending += data
        end = self.pending.find(b"\r\n\r\n")
        if end < 0:
            return False
        missing = content_length(self.pending[:end]) - (len(self.pending) - end - 4)
        if missing > _LOOKED_AT:
            self.pending, self.left = b"", missing
            return False
        if missing:
            return False
        body, self.pending = self.pending[end:], b""
        if b'"stream":true' in body or b'"stream": true' in body:
            self.position = 0
            return True
        self.sock.send(ANSWER)
        return False


def content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


class Upstream:
    """One thread: poll until the next tick, then write that tick's phase."""

    def __init__(self, port: int) -> None:
        self.selector = selectors.EpollSelector()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.phases: list[deque[Connection]] = [deque() for _ in range(PHASES)]
        self.phase = 0

    def run(self) -> None:
        due = time.monotonic() + TICK
        while True:
            for key, _ in self.selector.select(max(0.0, due - time.monotonic())):
                if key.data is None:
                    self.accept()
                else:
                    self.read(key.data)
            while time.monotonic() >= due:
                self.write_phase()
                due += TICK

    def accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.selector.register(sock, selectors.EVENT_READ, Connection(sock))

    def read(self, connection: Connection) -> None:
        try:
            if connection.readable():
                self.phases[self.phase - 1].append(connection)
        except BlockingIOError:
            return
        except OSError:
            self.close(connection)

    def write_phase(self) -> None:
        streams = self.phases[self.phase]
        self.phase = (self.phase + 1) % PHASES
        for _ in range(len(streams)):
            connection = streams.popleft()
            try:
                connection.sock.send(PARTS[connection.position])
            except OSError:  # a full buffer counts as a broken stream: the rig reads all the time
                self.close(connection)
                continue
            connection.position += 1
            if connection.position < len(PARTS):
                streams.append(connection)

    def close(self, connection: Connection) -> None:
        if connection.sock.fileno() >= 0:
            self.selector.unregister(connection.sock)
            connection.sock.close()


if __name__ == "__main__":
    Upstream(int(sys.argv[1])).run()
