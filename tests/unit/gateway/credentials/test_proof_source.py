"""Proofs that end, here access tokens: fetched once for all who wait, renewed in time, and what happens where there is none.

On sockets, against the simulator's token endpoint; the gateway's clock and the simulator's move when they are told.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from tests.support.vertex import EMAIL, key_file, key_pair

from tidegate.config.service_account import read_service_account
from tidegate.core.clock import ManualClock
from tidegate.gateway.credentials.granted import GrantIssuer
from tidegate.gateway.credentials.grants import Grant, MetadataGrant, Refused, ServiceAccountGrant, read_token
from tidegate.gateway.credentials.proof_source import ProofSource
from tidegate.simulator.app import Simulator
from tidegate.simulator.behaviour import profile_from
from tidegate.simulator.serve import Running, start
from tidegate.wire.client import Failure, Pool, PoolSettings, Resolver, parse_origin
from tidegate.wire.message import Headers

BODY = b'{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}'
MODELS = {"gemini-2.5-flash": {}}


class Heard:
    """A Sink: `over` is the status, or the failure."""

    def __init__(self) -> None:
        self.over: asyncio.Future[int | Failure] = asyncio.get_running_loop().create_future()
        self._status = 0

    def on_head(self, status: int, headers: Headers) -> None:
        self._status = status

    def on_data(self, data: bytes) -> None: ...

    def on_end(self) -> None:
        self.over.set_result(self._status)

    def on_failure(self, failure: Failure) -> None:
        self.over.set_result(failure)


class Bench:
    """A source of proofs, the simulator that gives them, and calls that need them."""

    def __init__(self, running: Running, clock: ManualClock, theirs: ManualClock, grant: Grant | None) -> None:
        loop = asyncio.get_running_loop()
        self.clock, self.theirs, self.running = clock, theirs, running
        self.resolver = Resolver(loop)
        self.pool = Pool(parse_origin(running.url)[0], PoolSettings(), loop=loop, resolver=self.resolver)
        account = ServiceAccountGrant(read_service_account(key_file(running.url))) if grant is None else grant
        issuer = GrantIssuer(account, loop=loop, resolver=self.resolver, clock=clock)
        self.proofs = ProofSource("provider p", issuer, loop=loop, clock=clock)

    @property
    def simulator(self) -> Simulator:
        return self.running.simulator

    @property
    def asked(self) -> int:
        return self.simulator.tokens.asked

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.theirs.advance(seconds)

    def send(self, total: float = 60.0) -> tuple[Heard, Any]:
        path = "/v1beta1/projects/p/locations/l/publishers/google/models/gemini-2.5-flash:generateContent"
        head = (
            f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n"
        )
        heard = Heard()
        return heard, self.proofs.send(self.pool, head.encode(), BODY, heard, replayable=True, total=total)

    async def call(self) -> int | Failure:
        return await self.send()[0].over

    def shown(self) -> list[str]:
        """The token of each call so far."""
        return [call.key for call in self.simulator.calls.recent(None)]

    async def until_asked(self, times: int) -> None:
        while self.asked < times or self.proofs._asking is not None:  # noqa: ASYNC110 - the simulator tells nobody
            await asyncio.sleep(0)


def tried(
    act: Callable[[Bench], Awaitable[None]], *, grant: Callable[[str], Grant] | None = None, seconds: int = 3600
) -> None:
    async def main() -> None:
        clock, theirs = ManualClock(), ManualClock()
        profile = {"models": MODELS, "serviceAccounts": {EMAIL: key_pair()[1]}, "tokenSeconds": seconds}
        running = await start(profile_from(profile), clock=theirs)
        bench = Bench(running, clock, theirs, None if grant is None else grant(running.url))
        try:
            async with asyncio.timeout(30):
                await act(bench)
        finally:
            bench.proofs.close()
            bench.pool.close()
            bench.resolver.close()
            await running.stop()

    asyncio.run(main())


def test_all_first_calls_share_one_request() -> None:
    async def act(bench: Bench) -> None:
        assert await asyncio.gather(*(bench.call() for _ in range(8))) == [200] * 8
        assert await bench.call() == 200
        assert (bench.asked, set(bench.shown())) == (1, {"ya29.sim-1"})

    tried(act)


def test_it_is_renewed_before_it_ends_and_nobody_waits() -> None:
    async def act(bench: Bench) -> None:
        assert await bench.call() == 200
        bench.advance(3299)
        assert (await bench.call(), bench.asked) == (200, 1)
        bench.advance(2)
        first, second = bench.send()[0], bench.send()[0]
        assert (await first.over, await second.over) == (200, 200)
        assert bench.shown()[-2:] == ["ya29.sim-1"] * 2
        await bench.until_asked(2)
        assert await bench.call() == 200
        assert (bench.asked, bench.shown()[-1]) == (2, "ya29.sim-2")

    tried(act)


def test_one_that_has_ended_is_waited_for() -> None:
    async def act(bench: Bench) -> None:
        assert await bench.call() == 200
        bench.advance(3600)
        assert await asyncio.gather(bench.call(), bench.call()) == [200, 200]
        assert bench.shown() == ["ya29.sim-1", "ya29.sim-2", "ya29.sim-2"]

    tried(act)


def test_a_short_life_is_used_most_of_its_time() -> None:
    async def act(bench: Bench) -> None:
        for second in range(4):
            assert (await bench.call(), bench.asked) == (200, 1), second
            bench.advance(1)

    tried(act, seconds=10)


def test_the_last_one_serves_while_the_next_cannot_be_had() -> None:
    async def act(bench: Bench) -> None:
        assert await bench.call() == 200
        bench.simulator.tokens.script = [503, 503]
        bench.advance(3400)
        assert await bench.call() == 200
        await bench.until_asked(2)
        assert (await bench.call(), bench.asked) == (200, 2)  # it rests
        bench.advance(1)
        assert await bench.call() == 200
        await bench.until_asked(3)
        bench.advance(2)
        assert await bench.call() == 200
        await bench.until_asked(4)
        assert (await bench.call(), bench.shown()[-1]) == (200, "ya29.sim-4")

    tried(act)


def failed(outcome: int | Failure) -> Failure:
    assert isinstance(outcome, Failure)
    return outcome


def test_a_refusal_ends_all_who_wait_and_is_not_repeated_at_once(caplog: pytest.LogCaptureFixture) -> None:
    def wrong_key(url: str) -> Grant:
        return ServiceAccountGrant(read_service_account(key_file(url, private_key=key_pair(1)[0])))

    async def act(bench: Bench) -> None:
        first, second = await asyncio.gather(bench.call(), bench.call())
        assert failed(first) == failed(second)
        assert failed(first).kind == "credential"
        assert "invalid_grant: Invalid JWT Signature." in failed(first).message
        assert (failed(await bench.call()).kind, bench.asked) == ("credential", 1)
        bench.advance(1)
        await bench.call()
        bench.advance(1)
        await bench.call()
        assert bench.asked == 2  # the second rest is longer
        bench.advance(1)
        await bench.call()
        assert bench.asked == 3

    tried(act, grant=wrong_key)
    assert "provider p: no access token: status 400" in caplog.text
    assert "PRIVATE" not in caplog.text and "eyJ" not in caplog.text


def test_a_clock_that_is_wrong_is_named() -> None:
    async def act(bench: Bench) -> None:
        bench.theirs.jump(7200)
        failure = failed(await bench.call())
        assert failure.kind == "credential"
        assert "this machine's clock may be wrong" in failure.message

    tried(act)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_fails_is_no_refusal(status: int) -> None:
    async def act(bench: Bench) -> None:
        bench.simulator.tokens.script = [status]
        assert failed(await bench.call()).kind == "connect"

    tried(act)


def test_nobody_there() -> None:
    async def act(bench: Bench) -> None:
        failure = failed(await bench.call())
        assert failure.kind == "connect"
        assert "no access token: cannot connect to 127.0.0.1:1" in failure.message

    tried(act, grant=lambda url: MetadataGrant("http://127.0.0.1:1"))


def test_who_leaves_while_waiting_hears_nothing() -> None:
    async def act(bench: Bench) -> None:
        left, wire = bench.send()
        stayed, other = bench.send()
        other.pause()
        wire.cancel()
        other.resume()
        assert await stayed.over == 200
        assert not left.over.done()
        assert len(bench.shown()) == 1

    tried(act)


def test_who_has_no_time_left_does_not_wait() -> None:
    async def act(bench: Bench) -> None:
        assert failed(await bench.send(total=0.0)[0].over).kind == "total-timeout"

    tried(act)


def test_who_waits_when_it_is_closed_hears_of_it() -> None:
    async def act(bench: Bench) -> None:
        heard = bench.send()[0]
        bench.proofs.close()
        assert failed(await heard.over).kind == "connect"

    tried(act)


def test_one_that_the_upstream_refuses_is_given_up_unless_it_is_fresh() -> None:
    async def act(bench: Bench) -> None:
        assert await bench.call() == 200
        assert not bench.proofs.refused()
        bench.simulator.tokens.revoke()
        bench.advance(60)
        assert await bench.call() == 401
        assert bench.proofs.refused()
        assert (await bench.call(), bench.shown()[-1]) == (200, "ya29.sim-2")

    tried(act)


def test_the_metadata_server() -> None:
    async def act(bench: Bench) -> None:
        assert await bench.call() == 200

    tried(act, grant=MetadataGrant)


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (200, b"", "no access token that can be used"),
        (200, b'{"access_token":"a","expires_in":0}', "no access token that can be used"),
        (200, b'{"access_token":"a\\r\\nb: c","expires_in":60}', "no access token that can be used"),
        (200, b'{"access_token":7}', "no access token that can be used"),
        (403, b"<html>", "status 403"),
        (400, b'{"error":"invalid_scope","error_description":"No."}', "status 400: invalid_scope: No."),
    ],
)
def test_answers_without_a_token(status: int, body: bytes, says: str) -> None:
    with pytest.raises(Refused, match=says):
        read_token(status, body)


def test_a_token() -> None:
    told = read_token(200, msgspec.json.encode({"access_token": "ya29.x", "expires_in": 10**9, "token_type": "Bearer"}))
    assert (told.line, told.seconds) == (b"authorization: Bearer ya29.x\r\n", 86_400)
