"""The Anthropic SDK's files through the gateway: each its own consumer's, read where it lies."""

from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from tests.interop.test_files_and_batches import CONFIG, ENV, KEYS
from tests.support.gateway import Gateway, gateway_process
from tests.support.simulator import SimulatorThread, simulator_thread

FILES_CONFIG = (
    CONFIG.replace(
        'metadata: {name: claude}\nspec: {dialect: anthropic, baseUrl: "URL", credentials: [{apiKey: {env: UP_KEY}}]}',
        "metadata: {name: claude}\n"
        'spec: {dialect: anthropic, baseUrl: "URL", credentials: [{name: one, apiKey: {env: UP_KEY}}, '
        "{name: two, apiKey: {env: SECOND_KEY}}]}",
    )
    .replace("models: [writer]}", "models: [writer, thinker]}", 1)
    .replace("keys: [{value: {env: ANN_KEY}}]", "keys: [{value: {env: ANN_KEY}}], models: [writer, clouded, thinker]")
    + """
---
kind: Provider
metadata: {name: second-claude}
spec: {dialect: anthropic, baseUrl: "URL", credentials: [{apiKey: {env: SECOND_KEY}}]}
---
kind: Model
metadata: {name: muser}
spec: {task: chat, targets: [{provider: second-claude, model: claude-haiku-5-5}]}
---
kind: Consumer
metadata: {name: both}
spec: {team: files, keys: [{value: {env: BOTH_KEY}}], models: [thinker, muser]}
"""
)
BOTH = "tg-files-both"


