"""Realtime sessions through the gateway: the OpenAI SDK and the `websockets` library as clients, the simulator behind it."""

import asyncio
import base64
import json
import signal
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.realtime import RealtimeServerEvent
from tests.support.gateway import Gateway, gateway_process
from tests.support.inspection import eventually, recorded, settled, worker_state
from tests.support.simulator import SimulatorThread, simulator_thread
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tidegate.core.usage import UsageEvent
from tidegate.simulator.behaviour import profile_from
from tidegate.store.ledger import Ledger

KEYS = {name: f"tg-realtime-client-{name}" for name in ("sdk", "one", "poor", "purse", "barred")}
UPSTREAM_KEY = "sk-realtime-upstream"
MODELS = ("gpt-realtime", "frail", "shaky", "second", "broke", "elsewhere")
CONFIG = """
kind: Provider
metadata: {name: house}
spec: {dialect: openai, baseUrl: "URL/v1", credentials: [{apiKey: {env: UP_KEY}}]}
---
kind: Provider
metadata: {name: bank}
spec: {dialect: openai, baseUrl: "URL/v1", credentials: [{apiKey: {env: UP_KEY}}]}
---
kind: Provider
metadata: {name: cloud}
spec: {dialect: azure-openai, baseUrl: "URL", apiVersion: "2025-04-01-preview", credentials: [{apiKey: {env: UP_KEY}}]}
---
kind: Model
metadata: {name: voice}
spec:
  task: realtime
  maxOutputTokens: 300
  targets: [{provider: house, model: gpt-realtime, contextWindow: 1000}]
  price:
    inputPerMillion: 4
    cachedInputPerMillion: 0.4
    audioInputPerMillion: 32
    outputPerMillion: 16
    audioOutputPerMillion: 64
---
kind: Model
metadata: {name: cloudy}
spec: {task: realtime, targets: [{provider: cloud, model: elsewhere}], price: {inputPerMillion: 4, outputPerMillion: 16}}
---
kind: Model
metadata: {name: frail}
spec:
  task: realtime
  maxOutputTokens: 300
  targets: [{provider: house, model: frail, contextWindow: 1000}]
  routing: {breaker: {minRequests: 1000}}
  price: {inputPerMillion: 4, outputPerMillion: 16}
---
kind: Model
metadata: {name: broke}
spec: {task: realtime, targets: [{provider: bank, model: broke}], price: {inputPerMillion: 4, outputPerMillion: 16}}
---
kind: Model
metadata: {name: steady}
spec:
  task: realtime
  targets: [{provider: house, model: shaky}, {provider: cloud, model: second, priority: 1}]
  routing: {breaker: {minRequests: 1000}}
  price: {inputPerMillion: 4, outputPerMillion: 16}
---
kind: Model
metadata: {name: prose}
spec: {targets: [{provider: house, model: gpt-4.1}], price: {inputPerMillion: 4, outputPerMillion: 16}}
---
kind: Team
metadata: {name: talkers}
---
kind: Consumer
metadata: {name: sdk}
spec: {team: talkers, keys: [{value: {env: KEY_SDK}}]}
---
kind: Consumer
metadata: {name: one}
spec: {team: talkers, keys: [{value: {env: KEY_ONE}}], limits: {concurrent: 1}}
---
kind: Consumer
metadata: {name: poor}
spec: {team: talkers, keys: [{value: {env: KEY_POOR}}], budget: {usd: 0.03, period: month}}
---
kind: Consumer
metadata: {name: purse}
spec: {team: talkers, keys: [{value: {env: KEY_PURSE}}], budget: {usd: 0.06, period: month}}
---
kind: Consumer
metadata: {name: barred}
spec: {team: talkers, keys: [{value: {env: KEY_BARRED}}], models: [prose]}
"""
WORST = 1000 * 32_000 + 300 * 64_000
"""Of a response of `voice`, in nano-USD."""


