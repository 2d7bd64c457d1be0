"""A proxy between the gateway and a provider that breaks answers at the level of TCP and of HTTP framing.

It asks the real provider behind it, keeps the whole answer, and then sends it on as the fault of the moment says. Threads
and blocking sockets: what goes over the wire, and when, is spelled out line by line.
"""

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_CRLF = b"\r\n"
_LONGEST_STALL = 60.0
"""Seconds after which a stalled connection is given up, so that no thread outlives the tests."""


@dataclass(frozen=True)
class Answer:
    """The provider's answer with its framing taken off."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    stream: bool

    def head(self, *framing: bytes) -> bytes:
        lines = [b"HTTP/1.1 %d Answer" % self.status]
        lines += [f"{name}: {value}".encode() for name, value in self.headers]
        return _CRLF.join([*lines, *framing]) + b"\r\n\r\n"

    def whole(self) -> bytes:
        """As it should arrive: streams chunked, one chunk per event; other answers with their length."""
        if not self.stream:
            return self.head(b"content-length: %d" % len(self.body)) + self.body
        chunks = b"".join(chunk(event + b"\n\n") for event in self.body.split(b"\n\n") if event)
        return self.head(b"transfer-encoding: chunked") + chunks + b"0\r\n\r\n"

    def half(self) -> bytes:
        """Head and the first half of the body; of a stream, whole events."""
        whole = self.whole()
        head = whole.index(b"\r\n\r\n") + 4
        middle = head + (len(whole) - head) // 2
        return whole[:middle] if not self.stream else whole[: whole.rindex(b"\n\n\r\n", 0, middle) + 4]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Connection:
    """The gateway's connection, as a fault sees it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(_LONGEST_STALL)

    def request(self) -> tuple[str, dict[str, str], bytes] | None:
        """(target, headers, body) of the next request; None when the gateway or a fault has ended the connection."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self._sock.recv(65_536)
            if not more:
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        line, *rest = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)}
        length = int(headers.pop("content-length", "0"))
        headers.pop("host", None)
        while len(body) < length:
            body += self._sock.recv(65_536)
        return line.split()[1], headers, body

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def reset(self) -> None:
        """Closes with an RST in place of a FIN."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def half_close(self) -> None:
        """FIN: nothing more will come, but the connection still reads."""
        self._sock.shutdown(socket.SHUT_WR)

    def until_gone(self) -> None:
        """Waits until the gateway ends the connection."""
        try:
            while self._sock.recv(65_536):
                pass
        except OSError:
            pass

    def close(self) -> None:
        self._sock.close()


def _stall_before_head(to: Connection, answer: Answer) -> None:
    to.until_gone()


def _stall_in_head(to: Connection, answer: Answer) -> None:
    to.send(answer.whole()[:40])
    to.until_gone()


