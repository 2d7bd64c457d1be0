"""Hosted searches under a hard budget, over sockets: bounded upstream, reserved for, and charged as reserved when cut."""

import json
from pathlib import Path
from typing import Any

import anthropic
import pytest
from tests.support.canned_upstream import Canned, canned_upstream
from tests.support.gateway import gateway_process
from tests.support.inspection import recorded, settled

KEY = "tg-searching-client-key"
_CONFIG = """
kind: Provider
metadata: {{name: claude}}
spec: {{dialect: anthropic, baseUrl: "{url}", credentials: [{{apiKey: {{env: UP_KEY}}}}]}}
---
kind: Model
metadata: {{name: claude}}
spec:
  targets: [{{provider: claude, model: claude-1, contextWindow: 1000}}]
  price: {{inputPerMillion: 1.00, outputPerMillion: 4.00, perWebSearch: 0.01}}
  maxSearches: 3
---
kind: Team
metadata: {{name: team}}
---
kind: Consumer
metadata: {{name: searcher}}
spec: {{team: team, keys: [{{value: {key}}}], budget: {{usd: 0.06, period: month}}}}
"""
RESERVED = 3 * 10_000_000 + 4 * 1_000 * 1_000 + 10 * 4_000
TOOL: Any = {"type": "web_search_20250305", "name": "web_search"}
USAGE = {"input_tokens": 900, "output_tokens": 2, "server_tool_use": {"web_search_requests": 3}}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-1",
    "content": [{"type": "text", "text": "Found."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": USAGE,
}


def event(name: str, **fields: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def test_searches_are_held_to_a_hard_budget(tmp_path: Path) -> None:
    begun = {**MESSAGE, "content": [], "stop_reason": None, "usage": {"input_tokens": 9, "output_tokens": 1}}
    pieces = [
        event("message_start", message=begun),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Fo"}),
    ]
    with canned_upstream() as upstream:
        upstream.will(
            "/v1/messages",
            Canned("application/json", [json.dumps(MESSAGE).encode()]),
            Canned("text/event-stream", pieces, cut=True),
        )
        config = _CONFIG.format(url=upstream.url, key=KEY)
        with gateway_process(tmp_path, config, env={"UP_KEY": "sk-up"}) as gateway:
            client = anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0)
            asked: Any = {"model": "claude", "max_tokens": 10, "messages": [{"role": "user", "content": "?"}]}
            answer = client.messages.create(**asked, tools=[TOOL])
            with pytest.raises(anthropic.RateLimitError):  # 30 of 60 thousandths are spent: no room for 35
                client.messages.create(**asked, tools=[TOOL])
            with pytest.raises(Exception):  # noqa: B017 - however the SDK says that a stream was cut
                list(client.messages.create(**asked, tools=[TOOL | {"max_uses": 2}], stream=True))
            state = settled(gateway)
    assert answer.usage.server_tool_use is not None
    assert [body["tools"][0]["max_uses"] for _, _, body in upstream.asked] == [3, 2]
    whole, refused, cut = sorted(recorded(gateway.data_dir), key=lambda one: one.time_ns)
    assert whole.cost_nano == 900 * 1_000 + 2 * 4_000 + 3 * 10_000_000
    assert whole.cost_nano <= RESERVED
    assert (refused.status, refused.code) == (429, "budget_exceeded")
    assert (cut.outcome, cut.cost_nano, cut.usage.source) == ("cut", None, "unknown")
    assert cut.charged_nano == 2 * 10_000_000 + 3 * 1_000 * 1_000 + 10 * 4_000
    assert state["reserved"] == 0
    assert {one["used"] for one in state["buckets"] if one["kind"] == "money"} == {whole.cost_nano + cut.charged_nano}
