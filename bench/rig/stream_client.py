"""N streams at once through one address; prints, as JSON, the gaps between chunks as the client saw them.

Run as a program: `stream_client.py PORT PATH STREAMS SECONDS BODY_FILE [HEADER: VALUE ...]`. Each connection asks for
the next stream as soon as one has ended. The first second is not counted: streams start spread over it.
"""

import json
import select
import socket
import sys
import time
from pathlib import Path

from messages import CHUNK_SECONDS

RAMP_SECONDS = 1.0


class Stream:
    """One connection, and when its last chunk came (0: none yet of this answer)."""

    __slots__ = ("ending", "last", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.last = 0.0
        self.ending = False


class Client:
    def __init__(self, port: int, request: bytes) -> None:
        self.port = port
        self.request = request
        self.epoll = select.epoll()
        self.streams: dict[int, Stream] = {}
        self.gaps: list[float] = []
        self.chunks = self.completed = self.broken = 0
        self.counting = False

    def run(self, count: int, seconds: float) -> dict[str, object]:
        started = time.monotonic()
        ends, counts_from = started + RAMP_SECONDS + seconds, started + RAMP_SECONDS
        while (now := time.monotonic()) < ends:
            if len(self.streams) < count and len(self.streams) < count * (now - started) / RAMP_SECONDS:
                self.open()
            if not self.counting and now >= counts_from:
                self.counting = True
                print(json.dumps({"counting": True}), flush=True)
            for descriptor, _ in self.epoll.poll(0.0005 if len(self.streams) < count else 0.05):
                self.read(self.streams[descriptor])
        return self.report(seconds)

    def open(self) -> None:
        sock = socket.create_connection(("127.0.0.1", self.port))
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = Stream(sock)
        self.streams[sock.fileno()] = stream
        self.epoll.register(sock, select.EPOLLIN)
        sock.send(self.request)

    def read(self, stream: Stream) -> None:
        try:
            data = stream.sock.recv(262_144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        now = time.monotonic()
        if not data:
            self.replace(stream)
            return
        events = data.count(b"data: ")
        if events:
            if self.counting:
                self.chunks += events
                if stream.last:
                    self.gaps.append(now - stream.last)
            stream.last = now
        if stream.ending or b"[DONE]" in data or b"message_stop" in data:
            self.near_the_end(stream, data)

    def near_the_end(self, stream: Stream, data: bytes) -> None:
        """The end marker has come; the chunked body's last line may come apart from it."""
        stream.ending = True
        if data.endswith(b"0\r\n\r\n"):
            self.completed += self.counting
            stream.ending = False
            stream.last = 0.0
            stream.sock.send(self.request)

    def replace(self, stream: Stream) -> None:
        self.broken += 1
        self.epoll.unregister(stream.sock)
        del self.streams[stream.sock.fileno()]
        stream.sock.close()

    def report(self, seconds: float) -> dict[str, object]:
        gaps = sorted(self.gaps)

        def at(share: float) -> float:
            return round(gaps[min(len(gaps) - 1, int(len(gaps) * share))] * 1000, 2) if gaps else 0.0

        return {
            "seconds": seconds,
            "streams": len(self.streams),
            "chunks": self.chunks,
            "completed": self.completed,
            "broken": self.broken,
            "expected_gap_ms": CHUNK_SECONDS * 1000,
            "gap_p50_ms": at(0.5),
            "gap_p99_ms": at(0.99),
            "gap_max_ms": at(1.0),
        }


def main() -> None:
    port, path, count, seconds, body_file, *headers = sys.argv[1:]
    body = Path(body_file).read_bytes()
    lines = [f"POST {path} HTTP/1.1", f"host: 127.0.0.1:{port}", "content-type: application/json", *headers]
    head = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode()
    print(json.dumps(Client(int(port), head + body).run(int(count), float(seconds))), flush=True)


if __name__ == "__main__":
    main()
