"""Records as the gateway spools them."""

from typing import Any

from tidegate.core.decision import AttemptRecord, CandidateRecord, ClaimRecord, Decision
from tidegate.core.usage import Usage, UsageEvent
from tidegate.ledger.record import SpoolRecord

START_NS = 1_700_000_100_000_000_000
"""2023-11-14 22:15:00 UTC: the beginning of a 15-minute slot."""

USAGE = Usage(
    input=100, cache_read=20, output=30, source="reported", raw=b'{"prompt_tokens":120,"completion_tokens":30}'
)


def make_event(number: int = 0, **changes: Any) -> UsageEvent:
    fields: dict[str, Any] = {
        "id": f"call-{number}",
        "time_ns": START_NS + number,
        "team": "support",
        "consumer": "chatbot",
        "key": "0123456789ab",
        "model": "gpt-4.1",
        "provider": "openai",
        "upstream_model": "gpt-4.1-2025-04-14",
        "operation": "chat",
        "dialect": "openai",
        "status": 200,
        "outcome": "ok",
        "code": "",
        "stream": False,
        "attempts": 1,
        "usage": USAGE,
        "cost_nano": 1_500,
        "charged_nano": 1_500,
        "price_version": "config",
        "first_byte_ms": 12,
        "total_ms": 50,
        "snapshot": "abcdef",
    }
    return UsageEvent(**(fields | changes))


def make_decision(call_id: str = "call-0", **changes: Any) -> Decision:
    fields: dict[str, Any] = {
        "id": call_id,
        "snapshot": "abcdef",
        "outcome": "ok",
        "code": "",
        "reason": "eu-ptu timed out; openai answered",
        "model": "gpt-4.1",
        "routed_model": "gpt-4.1",
        "strategy": "weighted",
        "claims": [
            ClaimRecord("consumer/chatbot/requests/60s", "requests", 1, 600, 3),
            ClaimRecord("team/support/money/month", "money", 2_500_000, 500_000_000_000, 12_345_600_000),
        ],
        "candidates": [
            CandidateRecord("eu-ptu", "azure-ptu", "gpt-4.1-eu", 0, 0.25, ""),
            CandidateRecord("openai-2/gpt-4.1", "openai-2", "gpt-4.1", 1, 0.0, "circuit open, retry in 8 s"),
        ],
        "attempts": [
            AttemptRecord("eu-ptu", "azure-ptu", "0", 0.4, 5000.4, 0, "first-byte-timeout", "no byte within 5 s"),
            AttemptRecord("openai/gpt-4.1", "openai", "main", 5000.9, 5450.2, 200, "ok", ""),
        ],
    }
    return Decision(**(fields | changes))


def make_record(number: int = 0, **changes: Any) -> SpoolRecord:
    event = make_event(number, **changes)
    return SpoolRecord(event, make_decision(event.id))
