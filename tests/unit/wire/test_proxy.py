"""Outbound proxies: which one the environment names, and calls through a real one on loopback."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from tests.support.connect_proxy import AUTHORIZATION, GRANTED_AND_CLOSED, PAIR, SECRETS, connect_proxy
from tests.support.http_server import run

from tidegate.wire.client import Failure, Origin, Pool, PoolSettings, Resolver, TlsSettings
from tidegate.wire.message import Headers
from tidegate.wire.proxy import Proxy, ProxyInvalid, proxy_for

HEAD = b"POST /v1/chat?x=1 HTTP/1.1\r\nhost: origin\r\ncontent-length: 2\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
NAME = "api.provider.example"
"""Only the proxy can reach it: it does not exist."""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without any proxy of this machine's own."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name == "REQUEST_METHOD":
            monkeypatch.delenv(name)
    return monkeypatch


class Heard:
    """A sink that remembers, and can be awaited."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.failure: Failure | None = None
        self.over = asyncio.Event()

    def on_head(self, status: int, headers: Headers) -> None:
        self.status = status

    def on_data(self, data: bytes) -> None:
        self.body += data

    def on_end(self) -> None:
        self.over.set()

    def on_failure(self, failure: Failure) -> None:
        self.failure = failure
        self.over.set()


async def ask(pool: Pool) -> Heard:
    heard = Heard()
    pool.send(HEAD, b"{}", heard, replayable=False)
    await heard.over.wait()
    return heard


async def refused(pool: Pool) -> Failure:
    heard = await ask(pool)
    assert heard.failure is not None
    return heard.failure


async def closed(pool: Pool) -> None:
    """Lets the callbacks run that are due until nothing is open."""
    for _ in range(100_000):
        if not pool.open_connections:
            return
        await asyncio.sleep(0)
    raise AssertionError("a connection stayed open")


