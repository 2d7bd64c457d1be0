"""The simulator's Responses API, met by the official SDK."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AzureOpenAI, OpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from tests.support.simulator import SimulatorThread, simulator_thread
from tests.support.strict_models import _unknown_fields, read_strictly

MODEL = "gpt-4.1"
TOOLS: list[Any] = [
    {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {"city": {}}}},
    {"type": "function", "name": "get_tide", "parameters": {"type": "object", "properties": {}}},
]
QUESTION = "weather and tide, as json"
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


@pytest.fixture(scope="module")
def thread() -> Iterator[SimulatorThread]:
    with simulator_thread() as thread:
        yield thread


@pytest.fixture
def simulator(thread: SimulatorThread) -> SimulatorThread:
    thread.reset()
    return thread


@pytest.fixture
def client(simulator: SimulatorThread) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{simulator.url}/v1", api_key="sk-x", max_retries=0) as client:
        yield client


def create(client: OpenAI, **fields: Any) -> Response:
    asked: dict[str, Any] = {"model": MODEL, "input": QUESTION, **fields}
    return read_strictly(Response, client.responses.with_raw_response.create(**asked).text)


def streamed(client: OpenAI, **fields: Any) -> list[Any]:
    """The events, each as its type reads it strictly."""
    asked: dict[str, Any] = {"model": MODEL, "input": QUESTION, **fields}
    raw = client.responses.with_raw_response.create(**asked, stream=True).http_response
    found: list[Any] = []
    for block in raw.read().decode().split("\n\n"):
        if not block:
            continue
        name, data = block.split("\n")
        event = EVENTS.validate_json(data.removeprefix("data: "))
        assert name == f"event: {event.type}"
        assert list(_unknown_fields(event, event.type)) == []
        found.append(event)
    assert [event.sequence_number for event in found] == list(range(len(found)))
    return found


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "items": {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}], "instructions": "Be."},
    "short": {"max_output_tokens": 16},
    "reasoning": {"reasoning": {"effort": "low"}},
    "summary": {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]},
    "tools": {"tools": TOOLS},
    "reasoning and tools": {"tools": TOOLS, "reasoning": {"effort": "low", "summary": "auto"}},
    "one tool": {"tools": TOOLS, "parallel_tool_calls": False},
    "named tool": {"tools": TOOLS, "tool_choice": {"type": "function", "name": "get_tide"}},
    "custom tool": {"tools": [{"type": "custom", "name": "tide_note"}]},
    "json": {"text": {"format": {"type": "json_object"}}},
    "logprobs": {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_says_what_the_whole_answer_says(client: OpenAI, variant: str) -> None:
    whole = create(client, **VARIANTS[variant])
    events = streamed(client, **VARIANTS[variant])
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    final = events[-1].response
    assert events[-1].type == f"response.{whole.status}"
    assert told(final) == told(whole)
    assert (final.usage, final.output_text) == (whole.usage, whole.output_text)
    for index, item in enumerate(final.output):
        mine = [event for event in events if getattr(event, "output_index", None) == index]
        assert (mine[0].type, mine[-1].type) == ("response.output_item.added", "response.output_item.done")
        assert mine[-1].item == item
        assert {event.item_id for event in mine if hasattr(event, "item_id")} <= {item.id}
        deltas = "".join(event.delta for event in mine if event.type.endswith(".delta"))
        if item.type == "message":
            assert deltas == whole.output_text
        elif item.type == "function_call":
            assert deltas == item.arguments
        elif item.type == "reasoning":
            assert deltas == "".join(part.text for part in item.summary)


def told(response: Response) -> list[dict[str, Any]]:
    """All but the ids, which are another call's; a ciphertext ends with one."""
    dumped = [item.model_dump(exclude={"id"}) for item in response.output]
    return [one | {"encrypted_content": str(one.get("encrypted_content")).partition(".")[0]} for one in dumped]


def test_the_sdks_own_stream(client: OpenAI) -> None:
    with client.responses.stream(model=MODEL, input="hi") as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert stream.get_final_response().output_text == text


