"""The SDKs of OpenAI and Anthropic ask for one tool call at a time, at providers that cannot be held to it."""

from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import Anthropic
from openai import OpenAI
from tests.interop.framework_list import UPSTREAMS
from tests.support.gateway import Gateway, gateway_process
from tests.support.services import CLIENT_KEY, UPSTREAM_KEY
from tests.support.simulator import simulator_thread

from tidegate.store.ledger import Ledger

PROVIDERS = ("gemini", "cohere", "ollama")
ASKED = "weather and tide, please"
SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
NAMES = ("get_weather", "get_tide")
FUNCTIONS: Any = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in NAMES]
TOOLS: Any = [{"name": name, "input_schema": SCHEMA} for name in NAMES]
_DOCUMENTS = """
kind: Provider
metadata: {{name: {name}}}
spec: {{dialect: {name}, baseUrl: "{url}", credentials: [{{apiKey: {key}}}]}}
---
kind: Model
metadata: {{name: {name}}}
spec: {{targets: [{{provider: {name}, model: "{model}"}}], maxOutputTokens: 4096}}
---"""
_CLIENT = f"""
kind: Team
metadata: {{name: interop}}
---
kind: Consumer
metadata: {{name: sdk}}
spec: {{team: interop, keys: [{{value: {CLIENT_KEY}}}]}}
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with simulator_thread() as simulator:
        documents = [
            _DOCUMENTS.format(name=name, url=simulator.url, key=UPSTREAM_KEY, model=UPSTREAMS[name].model)
            for name in PROVIDERS
        ]
        with gateway_process(tmp_path_factory.mktemp("single"), "".join([*documents, _CLIENT])) as gateway:
            yield gateway


def last_notes(gateway: Gateway) -> list[str]:
    """Of the latest call's Decision."""
    with Ledger.open(gateway.data_dir) as ledger:
        ledger.ingest()
        event = max(ledger.events(), key=lambda event: event.time_ns)
        decision = ledger.decision(event.id)
    assert decision is not None
    assert event.usage.source == "reported"
    return decision.notes


@pytest.mark.parametrize("model", PROVIDERS)
def test_openais(gateway: Gateway, model: str) -> None:
    history: list[Any] = [{"role": "user", "content": ASKED}]
    with OpenAI(base_url=f"{gateway.url}/v1", api_key=CLIENT_KEY, timeout=20, max_retries=0) as client:
        several = client.chat.completions.create(model=model, messages=history, tools=FUNCTIONS)
        assert len(several.choices[0].message.tool_calls or ()) == len(NAMES)
        assert last_notes(gateway) == []
        one = client.chat.completions.create(
            model=model, messages=history, tools=FUNCTIONS, parallel_tool_calls=False
        ).choices[0]
        (call,) = one.message.tool_calls or ()
        assert one.finish_reason == "tool_calls"
        assert last_notes(gateway) == ["one tool call was asked for: 1 more of the answer left out"]
        result = {"role": "tool", "tool_call_id": call.id, "content": "12 degrees"}
        done = client.chat.completions.create(
            model=model,
            messages=[*history, one.message.to_dict(), result],
            tools=FUNCTIONS,
            parallel_tool_calls=False,
        ).choices[0]
        assert (done.finish_reason, bool(done.message.content)) == ("stop", True)
        with client.chat.completions.stream(
            model=model, messages=history, tools=FUNCTIONS, parallel_tool_calls=False
        ) as stream:
            (streamed,) = stream.get_final_completion().choices[0].message.tool_calls or ()
        assert streamed.function.name == call.function.name
        assert last_notes(gateway) == ["one tool call was asked for: 1 more of the answer left out"]


@pytest.mark.parametrize("model", PROVIDERS)
def test_anthropics(gateway: Gateway, model: str) -> None:
    asked: Any = {
        "model": model,
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": ASKED}],
        "tools": TOOLS,
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    }
    with Anthropic(base_url=gateway.url, api_key=CLIENT_KEY, timeout=20, max_retries=0) as client:
        whole = client.messages.create(**asked)
        with client.messages.stream(**asked) as stream:
            streamed = stream.get_final_message()
    for message in (whole, streamed):
        assert [block.type for block in message.content].count("tool_use") == 1
        assert message.stop_reason == "tool_use"
