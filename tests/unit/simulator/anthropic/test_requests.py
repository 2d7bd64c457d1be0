"""What Anthropic refuses of a request, and in which words."""

import base64
import json
from typing import Any

import pytest

from tidegate.simulator.anthropic.fields import Fields
from tidegate.simulator.anthropic.message_request import MessageRequest, read_message
from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.rejection import Rejection

OLD, NEW = b"2023-06-01", b"2026-10-21"
USER = {"role": "user", "content": "hi"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
CALLING = {"role": "assistant", "content": [CALL]}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "4"}
ANSWERING = {"role": "user", "content": [RESULT]}
TOOL = {"name": "get_weather", "input_schema": {"type": "object"}}
PNG = base64.b64encode(b"png").decode()
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
MARK = {"cache_control": {"type": "ephemeral"}}


def read(version: bytes = OLD, behaviour: Behaviour | None = None, **fields: Any) -> MessageRequest:
    asked = {"model": "m", "max_tokens": 2000, "messages": [USER], **fields}
    body = json.dumps({name: value for name, value in asked.items() if value is not ...}).encode()
    return read_message(Fields.of_body(body), version, behaviour or Behaviour())


def text(*values: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": value, **more} for value in values]}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_tokens": ...}, "max_tokens: Field required"),
        ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
        ({"max_tokens": "5"}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": 10**6}, "which is the maximum allowed number of output tokens"),
        ({"n": 2}, "n: Extra inputs are not permitted"),
        ({"messages": ...}, "messages: Field required"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": "hi"}, "messages: Input should be a valid list"),
        ({"messages": ["hi"]}, "messages.0: Input should be an object"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, 'first message must use the "user" role'),
        ({"messages": [{"role": "tool", "content": "hi"}]}, "messages.0.role: Input should be 'user', 'assistant' or"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages.0: all messages must have non-empty content"),
        ({"messages": [{"role": "user", "content": []}]}, "messages.0: all messages must have non-empty content"),
        ({"messages": [text("")]}, "messages: text content blocks must be non-empty"),
        ({"messages": [text("a", " \n")]}, "messages: text content blocks must contain non-whitespace text"),
        ({"messages": [{**USER, "name": "ann"}]}, "messages.0.name: Extra inputs are not permitted"),
        ({"messages": [text("hi", index=1)]}, "messages.0.content.0.index: Extra inputs are not permitted"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages.0.content.0: Input tag 'video'"),
        ({"messages": [USER, {"role": "assistant", "content": "hm "}]}, "cannot end with trailing whitespace"),
        ({"messages": [{"role": "user", "content": [CALL]}]}, "can only be in `assistant` messages"),
        ({"messages": [USER, {"role": "assistant", "content": [RESULT]}]}, "can only be in `user` messages"),
        ({"messages": [ANSWERING]}, "unexpected `tool_use_id` found in `tool_result` blocks: toolu_1"),
        ({"messages": [USER, CALLING]}, "`tool_use` ids were found without `tool_result` blocks immediately after"),
        ({"messages": [USER, CALLING, USER]}, "`tool_use` ids were found without `tool_result` blocks"),
        ({"messages": [USER, CALLING, ANSWERING, CALLING, ANSWERING]}, "`tool_use` ids must be unique"),
        (
            {"messages": [USER, CALLING, {"role": "user", "content": [{"type": "text", "text": "so"}, RESULT]}]},
            "`tool_result` blocks must come before",
        ),
        (
            {"messages": [USER, {"role": "assistant", "content": [{**CALL, "id": "a:b"}]}, USER]},
            "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        ),
        (
            {"messages": [USER, {"role": "assistant", "content": [{**CALL, "input": "{}"}]}, USER]},
            "input: Input should be a valid dictionary",
        ),
        (
            {"messages": [USER, {"role": "assistant", "content": [{"type": "thinking", "thinking": "x"}]}, USER]},
            "signature: Field required",
        ),
        ({"messages": [{"role": "user", "content": [{**IMAGE, "source": {"type": "url", "url": "x"}}]}]}, "HTTPS"),
        (
            {"messages": [{"role": "user", "content": [{**IMAGE, "source": {**IMAGE["source"], "data": "?"}}]}]},
            "valid base64",
        ),
        ({"system": [{"type": "text", "text": ""}]}, "system: text content blocks must be non-empty"),
        ({"system": [IMAGE]}, "system.0.type: Input should be 'text'"),
        ({"messages": [text(*"abcde", **MARK)]}, "A maximum of 4 blocks with cache_control may be provided. Found 5."),
        ({"stop_sequences": ["\n"]}, "each stop sequence must contain non-whitespace"),
        ({"temperature": 1.5}, "temperature: range: 0..1"),
        ({"thinking": {"type": "enabled"}}, "thinking.enabled.budget_tokens: Field required"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 1000}},
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        ),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "must be greater than `thinking.budget_tokens`"),
        ({"thinking": {"type": "adaptive"}, "temperature": 0.5}, "`temperature` may only be set to 1"),
        ({"thinking": {"type": "adaptive"}, "top_k": 5}, "`top_k` must be unset"),
        (
            {"thinking": {"type": "adaptive"}, "tools": [TOOL], "tool_choice": {"type": "any"}},
            "Thinking may not be enabled when tool_choice forces tool use.",
        ),
        (
            {
                "thinking": {"type": "enabled", "budget_tokens": 1024},
                "messages": [USER, CALLING, ANSWERING],
            },
            "Expected `thinking` or `redacted_thinking`, but found `tool_use`",
        ),
        ({"tools": [{"name": "f"}]}, "tools.0.custom.input_schema: Field required"),
        ({"tools": [{**TOOL, "name": "a b"}]}, "tools.0.custom.name: String should match pattern"),
        ({"tools": [TOOL, TOOL]}, "tools: Tool names must be unique."),
        ({"tools": [{**TOOL, "input_schema": {}}]}, "tools.0.custom.input_schema.type: Input should be 'object'"),
        ({"tools": [{**TOOL, "type": "function"}]}, "tools.0: Input tag 'function'"),
        ({"tool_choice": {"type": "auto"}}, "tool_choice may only be specified while providing tools."),
        ({"tools": [TOOL], "tool_choice": {"type": "required"}}, "tool_choice.type: Input should be"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "f"}}, "Tool 'f' not found in provided tools"),
        ({"output_config": {"effort": "minimal"}}, "output_config.effort: Input should be 'low'"),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            "'additionalProperties' must be explicitly set to false",
        ),
        ({"metadata": {"user": "ann"}}, "metadata.user: Extra inputs are not permitted"),
    ],
)
def test_refusals(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(Rejection) as caught:
        read(**fields)
    assert caught.value.status == 400
    assert message in caught.value.message


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_samplers_depend_on_the_version(name: str) -> None:
    assert read(OLD, **{name: 1})
    with pytest.raises(Rejection, match=name):
        read(NEW, **{name: 1})


def test_what_the_newer_version_refuses_of_blocks() -> None:
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}
    turns = [USER, {"role": "assistant", "content": [document]}, USER]
    assert read(OLD, messages=turns)
    with pytest.raises(Rejection, match="document"):
        read(NEW, messages=turns)
    cited = text("hi", citations=[{"type": "char_location"}])
    assert read(OLD, messages=[cited])
    with pytest.raises(Rejection, match="citations"):
        read(NEW, messages=[cited])


