"""Fetching a file by a URL that somebody else wrote: guarded, bounded, and driven by callbacks.

The URL is taken apart here, and again at each redirect; the guard checks addresses. Error messages name the host alone:
the rest of a URL may be a secret.
"""

import asyncio
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from tidegate.wire.client import Origin, Pool, PoolSettings
from tidegate.wire.guard import GuardedResolver, Network
from tidegate.wire.message import Headers
from tidegate.wire.outbound import Call, Failure
from tidegate.wire.resolver import Resolver

MAX_URL_BYTES: Final = 8_192
_MAX_REDIRECTS: Final = 3
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\.?|[0-9a-f:.]*:[0-9a-f:.]*")
_SAFE_PATH: Final = "/%:@!$&'()*+,;=~"
_SAFE_QUERY: Final = _SAFE_PATH + "?"


class UrlRefused(Exception):
    """The URL may not be fetched; says why, without the URL."""


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """`timeout` in seconds, for all redirects together. Empty `hosts`: any."""

    max_bytes: int
    timeout: float
    ports: frozenset[int] = frozenset((80, 443))
    hosts: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    user_agent: str = "tidegate"


@dataclass(frozen=True, slots=True)
class FetchedFile:
    headers: Headers
    """Of the last answer."""
    body: bytes


@dataclass(frozen=True, slots=True)
class FetchFailed:
    host: str
    reason: str


Done = Callable[[FetchedFile | FetchFailed], None]


def host_of(url: str) -> str:
    """For messages."""
    try:
        return (urlsplit(url).hostname or "")[:100] or "?"
    except ValueError:
        return "?"


class Fetcher:
    """Makes Fetches. One for each set of settings."""

    def __init__(
        self, settings: FetchSettings, loop: asyncio.AbstractEventLoop, resolver: Resolver | None = None
    ) -> None:
        self.settings = settings
        self.loop = loop
        self.resolver = GuardedResolver(loop, settings.networks) if resolver is None else resolver

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """Made once, on the first need: it reads some hundred certificates."""
        return PoolSettings().tls.context()

    def fetch(self, url: str, done: Done) -> "Fetch":
        """`done` is called once, and never from within this call."""
        return Fetch(self, url, done)

    def close(self) -> None:
        self.resolver.close()

    def target(self, url: str) -> tuple[Origin, bytes]:
        """(where to connect, path and query as they are sent). Raises UrlRefused."""
        if len(url) > MAX_URL_BYTES:
            raise UrlRefused(f"the URL is longer than {MAX_URL_BYTES} characters")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise UrlRefused("the URL cannot be read") from None
        if parts.scheme not in ("http", "https") or not host:
            raise UrlRefused("only http and https URLs are fetched")
        if "@" in parts.netloc:
            raise UrlRefused("a URL with a user name or password is not fetched")
        host = _plain_host(host)
        if not self._allows(host):
            raise UrlRefused("the operator does not allow this host")
        port = port or (443 if parts.scheme == "https" else 80)
        if port not in self.settings.ports:
            raise UrlRefused(f"port {port} is not fetched from")
        path = quote(parts.path or "/", safe=_SAFE_PATH)
        query = quote(parts.query, safe=_SAFE_QUERY)
        origin = Origin("https" if parts.scheme == "https" else "http", host, port)
        return origin, f"{path}?{query}".encode() if query else path.encode()

    def _allows(self, host: str) -> bool:
        named = host.rstrip(".")
        return not self.settings.hosts or any(
            named == one.lower() or (one.startswith("*.") and named.endswith(one[1:].lower()))
            for one in self.settings.hosts
        )


