"""Many callers at once, and a comparison of what they saw with what was recorded."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from tests.support.chat_client import Answer, Client

from tidegate.core.money import nano_from_usd
from tidegate.core.usage import UsageEvent


async def call_at_once(address: str, key: str, requests: Sequence[object]) -> list[Answer]:
    """One caller with a connection of its own per request, all at the same time."""

    async def one(fields: object) -> Answer:
        client = Client(address, key)
        try:
            return await client.ask(fields)
        finally:
            client.close()

    return await asyncio.gather(*(one(fields) for fields in requests))


async def keep_calling(
    address: str, key: str, request: Callable[[int], object], *, callers: int, stop: asyncio.Event
) -> list[Answer]:
    """`callers` connections that call again and again until `stop`; a connection that breaks is opened again.

    `request(n)`: the fields of the n-th call of all.
    """
    seen: list[Answer] = []
    count = 0

    async def caller() -> None:
        nonlocal count
        client = Client(address, key)
        while not stop.is_set():
            count += 1
            answer = await client.ask(request(count))
            seen.append(answer)
            if not answer.status:
                await asyncio.sleep(0.02)
        client.close()

    await asyncio.gather(*(caller() for _ in range(callers)))
    return seen


def cost_nano(answer: Answer) -> int | None:
    """What the answer's header says that it cost."""
    told = answer.headers.get("x-tidegate-cost-usd")
    return None if told in (None, "unknown") else nano_from_usd(Decimal(told))


def assert_recorded_exactly(answers: Iterable[Answer], events: Sequence[UsageEvent]) -> None:
    """Each answer that a client saw whole has one event, with the status and the cost that it saw."""
    by_id = {event.id: event for event in events}
    assert len(by_id) == len(events)
    whole = [answer for answer in answers if answer.ended_well and answer.id]
    assert len({answer.id for answer in whole}) == len(whole)
    missing = [answer.id for answer in whole if answer.id not in by_id]
    assert missing == []
    for answer in whole:
        event = by_id[answer.id]
        assert event.status == answer.status
        if not event.stream:
            assert event.cost_nano == cost_nano(answer) or answer.status != 200
        if answer.status == 200:
            assert event.outcome == "ok"
            assert event.usage.source == "reported"
            assert event.charged_nano == event.cost_nano