def _stall_after_head(to: Connection, answer: Answer) -> None:
    to.send(answer.whole().partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    to.until_gone()


def _stall_in_body(to: Connection, answer: Answer) -> None:
    to.send(answer.half())
    to.until_gone()


def _reset_before_head(to: Connection, answer: Answer) -> None:
    to.reset()


def _reset_in_head(to: Connection, answer: Answer) -> None:
    to.send(answer.whole()[:40])
    to.reset()


def _reset_in_body(to: Connection, answer: Answer) -> None:
    to.send(answer.half())
    to.reset()


def _close_before_head(to: Connection, answer: Answer) -> None:
    to.close()


def _half_close_in_body(to: Connection, answer: Answer) -> None:
    to.send(answer.half())
    to.half_close()
    to.until_gone()


def _truncated_chunk(to: Connection, answer: Answer) -> None:
    body = answer.body[: len(answer.body) // 2]
    to.send(answer.head(b"transfer-encoding: chunked") + b"%x\r\n" % (len(body) + 10_000) + body)
    to.close()


def _bad_chunk_size(to: Connection, answer: Answer) -> None:
    half = answer.body[: len(answer.body) // 2]
    to.send(answer.head(b"transfer-encoding: chunked") + chunk(half) + b"zz\r\n" + answer.body)
    to.until_gone()


def _garbage(to: Connection, answer: Answer) -> None:
    to.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 8)
    to.until_gone()


def _no_status_line(to: Connection, answer: Answer) -> None:
    to.send(answer.body)
    to.close()


def _length_too_long(to: Connection, answer: Answer) -> None:
    to.send(answer.head(b"content-length: %d" % (len(answer.body) + 1000)) + answer.body)
    to.close()


def _length_too_short(to: Connection, answer: Answer) -> None:
    to.send(answer.head(b"content-length: %d" % (len(answer.body) // 2)) + answer.body)
    to.until_gone()


def _two_lengths(to: Connection, answer: Answer) -> None:
    length = len(answer.body)
    to.send(answer.head(b"content-length: %d" % length, b"content-length: %d" % (length - 7)) + answer.body)
    to.until_gone()


def _huge_header(to: Connection, answer: Answer) -> None:
    whole = answer.whole()
    end = whole.index(b"\r\n") + 2
    to.send(whole[:end] + b"x-huge: " + b"h" * 4_000_000 + _CRLF + whole[end:])
    to.until_gone()


def _endless_header(to: Connection, answer: Answer) -> None:
    to.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        to.send(b"x-more: and more\r\n" * 64)


def _endless_body(to: Connection, answer: Answer) -> None:
    """A stream whose events never end; a plain answer whose chunks never end."""
    to.send(answer.head(b"transfer-encoding: chunked"))
    piece = answer.body.split(b"\n\n")[2] + b"\n\n" if answer.stream else b" " * 1024
    sent = threading.Event()
    while True:
        to.send(chunk(piece))
        sent.wait(0.002)


def _flood(to: Connection, answer: Answer) -> None:
    """Content without end, as fast as it is taken."""
    to.send(answer.head(b"transfer-encoding: chunked"))
    events = chunk((answer.body.split(b"\n\n")[2] + b"\n\n") * 100)
    while True:
        to.send(events)


def _endless_event(to: Connection, answer: Answer) -> None:
    """One event, or one line of white space, that grows for ever."""
    to.send(answer.head(b"transfer-encoding: chunked") + chunk(b"data: "))
    while True:
        to.send(chunk(b" " * 65_536))


def _switching_protocols(to: Connection, answer: Answer) -> None:
    to.send(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: tls/1.0\r\nconnection: upgrade\r\n\r\n" + answer.whole())
    to.until_gone()


def _cut_clean(to: Connection, answer: Answer) -> None:
    """Well framed, but the stream lacks its second half and its end marker; a plain answer is cut JSON."""
    body = answer.half().partition(b"\r\n\r\n")[2] if answer.stream else chunk(answer.body[: len(answer.body) // 2])
    to.send(answer.head(b"transfer-encoding: chunked") + body + b"0\r\n\r\n")


def _slow_drip(to: Connection, answer: Answer) -> None:
    whole, pause = answer.whole(), threading.Event()
    for start in range(0, len(whole), 29):
        to.send(whole[start : start + 29])
        pause.wait(0.0005)


def _continue_first(to: Connection, answer: Answer) -> None:
    to.send(b"HTTP/1.1 100 Continue\r\n\r\n" + answer.whole())


def _hints_first(to: Connection, answer: Answer) -> None:
    to.send(b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n" * 2 + answer.whole())


def _byte_by_byte_head(to: Connection, answer: Answer) -> None:
    whole = answer.whole()
    head = whole.index(b"\r\n\r\n") + 4
    for position in range(head):
        to.send(whole[position : position + 1])
    to.send(whole[head:])


def _close_delimited(to: Connection, answer: Answer) -> None:
    """No length at all: the answer ends with the connection (RFC 9112 §6.3)."""
    to.send(answer.head(b"connection: close") + answer.body)
    to.close()


def _answer_after_answer(to: Connection, answer: Answer) -> None:
    """A second answer that nobody asked for waits on the connection: it must not become somebody else's."""
    unasked = answer.head(b"content-length: 6") + b"UNASKE"
    to.send(answer.whole() + unasked)


def _none(to: Connection, answer: Answer) -> None:
    to.send(answer.whole())


FAULTS: dict[str, Callable[[Connection, Answer], None]] = {
    "none": _none,
    "reset-before-head": _reset_before_head,
    "reset-in-head": _reset_in_head,
    "reset-in-body": _reset_in_body,
    "close-before-head": _close_before_head,
    "stall-before-head": _stall_before_head,
    "stall-in-head": _stall_in_head,
    "stall-after-head": _stall_after_head,
    "stall-in-body": _stall_in_body,
    "half-close-in-body": _half_close_in_body,
    "truncated-chunk": _truncated_chunk,
    "bad-chunk-size": _bad_chunk_size,
    "garbage": _garbage,
    "no-status-line": _no_status_line,
    "length-too-long": _length_too_long,
    "length-too-short": _length_too_short,
    "two-lengths": _two_lengths,
    "huge-header": _huge_header,
    "endless-header": _endless_header,
    "endless-body": _endless_body,
    "endless-event": _endless_event,
    "flood": _flood,
    "switching-protocols": _switching_protocols,
    "cut-clean": _cut_clean,
    "slow-drip": _slow_drip,
    "continue-first": _continue_first,
    "hints-first": _hints_first,
    "byte-by-byte-head": _byte_by_byte_head,
    "close-delimited": _close_delimited,
    "answer-after-answer": _answer_after_answer,
}
REFUSE = "refuse"
"""Nobody listens."""


class FaultProxy:
    """Listens on a port of its own; `fault` may be changed at any time and holds for requests from then on."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._fault = "none"
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self.requests = 0
        self.gone = threading.Semaphore(0)
        """Released each time that the gateway ended a connection while it was being answered, or after."""
        self._serve_on(self._listener)

    @property
    def fault(self) -> str:
        return self._fault

    @fault.setter
    def fault(self, name: str) -> None:
        if name == self._fault:
            return
        was, self._fault = self._fault, name
        if name == REFUSE:
            _stop_listening(self._listener)
            self._cut_open_connections()
        elif was == REFUSE:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
            self._serve_on(self._listener)

    def close(self) -> None:
        _stop_listening(self._listener)
        self._cut_open_connections()
        for thread in self._threads:
            thread.join(10)

    def _cut_open_connections(self) -> None:
        with self._lock:
            for sock in self._open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def _serve_on(self, listener: socket.socket) -> None:
        self._start(self._accept, listener)

    def _start(self, target: Callable[[socket.socket], None], sock: socket.socket) -> None:
        thread = threading.Thread(target=target, args=(sock,), name="fault-proxy", daemon=True)
        with self._lock:
            self._threads = [one for one in self._threads if one.is_alive()]
            self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        connection = Connection(sock)
        try:
            while request := connection.request():
                with self._lock:
                    self.requests += 1
                fault = self._fault
                FAULTS.get(fault, _reset_before_head)(connection, self._ask(*request))
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()
            self.gone.release()

    def _ask(self, target: str, headers: dict[str, str], body: bytes) -> Answer:
        upstream = http.client.HTTPConnection("127.0.0.1", self._upstream_port, timeout=30)
        try:
            upstream.request("POST", target, body, headers)
            answer = upstream.getresponse()
            framing = {"transfer-encoding", "content-length", "connection", "date"}
            kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in framing]
            stream = "event-stream" in (answer.getheader("content-type") or "")
            return Answer(answer.status, kept, answer.read(), stream)
        finally:
            upstream.close()


def _stop_listening(listener: socket.socket) -> None:
    try:
        listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
    except OSError:
        pass
    listener.close()


@contextmanager
def fault_proxy(upstream_port: int) -> Iterator[FaultProxy]:
    """A proxy before 127.0.0.1:`upstream_port`, closed at the end of the block."""
    proxy = FaultProxy(upstream_port)
    try:
        yield proxy
    finally:
        proxy.close()
