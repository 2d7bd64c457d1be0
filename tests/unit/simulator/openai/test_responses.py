"""What OpenAI's Responses API refuses of a request."""

import json
from typing import Any

import pytest

from tidegate.simulator.openai.fields import Fields
from tidegate.simulator.openai.rejection import Rejection
from tidegate.simulator.openai.response_request import ResponseRequest, read_response

CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "4"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": []}
TOOL = {"type": "function", "name": "f"}
OPEN = {"type": "object", "properties": {"a": {}}, "required": []}


def read(**fields: Any) -> ResponseRequest:
    return read_response(Fields.of_body(json.dumps({"model": "m", "input": "hi", **fields}).encode()), strict=True)


def message(role: str, *parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": role, "content": list(parts), **more}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input": None}, "Missing required parameter: 'input'."),
        ({"input": []}, "empty array"),
        ({"messages": []}, "Unknown parameter: 'messages'."),
        ({"stop": ["x"]}, "Unknown parameter: 'stop'."),
        ({"input": [OUTPUT]}, "No tool call found for function call output with call_id c1."),
        ({"input": [OUTPUT, CALL]}, "No tool call found for function call output with call_id c1."),
        ({"input": [CALL]}, "No tool output found for function call c1."),
        ({"input": [{**CALL, "type": "custom_tool_call", "input": "x"}, OUTPUT]}, "No tool call found"),
        ({"input": [{**CALL, "call_id": "x" * 65}]}, "string too long"),
        ({"input": [{**CALL, "id": "call_1"}]}, "Expected an ID that begins with 'fc'."),
        ({"input": [{**CALL, "arguments": {}}]}, "Invalid type for 'input[0].arguments'"),
        ({"input": [{**OUTPUT, "output": None}]}, "Missing required parameter: 'input[0].output'."),
        ({"input": [{"type": "function"}]}, "Invalid value: 'function'."),
        ({"input": [message("tool")]}, "Invalid value: 'tool'."),
        ({"input": [message("user", {"type": "text", "text": "x"})]}, "'input_text', 'input_image', and 'input_file'"),
        ({"input": [message("user", {"type": "output_text", "text": "x"})]}, "Invalid value: 'output_text'."),
        ({"input": [message("assistant", {"type": "input_text", "text": "x"})]}, "'output_text' and 'refusal'"),
        ({"input": [message("user", {"type": "input_image"})]}, "input[0].content[0].image_url"),
        ({"input": [message("user", id="x")]}, "Expected an ID that begins with 'msg'."),
        ({"input": [message("user", name="x")]}, "Unknown parameter: 'input[0].name'."),
        ({"input": [THOUGHT]}, "without its required following item"),
        ({"input": [THOUGHT, {"role": "user", "content": "x"}]}, "without its required following item"),
        ({"input": [{"type": "reasoning", "id": "rs_1"}]}, "input[0].summary"),
        ({"input": [{**THOUGHT, "encrypted_content": "eA=="}]}, "could not be verified"),
        ({"max_output_tokens": 5}, "Expected a value >= 16"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "Missing required parameter: 'tools[0].name'."),
        ({"tools": [{"type": "functions"}]}, "Invalid value: 'functions'."),
        ({"tools": [{**TOOL, "name": "a.b"}]}, "does not match pattern"),
        ({"tools": [{**TOOL, "strict": True, "parameters": OPEN}]}, "'additionalProperties' is required"),
        (
            {"tools": [{**TOOL, "strict": True, "parameters": {**OPEN, "additionalProperties": False}}]},
            "'required' is required to be supplied",
        ),
        ({"tool_choice": "required"}, "must be specified with 'tools'"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "g"}}, "not found in 'tools'"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {}}}, "'tool_choice.name'"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "json_object"}}}, "must contain the word 'json'"),
        ({"reasoning": {"effort": "huge"}}, "Invalid value: 'huge'."),
        ({"include": ["everything"]}, "Invalid value: 'everything'."),
        ({"stream_options": {"include_obfuscation": False}}, "only allowed when 'stream' is enabled"),
    ],
)
def test_refusals(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(Rejection) as caught:
        read(**fields)
    assert caught.value.status in (400, 404)
    assert message in caught.value.message


def test_what_is_read() -> None:
    found = read(
        input=[{"role": "user", "content": "x"}, CALL, OUTPUT],
        tools=[TOOL, {"type": "web_search"}],
        reasoning={"effort": "low", "summary": "auto"},
        max_output_tokens=20,
    )
    assert (found.answers_tool, found.limit, found.thinks, found.summarizes) == (True, 20, True, True)
    assert [tool.name for tool in found.tools] == ["f"]
    assert found.echoed["reasoning"] == {"effort": "low", "summary": "auto"}
    assert not read(reasoning={"effort": "none"}).thinks
