"""The OpenAI SDK's files and batches through the gateway: each its own consumer's, paid for when it ends."""

import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import httpx
import openai
import pytest
from openai.types import Batch
from tests.support.gateway import Gateway, gateway_process, start_gateway
from tests.support.simulator import SimulatorThread, simulator_thread

from tidegate.core.usage import UsageEvent
from tidegate.store.ledger import Ledger

T = TypeVar("T")
KEYS = {
    "ANN_KEY": "tg-files-ann",
    "BOB_KEY": "tg-files-bob",
    "TIGHT_KEY": "tg-files-tight",
    "RATED_KEY": "tg-files-rated",
}
ENV = {**KEYS, "UP_KEY": "sk-files-one", "SECOND_KEY": "sk-files-two"}
CONFIG = """
kind: Provider
metadata: {name: house}
spec:
  dialect: openai
  baseUrl: "URL/v1"
  credentials: [{name: one, apiKey: {env: UP_KEY}}, {name: two, apiKey: {env: SECOND_KEY}}]
---
kind: Provider
metadata: {name: cloud}
spec: {dialect: azure-openai, baseUrl: "URL", apiVersion: "2025-04-01", credentials: [{apiKey: {env: UP_KEY}}]}
---
kind: Provider
metadata: {name: claude}
spec: {dialect: anthropic, baseUrl: "URL", credentials: [{apiKey: {env: UP_KEY}}]}
---
kind: Model
metadata: {name: writer}
spec:
  task: chat
  targets: [{provider: house, model: gpt-4.1}]
  price: {inputPerMillion: 2, cachedInputPerMillion: 0.5, outputPerMillion: 8}
---
kind: Model
metadata: {name: clouded}
spec:
  task: chat
  targets: [{provider: cloud, model: gpt-4.1-mini}]
  price: {inputPerMillion: 2, cachedInputPerMillion: 0.5, outputPerMillion: 8}
---
kind: Model
metadata: {name: thinker}
spec:
  task: chat
  targets: [{provider: claude, model: claude-haiku-5-5}]
  price: {inputPerMillion: 1, outputPerMillion: 5}
---
kind: Team
metadata: {name: files}
---
kind: Consumer
metadata: {name: ann}
spec: {team: files, keys: [{value: {env: ANN_KEY}}]}
---
kind: Consumer
metadata: {name: bob}
spec: {team: files, keys: [{value: {env: BOB_KEY}}], models: [writer]}
---
kind: Consumer
metadata: {name: tight}
spec: {team: files, keys: [{value: {env: TIGHT_KEY}}], models: [writer], budget: {usd: 0.05, period: month}}
---
kind: Consumer
metadata: {name: rated}
spec: {team: files, keys: [{value: {env: RATED_KEY}}], models: [writer], limits: {requestsPerMinute: 5}}
"""

OPENED: list[openai.OpenAI] = []
"""Clients of a test, closed at its end."""


@pytest.fixture(scope="module")
def provider() -> Iterator[SimulatorThread]:
    with simulator_thread() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def gateway(provider: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = CONFIG.replace("URL", provider.url)
    with gateway_process(tmp_path_factory.mktemp("files"), config, env=ENV) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def _as_usual(provider: SimulatorThread) -> Iterator[None]:
    provider.run(lambda simulator: simulator.kept.set({"seconds": 0, "ending": "completed"}))
    yield
    while OPENED:
        OPENED.pop().close()


def client(gateway: Gateway, who: str = "ANN_KEY") -> openai.OpenAI:
    OPENED.append(openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=KEYS[who], max_retries=0))
    return OPENED[-1]