@pytest.fixture(scope="module")
def provider() -> Iterator[SimulatorThread]:
    with simulator_thread() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def gateway(provider: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = FILES_CONFIG.replace("URL", provider.url)
    with gateway_process(tmp_path_factory.mktemp("messages"), config, env={**ENV, "BOTH_KEY": BOTH}) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[Callable[..., anthropic.Anthropic]]:
    opened: list[anthropic.Anthropic] = []

    def opens(who: str = "ANN_KEY", prefix: str = "") -> anthropic.Anthropic:
        key = BOTH if who == "BOTH_KEY" else KEYS[who]
        opened.append(anthropic.Anthropic(base_url=gateway.url + prefix, api_key=key, max_retries=0))
        return opened[-1]

    yield opens
    for sdk in opened:
        sdk.close()


def uploaded(sdk: anthropic.Anthropic, name: str = "a.pdf", model: str = "", **more: Any) -> str:
    headers = {"x-tidegate-model": model} if model else {}
    file = (name, b"%PDF-1.7 " + name.encode(), "application/pdf")
    return sdk.beta.files.upload(file=file, betas=["files-api-2025-04-14"], extra_headers=headers, **more).id


def document(name: str, kind: str = "document") -> Any:
    if kind == "container_upload":
        return {"type": kind, "file_id": name}
    return {"type": kind, "source": {"type": "file", "file_id": name}}


def asked(*blocks: Any) -> Any:
    return [{"role": "user", "content": [*blocks, {"type": "text", "text": "What is in it?"}]}]


@pytest.mark.parametrize("prefix", ["", "/anthropic"])
def test_a_file_is_made_listed_read_and_removed(
    client: Callable[..., anthropic.Anthropic], provider: SimulatorThread, prefix: str
) -> None:
    sdk = client(prefix=prefix)
    made = sdk.beta.files.upload(
        file=("notes.pdf", b"some notes", "application/pdf"), betas=["files-api-2025-04-14"], expires_in_seconds=7200
    )
    assert dict(provider.calls()[-1].headers)[b"anthropic-beta"] == b"files-api-2025-04-14"
    assert (made.filename, made.size_bytes, made.mime_type, made.type) == ("notes.pdf", 10, "application/pdf", "file")
    assert made.expires_at and (made.expires_at - made.created_at).total_seconds() == 7200
    assert made.id in [one.id for one in sdk.beta.files.list()]
    assert sdk.beta.files.retrieve_metadata(made.id) == made
    assert sdk.beta.files.download(made.id).read() == b"some notes"
    assert sdk.beta.files.delete(made.id).type == "file_deleted"
    assert made.id not in [one.id for one in sdk.files.list()]
    with pytest.raises(anthropic.NotFoundError):
        sdk.beta.files.retrieve_metadata(made.id)


def test_pages(client: Callable[..., anthropic.Anthropic]) -> None:
    sdk = client("TIGHT_KEY")
    assert sdk.beta.files.list().data == []
    sdk = client("BOB_KEY")
    made = [uploaded(sdk, f"{number}.pdf") for number in range(5)][::-1]
    assert [one.id for one in sdk.beta.files.list(limit=2)][:5] == made  # the SDK asks for page after page
    first = sdk.beta.files.list(limit=2)
    assert [one.id for one in first.data] == made[:2] and first.next_page
    assert [one.id for one in sdk.beta.files.list(ids=[made[3], made[1], "file_nobody"]).data] == [made[1], made[3]]
    for query, page in (({"after_id": made[1]}, made[2:4]), ({"before_id": made[3]}, made[1:3])):  # as older SDKs ask
        told: Any = sdk.get("/v1/files", cast_to=object, options={"params": {"limit": 2, **query}})
        assert ([one["id"] for one in told["data"]], told["has_more"]) == (page, True)
    for wrong in ({"limit": 1001}, {"page": "page_file_nobody"}, {"scope_id": "session_1"}):
        with pytest.raises(anthropic.BadRequestError, match="|".join((*wrong, "to go on from"))):
            sdk.beta.files.list(**wrong)  # type: ignore[arg-type]


def test_the_two_kinds_of_files_are_apart(
    client: Callable[..., anthropic.Anthropic], gateway: Gateway, provider: SimulatorThread
) -> None:
    """At the same path: the client's dialect tells which."""
    name = uploaded(client())
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=KEYS["ANN_KEY"], max_retries=0) as sdk:
        other = sdk.files.create(
            file=("a.txt", b"x"), purpose="user_data", extra_headers={"x-tidegate-model": "writer"}
        ).id
        assert name not in [one.id for one in sdk.files.list()]
        with pytest.raises(openai.NotFoundError):
            sdk.files.retrieve(name)
    assert other not in [one.id for one in client().beta.files.list()]


def test_what_another_consumer_owns_is_not_there(
    client: Callable[..., anthropic.Anthropic], provider: SimulatorThread
) -> None:
    name = uploaded(client())
    bob, before = client("BOB_KEY"), len(provider.calls())
    for refused in (bob.beta.files.retrieve_metadata, bob.beta.files.download, bob.beta.files.delete):
        with pytest.raises(anthropic.NotFoundError, match="There is no file"):
            refused(name)
    assert name not in [one.id for one in bob.beta.files.list()]
    for kind in ("document", "image", "container_upload"):
        with pytest.raises(anthropic.NotFoundError, match=f"no file `{name}`"):
            bob.messages.create(model="thinker", max_tokens=20, messages=asked(document(name, kind)))
    with pytest.raises(anthropic.NotFoundError, match=f"no file `{name}`"):
        bob.messages.count_tokens(model="thinker", messages=asked(document(name)))
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [document(name)]}
    with pytest.raises(anthropic.NotFoundError, match=f"no file `{name}`"):
        bob.messages.create(model="thinker", max_tokens=20, messages=asked(result))
    with pytest.raises(anthropic.NotFoundError, match="no container `container_of_another`"):
        extra = {"container": "container_of_another"}
        bob.messages.create(model="thinker", max_tokens=20, messages=asked(), extra_body=extra)
    with pytest.raises(anthropic.NotFoundError, match=r"requests\[0\].*no file"):
        params: Any = {"model": "thinker", "max_tokens": 20, "messages": asked(document(name))}
        bob.messages.batches.create(requests=[{"custom_id": "a", "params": params}])
    assert len(provider.calls()) == before


