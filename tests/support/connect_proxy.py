"""A small forward proxy on loopback: CONNECT tunnels to wherever a test says, or answers as a test says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
GRANTED_AND_CLOSED = b"HTTP/1.1 200 OK\r\n\r\n"
PAIR = "user:p%40ss%2Fw%3Ard"
"""As it stands in the URL of a proxy."""
SECRETS = ("p%40ss", "p@ss", "dXNlcjpwQHNzL3c6cmQ=")
AUTHORIZATION = b"proxy-authorization: Basic dXNlcjpwQHNzL3c6cmQ="


class ConnectProxy:
    """`answer` is sent to each head. After ESTABLISHED bytes go both ways to `port` on loopback, after others it closes."""

    def __init__(self, port: int, answer: bytes) -> None:
        self.heads: list[bytes] = []
        self.url = ""
        """Without credentials."""
        self._port = port
        self._answer = answer
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def authority(self) -> str:
        return self.url.removeprefix("http://")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            writer.write(self._answer)
            if head.startswith(b"CONNECT ") and self._answer == ESTABLISHED:
                await self._join(reader, writer)
        writer.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward, outward = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(outward)
        async with asyncio.TaskGroup() as both:
            both.create_task(_pass_on(reader, outward))
            both.create_task(_pass_on(onward, writer))

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()


@asynccontextmanager
async def connect_proxy(port: int = 0, answer: bytes = ESTABLISHED) -> AsyncIterator[ConnectProxy]:
    """Tunnels lead to `port`, whatever origin is asked for."""
    proxy = ConnectProxy(port, answer)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        proxy.close()