@asynccontextmanager
async def pool_of(origin: Origin, ca_file: str | None = None) -> AsyncIterator[Pool]:
    loop = asyncio.get_running_loop()
    resolver = Resolver(loop)
    pool = Pool(origin, PoolSettings(tls=TlsSettings(ca_file=ca_file)), loop=loop, resolver=resolver)
    try:
        yield pool
    finally:
        pool.close()
        resolver.close()


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def origin_server(context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """→ (port, heads that arrived). Answers every request of a connection."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                await reader.readexactly(2)
                writer.write(OK)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()


# Which proxy.


@pytest.mark.parametrize(
    ("variables", "scheme", "expected"),
    [
        ({}, "https", None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https", ("proxy", 3128)),
        ({"https_proxy": "http://proxy:3128"}, "https", ("proxy", 3128)),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http", None),
        ({"HTTP_PROXY": "http://proxy:3128"}, "http", ("proxy", 3128)),
        ({"HTTP_PROXY": "http://proxy:3128"}, "https", None),
        ({"https_proxy": "http://small:1", "HTTPS_PROXY": "http://capital:2"}, "https", ("small", 1)),
        ({"https_proxy": "", "HTTPS_PROXY": "http://capital:2"}, "https", None),
        ({"HTTPS_PROXY": ""}, "https", None),
        ({"HTTPS_PROXY": "proxy:3128"}, "https", ("proxy", 3128)),
        ({"HTTPS_PROXY": "http://proxy"}, "https", ("proxy", 80)),
        ({"HTTPS_PROXY": "http://[::1]:3128/"}, "https", ("::1", 3128)),
        ({"HTTP_PROXY": "http://evil:1", "REQUEST_METHOD": "GET"}, "http", None),  # httpoxy, CVE-2016-1000110
    ],
)
def test_the_variable_of_the_scheme(
    variables: dict[str, str], scheme: str, expected: tuple[str, int] | None, environment: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    found = proxy_for(scheme, NAME, 443)
    assert (found and (found.host, found.port)) == expected


@pytest.mark.parametrize(
    ("no_proxy", "host", "bypassed"),
    [
        ("", "api.example.com", False),
        ("*", "api.example.com", True),
        (" * ", "api.example.com", True),
        ("example.com", "example.com", True),
        ("example.com", "api.example.com", True),
        (".example.com", "api.example.com", True),
        ("EXAMPLE.com", "api.example.com", True),
        ("example.com.", "api.example.com", True),
        ("example.com", "api.example.com.", True),
        ("example.com", "badexample.com", False),
        ("api.example.com", "example.com", False),
        ("other.org, example.com ,", "api.example.com", True),
        (",", "api.example.com", False),
        (".", "api.example.com", False),
        ("example.com:8443", "example.com", True),
        ("example.com:8443", "api.example.com", True),
        ("example.com:443", "example.com", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1:8443", "127.0.0.1", True),
        ("10.0.0.0/8", "10.9.8.7", True),
        ("10.0.0.1/8", "10.9.8.7", True),
        ("10.0.0.0/8", "11.9.8.7", False),
        ("10.0.0.0/8", "example.com", False),
        ("nonsense/8,example.com", "example.com", True),
        ("::1", "::1", True),
        ("[::1]", "::1", True),
        ("[::1]:8443", "::1", True),
        ("[::1]:443", "::1", False),
        ("fd00::/8", "fd12::1", True),
        ("localhost", "127.0.0.1", False),
    ],
)
def test_no_proxy(no_proxy: str, host: str, bypassed: bool, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "http://proxy:3128")
    environment.setenv("NO_PROXY", no_proxy)
    assert (proxy_for("https", host, 8443) is None) is bypassed


@pytest.mark.parametrize(
    ("userinfo", "authorization"),
    [
        ("", b""),
        ("user:secret@", b"Basic dXNlcjpzZWNyZXQ="),
        ("user@", b"Basic dXNlcjo="),
        (f"{PAIR}@", AUTHORIZATION.partition(b": ")[2]),
    ],
)
def test_credentials_of_the_url(userinfo: str, authorization: bytes, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", f"http://{userinfo}proxy:3128")
    assert proxy_for("https", NAME, 443) == Proxy("proxy", 3128, authorization)


def test_a_proxy_shows_no_credentials(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", f"http://{PAIR}@proxy:3128")
    shown = repr(proxy_for("https", NAME, 443))
    assert "proxy" in shown
    assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://user:to/psecret@proxy:3128", "not the URL"),
        ("http://user:topsecret@proxy:port", "not the URL"),
        ("http://user:topsecret@proxy:99999", "not the URL"),
        ("http://user:topsecret@", "not the URL"),
        ("http://[topsecret", "not the URL"),
        ("socks5://user:topsecret@proxy:1080", "another kind"),
        ("https://user:topsecret@proxy:3129", "another kind"),
    ],
)
def test_an_unusable_proxy_is_told_without_its_value(url: str, told: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", url)
    with pytest.raises(ProxyInvalid, match=f"HTTPS_PROXY .*{told}") as raised:
        proxy_for("https", NAME, 443)
    assert "secret" not in str(raised.value)


def test_an_unusable_proxy_fails_calls_and_is_not_gone_around(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "socks5://user:topsecret@127.0.0.1:1")

    async def main() -> None:
        async with origin_server() as (port, heads), pool_of(Origin("http", "127.0.0.1", port)) as pool:
            for _ in range(2):
                failure = await refused(pool)
                assert failure.kind == "connect"
                assert "HTTP_PROXY" in failure.message
                assert "secret" not in failure.message
            assert heads == []

    run(main())


# Calls through one.


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return str(path)


def serving_as(name: str, ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name).configure_cert(context)
    return context


def test_tls_inside_a_tunnel_and_the_connection_is_kept(
    ca: trustme.CA, ca_file: str, environment: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with origin_server(serving_as(NAME, ca)) as (port, heads), connect_proxy(port) as proxy:
            environment.setenv("HTTPS_PROXY", proxy.url)
            async with pool_of(Origin("https", NAME, 8443), ca_file) as pool:
                for _ in range(3):
                    heard = await ask(pool)
                    assert (heard.failure, heard.status, heard.body) == (None, 200, b"hello")
                assert (pool.open_connections, pool.idle_connections) == (1, 1)
        authority = f"{NAME}:8443".encode()
        assert proxy.heads == [b"CONNECT " + authority + b" HTTP/1.1\r\nhost: " + authority + b"\r\n\r\n"]
        assert heads == [HEAD] * 3

    run(main())


def test_the_origins_certificate_is_verified_through_the_tunnel(
    ca: trustme.CA, ca_file: str, environment: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with origin_server(serving_as("someone-else.example", ca)) as (port, heads), connect_proxy(port) as proxy:
            environment.setenv("HTTPS_PROXY", proxy.url)
            async with pool_of(Origin("https", NAME, 443), ca_file) as pool:
                failure = await refused(pool)
                assert failure.kind == "tls"
                assert NAME in failure.message
                await closed(pool)
            assert heads == []

    run(main())


def test_credentials_go_to_the_proxy_and_no_further(
    ca: trustme.CA, ca_file: str, environment: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with origin_server(serving_as(NAME, ca)) as (port, heads), connect_proxy(port) as proxy:
            environment.setenv("HTTPS_PROXY", f"http://{PAIR}@{proxy.authority}")
            async with pool_of(Origin("https", NAME, 443), ca_file) as pool:
                assert (await ask(pool)).status == 200
        assert AUTHORIZATION + b"\r\n" in proxy.heads[0]
        assert heads == [HEAD]

    run(main())


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n", "407 Proxy Auth"),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\nnope", "502 Bad Gateway"),
        (b"HTTP/1.0 403 " + b"x" * 500 + b"\r\n\r\n", "403 xxx"),
        (b"HTTP/1.1 301 Moved\r\nlocation: http://elsewhere/\r\n\r\n", "301 Moved"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "SSH-2.0"),
        (b"HTTP/1.1\r\n\r\n", "refused"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000, "refused"),
        (b"HTTP/1.1 200 OK\r\nx: cut", "closed the connection"),
        (b"", "closed the connection"),
    ],
)
def test_a_proxy_that_refuses(answer: bytes, told: str, environment: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with connect_proxy(answer=answer) as proxy:
            environment.setenv("HTTPS_PROXY", f"http://{PAIR}@{proxy.authority}")
            async with pool_of(Origin("https", NAME, 443)) as pool:
                failure = await refused(pool)
                assert (failure.kind, failure.answered) == ("connect", False)
                assert told in failure.message
                assert f"cannot connect to {NAME} through the proxy" in failure.message
                assert len(failure.message) < 200
                assert failure.message.isprintable()
                assert not [secret for secret in SECRETS if secret in failure.message]
                assert len(proxy.heads) == 1
                await closed(pool)

    run(main())


def test_a_proxy_that_closes_a_tunnel_it_has_just_granted(environment: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with connect_proxy(answer=GRANTED_AND_CLOSED) as proxy:
            environment.setenv("HTTPS_PROXY", proxy.url)
            async with pool_of(Origin("https", NAME, 443)) as pool:
                failure = await refused(pool)
                assert failure.kind == "connect"
                await closed(pool)

    run(main())


def test_no_proxy_listens(environment: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with connect_proxy() as proxy:
            pass
        environment.setenv("HTTPS_PROXY", f"http://{PAIR}@{proxy.authority}")
        async with pool_of(Origin("https", NAME, 443)) as pool:
            failure = await refused(pool)
            assert failure.kind == "connect"
            assert "through the proxy: Connection refused" in failure.message

    run(main())


def test_plain_http_names_the_whole_url_to_the_proxy(environment: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with connect_proxy(answer=OK) as proxy:
            environment.setenv("HTTP_PROXY", f"http://{PAIR}@{proxy.authority}")
            async with pool_of(Origin("http", NAME, 8080)) as pool:
                heard = await ask(pool)
                assert (heard.failure, heard.body) == (None, b"hello")
        line, authorization, *rest = proxy.heads[0].split(b"\r\n")
        assert line == f"POST http://{NAME}:8080/v1/chat?x=1 HTTP/1.1".encode()
        assert authorization == AUTHORIZATION
        assert rest == HEAD.split(b"\r\n")[1:]

    run(main())


def test_an_origin_in_no_proxy_is_called_directly(environment: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with origin_server() as (port, heads), connect_proxy() as proxy:
            environment.setenv("HTTP_PROXY", proxy.url)
            environment.setenv("NO_PROXY", "127.0.0.0/8")
            async with pool_of(Origin("http", "127.0.0.1", port)) as pool:
                assert (await ask(pool)).status == 200
            assert (heads, proxy.heads) == ([HEAD], [])

    run(main())
