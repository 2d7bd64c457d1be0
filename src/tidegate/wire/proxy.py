"""Which proxy leads to an origin (HTTPS_PROXY, HTTP_PROXY, NO_PROXY), and the CONNECT that opens a tunnel through it."""

import asyncio
from base64 import b64encode
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final, cast
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment

_MAX_ANSWER: Final = 16_384
_MAX_TOLD: Final = 80


class ProxyRefused(Exception):
    """The proxy answered the CONNECT with something other than 2xx."""


class ProxyInvalid(Exception):
    """The environment names a proxy that cannot be used. The message names the variable and never its value."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where it listens, and what it wants to be told."""

    host: str
    port: int
    authorization: bytes = field(repr=False)
    """The value of `proxy-authorization`, or b""."""


def proxy_for(scheme: str, host: str, port: int) -> Proxy | None:
    """From the environment, by the conventions that curl and Python share. Raises ProxyInvalid."""
    settings = getproxies_environment()
    url = settings.get(scheme)
    if not url or _bypassed(settings.get("no", ""), host, port):
        return None
    variable = f"{scheme.upper()}_PROXY"
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        name, proxy_port = parts.hostname, parts.port or 80
    except ValueError:
        raise ProxyInvalid(_not_a_url(variable)) from None  # its text may be a part of the password
    if not name:
        raise ProxyInvalid(_not_a_url(variable))
    if parts.scheme != "http":
        raise ProxyInvalid(f"{variable} names a proxy of another kind than http://, which is not supported")
    authorization = b""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = b"Basic " + b64encode(pair.encode())
    return Proxy(name, proxy_port, authorization)


def _not_a_url(variable: str) -> str:
    return f"{variable} is not the URL of a proxy; write http://HOST:PORT, signs in a password as %XX"


def _bypassed(no_proxy: str, host: str, port: int) -> bool:
    """Whether NO_PROXY means `host`: a domain with all below it, a network, an address; with a port, only that port."""
    if no_proxy.strip() == "*":
        return True
    bare = f"[{host}]" if ":" in host else host.rstrip(".").lower()
    spellings = (host, bare, f"{bare}:{port}")
    for entry in no_proxy.split(","):
        rule = entry.strip().lower()
        if "/" in rule:
            if _in_network(host, rule):
                return True
            continue
        rule = rule.strip(".")
        if rule and any(one == rule or one.endswith("." + rule) for one in spellings):
            return True
    return False


def _in_network(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


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
        line = head.partition(b"\r\n")[0]
        words = line.split(b" ", 2)
        if end and len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1].startswith(b"2"):
            self._opened.set_result(None)
        else:
            self._opened.set_exception(ProxyRefused(f"the proxy refused: {line[:_MAX_TOLD].decode('latin-1')}"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._opened.done():
            self._opened.set_exception(ProxyRefused("the proxy closed the connection"))