@pytest.fixture(scope="module")
def provider() -> Iterator[SimulatorThread]:
    models = {name: {"task": "realtime", "tokens": 20} for name in MODELS}
    with simulator_thread(profile_from({"models": models})) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def gateway(provider: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    env = {f"KEY_{name.upper()}": key for name, key in KEYS.items()} | {"UP_KEY": UPSTREAM_KEY}
    config = CONFIG.replace("URL", provider.url)
    with gateway_process(tmp_path_factory.mktemp("realtime"), config, env=env) as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(provider: SimulatorThread, gateway: Gateway) -> Iterator[None]:
    """Nothing is held when a test has ended."""
    provider.reset()
    yield
    assert settled(gateway)["reserved"] == 0


def events_of(gateway: Gateway, consumer: str, model: str = "voice") -> list[UsageEvent]:
    with Ledger.open(gateway.data_dir) as ledger:
        ledger.ingest()
        found = [event for event in ledger.events() if (event.consumer, event.model) == (consumer, model)]
    return sorted(found, key=lambda event: event.id)


def cost_of(usage: Any) -> int:
    """By the price of `voice`, in nano-USD."""
    inputs, outputs = usage.input_token_details, usage.output_token_details
    cached = inputs.cached_tokens_details
    return (
        (inputs.text_tokens - cached.text_tokens) * 4_000
        + (inputs.audio_tokens - cached.audio_tokens) * 32_000
        + inputs.cached_tokens * 400
        + outputs.text_tokens * 16_000
        + outputs.audio_tokens * 64_000
    )


def dial(gateway: Gateway, name: str = "sdk", query: str = "model=voice", **options: Any) -> connect_websocket:
    headers = {"authorization": f"Bearer {KEYS[name]}"}
    url = f"ws://{gateway.address}/v1/realtime?{query}"
    return connect_websocket(url, **{"additional_headers": headers, "proxy": None, **options})


async def say(client: ClientConnection, **event: Any) -> None:
    await client.send(json.dumps(event))


async def hear(client: ClientConnection, kind: str) -> dict[str, Any]:
    """The next event of a kind; what comes before is dropped, errors are not."""
    while True:
        event = json.loads(await client.recv())
        if event["type"] == kind:
            return event
        assert event["type"] != "error", event


def run(main: Any) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(60):
            return await main

    return asyncio.run(bounded())


# The SDK.


@pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning")
def test_a_text_session_with_the_sdk(gateway: Gateway, provider: SimulatorThread) -> None:
    before = len(events_of(gateway, "sdk"))
    client = openai.OpenAI(api_key=KEYS["sdk"], base_url=f"{gateway.url}/v1")
    usages: list[Any] = []
    with client.realtime.connect(model="voice") as connection:
        opened = connection.recv()
        assert opened.type == "session.created"
        assert opened.session.model == "voice"
        connection.session.update(session={"type": "realtime", "model": "voice", "output_modalities": ["text"]})
        updated = connection.recv()
        assert updated.type == "session.updated"
        assert updated.session.model == "voice"
        for turn in range(3):
            content: Any = [{"type": "input_text", "text": f"What is the {turn}th tide?"}]
            connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
            connection.response.create()
            usages.append(spoken(iter(connection))[1])
    records = events_of(gateway, "sdk")[before:]
    assert [event.operation for event in records] == ["realtime"] * 3
    assert [event.outcome for event in records] == ["ok"] * 3
    assert (
        [event.cost_nano for event in records] == [event.charged_nano for event in records] == [*map(cost_of, usages)]
    )
    assert [event.usage.total for event in records] == [usage.total_tokens for usage in usages]
    assert usages[2].input_token_details.cached_tokens == records[2].usage.cached > 0
    assert all(event.first_byte_ms is not None for event in records)
    (call,) = provider.calls("gpt-realtime")
    assert call.key == UPSTREAM_KEY


def spoken(events: Iterator[RealtimeServerEvent]) -> tuple[str, Any]:
    text = ""
    for event in events:
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.done":
            assert event.response.status == "completed"
            return text, event.response.usage
        else:
            assert event.type != "error", event
    raise AssertionError("the session ended")


def test_speech_begins_a_response_of_its_own(gateway: Gateway) -> None:
    """Voice detection: the client asks for nothing, and each response is reserved for, metered and recorded."""

    async def main() -> Any:
        client = openai.AsyncOpenAI(api_key=KEYS["sdk"], base_url=f"{gateway.url}/v1")
        async with client.realtime.connect(model="voice") as connection:
            await connection.input_audio_buffer.append(audio=base64.b64encode(b"\1" * 48_000).decode())
            await connection.input_audio_buffer.append(audio=base64.b64encode(b"\0" * 24_000).decode())
            async for event in connection:
                if event.type == "response.done":
                    return event.response.usage

    usage = run(main())
    assert usage.input_token_details.audio_tokens == 15
    assert usage.output_token_details.audio_tokens == 40
    record = events_of(gateway, "sdk")[-1]
    assert record.cost_nano == cost_of(usage)
    assert (record.usage.input_audio, record.usage.output_audio, record.usage.output) == (15, 40, 20)


def test_azures_client_to_azures_provider(gateway: Gateway, provider: SimulatorThread) -> None:
    async def main() -> str:
        client = openai.AsyncAzureOpenAI(
            api_key=KEYS["sdk"],
            azure_endpoint=gateway.url,
            api_version="2025-04-01-preview",
            websocket_base_url=f"ws://{gateway.address}/openai",
        )
        async with client.realtime.connect(model="cloudy") as connection:
            return (await connection.recv()).session.model  # type: ignore[union-attr]

    assert run(main()) == "cloudy"
    (call,) = provider.calls("elsewhere")
    assert call.target == b"/openai/realtime?api-version=2025-04-01-preview&deployment=elsewhere"
    assert call.key == UPSTREAM_KEY


# Opening.


def test_a_key_among_the_subprotocols(gateway: Gateway, provider: SimulatorThread) -> None:
    """As browsers send it: agreed to is `realtime` alone, and the key goes nowhere."""
    offered = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{KEYS['sdk']}")]
    offered.append(Subprotocol("openai-beta.realtime-v1"))

    async def main() -> None:
        async with dial(gateway, subprotocols=offered, additional_headers={}) as client:
            assert client.subprotocol == "realtime"
            await hear(client, "session.created")

    run(main())
    (call,) = provider.calls("gpt-realtime")
    headers = dict(call.headers)
    assert b"sec-websocket-protocol" not in headers
    assert headers[b"openai-beta"] == b"realtime=v1"
    assert KEYS["sdk"].encode() not in b"".join(headers.values())
    assert KEYS["sdk"] not in gateway.output()


REFUSALS: dict[str, tuple[dict[str, Any], int, str]] = {
    "no key": ({"additional_headers": {}}, 401, "invalid_api_key"),
    "unknown key": ({"additional_headers": {"api-key": "tg-nobody"}}, 401, "invalid_api_key"),
    "unknown model": ({"query": "model=nobody"}, 404, "model_not_found"),
    "model of others": ({"name": "barred"}, 403, "model_not_allowed"),
    "model of another task": ({"query": "model=prose"}, 400, "invalid_request"),
    "no model": ({"query": ""}, 400, "invalid_request"),
    "another's session": ({"query": "model=voice&call_id=rtc_1"}, 400, "unsupported_field"),
    "a second model": ({"query": "model=voice&model=prose"}, 400, "unsupported_field"),
    "no budget for a response": ({"name": "poor"}, 429, "budget_exceeded"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refused_before_the_upgrade(case: str, gateway: Gateway, provider: SimulatorThread) -> None:
    options, status, code = REFUSALS[case]

    async def main() -> InvalidStatus:
        with pytest.raises(InvalidStatus) as caught:
            async with dial(gateway, **options):
                pass
        return caught.value

    response = run(main()).response
    assert response.status_code == status
    assert json.loads(response.body or b"")["error"]["code"] == code
    assert provider.calls() == []


def test_a_plain_request_is_told_to_upgrade(gateway: Gateway) -> None:
    client = openai.OpenAI(api_key=KEYS["sdk"], base_url=f"{gateway.url}/v1", max_retries=0)
    with pytest.raises(openai.APIStatusError) as caught:
        client.get("/realtime?model=voice", cast_to=object)
    assert caught.value.status_code == 426


def test_one_session_at_a_time(gateway: Gateway) -> None:
    async def main() -> None:
        async with dial(gateway, "one"):
            with pytest.raises(InvalidStatus) as caught:
                async with dial(gateway, "one"):
                    pass
            assert caught.value.response.status_code == 429
        await until_settled(gateway)
        async with dial(gateway, "one") as client:
            await hear(client, "session.created")

    run(main())
    outcomes = [(event.outcome, event.status) for event in events_of(gateway, "one")]
    assert sorted(outcomes) == [("ok", 101), ("ok", 101), ("refused", 429)]
    assert {event.usage.total for event in events_of(gateway, "one")} == {0}
    assert {event.charged_nano for event in events_of(gateway, "one")} == {0}


async def until_settled(gateway: Gateway) -> None:
    await asyncio.to_thread(settled, gateway)


def test_the_next_target_where_the_first_refuses(gateway: Gateway, provider: SimulatorThread) -> None:
    provider.change("shaky", script=["503"])

    async def main() -> None:
        async with dial(gateway, query="model=steady") as client:
            assert (await hear(client, "session.created"))["session"]["model"] == "steady"
            assert client.response is not None
            assert client.response.headers["x-tidegate-target"] == "cloud/second"
            assert client.response.headers["x-tidegate-attempts"] == "2"

    run(main())
    assert [call.status for call in provider.calls()] == [503, 101]


def test_an_upstreams_refusal_is_the_clients(gateway: Gateway, provider: SimulatorThread) -> None:
    provider.change("broke", script=["429/insufficient_quota"] * 3)

    async def main() -> InvalidStatus:
        with pytest.raises(InvalidStatus) as caught:
            async with dial(gateway, query="model=broke"):
                pass
        return caught.value

    response = run(main()).response
    assert response.status_code == 429
    assert json.loads(response.body or b"")["error"]["code"] == "insufficient_quota"


# Money.


def test_a_hard_budget_is_spent_to_its_last_whole_response(gateway: Gateway, provider: SimulatorThread) -> None:
    """Then an `error` names the bucket, and the session is closed with 1008. Two spend at once, and neither overspends."""

    async def main() -> list[ConnectionClosed]:
        return list(await asyncio.gather(*(talk_until_closed(gateway, "purse") for _ in range(2))))

    async def talk_until_closed(gateway: Gateway, name: str) -> Any:
        try:
            async with dial(gateway, name) as client:
                while True:
                    await say(client, type="response.create", response={"max_output_tokens": "inf"})
                    while (event := json.loads(await client.recv()))["type"] != "response.done":
                        if event["type"] == "error":
                            assert event["error"]["code"] == "budget_exceeded"
                            assert event["error"]["tidegate"]["bucket"] == "consumer/purse/money/month"
        except InvalidStatus as refused:
            return refused.response.status_code
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return closed.rcvd.code

    codes = run(main())
    assert 1008 in codes
    assert set(codes) <= {1008, 429}
    records = events_of(gateway, "purse")
    spent = sum(event.charged_nano for event in records)
    assert 60_000_000 - WORST < spent <= 60_000_000
    assert all(event.cost_nano == event.charged_nano for event in records)
    assert {event.outcome for event in records} <= {"ok", "refused"}
    for call in provider.calls("gpt-realtime"):
        sent = [json.loads(line) for line in call.body.splitlines()]
        assert sent[0]["session"] == {"type": "realtime", "max_output_tokens": 300}
        assert {one["response"]["max_output_tokens"] for one in sent[1:]} == {300}
    levels = [one for one in settled(gateway)["buckets"] if one["key"] == "consumer/purse/money/month"]
    assert [one["used"] for one in levels] == [spent]


def test_an_upstream_that_dies_in_the_middle(gateway: Gateway, provider: SimulatorThread) -> None:
    provider.change("frail", script=["ok", "reset-mid-answer"])

    async def main() -> None:
        async with dial(gateway, query="model=frail") as client:
            await say(client, type="response.create")
            with pytest.raises(ConnectionClosed) as caught:
                while True:
                    event = json.loads(await client.recv())
            assert event["type"] == "error"
            assert event["error"]["code"] == "upstream_error"
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1011

    run(main())
    record = events_of(gateway, "sdk", "frail")[-1]
    assert (record.outcome, record.usage.source, record.cost_nano) == ("cut", "unknown", None)
    assert record.charged_nano == 0  # there is no budget that a reservation could have been taken from


def test_a_client_that_leaves_in_the_middle(gateway: Gateway, provider: SimulatorThread) -> None:
    provider.change("frail", script=["ok", "stall-mid-answer"])

    async def main() -> None:
        async with dial(gateway, query="model=frail") as client:
            await say(client, type="response.create")
            await hear(client, "response.created")
            client.transport.abort()

    run(main())
    settled(gateway)
    record = events_of(gateway, "sdk", "frail")[-1]
    assert (record.outcome, record.status, record.cost_nano) == ("cancelled", 499, None)


def test_a_response_that_is_cancelled_costs_what_was_spoken(gateway: Gateway, provider: SimulatorThread) -> None:
    provider.change("frail", script=["ok", "stall-mid-answer"])

    async def main() -> dict[str, Any]:
        async with dial(gateway, query="model=frail") as client:
            await say(client, type="response.create")
            await hear(client, "response.output_audio.delta")
            await say(client, type="response.cancel")
            return await hear(client, "response.done")

    done = run(main())
    assert done["response"]["status"] == "cancelled"
    record = events_of(gateway, "sdk", "frail")[-1]
    assert record.usage.total == done["response"]["usage"]["total_tokens"] > 0
    assert record.cost_nano


# Bounds.


def test_what_would_be_billed_apart_is_refused_under_a_hard_budget(tmp_path: Any, provider: SimulatorThread) -> None:
    """The session goes on; what was refused has not gone upstream, and no bound of the client's is larger than reserved."""
    env = {f"KEY_{name.upper()}": key for name, key in KEYS.items()} | {"UP_KEY": UPSTREAM_KEY}
    transcribing = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    with gateway_process(tmp_path, CONFIG.replace("URL", provider.url), env=env) as gateway:

        async def main() -> None:
            async with dial(gateway, "purse") as client:
                await hear(client, "session.created")
                for number, (session, code) in enumerate(
                    (
                        ({"type": "realtime", **transcribing}, "unsupported_field"),
                        ({"type": "realtime", "model": "gpt-realtime-2"}, "invalid_request"),
                        ({"type": "realtime", "max_output_tokens": 4000}, "budget_exceeded"),
                    )
                ):
                    await say(client, type="session.update", event_id=f"mine-{number}", session=session)
                    told = json.loads(await client.recv())
                    assert (told["type"], told["error"]["code"]) == ("error", code)
                    assert told["error"]["event_id"] == f"mine-{number}"
                await say(client, type="session.update", session={"type": "realtime", "max_output_tokens": "inf"})
                assert (await hear(client, "session.updated"))["session"]["max_output_tokens"] == 300
                await say(client, type="response.create")
                await hear(client, "response.done")

        run(main())
        assert settled(gateway)["reserved"] == 0
    (call,) = provider.calls("gpt-realtime")
    assert [json.loads(line)["type"] for line in call.body.splitlines()] == ["session.update"] * 2 + ["response.create"]
    assert [event.outcome for event in recorded(gateway.data_dir)] == ["refused", "ok"]


def test_what_is_not_the_consumers_cannot_be_named(gateway: Gateway, provider: SimulatorThread) -> None:
    """Nor can it go by as what this gateway reads as no event, and others may."""
    prompt = b'{"prompt": {"id": "pmpt_of_the_account"}}'

    async def main() -> None:
        async with dial(gateway) as client:
            await hear(client, "session.created")
            for event, code in (
                (b'{"type": "session.update", "session": %b}' % prompt, "not_found"),
                (b'{"type": "response.create", "response": %b}' % prompt, "not_found"),
                (b'{"type": "response.create", "response": %b, "x": NaN}' % prompt, "invalid_request"),
            ):
                await client.send(event.decode())
                told = json.loads(await client.recv())
                assert (told["type"], told["error"]["code"]) == ("error", code)

    run(main())
    (call,) = provider.calls("gpt-realtime")
    assert not call.body


def test_a_session_ends_when_it_is_silent_and_when_it_is_too_long(tmp_path: Any, provider: SimulatorThread) -> None:
    env = {f"KEY_{name.upper()}": key for name, key in KEYS.items()} | {"UP_KEY": UPSTREAM_KEY}
    bounds = "\n---\nkind: Gateway\nmetadata: {name: g}\nspec: {timeouts: {session: 1s, sessionIdle: 300ms}}\n"
    with gateway_process(tmp_path, CONFIG.replace("URL", provider.url) + bounds, env=env) as gateway:

        async def main(talk: bool) -> tuple[int, str]:
            async with dial(gateway) as client:
                await hear(client, "session.created")
                with pytest.raises(ConnectionClosed) as caught:
                    while True:
                        if talk:
                            await say(client, type="session.update", session={"type": "realtime"})
                        await client.recv()
                assert caught.value.rcvd is not None
                return caught.value.rcvd.code, caught.value.rcvd.reason

        assert run(main(talk=False)) == (1001, "no message has passed for too long")
        assert run(main(talk=True)) == (1001, "the session has reached its longest time")
        assert settled(gateway)["reserved"] == 0
    assert [event.outcome for event in recorded(gateway.data_dir)] == ["ok", "ok"]


# Stopping and reloading.


def test_a_reload_cuts_no_session_and_a_stop_says_goodbye(tmp_path: Any, provider: SimulatorThread) -> None:
    env = {f"KEY_{name.upper()}": key for name, key in KEYS.items()} | {"UP_KEY": UPSTREAM_KEY}
    config = CONFIG.replace("URL", provider.url)
    with gateway_process(tmp_path, config, env=env) as gateway:

        async def main() -> int:
            async with dial(gateway) as client:
                await hear(client, "session.created")
                version = worker_state(gateway)["snapshot"]
                gateway.config.write_text(config.replace("usd: 0.06", "usd: 0.07"))
                gateway.process.send_signal(signal.SIGHUP)
                await asyncio.to_thread(eventually, lambda: worker_state(gateway)["snapshot"] != version)
                await say(client, type="response.create")
                await hear(client, "response.done")
                gateway.process.send_signal(signal.SIGTERM)
                with pytest.raises(ConnectionClosed) as caught:
                    await client.recv()
                assert caught.value.rcvd is not None
                return caught.value.rcvd.code

        assert run(main()) == 1001
        assert gateway.stop() == 0
    (record,) = recorded(gateway.data_dir)
    assert (record.outcome, record.operation) == ("ok", "realtime")
