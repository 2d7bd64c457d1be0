"""The access log: which fields a line has, and that neither a slow nor a dead reader holds calls up."""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tidegate.core.usage import Usage, UsageEvent
from tidegate.gateway import access_log
from tidegate.gateway.access_log import AccessLine, AccessLog, access_line

FIELDS = [
    "time_unix_ms", "id", "request_id", "client", "team", "consumer", "key", "operation", "model", "target", "status",
    "outcome", "code", "stream", "attempts", "input_tokens", "output_tokens", "usage_source", "cost_usd",
    "first_byte_ms", "total_ms",
]  # fmt: skip
"""Readers of the log rely on them; another field must be one that can hold no content, key or client header."""


def event(**fields: Any) -> UsageEvent:
    told: dict[str, Any] = {
        "id": "tg_1",
        "time_ns": 1_700_000_000_123_456_789,
        "team": "harbour",
        "consumer": "assistant",
        "key": "0123456789ab",
        "model": "gpt-4.1",
        "provider": "openai",
        "upstream_model": "gpt-4.1-2025-04-14",
        "operation": "chat",
        "dialect": "openai",
        "status": 200,
        "outcome": "ok",
        "code": "",
        "stream": True,
        "attempts": 2,
        "usage": Usage(input=10, cache_read=5, output=7, reasoning=1, source="reported", raw=b'{"secret":1}'),
        "cost_nano": 3_840_001,
        "charged_nano": 3_840_001,
        "price_version": "config",
        "first_byte_ms": 12,
        "total_ms": 34,
        "snapshot": "s",
        "tags": {"secret": "tag"},
    }
    return UsageEvent(**{**told, **fields})


def line(number: int = 1) -> AccessLine:
    return access_line(event(id=f"tg_{number}"), "req-9", "192.0.2.1")


def test_a_line() -> None:
    assert json.loads(access_log._encode(line())) == {
        "time_unix_ms": 1_700_000_000_123,
        "id": "tg_1",
        "request_id": "req-9",
        "client": "192.0.2.1",
        "team": "harbour",
        "consumer": "assistant",
        "key": "0123456789ab",
        "operation": "chat",
        "model": "gpt-4.1",
        "target": "openai/gpt-4.1-2025-04-14",
        "status": 200,
        "outcome": "ok",
        "code": "",
        "stream": True,
        "attempts": 2,
        "input_tokens": 15,
        "output_tokens": 8,
        "usage_source": "reported",
        "cost_usd": "0.003840001",
        "first_byte_ms": 12,
        "total_ms": 34,
    }
    assert list(json.loads(access_log._encode(line()))) == FIELDS == list(AccessLine.__struct_fields__)


def test_what_is_not_known_is_not_made_up() -> None:
    told = access_line(event(provider="", upstream_model="", cost_nano=None, first_byte_ms=None), "r", "c")
    assert (told.target, told.cost_usd, told.first_byte_ms) == ("", "unknown", None)


def test_a_client_cannot_forge_a_line() -> None:
    forged = access_line(event(model='x"}\n{"id":"forged'), "r\n", "c")
    written = access_log._encode(forged)
    assert b"\n" not in written
    assert json.loads(written)["model"] == 'x"}\n{"id":"forged'


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            pass  # the test closed it


def read_all(descriptor: int) -> list[dict[str, Any]]:
    """Until its other end is closed."""
    data = b""
    while more := os.read(descriptor, 65_536):
        data += more
    assert data.endswith(b"\n") or not data
    return [json.loads(one) for one in data.splitlines()]


def test_lines_come_out_in_order_and_close_writes_the_rest(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    log = AccessLog(writing)
    for number in range(50):
        log.write(line(number))
        if number == 20:
            log.flush()
    log.close()
    os.close(writing)
    assert [told["id"] for told in read_all(reading)] == [f"tg_{number}" for number in range(50)]
    assert log.dropped == 0


def test_a_line_that_comes_during_the_last_write_is_written_too(pipe: tuple[int, int]) -> None:
    class ClosedWhileWriting(AccessLog):
        def _write_all(self, data: bytes) -> bool:
            if not self._closing:
                self.write(line(2))
                self._closing = True
                self._wake.set()
            return super()._write_all(data)

    reading, writing = pipe
    log = ClosedWhileWriting(writing)
    log.write(line(1))
    log.flush()
    log._thread.join()
    os.close(writing)
    assert [told["id"] for told in read_all(reading)] == ["tg_1", "tg_2"]


def test_the_buffer_is_bounded_and_what_it_drops_is_counted(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "_MAX_BUFFERED", 3)
    reading, writing = pipe
    log = AccessLog(writing)
    for number in range(5):
        log.write(line(number))  # nothing is taken before a flush
    assert log.dropped == 2
    log.close()
    os.close(writing)
    assert [told["id"] for told in read_all(reading)] == ["tg_0", "tg_1", "tg_2"]


def test_a_reader_that_has_gone_ends_nothing_but_the_log(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "_MAX_BUFFERED", 3)
    reading, writing = pipe
    os.close(reading)
    log = AccessLog(writing)
    log.write(line())
    log.flush()
    log._thread.join()
    for number in range(10):
        log.write(line(number))
        log.flush()
    assert len(log._pending) <= 3
    log.close()
