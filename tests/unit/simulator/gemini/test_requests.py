"""What Gemini refuses of a request, and in which words."""

import json
from typing import Any

import pytest

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.gemini.content_request import ContentRequest, read_generate
from tidegate.simulator.gemini.embeddings import read_embed
from tidegate.simulator.gemini.fields import Fields
from tidegate.simulator.gemini.rejection import error_fields
from tidegate.simulator.rejection import Rejection

USER = {"role": "user", "parts": [{"text": "hi"}]}
CALL = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}
RESULT = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}


def parsed(body: dict[str, Any]) -> Fields:
    return Fields.of_body(json.dumps({name: value for name, value in body.items() if value is not ...}).encode())


def read(name: str = "gemini-2.5-flash", **fields: Any) -> ContentRequest:
    return read_generate(parsed({"contents": [USER], **fields}), name, False, Behaviour())


def declare(**fields: Any) -> dict[str, Any]:
    return {"tools": [{"functionDeclarations": [{"name": "f", **fields}]}]}


def parts(*found: dict[str, Any]) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": list(found)}]}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"contents": ...}, "contents is not specified"),
        ({"contents": []}, "contents is not specified"),
        ({"contents": "hi"}, "Invalid value at 'contents'"),
        ({"messages": []}, 'Unknown name "messages": Cannot find field.'),
        ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "Please use a valid role: user, model."),
        ({"contents": [{"role": "system", "parts": [{"text": "x"}]}]}, "Please use a valid role: user, model."),
        ({"contents": [{"role": "user", "parts": []}]}, "contents.parts must not be empty"),
        ({"contents": [{"role": "user", "content": "x"}]}, "Unknown name \"content\" at 'contents[0]'"),
        (parts({}), "required oneof field 'data' must have one initialized field"),
        (parts({"text": "a", "functionCall": {"name": "f"}}), "required oneof field 'data'"),
        (parts({"text": ""}), "empty text parameter"),
        (parts({"text": 3}), "Invalid value at 'contents[0].parts[0].text' (TYPE_STRING), 3"),
        (parts({"inlineData": {"data": "eA=="}}), "mimeType"),
        (parts({"inline_data": {"mime_type": "image/png", "data": "?"}}), "Base64 decoding failed"),
        (parts({"functionResponse": {"response": {}}}), "function_response.name: Name cannot be empty"),
        (
            parts({"functionResponse": {"name": "f", "response": "4"}}),
            "function_response.response', expected an object",
        ),
        ({"contents": [RESULT]}, "function response turn comes immediately after a function call turn"),
        ({"contents": [CALL]}, "function call turn comes immediately after a user turn"),
        ({"contents": [USER, CALL, USER]}, "number of function response parts is equal to the number of function call"),
        (declare(name="a b"), "Invalid function name"),
        (declare(parameters={"type": "object", "$schema": "x"}), 'Unknown name "$schema"'),
        (declare(parameters={"type": ["string", "null"]}), "Proto field is not repeating, cannot start list."),
        (declare(parameters={"type": "object", "required": ["x"]}), "property 'x' is not defined"),
        (declare(parameters={}, parametersJsonSchema={}), "only one of parameters and parameters_json_schema"),
        ({"tools": [{"function": {}}]}, "Unknown name \"function\" at 'tools[0]'"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "without function_declarations"),
        (
            {**declare(), "toolConfig": {"functionCallingConfig": {"mode": "required"}}},
            'tool_config.function_calling_config.mode\' (TYPE_ENUM), "required"',
        ),
        (
            {**declare(), "toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}}},
            "should only be set when the function calling mode is ANY",
        ),
        (
            {**declare(), "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["g"]}}},
            "Function name 'g'",
        ),
        ({"generationConfig": {"temperature": 3}}, "temperature must be at most 2, not 3"),
        ({"generationConfig": {"max_tokens": 3}}, "Unknown name \"maxTokens\" at 'generation_config'"),
        ({"generationConfig": {"stopSequences": list("abcdef")}}, "at most 5 are supported"),
        ({"generationConfig": {"responseSchema": {"type": "OBJECT"}}}, "only supported with response mime type"),
        (
            {"generationConfig": {"thinkingConfig": {"thinkingBudget": 5, "thinking_level": "LOW"}}},
            "only one of thinking budget and thinking level",
        ),
        ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "low"}}}, '(TYPE_ENUM), "low"'),
        ({"generationConfig": {"logprobs": 2}}, "logprobs can only be set if"),
        (
            {**declare(), "generationConfig": {"responseMimeType": "application/json"}},
            "Function calling with a response mime type",
        ),
        ({"safetySettings": [{"category": "x"}]}, "safety_settings[0].threshold"),
    ],
)
def test_refusals(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(Rejection) as caught:
        read(**fields)
    assert caught.value.status == 400
    assert message in caught.value.message
    assert error_fields(caught.value)["error"]["status"] == "INVALID_ARGUMENT"


def test_both_spellings_are_read() -> None:
    spelled = {
        "system_instruction": {"parts": [{"text": "s"}]},
        "generation_config": {"max_output_tokens": 5, "thinking_config": {"include_thoughts": True}},
        "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"x_y": 1}}]}],
        "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
    }
    found = read(**spelled)
    assert (found.limit, found.thinks, found.tool_choice) == (5, True, "=f")
    assert found.tools[0].parameters == {"x_y": 1}
    assert found.prompt.startswith(b"user\ns\n")


def test_googles_types_are_json_schemas_types() -> None:
    closed = {"type": "ARRAY", "items": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}}
    found = read(**declare(parameters={"type": "OBJECT", "properties": {"list": closed}})).tools[0].parameters
    assert found["properties"]["list"]["items"]["properties"]["a"]["type"] == "string"


def test_calls_of_the_newer_models_are_signed() -> None:
    with pytest.raises(Rejection, match="missing a thought_signature"):
        read("gemini-3-pro", contents=[USER, CALL, RESULT])
    earlier = [USER, CALL, RESULT, {"role": "model", "parts": [{"text": "so"}]}, USER]
    assert read("gemini-3-pro", contents=earlier)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"requests": []}, "at least one request"),
        ({"requests": [{"content": {"parts": [{"text": "a"}]}}]}, "requests[0].model"),
        ({"requests": [{"model": "models/other", "content": {"parts": [{"text": "a"}]}}]}, "must match"),
        ({"requests": [{"model": "models/m"}]}, "requests[0].content"),
        (
            {"requests": [{"model": "models/m", "content": {"parts": [{"text": "a"}]}, "taskType": "x"}]},
            "TYPE_ENUM",
        ),
    ],
)
def test_refused_embeddings(body: dict[str, Any], message: str) -> None:
    with pytest.raises(Rejection) as caught:
        read_embed(parsed(body), "m", True, Behaviour(task="embedding"))
    assert message in caught.value.message
