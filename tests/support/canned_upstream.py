"""An upstream that answers with given bytes, for dialects that the simulator does not speak: real sockets, no behaviour."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Canned:
    """`pieces` are written one after the other, as chunks."""

    media: str
    pieces: list[bytes]
    status: int = 200
    cut: bool = False
    """The connection ends behind the last piece, and the body does not."""
    headers: dict[str, str] = field(default_factory=dict)
    chunked: bool = True
    """Else `pieces` come as one, with their length."""


@dataclass
class CannedUpstream:
    """What it answers by path, and what it was asked."""

    url: str = ""
    answers: dict[str, list[Canned]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    """Path, headers (`:method` too), and the body: JSON as it reads, else bytes."""

    def will(self, path: str, *answers: Canned) -> None:
        """The answers to the next calls of `path`, in order; the last one stays."""
        self.answers[path] = list(answers)


@contextmanager
def canned_upstream() -> Iterator[CannedUpstream]:
    """Runs until the end of the block."""
    upstream = CannedUpstream()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()} | {":method": self.command}
            asked = json.loads(body) if headers.get("content-type") == "application/json" and body else body
            upstream.asked.append((self.path, headers, asked))
            answers = upstream.answers[self.path]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status == 204:
                self.end_headers()
                return
            self.send_header("content-type", answer.media)
            if not answer.chunked:
                whole = b"".join(answer.pieces)
                self.send_header("content-length", str(len(whole) + answer.cut))
                self.end_headers()
                self.wfile.write(whole)
                self.close_connection = answer.cut
                return
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for piece in answer.pieces:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.flush()
            self.close_connection = answer.cut
            if not answer.cut:
                self.wfile.write(b"0\r\n\r\n")

        do_GET = do_PUT = do_PATCH = do_DELETE = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="canned-upstream")
    thread.start()
    upstream.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield upstream
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
