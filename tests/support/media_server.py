"""A web server with a few files on it, for gateways that fetch what calls refer to by URL."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 20
PDF = b"%PDF-1.7\n" + b"document" * 20


@dataclass
class Served:
    """One answer. `held`: it says its length and then nothing more."""

    media: str
    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    held: bool = False


@dataclass
class MediaServer:
    port: int = 0
    files: dict[str, Served] = field(default_factory=dict[str, Served])
    asked: list[str] = field(default_factory=list[str])
    """Paths, in order."""
    released: threading.Event = field(default_factory=threading.Event)
    """Set at the end: what was held goes on."""

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@contextmanager
def media_server() -> Iterator[MediaServer]:
    """Runs until the end of the block."""
    media = MediaServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            media.asked.append(self.path)
            served = media.files[self.path.partition("?")[0]]
            self.send_response(served.status)
            self.send_header("content-type", served.media)
            self.send_header("content-length", str(len(served.body)))
            for name, value in served.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if served.held:
                media.released.wait(30)
            else:
                self.wfile.write(served.body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="media-server")
    thread.start()
    media.port = server.server_address[1]
    try:
        yield media
    finally:
        media.released.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
