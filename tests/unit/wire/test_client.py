"""The client pool against servers that answer as they are told, over real sockets."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable

import pytest
import trustme
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.wire.client import Call, Failure, Origin, Pool, PoolSettings, Resolver, TlsSettings, parse_origin
from tidegate.wire.message import Headers

HEAD = b"POST /x HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Heard:
    """A sink that remembers, and can be awaited."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self.body = bytearray()
        self.failure: Failure | None = None
        self.over = asyncio.get_running_loop().create_future()

    def on_head(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers

    def on_data(self, data: bytes) -> None:
        self.body += data

    def on_end(self) -> None:
        self.over.set_result(None)

    def on_failure(self, failure: Failure) -> None:
        self.failure = failure
        self.over.set_result(None)


async def request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(2)


def answering(*answers: bytes, close: bool = False) -> Serve:
    """Each connection gives the answers in turn."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await request(reader)
            writer.write(answer)
            await writer.drain()
        if close:
            writer.close()

    return serve


class Server:
    def __init__(self, serve: Serve, **settings: object) -> None:
        self._serve = serve
        self._settings = settings
        self.connections = 0

    async def __aenter__(self) -> "Server":
        async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            self.writers.append(writer)
            try:
                await self._serve(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        self.writers: list[asyncio.StreamWriter] = []
        self.server = await asyncio.start_server(counted, "127.0.0.1", 0)
        loop = asyncio.get_running_loop()
        self.resolver = Resolver(loop)
        port = self.server.sockets[0].getsockname()[1]
        self.pool = Pool(
            Origin("http", "127.0.0.1", port), PoolSettings(**self._settings), loop=loop, resolver=self.resolver
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.pool.close()
        self.server.close()
        for writer in self.writers:
            writer.close()
        self.resolver.close()

    def send(self, *, replayable: bool = False, total: float | None = None) -> tuple[Call, Heard]:
        heard = Heard()
        return self.pool.send(HEAD, b"{}", heard, replayable=replayable, total=total), heard

    async def ask(self, **options: object) -> Heard:
        _, heard = self.send(**options)
        await heard.over
        return heard


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came true")


def run(trial: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await trial()

    uvloop.run(bounded())


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"hello"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", b"hello"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"hello"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK, b"hello"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b""),
    ],
)
def test_answers_are_framed_and_the_connection_is_used_again(answer: bytes, body: bytes) -> None:
    async def trial() -> None:
        async with Server(answering(answer, answer, answer)) as server:
            for _ in range(3):
                heard = await server.ask()
                assert (heard.failure, heard.body) == (None, body)
            assert server.connections == 1
            assert (server.pool.open_connections, server.pool.idle_connections) == (1, 1)

    run(trial)


@pytest.mark.parametrize(
    "answer", [OK, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
def test_every_cut_of_an_answer_is_the_same(answer: bytes) -> None:
    async def trial() -> None:
        cuts = iter(range(1, len(answer)))

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await request(reader)
                cut = next(cuts)
                writer.write(answer[:cut])
                await writer.drain()
                await asyncio.sleep(0)
                writer.write(answer[cut:])

        async with Server(serve) as server:
            for _ in range(1, len(answer)):
                heard = await server.ask()
                assert (heard.failure, heard.status, heard.body) == (None, 200, b"hello")

    run(trial)


def test_without_a_length_the_answer_ends_with_the_connection() -> None:
    async def trial() -> None:
        async with Server(answering(b"HTTP/1.1 200 OK\r\n\r\nhello", close=True)) as server:
            heard = await server.ask()
            assert (heard.failure, heard.body) == (None, b"hello")
            assert server.pool.open_connections == 0

    run(trial)


@pytest.mark.parametrize(
    ("answer", "kind", "answered"),
    [
        (b"", "reset", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello", "reset", True),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel", "reset", True),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhel", "protocol", True),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "protocol", True),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 300 + b"\r\n", "protocol", True),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000, "protocol", True),
    ],
)
def test_broken_answers(answer: bytes, kind: str, answered: bool) -> None:
    async def trial() -> None:
        async with Server(answering(answer, close=True)) as server:
            heard = await server.ask()
            assert heard.failure is not None
            assert (heard.failure.kind, heard.failure.answered) == (kind, answered)
            assert server.pool.open_connections == 0

    run(trial)


@given(st.binary(max_size=200))
@settings(max_examples=40, deadline=None)
def test_arbitrary_bytes_never_hang_or_crash(answer: bytes) -> None:
    async def trial() -> None:
        async with Server(answering(answer, close=True)) as server:
            await server.ask()
            assert server.pool.idle_connections == 0

    run(trial)


@pytest.mark.parametrize("headers", [b"connection: close\r\n", b"transfer-encoding: chunked\r\ncontent-length: 5\r\n"])
def test_a_connection_that_cannot_be_trusted_is_not_used_again(headers: bytes) -> None:
    body = b"5\r\nhello\r\n0\r\n\r\n" if b"chunked" in headers else b"hello"
    length = b"" if b"length" in headers else b"content-length: 5\r\n"

    async def trial() -> None:
        async with Server(answering(b"HTTP/1.1 200 OK\r\n" + headers + length + b"\r\n" + body)) as server:
            await server.ask()
            assert server.pool.idle_connections == 0

    run(trial)


def test_a_second_answer_to_one_request_reaches_nobody() -> None:
    async def trial() -> None:
        go = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request(reader)
            await go.wait()
            writer.write(OK + OK.replace(b"hello", b"other"))

        async with Server(serve, max_connections=1) as server:
            _, first = server.send()
            _, second = server.send()
            go.set()
            await first.over
            await second.over
            assert (first.body, second.body) == (b"hello", b"hello")
            assert server.connections == 2

    run(trial)


@pytest.mark.parametrize("replayable", [True, False])
def test_a_stale_connection_is_replaced_once_and_only_where_safe(replayable: bool) -> None:
    async def trial() -> None:
        served = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal served
            await request(reader)
            served += 1
            writer.write(OK)
            if served == 1:
                await request(reader)  # taken, and never answered
                writer.close()

        async with Server(serve) as server:
            await server.ask()
            heard = await server.ask(replayable=replayable)
            assert (heard.failure is None) is replayable
            assert server.connections == (2 if replayable else 1)

    run(trial)


def test_bytes_that_nobody_asked_for_end_an_idle_connection() -> None:
    async def trial() -> None:
        spoken = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request(reader)
            writer.write(OK)
            await spoken.wait()
            writer.write(OK)

        async with Server(serve) as server:
            await server.ask()
            assert server.pool.idle_connections == 1
            spoken.set()
            await until(lambda: not server.pool.open_connections)

    run(trial)


@pytest.mark.parametrize(
    ("answer", "settings_", "kind"),
    [
        (b"", {"first_byte_timeout": 0.1}, "first-byte-timeout"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal", {"idle_timeout": 0.1}, "idle-timeout"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal", {"total_timeout": 0.1}, "total-timeout"),
    ],
)
def test_timeouts(answer: bytes, settings_: dict[str, float], kind: str) -> None:
    async def trial() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request(reader)
            writer.write(answer)
            await reader.read()

        async with Server(serve, **settings_) as server:
            heard = await server.ask()
            assert heard.failure is not None
            assert heard.failure.kind == kind

    run(trial)


def test_a_port_that_refuses_and_a_listener_that_never_accepts() -> None:
    async def trial() -> None:
        loop = asyncio.get_running_loop()
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        origin = Origin("http", "127.0.0.1", listener.getsockname()[1])
        refused = Heard()
        pool = Pool(origin, PoolSettings(), loop=loop, resolver=Resolver(loop))
        pool.send(HEAD, b"{}", refused, replayable=True)
        await refused.over
        assert refused.failure is not None
        assert refused.failure.kind == "connect"
        unknown = Heard()
        pool = Pool(Origin("http", "no-such-host.invalid", 80), PoolSettings(), loop=loop, resolver=Resolver(loop))
        pool.send(HEAD, b"{}", unknown, replayable=True)
        await unknown.over
        assert unknown.failure is not None
        assert unknown.failure.kind in ("connect", "connect-timeout")
        listener.close()

    run(trial)


def test_the_pool_is_bounded_and_waits_in_order() -> None:
    async def trial() -> None:
        go = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await request(reader)
                await go.wait()
                writer.write(OK)

        async with Server(serve, max_connections=1, max_waiting=2) as server:
            sent = [server.send() for _ in range(4)]
            await sent[3][1].over
            assert sent[3][1].failure is not None
            assert sent[3][1].failure.kind == "pool-full"
            sent[1][0].cancel()
            go.set()
            await sent[0][1].over
            await sent[2][1].over
            assert server.connections == 1
            assert not sent[1][1].over.done()

    run(trial)


def test_cancel_frees_the_place_and_tells_nothing() -> None:
    async def trial() -> None:
        arrived = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request(reader)
            arrived.set()
            assert await reader.read() == b""

        async with Server(serve, max_connections=1) as server:
            call, heard = server.send()
            await arrived.wait()
            call.cancel()
            await until(lambda: not server.pool.open_connections)
            assert not heard.over.done()

    run(trial)


def test_a_paused_call_stops_the_upstream() -> None:
    async def trial() -> None:
        sent = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 40000000\r\n\r\n")
            for _ in range(400):
                writer.write(b"x" * 100_000)
                await writer.drain()
                sent += 100_000

        async with Server(serve) as server:
            call, heard = server.send()
            await until(lambda: bool(heard.body))
            call.pause()
            taken = len(heard.body)
            before = -1
            while sent != before:  # until the sender stands still
                before = sent
                await asyncio.sleep(0.05)
            assert len(heard.body) == taken
            assert sent < 30_000_000
            call.resume()
            await heard.over
            assert len(heard.body) == 40_000_000

    run(trial)


def test_a_sink_that_fails_ends_its_own_call(caplog: pytest.LogCaptureFixture) -> None:
    class Clumsy(Heard):
        def on_data(self, data: bytes) -> None:
            raise KeyError("oops")

    async def trial() -> None:
        async with Server(answering(OK, OK)) as server:
            heard = Clumsy()
            server.pool.send(HEAD, b"{}", heard, replayable=False)
            await heard.over
            assert heard.failure is not None
            assert heard.failure.kind == "protocol"
            assert (await server.ask()).body == b"hello"

    run(trial)
    assert "a sink failed" in caplog.text


@pytest.mark.parametrize("answer", [OK, b"HTTP/1.1 200 OK\r\n\r\nhello"], ids=["framed", "to the connection's end"])
def test_a_sink_that_fails_at_the_end_hears_of_it(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever waits for that call would wait for ever."""

    class Clumsy(Heard):
        def on_end(self) -> None:
            raise KeyError("oops")

    async def trial() -> None:
        async with Server(answering(answer, close=True)) as server:
            heard = Clumsy()
            server.pool.send(HEAD, b"{}", heard, replayable=False)
            await heard.over
            assert heard.failure is not None
            assert (heard.failure.kind, heard.failure.answered) == ("protocol", True)
            assert heard.body == b"hello"

    run(trial)
    assert "a sink failed" in caplog.text


def test_a_sink_that_fails_at_its_failure_ends_no_others_timeouts(caplog: pytest.LogCaptureFixture) -> None:
    class Clumsy(Heard):
        def on_failure(self, failure: Failure) -> None:
            super().on_failure(failure)
            raise KeyError("oops")

    async def trial() -> None:
        async with Server(answering(b""), first_byte_timeout=0.05) as server:
            for heard in (Clumsy(), Clumsy()):
                server.pool.send(HEAD, b"{}", heard, replayable=False)
                await heard.over
                assert heard.failure is not None
                assert heard.failure.kind == "first-byte-timeout"

    run(trial)
    assert "a sink failed" in caplog.text


def test_close_lets_calls_end() -> None:
    async def trial() -> None:
        async with Server(answering(OK)) as server:
            _, heard = server.send()
            server.pool.close()
            await heard.over
            assert (heard.failure, heard.body) == (None, b"hello")
            await until(lambda: not server.pool.open_connections)

    run(trial)


@pytest.mark.parametrize("trusted", [True, False])
def test_tls_is_verified(trusted: bool, tmp_path: object) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    path = f"{tmp_path}/ca.pem"
    (authority if trusted else stranger).cert_pem.write_to_path(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)

    async def trial() -> None:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(answering(OK), "127.0.0.1", 0, ssl=context)
        origin = Origin("https", "127.0.0.1", server.sockets[0].getsockname()[1])
        settings_ = PoolSettings(tls=TlsSettings(ca_file=path))
        pool = Pool(origin, settings_, loop=loop, resolver=Resolver(loop))
        heard = Heard()
        pool.send(HEAD, b"{}", heard, replayable=False)
        await heard.over
        if trusted:
            assert (heard.failure, heard.body) == (None, b"hello")
        else:
            assert heard.failure is not None
            assert heard.failure.kind == "tls"
        pool.close()
        server.close()

    run(trial)


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://api.openai.com/v1", Origin("https", "api.openai.com", 443), b"/v1"),
        ("http://[::1]:8000/", Origin("http", "::1", 8000), b""),
    ],
)
def test_origins(url: str, origin: Origin, path: bytes) -> None:
    assert parse_origin(url) == (origin, path)


@pytest.mark.parametrize("url", ["ftp://x", "https://", "http://x/?a=1", "nothing"])
def test_no_origins(url: str) -> None:
    with pytest.raises(ValueError, match="not an http"):
        parse_origin(url)
