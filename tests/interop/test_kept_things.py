"""The OpenAI SDK's conversations, vector stores, containers and uploads through the gateway: each its own consumer's.

The simulated provider knows nothing with one credential of what the other has made.
"""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from tests.interop.test_responses_affinity import CONFIG, KEYS
from tests.support.gateway import Gateway, gateway_process, start_gateway
from tests.support.simulator import SimulatorThread, simulator_thread

TIMES = 6
"""How often each thing is tried: with two credentials chance alone would pass one in 64."""
HERE = {"x-tidegate-model": "gpt-4.1"}
THERE = {"x-tidegate-model": "other"}
GRANTING = CONFIG.replace(
    "metadata: {{name: harbour}}", "metadata: {{name: harbour}}\nspec: {{sharedObjects: [pmpt_granted]}}"
).replace("outputPerMillion: 4.00", "outputPerMillion: 4.00, perFileSearch: 0.0025")


@pytest.fixture(scope="module")
def provider() -> Iterator[SimulatorThread]:
    with simulator_thread() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def gateway(provider: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("things")
    with gateway_process(folder, GRANTING.format(url=provider.url), env=KEYS) as gateway:
        yield gateway


def client(gateway: Gateway, who: str) -> OpenAI:
    return OpenAI(base_url=f"{gateway.url}/v1", api_key=KEYS[who], timeout=10, max_retries=0, default_headers=HERE)


@pytest.fixture
def one(gateway: Gateway) -> Iterator[OpenAI]:
    with client(gateway, "ONE") as sdk:
        yield sdk


@pytest.fixture
def two(gateway: Gateway) -> Iterator[OpenAI]:
    with client(gateway, "TWO") as sdk:
        yield sdk


def said(text: str) -> Any:
    return {"type": "message", "role": "user", "content": text}


def file_of(sdk: OpenAI, headers: dict[str, str] = HERE) -> str:
    return sdk.files.create(file=("notes.txt", b"some notes"), purpose="user_data", extra_headers=headers).id


def ask(sdk: OpenAI, model: str = "gpt-4.1", **fields: Any) -> Any:
    return sdk.responses.create(**{"model": model, "input": "When does the tide turn?", **fields})


def test_a_conversation_lives(one: OpenAI) -> None:
    made = one.conversations.create(metadata={"topic": "tides"}, items=[said("Hello.")])
    assert one.conversations.retrieve(made.id) == made
    assert one.conversations.update(made.id, metadata={"topic": "moon"}).metadata == {"topic": "moon"}
    items = one.conversations.items
    (added,) = items.create(made.id, items=[said("And the moon?")]).data
    assert items.list(made.id, limit=10).data[0].id == added.id
    assert items.retrieve(added.id or "", conversation_id=made.id) == added
    items.delete(added.id or "", conversation_id=made.id)
    assert len(list(items.list(made.id))) == 1
    assert one.conversations.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError, match="There is no conversation"):
        one.conversations.retrieve(made.id)


