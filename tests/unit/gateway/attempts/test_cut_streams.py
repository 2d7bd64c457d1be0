"""Streams that end before they tell their usage: estimated from the text that went by, and never above the reservation."""

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from tests.support.snapshots import price

from tidegate.core.claims import Bucket, Claims, Window
from tidegate.core.clock import ManualClock
from tidegate.core.usage import Usage
from tidegate.core.view import PathTells
from tidegate.dialects.registry import DIALECTS, relay_between
from tidegate.gateway.attempts.attempt import StreamAttempt
from tidegate.gateway.record import CallRecord, End
from tidegate.state.memory import Grant, MemoryState

FIFTY = "fifty bytes of text, which are about twelve tokens"
CHINESE = "用量估算按字节" * 2
"""42 bytes."""
CHATS = ("anthropic", "openai-responses", "gemini", "openai")


def frame(name: str, **fields: Any) -> bytes:
    return f"event: {name}\ndata: ".encode() + msgspec.json.encode({"type": name, **fields}) + b"\n\n"


def deltas(dialect: str, text: str) -> bytes:
    match dialect:
        case "anthropic":
            return frame("content_block_delta", index=0, delta={"type": "text_delta", "text": text})
        case "openai-responses":
            return frame("response.output_text.delta", item_id="m", output_index=0, delta=text, logprobs=[])
        case "gemini":
            told = {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}}]}
            return b"data: " + msgspec.json.encode(told) + b"\n\n"
        case _:
            told = {"model": "m", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
            return b"data: " + msgspec.json.encode(told) + b"\n\n"


def estimate(client: str, upstream: str, *frames: bytes) -> Usage:
    """Of a stream that is cut behind `frames`."""
    serving = DIALECTS[upstream]
    relay = relay_between(client, serving, "chat")
    assert relay is not None
    body = b'{"contents":[]}' if client == "gemini" else b'{"model":"m","messages":[],"input":"x","stream":true}'
    view = DIALECTS[client].read("chat", body, PathTells(model="m", stream=True))
    unheard: Any = None
    attempt = StreamAttempt(unheard, unheard, serving, relay, view)
    for one in frames:
        attempt.reader.read(one)
    return attempt.partial_usage()


@pytest.mark.parametrize("client", CHATS)
@pytest.mark.parametrize("upstream", CHATS)
def test_a_cut_stream_is_estimated_from_its_text(client: str, upstream: str) -> None:
    begun = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "c", "usage": None}
    start = [frame("message_start", message=begun)] if upstream == "anthropic" else []
    if upstream == "anthropic":
        start.append(frame("content_block_start", index=0, content_block={"type": "text", "text": ""}))
    if upstream == "openai-responses":
        item = {"type": "message", "id": "m", "role": "assistant", "status": "in_progress", "content": []}
        part = {"type": "output_text", "text": "", "annotations": []}
        start.append(frame("response.output_item.added", output_index=0, item=item))
        start.append(frame("response.content_part.added", item_id="m", output_index=0, content_index=0, part=part))
    usage = estimate(client, upstream, *start, *[deltas(upstream, FIFTY)] * 8)
    assert usage.source == "estimated"
    by_events = (client, upstream) == ("openai", "openai")  # natively an event is a token
    assert usage.output == 8 if by_events else 100 <= usage.output <= 104
    usage = estimate(client, upstream, *start, *[deltas(upstream, CHINESE)] * 8)
    assert usage.output == 8 if by_events else 84 <= usage.output <= 88
    usage = estimate(client, upstream, *start, *[deltas(upstream, "a")] * 8)
    assert usage.output == 8


@pytest.mark.parametrize("part", [{"inlineData": {"data": "A" * 9000}}, {"text": "", "thoughtSignature": "A" * 9000}])
def test_what_is_no_text_is_no_measure(part: dict[str, Any]) -> None:
    told = {"candidates": [{"content": {"parts": [part], "role": "model"}}]}
    assert estimate("gemini", "gemini", b"data: " + msgspec.json.encode(told) + b"\n\n").output == 1


@pytest.mark.parametrize(("reserved", "cost"), [(5_000, 5_000), (90_000, 80_000), (0, 80_000)])
def test_an_estimate_costs_no_more_than_was_reserved(reserved: int, cost: int) -> None:
    bucket = Bucket(key="consumer/c/money/month", kind="money", limit=10**9, window=Window(period="month"))
    state = MemoryState(ManualClock())
    grant = state.take(Claims((bucket,), [reserved]), 60)
    assert isinstance(grant, Grant)
    record = CallRecord.__new__(CallRecord)
    record.operation = "chat"
    candidate: Any = SimpleNamespace(target=SimpleNamespace(spec=SimpleNamespace(price=price(2))))
    runtime: Any = SimpleNamespace(state=state)
    for source, expected in (("estimated", cost), ("reported", 80_000)):
        usage = Usage(output=10, source=cast("Any", source))
        assert record._settled(runtime, grant, End(200, "cut", usage=usage, candidate=candidate), 1)[0] == expected
