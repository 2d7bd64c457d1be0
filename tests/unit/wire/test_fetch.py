"""Files by URL: what is fetched, what is refused, over real sockets. Addresses are told by a table."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from tests.support.http_server import run

from tidegate.wire.fetch import FetchedFile, Fetcher, FetchFailed, FetchSettings, UrlRefused
from tidegate.wire.guard import GuardedResolver, networks
from tidegate.wire.resolver import Address, ResolutionFailed, Resolver

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 50


class Table(Resolver):
    """Every name's address is the server's own; `refused` names have none."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.asked: list[str] = []

    async def lookup(self, host: str, port: int) -> list[Address]:
        self.asked.append(host)
        if host.startswith("refused"):
            raise ResolutionFailed("no")
        return [("127.0.0.1", port)]


class Media:
    """A server that answers by path."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self.answers = answers
        self.heads: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0

    async def __aenter__(self) -> "Media":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for writer in self.writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        answer = self.answers[head.split(b" ")[1].decode()].replace(b"PORT", b"%d" % self.port)
        writer.write(answer)
        if b"content-length: 999" not in answer:
            writer.close()

    def fetcher(self, **settings: Any) -> Fetcher:
        chosen = {"max_bytes": 1000, "timeout": 5.0, "ports": frozenset((self.port,)), **settings}
        return Fetcher(FetchSettings(**chosen), asyncio.get_running_loop(), Table(asyncio.get_running_loop()))


def sent(body: bytes, head: bytes = b"content-type: image/png\r\n") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)


def moved(where: str, status: int = 302) -> bytes:
    return b"HTTP/1.1 %d Found\r\nlocation: %b\r\ncontent-length: 3\r\n\r\nbye" % (status, where.encode())


async def got(fetcher: Fetcher, url: str) -> FetchedFile | FetchFailed:
    told: asyncio.Future[FetchedFile | FetchFailed] = asyncio.get_running_loop().create_future()
    fetcher.fetch(url, told.set_result)
    return await told


def trial(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def ran() -> None:
        run(test())

    ran.__name__ = test.__name__
    return ran


@trial
async def test_a_file() -> None:
    async with Media({"/a%20b/%C3%BC.png?q=%0D%0Ax&r=1": sent(PNG)}) as media:
        url = f"http://pictures.example:{media.port}/a b/ü.png?q=%0D%0Ax&r=1#part"
        told = await got(media.fetcher(), url)
        assert isinstance(told, FetchedFile)
        assert told.body == PNG
        (head,) = media.heads
        assert head.startswith(b"GET /a%20b/")
        assert b"\r\nhost: pictures.example:%d\r\n" % media.port in head
        assert b"cookie" not in head


@trial
async def test_redirects() -> None:
    answers = {"/1": moved("/2", 301), "/2": moved("//other.example:PORT/3", 307), "/3": moved("4"), "/4": sent(PNG)}
    async with Media({**answers, "/0": moved("/1"), "/loop": moved("/loop"), "/bad": moved("http://[")}) as media:
        fetcher = media.fetcher()
        at = f"http://pictures.example:{media.port}"
        assert isinstance(await got(fetcher, f"{at}/1"), FetchedFile)
        assert isinstance(fetcher.resolver, Table)
        assert fetcher.resolver.asked == ["pictures.example"] * 2 + ["other.example"] * 2
        for path in ("/0", "/loop"):
            told = await got(fetcher, at + path)
            assert isinstance(told, FetchFailed)
            assert told.reason == "it redirects more than 3 times"
        assert isinstance(await got(fetcher, f"{at}/bad"), FetchFailed)


@trial
async def test_each_redirect_is_checked() -> None:
    inward = {
        "/port": "http://pictures.example:22/",
        "/scheme": "file:///etc/passwd",
        "/host": "http://refused.example:PORT/",
        "/user": "http://u:p@pictures.example:PORT/",
    }
    async with Media({path: moved(where) for path, where in inward.items()}) as media:
        for path in inward:
            told = await got(media.fetcher(), f"http://pictures.example:{media.port}{path}")
            assert isinstance(told, FetchFailed), path
        assert len(media.heads) == len(inward)


@trial
async def test_a_redirect_to_an_inward_address() -> None:
    """The guard itself: the first address is allowed by the operator, the second is not."""
    async with Media({"/a": moved("http://127.0.0.2:PORT/b"), "/b": sent(PNG)}) as media:
        loop = asyncio.get_running_loop()
        settings = FetchSettings(max_bytes=1000, timeout=5.0, ports=frozenset((media.port,)))
        open_, shut = networks(("127.0.0.1/32",)), networks(())
        fetcher = Fetcher(settings, loop, GuardedResolver(loop, open_))
        told = await got(fetcher, f"http://127.0.0.1:{media.port}/a")
        assert told == FetchFailed("127.0.0.2", "it cannot be reached at a public address")
        assert len(media.heads) == 1
        fetcher = Fetcher(settings, loop, GuardedResolver(loop, shut))
        for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"):
            told = await got(fetcher, f"http://{host}:{media.port}/b")
            assert isinstance(told, FetchFailed)
            assert told.reason == "it cannot be reached at a public address", host
        assert len(media.heads) == 1


@trial
async def test_what_is_too_large() -> None:
    chunked = (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1f4\r\n%b\r\n" % (b"x" * 500) * 3 + b"0\r\n\r\n"
    )
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001
    late = b"HTTP/1.1 302 Found\r\nlocation: /said\r\ncontent-length: 2000\r\n\r\n" + b"x" * 2000
    answers = {"/said": sent(b"x" * 1001), "/chunked": chunked, "/endless": endless, "/late": late}
    async with Media({**answers, "/fits": sent(b"x" * 1000)}) as media:
        at = f"http://pictures.example:{media.port}"
        for path in answers:
            told = await got(media.fetcher(), at + path)
            assert told == FetchFailed("pictures.example", "it is larger than 1000 bytes")
        assert isinstance(await got(media.fetcher(), f"{at}/fits"), FetchedFile)


@trial
async def test_what_does_not_come() -> None:
    answers = {
        "/slow": b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\nhalf",
        "/gone": b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        "/cut": b"HTTP/1.1 200 OK\r\ncontent-length: 990\r\n\r\nhalf",
        "/none": b"",
        "/odd": b"SSH-2.0-OpenSSH\r\n\r\n",
    }
    reasons = {"/slow": "within", "/gone": "status 404", "/cut": "reset", "/none": "reset", "/odd": "protocol"}
    async with Media(answers) as media:
        for path, reason in reasons.items():
            fetcher = media.fetcher(timeout=0.3)
            told = await got(fetcher, f"http://pictures.example:{media.port}{path}#secret")
            assert isinstance(told, FetchFailed)
            assert reason in told.reason, path
            assert "secret" not in told.reason


@trial
async def test_one_that_is_cancelled_says_nothing() -> None:
    async with Media({"/a": sent(PNG)}) as media:
        told: list[object] = []
        fetcher = media.fetcher()
        fetch = fetcher.fetch(f"http://pictures.example:{media.port}/a", told.append)
        fetch.cancel()
        assert isinstance(await got(fetcher, f"http://pictures.example:{media.port}/a"), FetchedFile)
        assert (told, len(media.heads)) == ([], 1)


REFUSED = [
    *("ftp://a.example/x", "file:///etc/passwd", "gs://bucket/x", "data:image/png;base64,aa", "http:///x", "http://"),
    *("a.example/x", "http://[/x", "http://a.example:port/", "http://a.example:99999/", "http://u@a.example/"),
    *("http://u:p@a.example/", "http://a.example:22/", "http://a.example:8080/", "http://a b/", "http://a\u0000b/"),
    *("http://-a.example/", "http://a..ü.example/", "http://[fe80::1%25eth0]/", "http://a.example/" + "x" * 9000),
]


@pytest.mark.parametrize("url", REFUSED)
def test_urls_that_are_refused(url: str) -> None:
    async def tried() -> None:
        settings = FetchSettings(max_bytes=1000, timeout=1.0)
        with pytest.raises(UrlRefused) as refused:
            Fetcher(settings, asyncio.get_running_loop()).target(url)
        assert "u:p" not in str(refused.value)

    run(tried())


@trial
async def test_where_a_url_leads() -> None:
    loop = asyncio.get_running_loop()
    fetcher = Fetcher(FetchSettings(max_bytes=1, timeout=1.0), loop)
    leads = {
        "https://A.Example/x?y": ("https", "a.example", 443, b"/x?y"),
        "http://bücher.example": ("http", "xn--bcher-kva.example", 80, b"/"),
        "HTTP://[2606:4700::1]:443/%2e%2e/x": ("http", "2606:4700::1", 443, b"/%2e%2e/x"),
    }
    for url, (scheme, host, port, path) in leads.items():
        origin, sent_path = fetcher.target(url)
        assert (origin.scheme, origin.host, origin.port, sent_path) == (scheme, host, port, path)
    only = Fetcher(FetchSettings(max_bytes=1, timeout=1.0, hosts=("a.example", "*.b.example")), loop)
    for host in ("a.example", "A.example.", "x.b.example", "y.x.b.example"):
        only.target(f"https://{host}/")
    for host in ("b.example", "xa.example", "a.example.evil.example", "xb.example"):
        with pytest.raises(UrlRefused, match="allow"):
            only.target(f"https://{host}/")