def test_what_is_read() -> None:
    found = read(
        messages=[USER, CALLING, {"role": "user", "content": [RESULT, IMAGE]}],
        tools=[TOOL, {"type": "web_search_20260318", "name": "web_search"}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        stop_sequences=["x"],
        stream=True,
    )
    assert (found.answers_tool, found.tool_choice, found.parallel, found.stop) == (True, "required", False, ("x",))
    assert [tool.name for tool in found.tools] == ["get_weather"]
    assert (found.limit, found.stream, found.thinks) == (2000, True, False)


def test_messages_of_one_role_are_one_turn() -> None:
    assert read(messages=[USER, USER, {"role": "assistant", "content": "a"}, {"role": "system", "content": "s"}, USER])


def test_the_last_marker_ends_what_can_be_cached() -> None:
    system = [{"type": "text", "text": "rules", **MARK}]
    found = read(system=system, messages=[USER])
    assert found.prompt.startswith(found.cacheable)
    assert b"rules" in found.cacheable
    assert b"hi" not in found.cacheable
    whole = read(system=system, messages=[USER], cache_control={"type": "ephemeral", "ttl": "1h"})
    assert (whole.cacheable, whole.cache_ttl) == (whole.prompt, "1h")


def test_unknown_fields_pass_where_the_model_is_lenient() -> None:
    assert read(behaviour=Behaviour(strict=False), n=2)