def test_a_response_goes_on_where_its_conversation_is(one: OpenAI, provider: SimulatorThread) -> None:
    made = one.conversations.create()
    key = provider.calls()[-1].key
    for told in (made.id, {"id": made.id}) * (TIMES // 2):
        assert ask(one, conversation=told).conversation.id == made.id
        assert provider.calls()[-1].key == key
    with pytest.raises(openai.BadRequestError, match="Model `other` has no target at sim"):
        ask(one, "other", conversation=made.id)


def test_a_vector_store_lives(one: OpenAI, provider: SimulatorThread) -> None:
    name = file_of(one)
    made = one.vector_stores.create(name="notes", file_ids=[name])
    key = provider.calls()[-1].key
    assert one.vector_stores.retrieve(made.id) == made
    assert made.file_counts.completed == 1
    assert one.vector_stores.update(made.id, name="all notes").name == "all notes"
    assert [(store.id, store.name) for store in one.vector_stores.list(limit=1).data] == [(made.id, "all notes")]
    files = one.vector_stores.files
    second = file_of(one)
    assert files.create_and_poll(second, vector_store_id=made.id).status == "completed"
    assert {file.id for file in files.list(made.id)} == {name, second}
    assert files.retrieve(second, vector_store_id=made.id).vector_store_id == made.id
    (found, _) = one.vector_stores.search(made.id, query="notes").data
    assert (found.file_id, found.content[0].text) == (name, "some notes")
    third = file_of(one)
    assert one.vector_stores.file_batches.create_and_poll(made.id, file_ids=[third]).status == "completed"
    files.delete(third, vector_store_id=made.id)
    for _ in range(TIMES):
        ask(one, tools=[{"type": "file_search", "vector_store_ids": [made.id]}])
    assert {call.key for call in provider.calls()[-TIMES:]} == {key}
    assert one.vector_stores.delete(made.id).deleted
    assert made.id not in [store.id for store in one.vector_stores.list()]


def test_a_container_lives(one: OpenAI, provider: SimulatorThread) -> None:
    made = one.containers.create(name="bench")
    key = provider.calls()[-1].key
    assert one.containers.retrieve(made.id).name == "bench"
    assert made.id in [container.id for container in one.containers.list()]
    file = one.containers.files.create(made.id, file_id=file_of(one))
    assert one.containers.files.content.retrieve(file.id, container_id=made.id).read() == b"some notes"
    for _ in range(TIMES):
        ask(one, tools=[{"type": "code_interpreter", "container": made.id}])
    assert {call.key for call in provider.calls()[-TIMES:]} == {key}
    one.containers.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        one.containers.retrieve(made.id)


def test_an_upload_becomes_a_file_of_its_makers(one: OpenAI, two: OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_bytes(b"tide " * 100)
    done = one.uploads.upload_file_chunked(file=path, mime_type="text/plain", purpose="user_data", part_size=200)
    assert done.status == "completed" and done.file
    name = done.file.id
    assert name in [file.id for file in one.files.list(purpose="user_data")]
    assert one.files.content(name).read() == path.read_bytes()
    ask(one, input=[{"role": "user", "content": [{"type": "input_file", "file_id": name}]}])
    with pytest.raises(openai.NotFoundError):
        two.files.retrieve(name)
    with pytest.raises(openai.NotFoundError, match="There is no upload"):  # it is used up
        one.uploads.cancel(done.id)


def test_an_upload_is_its_makers_alone(one: OpenAI, two: OpenAI, provider: SimulatorThread) -> None:
    made = one.uploads.create(bytes=4, filename="a.txt", mime_type="text/plain", purpose="user_data")
    asked = len(provider.calls())
    for refused in (
        lambda: two.uploads.parts.create(made.id, data=BytesIO(b"abcd")),
        lambda: two.uploads.complete(made.id, part_ids=[]),
        lambda: two.uploads.cancel(made.id),
    ):
        with pytest.raises(openai.NotFoundError, match="There is no upload"):
            refused()
    with pytest.raises(openai.BadRequestError, match="cannot come in parts"):
        one.uploads.create(bytes=4, filename="a.jsonl", mime_type="text/plain", purpose="batch")
    assert len(provider.calls()) == asked
    with pytest.raises(openai.BadRequestError, match="The bytes of the parts"):
        one.uploads.complete(made.id, part_ids=[])
    assert one.uploads.cancel(made.id).status == "cancelled"


def test_what_another_consumer_owns_is_not_there(one: OpenAI, two: OpenAI, provider: SimulatorThread) -> None:
    talk, store, container = one.conversations.create(), one.vector_stores.create(), one.containers.create(name="a")
    own, file = two.conversations.create(), file_of(one)
    mine = two.vector_stores.create()
    (item,) = one.conversations.items.create(talk.id, items=[said("secret")]).data
    asked = len(provider.calls())
    for refused in (
        lambda: two.conversations.retrieve(talk.id),
        lambda: two.conversations.update(talk.id, metadata={}),
        lambda: two.conversations.delete(talk.id),
        lambda: two.conversations.items.list(talk.id),
        lambda: two.conversations.items.create(talk.id, items=[said("x")]),
        lambda: two.conversations.items.retrieve(item.id or "", conversation_id=talk.id),
        lambda: two.conversations.items.create(own.id, items=[{"type": "item_reference", "id": item.id or ""}]),
        lambda: two.conversations.create(
            items=[{"role": "user", "content": [{"type": "input_file", "file_id": file}]}]
        ),
        lambda: ask(two, conversation=talk.id),
        lambda: two.vector_stores.retrieve(store.id),
        lambda: two.vector_stores.search(store.id, query="x"),
        lambda: two.vector_stores.files.list(store.id),
        lambda: two.vector_stores.delete(store.id),
        lambda: two.vector_stores.create(file_ids=[file]),
        lambda: two.vector_stores.files.create(mine.id, file_id=file),
        lambda: two.vector_stores.file_batches.create(mine.id, file_ids=[file]),
        lambda: two.vector_stores.file_batches.create(mine.id, files=[{"file_id": file}]),
        lambda: ask(two, tools=[{"type": "file_search", "vector_store_ids": [store.id]}]),
        lambda: two.containers.retrieve(container.id),
        lambda: two.containers.files.list(container.id),
        lambda: two.containers.create(name="b", file_ids=[file]),
        lambda: two.containers.files.create(container.id, file_id=file),
        lambda: ask(two, tools=[{"type": "code_interpreter", "container": container.id}]),
        lambda: ask(two, tools=[{"type": "code_interpreter", "container": {"type": "auto", "file_ids": [file]}}]),
        lambda: ask(
            two,
            tools=[{"type": "shell", "environment": {"type": "container_reference", "container_id": container.id}}],
        ),
        lambda: ask(
            two,
            input=[
                {"type": "code_interpreter_call", "id": "ci_1", "container_id": container.id, "code": "1"},
                said("Go on."),
            ],
        ),
        lambda: ask(two, prompt={"id": "pmpt_of_the_account"}),
    ):
        with pytest.raises(openai.NotFoundError) as told:
            refused()
        assert told.value.code == "not_found"
    assert len(provider.calls()) == asked
    assert container.id not in [kept.id for kept in two.containers.list()]
    assert store.id not in [kept.id for kept in two.vector_stores.list()]


def test_what_the_team_grants_may_be_named(two: OpenAI) -> None:
    """A prompt is made in the provider's console."""
    assert ask(two, prompt={"id": "pmpt_granted", "version": "2"}).output_text


def test_another_file_cannot_be_put_into_ones_own_container(
    one: OpenAI, two: OpenAI, provider: SimulatorThread
) -> None:
    """The SDK sends its name in a form."""
    file, container = file_of(one), two.containers.create(name="mine")
    asked = len(provider.calls())
    with pytest.raises(openai.NotFoundError, match="There is no file"):
        two.containers.files.create(container.id, file_id=file)
    assert len(provider.calls()) == asked


@pytest.mark.parametrize(
    "part",
    [
        b'form-data; name="file_id"; filename=""',  # a file to us, a value to some
        b'form-data; name="file_ids[0]"',
        b'form-data; name="File_Id"',
    ],
)
def test_a_form_does_not_hide_a_name(
    gateway: Gateway, one: OpenAI, two: OpenAI, provider: SimulatorThread, part: bytes
) -> None:
    file, mine, store = file_of(one), two.containers.create(name="mine"), two.vector_stores.create()
    form = b"--x\r\ncontent-disposition: %b\r\n\r\n%b\r\n--x--\r\n" % (part, file.encode())
    asked = len(provider.calls())
    for path in (
        f"/containers/{mine.id}/files",
        f"/vector_stores/{store.id}/files",
        "/vector_stores",
        "/conversations",
    ):
        answer = posted(gateway, path, form, "multipart/form-data; boundary=x")
        assert answer.status_code in (400, 404), path
    assert len(provider.calls()) == asked


def test_what_was_read_as_json_goes_up_as_json(gateway: Gateway, one: OpenAI, provider: SimulatorThread) -> None:
    """As a form this names a file."""
    body = b'{"name":"&file_ids[]=%b&"}' % file_of(one).encode()
    assert posted(gateway, "/vector_stores", body, "application/x-www-form-urlencoded").status_code == 200
    assert (b"content-type", b"application/json") in provider.calls()[-1].headers


def posted(gateway: Gateway, path: str, body: bytes, media: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {KEYS['TWO']}", "content-type": media, **HERE}
    return httpx.post(f"{gateway.url}/v1{path}", content=body, headers=headers)


def test_a_key_in_the_query_of_openais_paths_is_none(gateway: Gateway, one: OpenAI, provider: SimulatorThread) -> None:
    """The query goes up: even Google's clients are not to have the gateway's key in it."""
    path = f"/conversations/{one.conversations.create().id}?key={KEYS['ONE']}"
    asked = len(provider.calls())
    assert httpx.get(f"{gateway.url}/v1{path}", headers={"x-goog-api-client": "genai"}).status_code == 401
    assert len(provider.calls()) == asked


def test_what_lies_apart_is_refused(one: OpenAI, provider: SimulatorThread) -> None:
    here, there = file_of(one), file_of(one, THERE)
    store = one.vector_stores.create()
    asked = len(provider.calls())
    for refused in (
        lambda: one.vector_stores.create(file_ids=[here, there]),
        lambda: one.vector_stores.files.create(store.id, file_id=there),
        lambda: ask(
            one,
            input=[{"role": "user", "content": [{"type": "input_file", "file_id": there}]}],
            tools=[{"type": "file_search", "vector_store_ids": [store.id]}],
        ),
    ):
        with pytest.raises(openai.BadRequestError, match="no upstream has both"):
            refused()
    assert len(provider.calls()) == asked
    assert one.vector_stores.create(file_ids=[there]).file_counts.completed == 1  # no header is needed


def test_paths_that_are_not_there(gateway: Gateway, provider: SimulatorThread, one: OpenAI) -> None:
    name = one.conversations.create().id
    asked = len(provider.calls())
    with httpx.Client(headers={"authorization": f"Bearer {KEYS['ONE']}"}) as raw:
        for method, path, status in (
            ("PUT", f"/conversations/{name}", 405),
            ("GET", "/conversations", 405),
            ("GET", f"/conversations/{name}/other", 404),
            ("GET", f"/conversations/{name}/items/%2e%2e", 404),
            ("GET", f"/conversations/{name}/items/a%2fb", 404),
            ("GET", f"/conversations/{name}/items?{'x' * 3000}", 400),
        ):
            answer = raw.request(method, f"{gateway.url}/v1{path}")
            assert (answer.status_code, path) == (status, path)
    assert len(provider.calls()) == asked


def test_a_restart_forgets_nothing(provider: SimulatorThread, tmp_path: Path) -> None:
    config = CONFIG.format(url=provider.url)
    first = start_gateway(tmp_path / "a", config, env=KEYS, data_dir=tmp_path / "data")
    with client(first, "ONE") as sdk:
        talk = sdk.conversations.create()
        sdk.vector_stores.create(name="kept")
    first.kill()
    second = start_gateway(tmp_path / "b", config, env=KEYS, data_dir=tmp_path / "data")
    try:
        with client(second, "ONE") as sdk:
            assert sdk.conversations.retrieve(talk.id) == talk
            assert [one.name for one in sdk.vector_stores.list()] == ["kept"]
    finally:
        second.kill()
