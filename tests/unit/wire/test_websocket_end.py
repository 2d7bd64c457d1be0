"""WebSockets over sockets: our server against the `websockets` client, our client against its server."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, cast

import pytest
import trustme
from tests.support.http_server import RecordingApp, ask, connected, parse_head, run, serving
from tests.support.memory_wire import MemoryWire
from tests.support.websocket_echo import OPENING, EchoApp, Opening, opened, pool_to
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tidegate.wire.client import Failure, TlsSettings
from tidegate.wire.link import Link
from tidegate.wire.websocket import CLOSE, GOING_AWAY, LOST, PING, PONG, TEXT, encode_close, encode_frame, masked
from tidegate.wire.websocket_end import BEAT_SECONDS, CLOSING_SECONDS

KEY = b"mask"


def in_memory() -> tuple[EchoApp, MemoryWire]:
    app = EchoApp()
    wire = MemoryWire(app)
    app.loop = cast(asyncio.AbstractEventLoop, wire.loop)
    return app, wire


def with_client(app: EchoApp, act: Callable[[ClientConnection], Any], **options: Any) -> None:
    async def main() -> None:
        async with serving(app) as (_, port), connect(f"ws://127.0.0.1:{port}/ws", proxy=None, **options) as client:
            await act(client)

    run(main())


async def _echoes(client: ClientConnection) -> None:
    for message in ("héllo", b"\x00\xff", "", "x" * 70_000, b"y" * 1_000_000):
        await client.send(message)
        assert await client.recv() == message
    await client.send(["in ", "three ", "fragments"])
    assert await client.recv() == "in three fragments"


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_the_library_talks_to_our_server(compression: str | None) -> None:
    """An offered extension is not accepted."""
    app = EchoApp()
    with_client(app, _echoes, compression=compression, max_size=None)
    assert app.owners[0].closed == [(1000, "")]


def test_pings_are_answered() -> None:
    async def pinged(client: ClientConnection) -> None:
        assert await (await client.ping(b"are you there")) >= 0

    with_client(EchoApp(), pinged)


def test_our_server_closes() -> None:
    async def told(client: ClientConnection) -> None:
        await client.send("bye")
        with pytest.raises(ConnectionClosed) as caught:
            await client.recv()
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "as asked")

    app = EchoApp(lambda end, opcode, payload: end.close(4001, "as asked"))
    with_client(app, told)
    assert app.owners[0].closed == [(4001, "as asked")]


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (encode_frame(TEXT, b"unmasked"), 1002),
        (b"\xc1\x80mask", 1002),
        (encode_frame(TEXT, b"\xff", KEY), 1007),
        (b"\x81\xff" + (1 << 30).to_bytes(8, "big") + KEY, 1009),
    ],
    ids=["unmasked", "reserved bit", "no UTF-8", "too large"],
)
def test_a_violation_is_told_and_ends_it(frames: bytes, code: int) -> None:
    app = EchoApp()

    async def main() -> bytes:
        async with serving(app) as (_, port):
            return await ask(port, OPENING + frames + encode_frame(TEXT, b"never read", KEY))

    answer = run(main())
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert rest[:1] == bytes([0x80 | CLOSE])
    assert int.from_bytes(rest[2:4], "big") == code
    assert [told for told, _ in app.owners[0].closed] == [code]
    assert app.owners[0].messages == []


def test_frames_right_behind_the_request_are_read() -> None:
    app, wire = in_memory()
    data = OPENING + encode_frame(TEXT, b"early", KEY) + encode_close(1000, "", KEY)
    wire.feed(*(data[cut : cut + 1] for cut in range(len(data))))
    head, rest = wire.written.split(b"\r\n\r\n", 1)
    assert parse_head(head + b"\r\n\r\n").status == 101
    assert rest == encode_frame(TEXT, b"early") + encode_close(1000)
    assert wire.transport.closed
    assert [len(owner.messages) for owner in app.owners] == [1]


def test_a_client_that_goes_without_a_word_is_lost() -> None:
    app = EchoApp()

    async def main() -> None:
        async with serving(app) as (server, port):
            async with connected(port) as client:
                client.send(OPENING)
                await client.until(b"\r\n\r\n")
            await app.owners[0].until(lambda: bool(app.owners[0].closed))
            assert server.connections == 0

    run(main())
    assert app.owners[0].closed == [(LOST, "the connection was lost")]


def test_draining_tells_each_client() -> None:
    app = EchoApp()

    async def main() -> None:
        async with serving(app) as (server, port), connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as client:
            drained = asyncio.ensure_future(server.drain(10))
            with pytest.raises(ConnectionClosed) as caught:
                await client.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == GOING_AWAY
            assert await drained

    run(main())


def test_a_slow_reader_holds_up_what_is_read_from_it() -> None:
    """Echoes that a client does not read stop the reading of what it sends; nothing is lost when it reads again."""
    app = EchoApp()
    message = encode_frame(TEXT, b"x" * 60_000, KEY)

    async def main() -> None:
        async with serving(app) as (_, port), connected(port) as client:
            client.send(OPENING)
            await client.until(b"\r\n\r\n")
            client.writer.transport.pause_reading()
            sent = 0
            while "pause" not in app.owners[0].heard:
                client.send(message)
                sent += 1
                await asyncio.wait([asyncio.ensure_future(client.writer.drain())], timeout=0.01)
            got = 0
            client.writer.transport.resume_reading()
            while got < sent:
                await client.reader.readexactly(60_004)
                got += 1
            assert len(app.owners[0].messages) == sent

    run(main())
    assert app.owners[0].heard[-1] == "resume"


def test_a_silent_peer_is_pinged_and_then_given_up() -> None:
    app, wire = in_memory()
    wire.feed(OPENING)
    written = len(wire.written)

    def beat() -> None:
        (timer,) = wire.loop.timers
        assert timer.seconds == BEAT_SECONDS
        timer.run()

    beat()
    beat()
    assert wire.written[written:] == encode_frame(PING, b"")
    wire.feed(encode_frame(PONG, b"", KEY))
    beat()
    beat()
    assert not wire.transport.closed
    beat()
    assert wire.transport.aborted
    assert app.owners[0].closed == [(LOST, "the connection was lost")]
    assert wire.loop.timers == []


def test_a_close_that_is_not_answered_ends_in_time() -> None:
    app, wire = in_memory()
    wire.feed(OPENING)
    assert app.owners[0].end is not None
    app.owners[0].end.close(1000)
    wire.feed(encode_frame(TEXT, b"late", KEY))
    assert app.owners[0].messages == []
    (closing,) = [timer for timer in wire.loop.timers if timer.seconds == CLOSING_SECONDS]
    closing.run()
    assert wire.transport.aborted
    assert app.owners[0].closed == [(LOST, "the connection was lost")]
    assert wire.loop.timers == []


# Our client.


def with_server(
    handler: Callable[[ServerConnection], Any], act: Callable[[Opening], Any], tls: bool = False, **options: Any
) -> None:
    async def main() -> None:
        authority = trustme.CA()
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("localhost").configure_cert(context)
        async with serve(handler, "127.0.0.1", 0, ssl=context, **options) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            with authority.cert_pem.tempfile() as ca_file:
                pool = pool_to(port, TlsSettings(ca_file=ca_file) if tls else None)
                await act(opened(pool))
                assert pool.idle_connections == 0

    run(main())


@pytest.mark.parametrize("tls", [False, True])
def test_our_client_talks_to_the_library(tls: bool) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send("hello")  # may come together with the head
        async for message in connection:
            await connection.send(message)

    async def act(opening: Opening) -> None:
        assert isinstance(await opening.told, Link)
        end = opening.owner.end
        assert end is not None
        for size in (0, 5, 126, 70_000):
            end.send(TEXT, b"z" * size)
        await opening.owner.until(lambda: len(opening.owner.messages) == 5)
        assert [len(payload) for _, payload in opening.owner.messages] == [5, 0, 5, 126, 70_000]
        end.close(1000)
        await opening.owner.until(lambda: bool(opening.owner.closed))
        assert opening.owner.closed == [(1000, "")]

    with_server(handler, act, tls)


def test_a_server_that_closes_is_answered() -> None:
    codes: list[int | None] = []

    async def handler(connection: ServerConnection) -> None:
        await connection.close(4000, "enough")
        codes.append(connection.close_code)

    async def act(opening: Opening) -> None:
        await opening.owner.until(lambda: bool(opening.owner.closed))
        assert opening.owner.closed == [(4000, "enough")]

    with_server(handler, act)
    assert codes == [4000]


def test_a_masking_server_is_refused() -> None:
    app = RecordingApp(
        lambda exchange: exchange.upgrade(b"upgrade: websocket\r\n").write(encode_frame(TEXT, b"x", KEY))
    )

    async def main() -> None:
        async with serving(app) as (_, port):
            opening = opened(pool_to(port))
            await opening.owner.until(lambda: bool(opening.owner.closed))
            assert opening.owner.closed[0][0] == 1002

    run(main())


def test_an_answer_that_does_not_agree_is_an_answer() -> None:
    async def main() -> None:
        async with serving(RecordingApp()) as (_, port):
            assert await opened(pool_to(port)).told == 200

    run(main())


def test_an_upgrade_that_nobody_asked_for_fails_the_call() -> None:
    """`101` to a plain request: a protocol failure of that call, not of the process."""
    app = RecordingApp(lambda exchange: exchange.upgrade(b"upgrade: websocket\r\n").listen(Deaf()))

    class Plain(Opening):
        on_upgrade = None  # type: ignore[assignment]

    async def main() -> None:
        async with serving(app) as (_, port):
            sink = Plain()
            pool_to(port).send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"", sink, replayable=False)
            told = await sink.told
            assert isinstance(told, Failure)
            assert told.kind == "protocol"

    run(main())


class Deaf:
    def on_data(self, data: bytes) -> None: ...

    def on_lost(self) -> None: ...

    def on_pause(self) -> None: ...

    def on_resume(self) -> None: ...

    def on_drain(self) -> None: ...


def test_what_our_client_sends_is_masked_with_fresh_keys() -> None:
    seen: list[bytes] = []
    app = RecordingApp(lambda exchange: exchange.upgrade(b"upgrade: websocket\r\n").listen(Kept(seen, app)))

    async def main() -> None:
        async with serving(app) as (_, port):
            opening = opened(pool_to(port))
            await opening.told
            assert opening.owner.end is not None
            opening.owner.end.send(TEXT, b"secret")
            opening.owner.end.send(TEXT, b"secret")
            await app.until(lambda: sum(map(len, seen)) == 24)

    run(main())
    data = b"".join(seen)
    first, second = data[2:6], data[14:18]
    assert first != second
    assert masked(data[6:12], first) == masked(data[18:24], second) == b"secret"


class Kept(Deaf):
    def __init__(self, seen: list[bytes], app: RecordingApp) -> None:
        self.seen = seen
        self.app = app

    def on_data(self, data: bytes) -> None:
        self.seen.append(data)
        self.app.changed()
