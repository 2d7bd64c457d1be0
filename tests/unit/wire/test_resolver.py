"""Names to addresses: what is asked of DNS, when, and what happens when it does not answer. Time is told, DNS is a table."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvloop
from tests.support.http_server import run

from tidegate.wire import resolver as resolver_module
from tidegate.wire.client import Call, Failure, Origin, Pool, PoolSettings
from tidegate.wire.message import Headers
from tidegate.wire.resolver import ResolutionFailed, Resolver

NAME = "api.provider.example"
FRESH = 30.0
"""Seconds for which an answer is used without asking again."""


class Dns:
    """What a resolver needs of a loop. `answers` holds addresses, or the error of a lookup."""

    def __init__(self, **answers: list[str] | Exception) -> None:
        self.now = 1000.0
        self.answers: dict[str, list[str] | Exception] = {NAME: answers.pop("name", [])} | answers
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.tasks: list[asyncio.Task[Any]] = []

    def time(self) -> float:
        return self.now

    def create_task(self, coroutine: Any) -> "asyncio.Task[Any]":
        self.tasks.append(asyncio.get_running_loop().create_task(coroutine))
        return self.tasks[-1]

    async def getaddrinfo(self, host: str, port: int, *, type: int) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        assert type == socket.SOCK_STREAM
        self.asked.append(host)
        await self.gate.wait()
        answer = self.answers[host]
        if isinstance(answer, Exception):
            raise answer
        return [(socket.AF_INET, type, 6, "", (address, port)) for address in answer]

    async def settle(self) -> None:
        """Lets every lookup end that was begun."""
        await asyncio.gather(*self.tasks, return_exceptions=True)


def resolver_on(dns: Dns) -> Resolver:
    return Resolver(cast(asyncio.AbstractEventLoop, dns))


def trial(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """The test runs on a loop."""

    def running() -> None:
        run(cast(Any, test()))

    running.__name__ = test.__name__
    return running


NO_SUCH_NAME = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(
    ("literal", "address"), [("192.0.2.1", "192.0.2.1"), ("2001:DB8::1", "2001:db8::1"), ("::1", "::1")]
)
def test_an_address_is_not_looked_up(literal: str, address: str) -> None:
    async def main() -> None:
        dns = Dns()
        assert await resolver_on(dns).lookup(literal, 443) == [(address, 443)]
        assert dns.asked == []

    run(main())


@trial
async def test_an_answer_is_used_while_it_is_fresh() -> None:
    dns = Dns(name=["192.0.2.1"])
    resolver = resolver_on(dns)
    for _ in range(3):
        assert await resolver.lookup(NAME, 443) == [("192.0.2.1", 443)]
        dns.now += FRESH / 2
        await dns.settle()
    assert dns.asked == [NAME]


@trial
async def test_a_stale_answer_is_given_at_once_and_refreshed_behind() -> None:
    dns = Dns(name=["192.0.2.1"])
    resolver = resolver_on(dns)
    await resolver.lookup(NAME, 443)
    dns.now += FRESH + 1
    dns.answers[NAME] = ["192.0.2.2"]
    dns.gate.clear()  # DNS does not answer yet, and nobody waits for it
    for _ in range(3):
        assert await resolver.lookup(NAME, 443) == [("192.0.2.1", 443)]
    dns.gate.set()
    await dns.settle()
    assert await resolver.lookup(NAME, 443) == [("192.0.2.2", 443)]
    assert dns.asked == [NAME, NAME]  # one refresh, however many asked


@trial
async def test_the_last_good_answer_is_kept_when_a_refresh_fails() -> None:
    dns = Dns(name=["192.0.2.1"])
    resolver = resolver_on(dns)
    await resolver.lookup(NAME, 443)
    dns.answers[NAME] = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    for expected in (2, 3):
        dns.now += FRESH + 1
        assert await resolver.lookup(NAME, 443) == [("192.0.2.1", 443)]
        await dns.settle()
        assert await resolver.lookup(NAME, 443) == [("192.0.2.1", 443)]
        await dns.settle()
        assert len(dns.asked) == expected  # and DNS is left alone for a while
    dns.now += FRESH + 1
    dns.answers[NAME] = ["192.0.2.9"]
    await resolver.lookup(NAME, 443)
    await dns.settle()
    assert await resolver.lookup(NAME, 443) == [("192.0.2.9", 443)]


@trial
async def test_an_empty_answer_is_no_answer() -> None:
    dns = Dns(name=["192.0.2.1"])
    resolver = resolver_on(dns)
    await resolver.lookup(NAME, 443)
    dns.now += FRESH + 1
    dns.answers[NAME] = []
    await resolver.lookup(NAME, 443)
    await dns.settle()
    assert await resolver.lookup(NAME, 443) == [("192.0.2.1", 443)]


@trial
async def test_a_burst_of_first_calls_asks_once() -> None:
    dns = Dns(name=["192.0.2.1"])
    resolver = resolver_on(dns)
    found = await asyncio.gather(*(resolver.lookup(NAME, 443) for _ in range(50)))
    assert found == [[("192.0.2.1", 443)]] * 50
    assert dns.asked == [NAME]


@trial
async def test_one_that_gives_up_does_not_end_the_lookup_of_the_others() -> None:
    dns = Dns(name=["192.0.2.1"])
    resolver = resolver_on(dns)
    dns.gate.clear()
    loop = asyncio.get_running_loop()
    hasty, patient = (loop.create_task(resolver.lookup(NAME, 443)) for _ in range(2))
    await asyncio.sleep(0)
    hasty.cancel()
    await asyncio.gather(hasty, return_exceptions=True)
    dns.gate.set()
    assert await patient == [("192.0.2.1", 443)]
    assert hasty.cancelled()


@trial
async def test_a_call_whose_lookup_ends_with_its_resolver_hears_of_it() -> None:
    """Nothing else would ever end it: what watches times are connections."""
    dns = Dns(name=["192.0.2.1"])
    resolver = resolver_on(dns)
    dns.gate.clear()
    heard: list[Failure] = []
    pool = Pool(Origin("http", NAME, 80), PoolSettings(), loop=asyncio.get_running_loop(), resolver=resolver)
    pool.send(b"GET / HTTP/1.1\r\n\r\n", b"", cast(Any, SimpleNamespace(on_failure=heard.append)), replayable=True)
    for _ in range(4):
        await asyncio.sleep(0)
    assert dns.asked == [NAME]
    resolver.close()
    await asyncio.gather(*pool._connecting, return_exceptions=True)
    await asyncio.sleep(0)
    assert [one.kind for one in heard] == ["connect"]


@trial
async def test_a_failure_is_not_kept() -> None:
    dns = Dns(name=NO_SUCH_NAME)
    resolver = resolver_on(dns)
    with pytest.raises(ResolutionFailed, match=rf"{NAME} cannot be resolved: Name or service not known"):
        await resolver.lookup(NAME, 443)
    dns.answers[NAME] = ["192.0.2.1"]
    assert await resolver.lookup(NAME, 443) == [("192.0.2.1", 443)]


@trial
async def test_addresses_take_turns_and_are_told_once() -> None:
    dns = Dns(name=["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"])
    resolver = resolver_on(dns)
    firsts = []
    for _ in range(6):
        found = await resolver.lookup(NAME, 443)
        assert sorted(address for address, _ in found) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
        firsts.append(found[0][0])
    assert sorted(firsts) == sorted(["192.0.2.1", "192.0.2.2", "192.0.2.3"] * 2)


def test_the_table_of_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver_module, "_MAX_NAMES", 3)

    async def main() -> None:
        names = [f"n{number}" for number in range(10)]
        dns = Dns(**{name: ["192.0.2.1"] for name in names})
        resolver = resolver_on(dns)
        for name in names:
            await resolver.lookup(name, 443)
            assert len(resolver._known) <= 3
        dns.now += FRESH + 1
        await resolver.lookup(names[-1], 443)
        await resolver.lookup("n0", 443)  # forgotten, and found again
        await dns.settle()
        assert dns.asked.count("n0") == 2

    run(main())


@trial
async def test_close_ends_lookups_that_run() -> None:
    dns = Dns(name=["192.0.2.1"])
    resolver = resolver_on(dns)
    await resolver.lookup(NAME, 443)
    dns.now += FRESH + 1
    dns.gate.clear()
    await resolver.lookup(NAME, 443)
    resolver.close()
    await dns.settle()
    assert dns.tasks[-1].cancelled()


# As a call sees it.


class Heard:
    """A sink that keeps why its call failed."""

    def __init__(self) -> None:
        self.failure: Failure | None = None
        self.over = asyncio.Event()

    def on_head(self, status: int, headers: Headers) -> None:
        raise AssertionError("an answer from nowhere")

    def on_data(self, data: bytes) -> None:
        raise AssertionError("an answer from nowhere")

    def on_end(self) -> None:
        raise AssertionError("an answer from nowhere")

    def on_failure(self, failure: Failure) -> None:
        self.failure = failure
        self.over.set()


async def failure_of(resolver: Resolver, host: str) -> Failure:
    pool = Pool(
        Origin("http", host, 80),
        PoolSettings(use_environment_proxy=False),
        loop=asyncio.get_running_loop(),
        resolver=resolver,
    )
    heard = Heard()
    call: Call = pool.send(b"GET / HTTP/1.1\r\n\r\n", b"", heard, replayable=True)
    await heard.over.wait()
    pool.close()
    assert call.over
    assert heard.failure is not None
    return heard.failure


@trial
async def test_a_name_that_does_not_exist_is_a_failure_to_connect() -> None:
    failure = await failure_of(resolver_on(Dns(name=NO_SUCH_NAME)), NAME)
    assert (failure.kind, failure.answered) == ("connect", False)
    assert failure.message == (f"cannot connect to {NAME}: {NAME} cannot be resolved: Name or service not known")


@trial
async def test_a_name_without_addresses_is_a_failure_to_connect() -> None:
    failure = await failure_of(resolver_on(Dns(name=[])), NAME)
    assert failure.kind == "connect"
    assert "it has no address" in failure.message


@pytest.mark.parametrize("host", ["no..name", "x" * 64 + ".example"])
def test_a_name_that_cannot_be_one_is_a_failure_to_connect(host: str) -> None:
    """The real loop: its getaddrinfo raises UnicodeError for these before it asks anybody."""

    async def main() -> None:
        failure = await failure_of(Resolver(asyncio.get_running_loop()), host)
        assert failure.kind == "connect"
        assert f"{host} cannot be resolved" in failure.message

    uvloop.run(main())


@trial
async def test_a_fault_of_ours_still_tells_the_call() -> None:
    failure = await failure_of(resolver_on(Dns(name=KeyError("a bug"))), NAME)
    assert (failure.kind, failure.message) == ("connect", f"cannot connect to {NAME}")
