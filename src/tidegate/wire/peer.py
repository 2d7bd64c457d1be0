"""Whose request it is: the client's address behind proxies that are trusted to name it.

`X-Forwarded-For` is walked from the right for as long as the address that wrote an entry is a trusted proxy's; what
stands further left is the client's own invention.
"""

import functools
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """`10.0.0.0/8`, `2001:db8::1`, … Raises ValueError."""
    return tuple(ip_network(text, strict=False) for text in texts)


@functools.lru_cache(maxsize=4096)
def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """An address with or without port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`; else None.

    An IPv4 address mapped into IPv6 is the IPv4 one, and a zone is dropped, so one client has one spelling.
    """
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or (port and not (port[0] == ":" and _is_port(port[1:]))):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(port):
            return None
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5


def is_trusted(address: str, trusted: tuple[Network, ...]) -> bool:
    """Whether `address` is in one of the networks."""
    parsed = parse_address(address)
    return parsed is not None and any(parsed in network for network in trusted)


def client_address(peer: str, forwarded: Iterable[bytes], trusted: tuple[Network, ...]) -> str:
    """`peer` is the socket's other end, known to be trusted; `forwarded` the X-Forwarded-For values in order."""
    client = peer
    entries = [entry.strip(" \t") for value in forwarded for entry in value.decode("latin-1").split(",")]
    for entry in reversed(entries):
        address = parse_address(entry)
        if address is None:
            break  # `unknown`, or garbage: the last hop that is known stays the client
        client = str(address)
        if not any(address in network for network in trusted):
            break
    return client