class Fetch:
    """One file under way. Is the Sink of its calls, one after the other."""

    def __init__(self, fetcher: Fetcher, url: str, done: Done) -> None:
        self._fetcher = fetcher
        self._done: Done | None = done
        self._url = url
        self._ends_at = fetcher.loop.time() + fetcher.settings.timeout
        self._redirects = 0
        self._headers: Headers = []
        self._location = ""
        self._parts: list[bytes] = []
        self._size = 0
        self._pool: Pool | None = None
        self._call: Call | None = None
        self._handle: asyncio.Handle | None = fetcher.loop.call_soon(self._begin)

    def cancel(self) -> None:
        """Nothing more is heard."""
        self._done = None
        if self._handle is not None:
            self._handle.cancel()
        self._stop()

    # Sink.

    def on_head(self, status: int, headers: Headers) -> None:
        self._headers = headers
        length = _header(headers, b"content-length")
        if status in _REDIRECTS:
            self._location = _header(headers, b"location").decode("latin-1")
        if status != 200 and not self._location:
            self._fail(f"it answered with status {status}")
        elif length.isdigit() and int(length) > self._fetcher.settings.max_bytes:
            self._too_large()

    def on_data(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._fetcher.settings.max_bytes:
            self._too_large()
        elif not self._location:
            self._parts.append(data)

    def on_end(self) -> None:
        if self._done is None:
            return
        if self._location:
            self._stop()
            self._redirects += 1
            self._handle = self._fetcher.loop.call_soon(self._follow)
        else:
            self._finish(FetchedFile(self._headers, b"".join(self._parts)))

    def on_failure(self, failure: Failure) -> None:
        if failure.kind == "connect":
            self._fail("it cannot be reached at a public address")
        elif failure.kind.endswith("timeout"):
            self._fail(f"it did not come within {self._fetcher.settings.timeout:g} s")
        else:
            self._fail(f"the connection failed ({failure.kind})")

    # Steps.

    def _begin(self) -> None:
        self._handle = None
        fetcher = self._fetcher
        try:
            origin, path = fetcher.target(self._url)
        except UrlRefused as error:
            self._fail(str(error))
            return
        left = self._ends_at - fetcher.loop.time()
        settings = PoolSettings(
            connect_timeout=left,
            first_byte_timeout=left,
            idle_timeout=left,
            max_connections=1,
            max_idle=0,
            use_environment_proxy=False,  # a proxy would resolve the name again, where nothing is checked
            context=fetcher.tls if origin.scheme == "https" else None,
        )
        self._location, self._size = "", 0
        self._parts.clear()
        self._pool = Pool(origin, settings, loop=fetcher.loop, resolver=fetcher.resolver)
        head = (
            b"GET %b HTTP/1.1\r\nhost: %b\r\naccept: image/*, application/pdf, */*;q=0.1\r\n"
            b"accept-encoding: identity\r\nuser-agent: %b\r\nconnection: close\r\n\r\n"
        ) % (path, origin.host_header.encode(), fetcher.settings.user_agent.encode())
        self._call = self._pool.send(head, b"", self, replayable=False, total=left)

    def _follow(self) -> None:
        try:
            following = urljoin(self._url, self._location)
        except ValueError:
            following = ""
        if self._redirects > _MAX_REDIRECTS:
            self._fail(f"it redirects more than {_MAX_REDIRECTS} times")
        elif self._url.lower().startswith("https:") and not following.lower().startswith("https:"):
            self._fail("it redirects from https to something else")
        else:
            self._url = following
            self._begin()

    def _too_large(self) -> None:
        self._fail(f"it is larger than {self._fetcher.settings.max_bytes} bytes")

    def _fail(self, reason: str) -> None:
        self._finish(FetchFailed(host_of(self._url), reason))

    def _finish(self, told: FetchedFile | FetchFailed) -> None:
        done, self._done = self._done, None
        self._stop()
        if done is not None:
            done(told)

    def _stop(self) -> None:
        call, pool = self._call, self._pool
        self._call = self._pool = None
        if call is not None:
            call.cancel()
        if pool is not None:
            pool.close()


def _plain_host(host: str) -> str:
    """Raises UrlRefused."""
    try:
        plain = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        plain = ""
    if not _HOST.fullmatch(plain):
        raise UrlRefused("the URL's host cannot be read")
    return plain


def _header(headers: Headers, wanted: bytes) -> bytes:
    return next((value for name, value in headers if name == wanted), b"")
