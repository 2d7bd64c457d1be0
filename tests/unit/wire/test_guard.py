"""Which addresses are public, and that a name leads to those alone."""

import asyncio
from typing import Any, cast

import pytest
from tests.support.http_server import run

from tidegate.wire.guard import GuardedResolver, is_public, networks
from tidegate.wire.resolver import ResolutionFailed

INWARD = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    *("192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "192.88.99.1", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
    *("fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "100::1", "2001::1", "2001:db8::1"),
    *("2002:7f00:1::", "3fff::1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2000::1%eth0", "nonsense", ""),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "168.63.129.17", "::ffff:8.8.8.8"),
    *("2606:4700::1111", "2a00:1450::1", "64:ff9b::808:808"),
]


@pytest.mark.parametrize("address", INWARD)
def test_inward(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert is_public(address)


class Dns:
    """What a resolver needs of a loop."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def create_task(self, coroutine: Any) -> "asyncio.Task[Any]":
        return asyncio.get_running_loop().create_task(coroutine)

    async def getaddrinfo(self, host: str, port: int, *, type: int) -> list[Any]:
        return [(2, type, 6, "", (address, port)) for address in self.answers.pop(0)]


def guarded(dns: Dns, *allowed: str) -> GuardedResolver:
    return GuardedResolver(cast(asyncio.AbstractEventLoop, dns), networks(allowed))


def test_a_name_leads_to_its_public_addresses_alone() -> None:
    async def trial() -> None:
        resolver = guarded(Dns(["10.0.0.1", "8.8.8.8", "::1"]))
        assert await resolver.lookup("mixed.example", 443) == [("8.8.8.8", 443)]

    run(trial())


def test_what_an_inward_name_resolves_to_is_not_told() -> None:
    async def trial() -> None:
        with pytest.raises(ResolutionFailed) as inward:
            await guarded(Dns(["10.0.0.1"])).lookup("a.example", 443)
        with pytest.raises(ResolutionFailed) as nothing:
            await guarded(Dns([])).lookup("a.example", 443)
        assert str(inward.value) == str(nothing.value) == "a.example has no public address"

    run(trial())


def test_a_name_that_changes_its_answer_is_checked_again() -> None:
    async def trial() -> None:
        dns = Dns(["8.8.8.8"], ["127.0.0.1"])
        resolver = guarded(dns)
        assert await resolver.lookup("b.example", 443) == [("8.8.8.8", 443)]
        dns.now = 1000.0
        await resolver.lookup("b.example", 443)  # the known answer; behind it the name is asked for anew
        await asyncio.gather(*resolver._looking.values())
        with pytest.raises(ResolutionFailed):
            await resolver.lookup("b.example", 443)

    run(trial())


def test_allowed_networks() -> None:
    async def trial() -> None:
        resolver = guarded(Dns(["10.1.2.3", "10.2.0.1"], ["::ffff:10.1.0.1"]), "10.1.0.0/16")
        assert await resolver.lookup("c.example", 80) == [("10.1.2.3", 80)]
        assert await resolver.lookup("d.example", 80) == [("::ffff:10.1.0.1", 80)]
        assert await resolver.lookup("10.1.0.9", 80) == [("10.1.0.9", 80)]
        for refused in ("10.2.0.1", "127.0.0.1", "::1"):
            with pytest.raises(ResolutionFailed):
                await resolver.lookup(refused, 80)

    run(trial())
