"""The simulator's Anthropic surface, met by the official SDK."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic
from anthropic.types import Message
from tests.support.simulator import SimulatorThread, simulator_thread
from tests.support.strict_models import read_strictly

from tidegate.simulator.behaviour import profile_from

MODEL = "claude-sonnet-5-5"
USER = {"role": "user", "content": "When does the tide turn?"}
TOOLS: list[Any] = [
    {
        "name": name,
        "description": "…",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
    for name in ("get_weather", "get_tide")
]
BOTH = {"role": "user", "content": "weather and tide, please"}
THINKING = {"type": "enabled", "budget_tokens": 1024}


@pytest.fixture(scope="module")
def thread() -> Iterator[SimulatorThread]:
    with simulator_thread(profile_from({"keys": {"sk-wrong": "401"}})) as thread:
        yield thread


@pytest.fixture
def simulator(thread: SimulatorThread) -> SimulatorThread:
    thread.reset()
    return thread


@pytest.fixture
def client(simulator: SimulatorThread) -> Iterator[Anthropic]:
    with Anthropic(base_url=simulator.url, api_key="sk-ant", max_retries=0) as client:
        yield client


def create(client: Anthropic, **fields: Any) -> Message:
    asked: dict[str, Any] = {"model": MODEL, "max_tokens": 2000, "messages": [USER], **fields}
    raw = client.messages.with_raw_response.create(**asked)
    return read_strictly(Message, raw.text())  # type: ignore[type-var]


def streamed(client: Anthropic, **fields: Any) -> tuple[list[str], Message]:
    asked: dict[str, Any] = {"model": MODEL, "max_tokens": 2000, "messages": [USER], **fields}
    with client.messages.stream(**asked) as stream:
        kinds = [event.type for event in stream]
        return kinds, stream.get_final_message()


def content(message: Message) -> list[dict[str, Any]]:
    return [block.model_dump(mode="json", exclude_none=True) for block in message.content]


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "system": {"system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]},
    "short": {"max_tokens": 3},
    "thinking": {"thinking": THINKING},
    "adaptive": {"thinking": {"type": "adaptive"}},
    "hidden thinking": {"thinking": {**THINKING, "display": "omitted"}},
    "tools": {"messages": [BOTH], "tools": TOOLS},
    "one tool": {
        "messages": [BOTH],
        "tools": TOOLS,
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    },
    "named tool": {"tools": TOOLS, "tool_choice": {"type": "tool", "name": "get_tide"}},
    "no tool": {"messages": [BOTH], "tools": TOOLS, "tool_choice": {"type": "none"}},
    "thinking and tools": {"messages": [BOTH], "tools": TOOLS, "thinking": THINKING},
    "schema": {
        "output_config": {
            "format": {
                "type": "json_schema",
                "schema": {
                    "type": "object",
                    "properties": {"hour": {"type": "integer"}},
                    "required": ["hour"],
                    "additionalProperties": False,
                },
            }
        }
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_says_what_the_whole_answer_says(client: Anthropic, variant: str) -> None:
    whole = create(client, **VARIANTS[variant])
    kinds, found = streamed(client, **VARIANTS[variant])
    assert content(found) == content(whole)
    assert (found.stop_reason, found.stop_sequence) == (whole.stop_reason, whole.stop_sequence)
    assert found.usage.output_tokens == whole.usage.output_tokens
    assert found.usage.input_tokens == whole.usage.input_tokens
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")


def test_every_streamed_event_is_named_and_typed(client: Anthropic, simulator: SimulatorThread) -> None:
    asked: dict[str, Any] = {"model": MODEL, "max_tokens": 2000, "messages": [BOTH], "tools": TOOLS}
    response = client.messages.with_raw_response.create(**asked, thinking={"type": "adaptive"}, stream=True)
    seen = [event.type for event in response.parse()]
    assert seen[:2] == ["message_start", "content_block_start"]
    assert seen[-2:] == ["message_delta", "message_stop"]
    assert response.headers["content-type"].startswith("text/event-stream")


def test_parallel_tools_and_their_results(client: Anthropic) -> None:
    first = create(client, messages=[BOTH], tools=TOOLS, thinking=THINKING)
    assert first.stop_reason == "tool_use"
    assert [block.type for block in first.content] == ["thinking", "tool_use", "tool_use"]
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "fine"}
        for block in first.content
        if block.type == "tool_use"
    ]
    turns = [BOTH, {"role": "assistant", "content": content(first)}, {"role": "user", "content": results}]
    second = create(client, messages=turns, tools=TOOLS, thinking=THINKING)
    assert second.stop_reason == "end_turn"
    assert second.content[-1].type == "text"


@pytest.mark.parametrize("display", ["summarized", "omitted"])
def test_thoughts_come_back_as_they_were_or_are_refused(client: Anthropic, display: str) -> None:
    thinking = {**THINKING, "display": display}
    first = create(client, thinking=thinking)
    thought = content(first)[0]
    assert bool(thought["thinking"]) == (display == "summarized")

    def again(block: dict[str, Any]) -> Message:
        said = {"role": "assistant", "content": [block, content(first)[1]]}
        return create(client, messages=[USER, said, USER], thinking=thinking)

    assert again(thought).stop_reason == "end_turn"
    for wrong in ({"signature": "bm90IG91cnM="}, {"signature": ""}, {"thinking": "edited"}):
        with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
            again({**thought, **wrong})


def test_redacted_thoughts(client: Anthropic) -> None:
    asked = {"role": "user", "content": "ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING_46C9"}
    first = create(client, messages=[asked], thinking=THINKING)
    assert [block.type for block in first.content] == ["redacted_thinking", "text"]
    assert content(streamed(client, messages=[asked], thinking=THINKING)[1]) == content(first)
    said = {"role": "assistant", "content": content(first)}
    assert create(client, messages=[asked, said, USER], thinking=THINKING).content
    said["content"] = [{"type": "redacted_thinking", "data": "AAAA"}, content(first)[1]]
    with pytest.raises(anthropic.BadRequestError, match="Invalid `data`"):
        create(client, messages=[asked, said, USER], thinking=THINKING)


def test_stop_sequences(client: Anthropic, simulator: SimulatorThread) -> None:
    simulator.change(MODEL, text="one two three")
    found = create(client, stop_sequences=["three", "two"])
    assert (found.stop_reason, found.stop_sequence) == ("stop_sequence", "two")
    assert content(found) == [{"type": "text", "text": "one "}]
    assert create(client, stop_sequences=["four"]).stop_reason == "end_turn"


def test_length(client: Anthropic, simulator: SimulatorThread) -> None:
    found = create(client, max_tokens=3)
    assert (found.stop_reason, found.usage.output_tokens) == ("max_tokens", 3)
    assert create(client, max_tokens=0).content == []


@pytest.mark.parametrize("refusal", ["answer", "prompt"])
def test_refusals(client: Anthropic, simulator: SimulatorThread, refusal: str) -> None:
    simulator.change(MODEL, refusal=refusal)
    found = create(client)
    assert found.stop_reason == "refusal"
    assert found.stop_details is not None
    assert bool(found.content) == (refusal == "answer")
    assert streamed(client)[1].stop_reason == "refusal"


def test_the_prompt_cache_is_written_and_then_read(client: Anthropic) -> None:
    marked = {"type": "text", "text": "x" * 9000, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    asked = {"messages": [{"role": "user", "content": [marked, {"type": "text", "text": "and?"}]}]}
    first, second = create(client, **asked).usage, create(client, **asked).usage
    assert first.cache_creation_input_tokens == second.cache_read_input_tokens > 2000
    assert first.cache_read_input_tokens == second.cache_creation_input_tokens == 0
    assert first.cache_creation is not None
    assert first.cache_creation.ephemeral_1h_input_tokens == first.cache_creation_input_tokens
    assert first.input_tokens == second.input_tokens < 100
    usage = streamed(client, **asked)[1].usage
    assert usage.cache_read_input_tokens == second.cache_read_input_tokens
    plain = create(client, messages=[{"role": "user", "content": "y" * 9000}]).usage
    assert plain.cache_creation_input_tokens == plain.cache_read_input_tokens == 0


def test_counting_tokens(client: Anthropic) -> None:
    counted = client.messages.count_tokens(model=MODEL, messages=[BOTH], tools=TOOLS, system="Be brief.")  # type: ignore[list-item]
    usage = create(client, messages=[BOTH], tools=TOOLS, system="Be brief.").usage
    assert counted.input_tokens == usage.input_tokens > 0


def test_models(client: Anthropic) -> None:
    assert MODEL in {model.id for model in client.models.list()}
    assert client.models.retrieve(MODEL).display_name == MODEL
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("nope")


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        ("400", anthropic.BadRequestError, "invalid_request_error"),
        ("401", anthropic.AuthenticationError, "authentication_error"),
        ("403", anthropic.PermissionDeniedError, "permission_error"),
        ("413", anthropic.APIStatusError, "request_too_large"),
        ("429", anthropic.RateLimitError, "rate_limit_error"),
        ("500", anthropic.InternalServerError, "api_error"),
        ("503", anthropic.InternalServerError, "api_error"),
        ("504", anthropic.InternalServerError, "timeout_error"),
        ("529", anthropic.InternalServerError, "overloaded_error"),
    ],
)
def test_errors(client: Anthropic, simulator: SimulatorThread, status: str, error: type[Exception], kind: str) -> None:
    simulator.change(MODEL, script=[status])
    with pytest.raises(error) as caught:
        client.messages.create(model=MODEL, max_tokens=9, messages=[USER])  # type: ignore[list-item]
    assert isinstance(caught.value, anthropic.APIStatusError)
    body: Any = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", kind)
    assert body["request_id"] == caught.value.request_id


def test_a_spend_limit_is_not_to_be_tried_again(client: Anthropic, simulator: SimulatorThread) -> None:
    simulator.change(MODEL, script=["429/insufficient_quota"])
    with pytest.raises(anthropic.RateLimitError) as caught:
        client.with_options(max_retries=2).messages.create(model=MODEL, max_tokens=9, messages=[USER])  # type: ignore[list-item]
    body: Any = caught.value.body
    assert body["error"]["details"]["error_code"] == "enforced_spend_limit_reached"
    assert len(simulator.calls(MODEL)) == 1


def test_windows_and_their_headers(client: Anthropic, simulator: SimulatorThread) -> None:
    simulator.change(MODEL, limit={"requests": 1, "tokens": 5000, "window": "60s"})
    raw = client.messages.with_raw_response.create(model=MODEL, max_tokens=9, messages=[USER])  # type: ignore[list-item]
    assert raw.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert raw.headers["anthropic-ratelimit-input-tokens-limit"] == "5000"
    assert raw.headers["anthropic-ratelimit-tokens-reset"].endswith("Z")
    with pytest.raises(anthropic.RateLimitError) as caught:
        client.messages.create(model=MODEL, max_tokens=9, messages=[USER])  # type: ignore[list-item]
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 60
    assert "openai" not in caught.value.message


def test_an_error_in_the_middle_of_a_stream(client: Anthropic, simulator: SimulatorThread) -> None:
    simulator.change(MODEL, script=["error-event"])
    with pytest.raises(anthropic.APIStatusError) as caught:
        streamed(client)
    body: Any = caught.value.body
    assert body["error"]["type"] == "overloaded_error"


def test_steering(client: Anthropic) -> None:
    assert content(create(client, model=f"{MODEL}#text=Exactly")) == [{"type": "text", "text": "Exactly"}]
    assert content(create(client, metadata={"sim": "text=This"})) == [{"type": "text", "text": "This"}]
    assert content(create(client, extra_headers={"x-sim": "text=So"})) == [{"type": "text", "text": "So"}]


def test_without_usage(client: Anthropic) -> None:
    raw = client.messages.with_raw_response.create(
        model=f"{MODEL}#usage=false",
        max_tokens=9,
        messages=[USER],  # type: ignore[list-item]
    )
    assert "usage" not in json.loads(raw.text())


def test_a_wrong_key(simulator: SimulatorThread) -> None:
    with (
        Anthropic(base_url=simulator.url, api_key="sk-wrong", max_retries=0) as client,
        pytest.raises(anthropic.AuthenticationError),
    ):
        create(client)
