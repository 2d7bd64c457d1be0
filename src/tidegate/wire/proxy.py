"""Which proxy leads to an origin (HTTPS_PROXY, HTTP_PROXY, NO_PROXY), and the CONNECT that opens a tunnel through it."""

import asyncio
from base64 import b64encode
from typing import Final, NamedTuple, cast
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

_MAX_ANSWER: Final = 16_384


class ProxyRefused(Exception):
    """The proxy answered the CONNECT with something other than 2xx."""


class Proxy(NamedTuple):
    host: str
    port: int
    authorization: bytes
    """The value of `proxy-authorization`, or b""."""


def proxy_for(scheme: str, host: str, port: int) -> Proxy | None:
    """From the environment, by the conventions that curl and Python's urllib share."""
    url = getproxies().get(scheme)
    if not url or proxy_bypass(f"{host}:{port}"):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if not parts.hostname:
        return None
    authorization = b""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = b"Basic " + b64encode(pair.encode())
    return Proxy(parts.hostname, parts.port or 80, authorization)


class Tunnel(asyncio.Protocol):
    """Sends CONNECT and reads the proxy's answer, byte for byte no further than its head."""

    def __init__(self, proxy: Proxy, host: str, port: int, opened: asyncio.Future[None]) -> None:
        self._proxy = proxy
        self._authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._opened = opened
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        authority = self._authority.encode()
        lines = [b"CONNECT " + authority + b" HTTP/1.1", b"host: " + authority]
        if self._proxy.authorization:
            lines.append(b"proxy-authorization: " + self._proxy.authorization)
        cast("asyncio.Transport", transport).write(b"\r\n".join([*lines, b"", b""]))

    def data_received(self, data: bytes) -> None:
        if self._opened.done():
            return
        self._answer += data
        head, end, _ = self._answer.partition(b"\r\n\r\n")
        if not end and len(self._answer) <= _MAX_ANSWER:
            return
        words = head.split(b" ", 2)
        if end and len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1].startswith(b"2"):
            self._opened.set_result(None)
        else:
            self._opened.set_exception(ProxyRefused(f"the proxy refused: {head[:80].decode('latin-1')}"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._opened.done():
            self._opened.set_exception(ProxyRefused("the proxy closed the connection"))