def line(number: int, model: str = "writer", **more: Any) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": f"Say something, {number}."}], **more}
    return {"custom_id": f"r{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}


def jsonl(*lines: dict[str, Any]) -> tuple[str, bytes]:
    return "in.jsonl", b"".join(json.dumps(one).encode() + b"\n" for one in lines)


def started(sdk: openai.OpenAI, *lines: dict[str, Any], endpoint: Any = "/v1/chat/completions") -> Batch:
    file = sdk.files.create(file=jsonl(*lines), purpose="batch")
    return sdk.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h")


def eventually(look: Callable[[], T | None]) -> T:
    """What `look` finds, within ten seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        found = look()
        if found is not None:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come to be")


def events(gateway: Gateway, operation: str) -> list[UsageEvent]:
    with Ledger.open(gateway.data_dir) as ledger:
        ledger.ingest()
        return [event for event in ledger.events() if event.operation == operation]


def settled(gateway: Gateway, batch: str) -> UsageEvent:
    """Its one record."""

    def look() -> UsageEvent | None:
        with Ledger.open(gateway.data_dir) as ledger:
            ledger.ingest()
            for event in ledger.events():
                decision = ledger.decision(event.id) if event.operation == "batch" else None
                if decision is not None and batch in decision.reason:
                    return event
        return None

    return eventually(look)


def price_of(output: str) -> int:
    """Nano-USD of the lines, by their own usage."""
    total = 0
    for text in output.splitlines():
        told = json.loads(text)["response"]
        if told["status_code"] == 200:
            usage = told["body"]["usage"]
            cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
            total += (usage["prompt_tokens"] - cached) * 2000 + cached * 500 + usage["completion_tokens"] * 8000
    return total // 2  # as vendors sell batches


def test_a_file_is_made_listed_read_and_removed(gateway: Gateway) -> None:
    sdk = client(gateway)
    made = sdk.files.create(
        file=("notes.txt", b"some notes"), purpose="user_data", extra_headers={"x-tidegate-model": "writer"}
    )
    assert (made.filename, made.bytes, made.purpose) == ("notes.txt", 10, "user_data")
    assert made.id in [one.id for one in sdk.files.list(purpose="user_data")]
    assert made.id not in [one.id for one in sdk.files.list(purpose="batch")]
    assert sdk.files.retrieve(made.id) == made
    assert sdk.files.content(made.id).read() == b"some notes"
    assert sdk.files.delete(made.id).deleted
    assert made.id not in [one.id for one in sdk.files.list()]
    with pytest.raises(openai.NotFoundError):
        sdk.files.retrieve(made.id)


def test_pages_of_files(gateway: Gateway) -> None:
    sdk = client(gateway, "BOB_KEY")
    made = [sdk.files.create(file=(f"{n}.txt", b"x"), purpose="evals").id for n in range(5)]
    assert [one.id for one in sdk.files.list(purpose="evals", limit=2)] == made[
        ::-1
    ]  # the SDK asks for page after page
    assert [one.id for one in sdk.files.list(purpose="evals", order="asc", after=made[2]).data] == made[3:]
    with pytest.raises(openai.BadRequestError, match="limit"):
        sdk.files.list(limit=0)


def test_what_another_consumer_owns_is_not_there(gateway: Gateway, provider: SimulatorThread) -> None:
    ann, bob = client(gateway), client(gateway, "BOB_KEY")
    batch = started(ann, line(1))
    done = ann.batches.retrieve(batch.id)
    asked = len(provider.calls())
    for name in (batch.input_file_id, done.output_file_id or ""):
        for refused in (
            lambda name=name: bob.files.retrieve(name),
            lambda name=name: bob.files.content(name),
            lambda name=name: bob.files.delete(name),
            lambda name=name: bob.batches.create(
                input_file_id=name, endpoint="/v1/chat/completions", completion_window="24h"
            ),
        ):
            with pytest.raises(openai.NotFoundError, match="There is no file"):
                refused()
    for refuse in (lambda: bob.batches.retrieve(batch.id), lambda: bob.batches.cancel(batch.id)):
        with pytest.raises(openai.NotFoundError, match="There is no batch"):
            refuse()
    assert batch.id not in [one.id for one in bob.batches.list()]
    assert len(provider.calls()) == asked  # the provider was not even asked
    assert ann.files.content(done.output_file_id or "").text


def test_a_batch_costs_what_its_lines_cost(gateway: Gateway) -> None:
    sdk = client(gateway)
    batch = started(sdk, *(line(number, max_completion_tokens=30) for number in range(7)))
    assert batch.status == "validating"
    done = sdk.batches.retrieve(batch.id)
    assert done.status == "completed" and done.output_file_id and done.request_counts
    assert done.request_counts.completed == 7
    output = sdk.files.content(done.output_file_id).text
    assert len(output.splitlines()) == 7
    event = settled(gateway, batch.id)
    assert event.cost_nano == event.charged_nano == price_of(output) > 0
    assert (event.model, event.upstream_model, event.provider, event.consumer) == ("writer", "gpt-4.1", "house", "ann")
    assert event.usage.source == "reported"
    sdk.batches.retrieve(batch.id)
    assert [one.id for one in events(gateway, "batch")].count(event.id) == 1
    assert done.output_file_id in [one.id for one in sdk.files.list(purpose="batch_output")]
    assert batch.id in [one.id for one in sdk.batches.list()]


def test_lines_that_fail_cost_nothing(gateway: Gateway) -> None:
    sdk = client(gateway)
    batch = started(sdk, line(1), line(2, max_completion_tokens=10_000_000))
    done = sdk.batches.retrieve(batch.id)
    assert done.output_file_id and done.error_file_id and done.request_counts
    assert done.request_counts.failed == 1
    assert "max_tokens is too large" in sdk.files.content(done.error_file_id).text
    assert settled(gateway, batch.id).cost_nano == price_of(sdk.files.content(done.output_file_id).text)


@pytest.mark.parametrize(("ending", "outcome"), [("expired", "cut"), ("failed", "failed"), ("cancelled", "cancelled")])
def test_what_was_used_of_a_batch_that_ends_early_is_paid_for(
    gateway: Gateway, provider: SimulatorThread, ending: str, outcome: str
) -> None:
    sdk = client(gateway)
    if ending == "cancelled":
        provider.run(lambda simulator: simulator.kept.set({"seconds": 1e9}))
    else:
        provider.run(lambda simulator: simulator.kept.set({"ending": ending}))
    batch = started(sdk, *(line(number) for number in range(4)))
    if ending == "cancelled":
        assert sdk.batches.cancel(batch.id).status == "cancelling"
    done = sdk.batches.retrieve(batch.id)
    assert done.status == ending
    event = settled(gateway, batch.id)
    assert event.outcome == outcome
    if ending == "failed":
        assert event.cost_nano == 0
    else:
        output = sdk.files.content(done.output_file_id or "").text
        assert len(output.splitlines()) == 2
        assert event.cost_nano == price_of(output)


def test_each_file_goes_back_to_the_credential_that_made_it(gateway: Gateway, provider: SimulatorThread) -> None:
    sdk = client(gateway)
    made = [sdk.files.create(file=jsonl(line(1)), purpose="batch").id for _ in range(12)]
    used = {call.key for call in provider.calls()[-12:]}
    assert used == {"sk-files-one", "sk-files-two"}
    assert [sdk.files.retrieve(name).id for name in made] == made  # a provider knows a file under its own key alone


def test_azure_has_both(gateway: Gateway, provider: SimulatorThread) -> None:
    sdk = openai.AzureOpenAI(
        azure_endpoint=gateway.url, api_key=KEYS["ANN_KEY"], api_version="2025-04-01", max_retries=0
    )
    OPENED.append(sdk)
    batch = started(sdk, line(1, "clouded"))
    assert provider.calls()[-1].target.startswith(b"/openai/batches?api-version=2025-04-01")
    done = sdk.batches.retrieve(batch.id)
    assert json.loads(sdk.files.content(done.output_file_id or "").text)["response"]["body"]["model"] == "gpt-4.1-mini"
    assert settled(gateway, batch.id).provider == "cloud"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([line(1), line(2, "nobody")], "Line 2 of the file: There is no model `nobody`"),
        ([line(1), line(2, "clouded")], "Line 2 of the file: Model `clouded` has no target at house"),
        ([line(1, "thinker")], "Line 1 of the file: No target of model `thinker` is at a provider that takes batches"),
        ([line(1, stream=True)], "Line 1 of the file: `stream` must not be true"),
        ([{**line(1), "url": "/v1/nothing"}], "Line 1 of the file: `url` is `/v1/nothing`"),
        ([line(1), {**line(2), "url": "/v1/embeddings"}], "Line 2 of the file: `url` is `/v1/embeddings`"),
        ([{"custom_id": "r", "url": "/v1/chat/completions"}], "Line 1 of the file: `body` is missing"),
        (
            [{**line(1, input=[{"type": "item_reference", "id": "msg_1"}]), "url": "/v1/responses"}],
            "Line 1 of the file: A request in a batch cannot go on from what is kept",
        ),
        ([], "The file is empty"),
    ],
)
def test_lines_that_cannot_be_taken(
    gateway: Gateway, provider: SimulatorThread, lines: list[dict[str, Any]], message: str
) -> None:
    asked = len(provider.calls())
    with pytest.raises(openai.APIStatusError, match=message):
        client(gateway).files.create(file=jsonl(*lines), purpose="batch")
    assert len(provider.calls()) == asked


def test_other_refusals(gateway: Gateway) -> None:
    sdk = client(gateway)
    with pytest.raises(openai.BadRequestError, match="x-tidegate-model"):
        sdk.files.create(file=("a.txt", b"x"), purpose="user_data")
    with pytest.raises(openai.NotFoundError, match="no model of this key"):
        sdk.files.create(file=("a.txt", b"x"), purpose="evals", extra_headers={"x-tidegate-model": "nobody"})
    with pytest.raises(openai.BadRequestError, match="is not a JSON object"):
        sdk.files.create(file=("a.jsonl", b"{nonsense\n"), purpose="batch")
    with pytest.raises(openai.BadRequestError, match="Invalid value: 'jam'"):
        wrong: Any = "jam"
        sdk.files.create(file=("a.txt", b"x"), purpose=wrong, extra_headers={"x-tidegate-model": "writer"})
    notes = sdk.files.create(file=("a.txt", b"x"), purpose="evals", extra_headers={"x-tidegate-model": "writer"})
    with pytest.raises(openai.BadRequestError, match="not uploaded with purpose `batch`"):
        sdk.batches.create(input_file_id=notes.id, endpoint="/v1/chat/completions", completion_window="24h")
    with pytest.raises(openai.BadRequestError, match=r"line 1 of file `.*` is for `/v1/chat/completions`") as refused:
        started(sdk, line(1), endpoint="/v1/completions")
    assert refused.value.param == "endpoint"
    with pytest.raises(openai.BadRequestError, match="`endpoint` is missing"):
        started(sdk, line(1), endpoint=openai.omit)
    with pytest.raises(openai.NotFoundError):
        sdk.files.retrieve("file-of-nobody")
    with pytest.raises(openai.NotFoundError):
        sdk.files.retrieve("..%2f..%2fmodels")
    with pytest.raises(openai.AuthenticationError):
        sdk.with_options(api_key="tg-wrong").files.list()


def test_long_notes_are_taken(gateway: Gateway) -> None:
    """A batch that runs is registered, whatever its client has written on it: else nobody would pay for it."""
    sdk = client(gateway)
    file = sdk.files.create(file=jsonl(line(1)), purpose="batch")
    notes = {f"note-{number}": "\N{WATER WAVE}" * 512 for number in range(16)}
    batch = sdk.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata=notes
    )
    assert batch.metadata == sdk.batches.retrieve(batch.id).metadata == notes
    assert settled(gateway, batch.id).cost_nano
    assert batch.id in [one.id for one in sdk.batches.list()]


def test_a_line_cannot_hold_another(gateway: Gateway) -> None:
    """Some readers take a carriage return for the end of a line."""
    hidden = json.dumps(line(2, "gpt-4.1-nano")).encode()
    text = json.dumps(line(1)).encode()[:-1] + b', "more": [\r' + hidden + b"\r]}\n"
    sdk = client(gateway)
    file = sdk.files.create(file=("in.jsonl", text), purpose="batch")
    batch = sdk.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert sdk.batches.retrieve(batch.id).status == "completed"
    assert settled(gateway, batch.id).cost_nano


def test_a_budget_holds_the_worst_until_the_batch_has_ended(gateway: Gateway, provider: SimulatorThread) -> None:
    sdk = client(gateway, "TIGHT_KEY")
    provider.run(lambda simulator: simulator.kept.set({"seconds": 1e9}))
    batch = started(sdk, *(line(number, max_completion_tokens=1500) for number in range(4)))  # 0.048 USD and the input
    with pytest.raises(openai.RateLimitError, match="Budget `consumer/tight/money/month` would be exceeded") as refused:
        started(sdk, *(line(number, max_completion_tokens=1500) for number in range(4)))
    assert refused.value.code == "budget_exceeded"
    provider.run(lambda simulator: simulator.kept.set({"seconds": 0}))
    sdk.batches.cancel(batch.id)
    sdk.batches.retrieve(batch.id)
    event = settled(gateway, batch.id)
    assert event.charged_nano == event.cost_nano
    left = sdk.files.with_raw_response.list().headers["x-tidegate-budget-remaining-usd"]
    assert Decimal(left) == Decimal("0.05") - Decimal(event.charged_nano).scaleb(-9)


def test_lines_without_a_bound_get_one_under_a_hard_budget(gateway: Gateway) -> None:
    with pytest.raises(openai.RateLimitError, match="this call may cost up to"):
        started(client(gateway, "TIGHT_KEY"), line(1), line(2))  # 4096 tokens of output are 0.033 USD


def test_every_line_counts_as_a_request(gateway: Gateway) -> None:
    sdk = client(gateway, "RATED_KEY")
    with pytest.raises(openai.RateLimitError, match="needs 6 requests, more than all of limit"):
        started(sdk, *(line(number) for number in range(6)))


def test_an_upstream_that_refuses_is_heard(gateway: Gateway) -> None:
    sdk = client(gateway, "TIGHT_KEY")
    before = sdk.files.with_raw_response.list().headers["x-tidegate-budget-remaining-usd"]
    file = sdk.files.create(file=jsonl(line(1, max_completion_tokens=10)), purpose="batch")
    with pytest.raises(openai.BadRequestError, match="Invalid value: '1h'"):
        window: Any = "1h"
        sdk.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window=window)
    assert sdk.files.with_raw_response.list().headers["x-tidegate-budget-remaining-usd"] == before


def test_a_restart_forgets_nothing(provider: SimulatorThread, tmp_path: Path) -> None:
    config = CONFIG.replace("URL", provider.url)
    provider.run(lambda simulator: simulator.kept.set({"seconds": 1e9}))
    first = start_gateway(tmp_path / "a", config, env=ENV, data_dir=tmp_path / "data")
    sdk = client(first, "TIGHT_KEY")
    batch = started(sdk, *(line(number, max_completion_tokens=1500) for number in range(4)))
    left = sdk.files.with_raw_response.list().headers["x-tidegate-budget-remaining-usd"]
    first.kill()
    second = start_gateway(tmp_path / "b", config, env=ENV, data_dir=tmp_path / "data")
    try:
        sdk = client(second, "TIGHT_KEY")
        assert sdk.files.with_raw_response.list().headers["x-tidegate-budget-remaining-usd"] == left
        provider.run(lambda simulator: simulator.kept.set({"seconds": 0}))
        sdk.batches.cancel(batch.id)
        done = sdk.batches.retrieve(batch.id)
        event = settled(second, batch.id)
        assert event.cost_nano == price_of(sdk.files.content(done.output_file_id or "").text)
        assert len(events(second, "batch")) == 1
    finally:
        second.kill()


@pytest.mark.parametrize(
    "spelled", ['"file_id":"NAME"', '"file\\u005Fid" : "NAME"', '"\\u0066ile_ids":["NAME"]', '"file_id":"\\u0066NAME"']
)
def test_a_request_cannot_name_the_file_of_another(gateway: Gateway, provider: SimulatorThread, spelled: str) -> None:
    name = (
        client(gateway)
        .files.create(file=("a.txt", b"secret"), purpose="user_data", extra_headers={"x-tidegate-model": "writer"})
        .id
    )
    written = spelled.replace("\\u0066NAME", "\\u0066" + name[1:]).replace("NAME", name)
    part = b'{"type":"file","file":{%b}}' % written.encode()
    body = b'{"model":"writer","messages":[{"role":"user","content":[%b]}]}' % part
    asked = len(provider.calls())
    bob = httpx.Client(headers={"authorization": f"Bearer {KEYS['BOB_KEY']}", "content-type": "application/json"})
    with bob:
        answer = bob.post(f"{gateway.url}/v1/chat/completions", content=body)
        line_of_it = b'{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":%b}' % body
        sent = {"file": ("in.jsonl", line_of_it)}
        del bob.headers["content-type"]
        batched = bob.post(f"{gateway.url}/v1/files", data={"purpose": "batch"}, files=sent)
    for refused in (answer, batched):
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
        assert f"no file `{name}`" in refused.json()["error"]["message"]
    assert len(provider.calls()) == asked


def test_a_file_that_a_request_names_leads_to_its_keeper(gateway: Gateway, provider: SimulatorThread) -> None:
    sdk = client(gateway)
    name = sdk.files.create(
        file=("a.txt", b"text"), purpose="user_data", extra_headers={"x-tidegate-model": "writer"}
    ).id
    key = provider.calls()[-1].key
    content: Any = [{"type": "file", "file": {"file_id": name}}, {"type": "text", "text": "What is in it?"}]
    for _ in range(8):
        sdk.chat.completions.create(model="writer", messages=[{"role": "user", "content": content}])
        assert provider.calls()[-1].key == key
    with pytest.raises(openai.BadRequestError, match="Model `clouded` has no target at house"):
        sdk.chat.completions.create(model="clouded", messages=[{"role": "user", "content": content}])
