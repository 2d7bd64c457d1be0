"""Which addresses a URL that somebody else wrote may lead to: public ones, and what the operator allows besides.

Names are resolved and their addresses checked here, and a connection is made to the address that was checked: a name that
resolves to another address a moment later (DNS rebinding) leads nowhere else.
Sources: IANA's special-purpose address registries for IPv4 and IPv6.
"""

import asyncio
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from tidegate.wire.resolver import Address, ResolutionFailed, Resolver

Network = IPv4Network | IPv6Network

_INWARD_4: Final = tuple(
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
        *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # Azure's own services, at an address that looks public
    )
)
_OUTWARD_6: Final = IPv6Network("2000::/3")
_INWARD_6: Final = tuple(
    IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)  # protocol assignments with Teredo, documentation, 6to4, documentation
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
"""NAT64: the IPv4 address is in the last 32 bits."""


def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Raises ValueError."""
    return tuple(ip_network(text) for text in texts)


def is_public(text: str) -> bool:
    """Of an address as the resolver writes it. What cannot be read is not."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    inner = _inner(address)
    if isinstance(inner, IPv4Address):
        return not any(inner in network for network in _INWARD_4)
    return inner.scope_id is None and inner in _OUTWARD_6 and not any(inner in network for network in _INWARD_6)


class GuardedResolver(Resolver):
    """Gives out permitted addresses alone."""

    def __init__(self, loop: asyncio.AbstractEventLoop, allowed: tuple[Network, ...] = ()) -> None:
        super().__init__(loop)
        self._allowed = allowed

    async def lookup(self, host: str, port: int) -> list[Address]:
        """Raises ResolutionFailed, in the same words whether there is no address or none that may be used."""
        try:
            found = await super().lookup(host, port)
        except ResolutionFailed:
            found = []
        permitted = [address for address in found if self._permits(address[0])]
        if not permitted:
            raise ResolutionFailed(f"{host} has no public address")
        return permitted

    def _permits(self, text: str) -> bool:
        if is_public(text):
            return True
        try:
            address = _inner(ip_address(text))
        except ValueError:
            return False
        return any(address in network for network in self._allowed)


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address inside of an IPv6 one that only stands for it."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _TRANSLATED:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