@pytest.mark.parametrize("written", ['"file\\u005Fid":"NAME"', '"file_id" : "\\u0066NAME"'])
def test_however_it_is_written(
    client: Callable[..., anthropic.Anthropic], gateway: Gateway, provider: SimulatorThread, written: str
) -> None:
    name = uploaded(client())
    spelled = written.replace("\\u0066NAME", "\\u0066" + name[1:]).replace("NAME", name)
    body = (
        '{"model":"thinker","max_tokens":9,"messages":[{"role":"user","content":'
        '[{"type":"document","source":{"type":"file",SOURCE}}]}]}'
    ).replace("SOURCE", spelled)
    before = len(provider.calls())
    headers = {"x-api-key": KEYS["BOB_KEY"], "anthropic-version": "2023-06-01", "content-type": "application/json"}
    answer = httpx.post(f"{gateway.url}/v1/messages", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")
    assert len(provider.calls()) == before


def test_a_message_goes_where_its_file_is(
    client: Callable[..., anthropic.Anthropic], provider: SimulatorThread
) -> None:
    """The simulator knows a file under the key that uploaded it alone."""
    for who in ("ANN_KEY", "BOB_KEY"):
        sdk = client(who)
        name = uploaded(sdk)
        key = provider.calls()[-1].key
        for _ in range(6):
            sdk.messages.create(model="thinker", max_tokens=20, messages=asked(document(name)))
            assert provider.calls()[-1].key == key
        batch = sdk.messages.batches.create(
            requests=[
                {
                    "custom_id": "a",
                    "params": {"model": "thinker", "max_tokens": 20, "messages": asked(document(name, "image"))},
                }
            ]
        )
        assert provider.calls()[-1].key == key
        assert sdk.messages.batches.retrieve(batch.id).processing_status == "ended"


def test_what_a_tool_is_called_with_is_no_file(client: Callable[..., anthropic.Anthropic]) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "open_file", "input": {"file_id": "the-clients-own"}}
    done = {"type": "tool_result", "tool_use_id": "toolu_1", "content": '{"file_id": "the-clients-own"}'}
    messages: Any = [
        {"role": "user", "content": "Open it."},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [done]},
    ]
    tool: Any = {"name": "open_file", "input_schema": {"type": "object", "properties": {"file_id": {"type": "string"}}}}
    answer = client("BOB_KEY").messages.create(model="thinker", max_tokens=20, messages=messages, tools=[tool])
    assert answer.content


def test_files_that_lie_apart(client: Callable[..., anthropic.Anthropic], provider: SimulatorThread) -> None:
    sdk = client("BOTH_KEY")
    here, there = uploaded(sdk, model="thinker"), uploaded(sdk, model="muser")
    before = len(provider.calls())
    with pytest.raises(anthropic.BadRequestError, match=r"leads to claude .* and to second-claude"):
        sdk.messages.create(model="thinker", max_tokens=20, messages=asked(document(here), document(there)))
    with pytest.raises(anthropic.BadRequestError, match="Model `thinker` has no target at second-claude"):
        sdk.messages.create(model="thinker", max_tokens=20, messages=asked(document(there)))
    assert len(provider.calls()) == before
    with pytest.raises(anthropic.BadRequestError, match="x-tidegate-model"):
        uploaded(sdk)


def test_an_upstream_that_refuses_is_heard(client: Callable[..., anthropic.Anthropic]) -> None:
    with pytest.raises(anthropic.BadRequestError, match="expires_in_seconds"):
        uploaded(client(), expires_in_seconds=5)
    with pytest.raises(anthropic.BadRequestError, match="must be multipart/form-data"):
        client().post("/v1/files", cast_to=object, files=[("other", ("a.txt", b"x"))], body={})
