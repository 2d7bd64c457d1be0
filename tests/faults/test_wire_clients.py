"""Clients that misbehave over real sockets: they drip, they stall, they go."""

import asyncio
import select
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.http_server import RecordingApp, Watcher, connected, parse_head, run, serving

from tidegate.wire.server import Exchange, ServerSettings

H = b"Host: a.example\r\n"
GET = b"GET / HTTP/1.1\r\n" + H + b"\r\n"
POST = b"POST / HTTP/1.1\r\n" + H


@pytest.mark.parametrize(
    ("opening", "drop"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n", b"A: b\r\n", id="head"),
        pytest.param(POST + b"Content-Length: 100000\r\n\r\n", b"x", id="sized-body"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", id="chunked-body"),
    ],
)
def test_a_client_that_drips_is_answered_408_and_ended(opening: bytes, drop: bytes) -> None:
    app = RecordingApp()
    settings = ServerSettings(head_timeout=0.05, body_timeout=0.05)

    async def main() -> bytes:
        async with serving(app, settings) as (_, port), connected(port) as client:
            client.send(opening)
            answer = asyncio.ensure_future(client.rest())
            while not answer.done():
                if not client.writer.is_closing():
                    client.send(drop)
                await asyncio.wait([answer], timeout=0.005)
            return answer.result()

    assert run(main()).startswith(b"HTTP/1.1 408 ")
    assert app.seen == []


def small_window(port: int) -> socket.socket:
    """A client whose kernel takes little on its behalf."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    return sock


def test_a_stalled_reader_pauses_the_writer_and_reading_on_resumes_it() -> None:
    app = RecordingApp(lambda exchange: None)
    piece = b"x" * 16_384

    def pour(exchange: Exchange) -> int:
        written = 0
        while exchange.writable:
            exchange.write(piece)
            written += len(piece)
            assert written < 50_000_000
        return written

    async def main() -> None:
        async with serving(app) as (_, port):
            sock = small_window(port)
            sock.sendall(GET)
            await app.until(lambda: bool(app.exchanges))
            exchange = app.exchanges[0]
            watcher = exchange.listener = Watcher(app)
            exchange.start(200, b"")
            written = pour(exchange)
            assert watcher.pauses == 1
            reader, writer = await asyncio.open_connection(sock=sock)
            head = parse_head(await reader.readuntil(b"\r\n\r\n"))
            assert head.headers[b"transfer-encoding"] == b"chunked"
            received = 0
            while watcher.resumes == 0:
                received += len(await reader.read(65_536))
            written += pour(exchange)
            exchange.finish()
            while data := await asyncio.wait_for(reader.read(65_536), 5):
                received += len(data)
                if data.endswith(b"\r\n0\r\n\r\n"):
                    break
            overhead = written // len(piece) * len(b"4000\r\n\r\n") + len(b"0\r\n\r\n")
            assert received == written + overhead
            assert watcher.disconnects == 0
            writer.close()

    run(main())


def test_a_reader_that_stalls_for_good_is_ended_and_the_application_told() -> None:
    app = RecordingApp(lambda exchange: None)

    async def main() -> None:
        async with serving(app, ServerSettings(write_stall_timeout=0.05)) as (server, port):
            with small_window(port) as sock:
                sock.sendall(GET)
                await app.until(lambda: bool(app.exchanges))
                exchange = app.exchanges[0]
                watcher = exchange.listener = Watcher(app)
                exchange.start(200, b"")
                while exchange.writable:
                    exchange.write(b"x" * 16_384)
                await app.until(lambda: watcher.disconnects == 1)
                assert exchange.closed
                assert server.connections == 0

    run(main())


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "fin"])
@pytest.mark.parametrize("moment", ["before-start", "after-start", "after-write", "between-chunks", "with-more-sent"])
def test_a_client_that_goes_is_told_of_once(moment: str, reset: bool) -> None:
    app = RecordingApp(lambda exchange: None)

    async def main() -> None:
        async with serving(app) as (server, port), connected(port) as client:
            client.send(POST + b"Content-Length: 5\r\n\r\nhello" + (GET if moment == "with-more-sent" else b""))
            await app.until(lambda: bool(app.exchanges))
            exchange = app.exchanges[0]
            watcher = exchange.listener = Watcher(app)
            if moment != "before-start":
                exchange.start(200, b"")
            if moment in ("after-write", "between-chunks"):
                exchange.write(b"one")
                await client.until(b"one")
            if reset:
                client.reset()
            else:
                client.writer.close()
            await app.until(lambda: watcher.disconnects > 0)
            exchange.write(b"late") if exchange.started else exchange.respond(200, b"", b"late")
            exchange.finish()
            await server.close()
            assert watcher.disconnects == 1
            assert len(app.exchanges) == 1

    run(main())


def test_a_client_that_goes_after_its_answer_is_nobodys_business() -> None:
    app = RecordingApp(lambda exchange: None)

    async def main() -> None:
        async with serving(app) as (server, port):
            async with connected(port) as client:
                client.send(GET)
                await app.until(lambda: bool(app.exchanges))
                watcher = app.exchanges[0].listener = Watcher(app)
                app.exchanges[0].respond(200, b"", b"done")
                assert (await client.answer()).body == b"done"
            assert await server.drain(5)
            assert watcher.disconnects == 0

    run(main())


def test_a_client_that_never_reads_its_answers_is_not_served_without_bound() -> None:
    app = RecordingApp(lambda exchange: exchange.respond(200, b"", b"x" * 10_000))

    async def main() -> None:
        async with serving(app, ServerSettings(write_stall_timeout=0.1)) as (server, port):
            with small_window(port) as sock:
                sock.setblocking(False)
                request = GET * 200
                sent = 0
                while app.requests == [] or server.connections:
                    try:
                        sent += sock.send(request)
                    except (BlockingIOError, ConnectionError):
                        pass
                    await asyncio.sleep(0)
                    assert len(app.requests) < 2000  # 20 MB; loopback's own buffers hold a few of them

    run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
def test_a_server_out_of_file_descriptors_serves_again_when_there_are_some() -> None:
    root = Path(__file__).parents[2]
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.starved_server"],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    with server, server.stdin, server.stdout:
        port = int(server.stdout.readline())
        with ExitStack() as stack:
            crowd = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(40)]
            assert select.select(crowd, [], [], 10)[0], "none was turned away: the server was not starved"
        for _ in range(100):  # until it has noticed that the crowd has gone
            with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
                try:
                    sock.sendall(GET)
                    answer = sock.recv(100)
                except ConnectionError:
                    continue
            if answer:
                break
        assert answer.startswith(b"HTTP/1.1 200 ")
        server.stdin.close()
        assert server.wait(10) == 0