def test_calls_and_their_outputs(client: OpenAI) -> None:
    asked: list[Any] = [{"role": "user", "content": QUESTION}]
    settings: dict[str, Any] = {
        "tools": TOOLS,
        "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    first = create(client, input=asked, **settings)
    assert [item.type for item in first.output] == ["reasoning", "function_call", "function_call"]
    asked += [item.model_dump(exclude_none=True) for item in first.output]
    asked += [
        {"type": "function_call_output", "call_id": item.call_id, "output": "fine"}
        for item in first.output
        if item.type == "function_call"
    ]
    assert create(client, input=asked, **settings).output_text
    asked[1] = {**asked[1], "encrypted_content": "bm90IG91cnM="}
    with pytest.raises(openai.BadRequestError) as caught:
        create(client, input=asked, **settings)
    assert caught.value.code == "invalid_encrypted_content"


@pytest.mark.parametrize("refusal", ["answer", "prompt"])
def test_refusals(client: OpenAI, simulator: SimulatorThread, refusal: str) -> None:
    simulator.change(MODEL, refusal=refusal)
    found, last = create(client), streamed(client)[-1].response
    assert told(found) == told(last)
    if refusal == "answer":
        message = found.output[0]
        assert message.type == "message"
        assert message.content[0].type == "refusal"
    else:
        assert found.incomplete_details is not None
        assert found.incomplete_details.reason == "content_filter"
        assert found.output == []


def test_counting_tokens(client: OpenAI) -> None:
    counted = client.responses.input_tokens.count(model=MODEL, input=QUESTION)
    usage = create(client).usage
    assert usage is not None
    assert counted.input_tokens == usage.input_tokens


def test_errors(client: OpenAI, simulator: SimulatorThread) -> None:
    simulator.change(MODEL, script=["503", "429"])
    for error in (openai.InternalServerError, openai.RateLimitError):
        with pytest.raises(error):
            create(client)
    with pytest.raises(openai.NotFoundError):
        create(client, model="nope")


def test_an_error_in_the_middle_of_a_stream(client: OpenAI, simulator: SimulatorThread) -> None:
    simulator.change(MODEL, script=["error-event"])
    events = list(client.responses.create(model=MODEL, input="hi", stream=True))
    assert events[-1].type == "error"
    assert "response.completed" not in {event.type for event in events}


def test_azure(simulator: SimulatorThread) -> None:
    client = AzureOpenAI(azure_endpoint=simulator.url, api_key="k", api_version="2025-04-01-preview", max_retries=0)
    with client:
        assert client.responses.create(model=MODEL, input="hi").output_text
    with OpenAI(base_url=f"{simulator.url}/openai/v1", api_key="k", max_retries=0) as newer:
        assert newer.responses.create(model=MODEL, input="hi").output_text


def test_responses_are_kept(client: OpenAI) -> None:
    told = create(client, stream=False)
    assert client.responses.retrieve(told.id) == told
    with client.responses.retrieve(told.id, stream=True) as stream:
        assert [event.type for event in stream][-1] == "response.completed"
    (item,) = client.responses.input_items.list(told.id)
    assert item.to_dict()["content"] == [{"type": "input_text", "text": QUESTION}]
    assert create(client, previous_response_id=told.id).previous_response_id == told.id
    create(client, input=[{"type": "item_reference", "id": told.output[0].id}])
    client.responses.delete(told.id)
    for refused in (
        lambda: client.responses.retrieve(told.id),
        lambda: client.responses.retrieve(create(client, store=False).id),
        lambda: client.responses.input_items.list("resp_none"),
    ):
        with pytest.raises(openai.NotFoundError):
            refused()
    with pytest.raises(openai.BadRequestError, match="not found"):
        create(client, previous_response_id=told.id)


def test_calls_of_an_earlier_response_are_answered(client: OpenAI) -> None:
    told = create(client, tools=TOOLS)
    outputs: list[Any] = [
        {"type": "function_call_output", "call_id": item.call_id, "output": "64 degrees"}
        for item in told.output
        if item.type == "function_call"
    ]
    assert create(client, previous_response_id=told.id, input=outputs).output_text
    outputs[0]["call_id"] = "call_none"
    with pytest.raises(openai.BadRequestError, match="No tool call found"):
        create(client, previous_response_id=told.id, input=outputs)


def test_what_one_credential_made_is_no_others(client: OpenAI) -> None:
    told = create(client, reasoning={"effort": "low"}, include=["reasoning.encrypted_content"], store=False)
    items: Any = [*told.output, {"role": "user", "content": "And?"}]
    assert create(client, input=items).output_text
    with pytest.raises(openai.BadRequestError) as caught:
        create(client.with_options(api_key="sk-y"), input=items)
    assert caught.value.code == "invalid_encrypted_content"
    kept = create(client)
    with pytest.raises(openai.NotFoundError):
        client.with_options(api_key="sk-y").responses.retrieve(kept.id)


def test_the_background(client: OpenAI) -> None:
    told = create(client, background=True)
    assert (told.status, told.output, told.usage) == ("queued", [], None)
    assert client.responses.retrieve(told.id).status == "in_progress"
    done = client.responses.retrieve(told.id)
    assert (done.status, done.usage is not None) == ("completed", True)
    assert client.responses.cancel(told.id).status == "completed"
    other = create(client, background=True)
    assert client.responses.cancel(other.id).status == "cancelled"
    assert client.responses.retrieve(other.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(create(client).id)


def test_compacting(client: OpenAI) -> None:
    raw = client.responses.with_raw_response.compact(model=MODEL, input=QUESTION)
    assert raw.parse().usage.output_tokens > 0
    items: Any = [*json.loads(raw.text)["output"], {"role": "user", "content": "And?"}]
    assert create(client, input=items).output_text
