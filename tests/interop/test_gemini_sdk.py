"""Google's official SDK through the gateway to an OpenAI-speaking provider, and to one of its own dialect."""

import asyncio
import http.client
import json
from collections.abc import Iterator
from typing import Any

import openai
import pydantic
import pytest
from google import genai
from google.genai import errors, types
from tests.support.dialect_gateway import dialect_gateway, last_event
from tests.support.gateway import Gateway
from tests.support.services import CLIENT_KEY, UPSTREAM_KEY
from tests.support.simulator import SimulatorThread

_MORE = """
---
kind: Provider
metadata: {name: anthropic}
spec:
  dialect: anthropic
  baseUrl: URL/v1
  credentials: [{apiKey: {env: SIM_KEY}}]
---
kind: Model
metadata: {name: claude}
spec:
  task: chat
  targets: [{provider: anthropic, model: claude-sonnet-5-5}]
  routing: {attempts: 1}
---
kind: Model
metadata: {name: gemini-3-pro}
spec:
  task: chat
  targets: [{provider: native, model: gemini-3-pro}]
  routing: {attempts: 1}
---
kind: Model
metadata: {name: vectors}
spec:
  task: embedding
  targets: [{provider: native, model: text-embedding-3-small}]
  price: {inputPerMillion: 1.00}
"""
HELLO = "When does the tide turn?"


@pytest.fixture(scope="module")
def gateway(provider: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gemini")
    with dialect_gateway(folder, provider.url, "gemini", "", _MORE.replace("URL", provider.url)) as gateway:
        yield gateway


@pytest.fixture
def simulator(provider: SimulatorThread) -> SimulatorThread:
    provider.reset()
    return provider


def sdk(gateway: Gateway, key: str = CLIENT_KEY, path: str = "", **options: Any) -> genai.Client:
    return genai.Client(
        api_key=key,
        http_options=types.HttpOptions(base_url=gateway.url + path, timeout=10_000, **options),
        vertexai=False,
    )


@pytest.fixture
def client(gateway: Gateway, simulator: SimulatorThread) -> Iterator[genai.Client]:
    with sdk(gateway) as client:
        yield client


def weather(city: str, unit: str) -> dict[str, int]:
    """Weather in a city."""
    return {"degrees": len(city + unit)}


def tide(city: str) -> dict[str, int]:
    """Tide at a city."""
    return {"metres": len(city)}


@pytest.mark.parametrize("model", ["gpt-4.1", "native"])
def test_whole_and_streamed_say_the_same(client: genai.Client, gateway: Gateway, model: str) -> None:
    whole = client.models.generate_content(model=model, contents=HELLO)
    assert whole.candidates is not None and whole.usage_metadata is not None
    assert (whole.model_version, whole.candidates[0].finish_reason) == (model, types.FinishReason.STOP)
    chunks = list(client.models.generate_content_stream(model=model, contents=HELLO))
    assert "".join(chunk.text or "" for chunk in chunks) == whole.text
    assert len(chunks) > 2
    assert {chunk.model_version for chunk in chunks} == {model}
    reasons = [chunk.candidates[0].finish_reason for chunk in chunks if chunk.candidates]
    assert reasons == [None] * (len(reasons) - 1) + [types.FinishReason.STOP]
    usage = chunks[-1].usage_metadata
    assert usage is not None
    assert usage.total_token_count == whole.usage_metadata.total_token_count
    event = last_event(gateway)
    assert (event.dialect, event.stream, event.model, event.outcome) == ("gemini", True, model, "ok")
    assert (event.usage.input_total, event.usage.output_total) == (
        usage.prompt_token_count,
        usage.candidates_token_count,
    )
    assert event.usage.source == "reported"
    assert event.cost_nano is not None


@pytest.mark.parametrize("version", ["v1", "v1beta"])
@pytest.mark.parametrize("path", ["", "/gemini"])
def test_every_version_and_the_prefix(gateway: Gateway, simulator: SimulatorThread, version: str, path: str) -> None:
    with sdk(gateway, path=path, api_version=version) as client:
        assert client.models.generate_content(model="models/gpt-4.1", contents=HELLO).text


def test_a_model_with_a_slash(client: genai.Client) -> None:
    answer = client.models.generate_content(model="meta-llama/Llama-3.1-8B-Instruct", contents=HELLO)
    assert answer.model_version == "meta-llama/Llama-3.1-8B-Instruct"


def test_settings(client: genai.Client, simulator: SimulatorThread) -> None:
    config = types.GenerateContentConfig(
        system_instruction="Be brief.",
        max_output_tokens=3,
        temperature=0.2,
        top_p=0.9,
        seed=7,
        stop_sequences=["xyz"],
        safety_settings=[
            types.SafetySetting(
                category=types.HarmCategory.HARM_CATEGORY_HATE_SPEECH, threshold=types.HarmBlockThreshold.OFF
            )
        ],
    )
    answer = client.models.generate_content(model="gpt-4.1", contents=[HELLO], config=config)
    assert answer.candidates is not None and answer.usage_metadata is not None
    assert answer.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert answer.usage_metadata.candidates_token_count == 3
    assert answer.sdk_http_response is not None and answer.sdk_http_response.headers is not None
    assert answer.sdk_http_response.headers["x-tidegate-dropped"] == "safetySettings"


def test_pictures_and_an_answer_by_a_schema(client: genai.Client) -> None:
    class Tide(pydantic.BaseModel):
        place: str
        metres: int

    picture = types.Part.from_bytes(data=b"\xfb\xff\xfe", mime_type="image/png")
    answer = client.models.generate_content(
        model="gpt-4.1",
        contents=[picture, "How high is it?"],
        config=types.GenerateContentConfig(response_mime_type="application/json", response_schema=Tide),
    )
    assert isinstance(answer.parsed, Tide)


@pytest.mark.parametrize(
    ("model", "stream"),
    [("gpt-4.1", False), ("gpt-4.1", True), ("native", False), ("native", True), ("gemini-3-pro", False)],
)
def test_functions_are_called_by_the_sdk_itself(
    client: genai.Client, simulator: SimulatorThread, model: str, stream: bool
) -> None:
    chat = client.chats.create(model=model, config=types.GenerateContentConfig(tools=[weather, tide]))
    question = "call the tools weather and tide, please"
    if stream:
        text = "".join(chunk.text or "" for chunk in chat.send_message_stream(question))
    else:
        text = chat.send_message(question).text or ""
    assert text
    parts = [part for content in chat.get_history(curated=True) for part in content.parts or ()]
    calls = [part.function_call for part in parts if part.function_call]
    results = [part.function_response for part in parts if part.function_response]
    assert {call.name for call in calls} <= {"weather", "tide"}
    assert [call.name for call in calls] == [result.name for result in results]
    assert calls and all(call.args for call in calls)
    assert all("error" not in (result.response or {}) for result in results)


@pytest.mark.parametrize("stream", [False, True])
def test_thoughts_of_another_provider_survive_the_clients_history(
    client: genai.Client, simulator: SimulatorThread, stream: bool
) -> None:
    """The simulated Claude refuses a thought that is not, byte for byte, what it said and signed."""
    thinking = types.ThinkingConfig(thinking_budget=2_000, include_thoughts=True)
    config = types.GenerateContentConfig(tools=[weather, tide], thinking_config=thinking, max_output_tokens=8_000)
    chat = client.chats.create(model="claude", config=config)
    question = "call the tools weather and tide, please"
    if stream:
        text = "".join(chunk.text or "" for chunk in chat.send_message_stream(question))
    else:
        text = chat.send_message(question).text or ""
    assert text
    parts = [part for content in chat.get_history() for part in content.parts or ()]
    assert any(part.thought and part.thought_signature for part in parts)
    assert [call.status for call in simulator.calls("claude-sonnet-5-5")] == [200, 200]


def test_functions_by_hand(client: genai.Client) -> None:
    declaration = types.FunctionDeclaration(
        name="weather",
        parameters=types.Schema(
            type=types.Type.OBJECT,
            properties={"city": types.Schema(type=types.Type.STRING, nullable=False)},
            required=["city"],
        ),
    )
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declaration])],
        tool_config=types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
        ),
    )
    answer = client.models.generate_content(model="gpt-4.1", contents="weather?", config=config)
    assert answer.candidates is not None and answer.function_calls is not None
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    call = answer.function_calls[0]
    assert (call.name, list(call.args or {})) == ("weather", ["city"])
    result = types.Part.from_function_response(name="weather", response={"result": 14})
    contents: list[Any] = [
        types.UserContent("weather?"),
        answer.candidates[0].content,
        types.Content(role="user", parts=[result]),
    ]
    after = client.models.generate_content(
        model="gpt-4.1", contents=contents, config=types.GenerateContentConfig(tools=config.tools)
    )
    assert after.text


def test_errors_are_the_sdks_own(client: genai.Client, gateway: Gateway) -> None:
    with pytest.raises(errors.ClientError) as unknown:
        client.models.generate_content(model="no-such-model", contents=HELLO)
    assert (unknown.value.code, unknown.value.status) == (404, "NOT_FOUND")
    with pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(
            model="gpt-4.1", contents=HELLO, config=types.GenerateContentConfig(candidate_count=2)
        )
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")
    assert "candidateCount" in json.dumps(refused.value.details)
    with sdk(gateway, "wrong") as stranger:
        with pytest.raises(errors.ClientError) as denied:
            list(stranger.models.generate_content_stream(model="gpt-4.1", contents=HELLO))
    assert (denied.value.code, denied.value.status) == (401, "UNAUTHENTICATED")


def test_an_overloaded_provider(client: genai.Client, simulator: SimulatorThread) -> None:
    simulator.change("trial-1", errors={"503": 1})
    with pytest.raises(errors.ServerError) as failed:
        client.models.generate_content(model="trial-1", contents=HELLO)
    assert (failed.value.code, failed.value.status) == (503, "UNAVAILABLE")


def test_the_sdk_retries_where_it_is_told_to(gateway: Gateway, simulator: SimulatorThread) -> None:
    simulator.change("trial-2", script=["503", "ok"])
    options = types.HttpRetryOptions(attempts=3, initial_delay=0.01)
    with sdk(gateway, retry_options=options) as client:
        assert client.models.generate_content(model="trial-2", contents=HELLO).text
    assert [call.status for call in simulator.calls("trial-2")] == [503, 200]


def test_an_error_in_a_stream_is_raised(client: genai.Client, gateway: Gateway, simulator: SimulatorThread) -> None:
    simulator.change("trial-3", faults={"error-event": 1})
    with pytest.raises(errors.ServerError):
        list(client.models.generate_content_stream(model="trial-3", contents=HELLO))
    assert last_event(gateway).outcome == "cut"


def test_a_cut_stream_is_not_taken_for_whole(client: genai.Client, simulator: SimulatorThread) -> None:
    simulator.change("trial-4", faults={"cut-clean": 1})
    with pytest.raises(errors.ServerError):
        list(client.models.generate_content_stream(model="trial-4", contents=HELLO))


def test_models_are_listed_in_googles_shape(client: genai.Client, gateway: Gateway) -> None:
    listed = {model.name for model in client.models.list()}
    assert {"models/gpt-4.1", "models/native", "models/vectors"} <= listed
    assert client.models.get(model="native").display_name == "native"
    with sdk(gateway, api_version="v1beta", path="/gemini") as beta:
        assert {model.name for model in beta.models.list()} == listed
    with pytest.raises(errors.ClientError) as unknown:
        client.models.get(model="no-such-model")
    assert unknown.value.status == "NOT_FOUND"


@pytest.mark.parametrize("path", ["/v1beta/models", "/v1/models", "/gemini/v1beta/models"])
def test_models_are_listed_by_a_key_in_the_query(gateway: Gateway, path: str) -> None:
    """As the REST examples have it, and as health checks of Google's clients call it."""
    told = [http_get(gateway, f"{path}{one}?key={CLIENT_KEY}") for one in ("", "/native", "/no-such-model")]
    assert [status for status, _ in told] == [200, 200, 404]
    assert "models/native" in [model["name"] for model in told[0][1]["models"]]
    assert told[1][1]["name"] == "models/native"
    assert told[2][1]["error"]["status"] == "NOT_FOUND"
    unknown = http_get(gateway, f"{path}?key=wrong")
    assert (unknown[0], unknown[1]["error"]["status"]) == (401, "UNAUTHENTICATED")


def test_a_key_in_the_query_is_for_googles_paths_alone(gateway: Gateway) -> None:
    assert http_get(gateway, f"/v1/files?key={CLIENT_KEY}")[0] == 401


def http_get(gateway: Gateway, target: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(gateway.address, timeout=10)
    connection.request("GET", target)
    answer = connection.getresponse()
    status, told = answer.status, json.loads(answer.read())
    connection.close()
    return status, told


def test_embeddings(client: genai.Client, gateway: Gateway) -> None:
    answer = client.models.embed_content(model="vectors", contents=["tide", "tide", "gate"])
    assert answer.embeddings is not None
    first, second, third = (one.values for one in answer.embeddings)
    assert first == second != third
    assert len(first or ()) == 1536
    event = last_event(gateway)
    assert (event.operation, event.dialect, event.upstream_model) == ("embedding", "gemini", "text-embedding-3-small")
    translated = client.models.embed_content(model="text-embedding-3-small", contents=["tide"])
    assert translated.embeddings is not None
    assert len(translated.embeddings[0].values or ()) == 1536


def test_tokens_are_counted(client: genai.Client) -> None:
    """By the provider where it can, else by an estimate that says what it is."""
    counted = client.models.count_tokens(model="native", contents=HELLO)
    used = client.models.generate_content(model="native", contents=HELLO).usage_metadata
    assert used is not None
    assert counted.total_tokens == used.prompt_token_count
    estimated = client.models.count_tokens(model="gpt-4.1", contents=HELLO)
    assert estimated.total_tokens
    assert estimated.sdk_http_response is not None and estimated.sdk_http_response.headers is not None
    assert estimated.sdk_http_response.headers["x-tidegate-estimated"] == "true"


def test_one_embedding(gateway: Gateway, simulator: SimulatorThread) -> None:
    """As Google's older SDKs and the REST examples do it."""
    connection = http.client.HTTPConnection(gateway.address, timeout=10)
    body = json.dumps({"content": {"parts": [{"text": "tide"}]}, "outputDimensionality": 8})
    connection.request("POST", "/v1beta/models/vectors:embedContent", body, {"x-goog-api-key": CLIENT_KEY})
    told = json.loads(connection.getresponse().read())
    connection.close()
    assert len(types.ContentEmbedding.model_validate(told["embedding"]).values or ()) == 8


def test_async(gateway: Gateway, simulator: SimulatorThread) -> None:
    async def main() -> None:
        async with sdk(gateway).aio as client:
            stream = await client.models.generate_content_stream(model="gpt-4.1", contents=HELLO)
            text = "".join([chunk.text or "" async for chunk in stream])
            whole = await client.models.generate_content(model="gpt-4.1", contents=HELLO)
            assert text == whole.text
            with pytest.raises(errors.ClientError):
                await client.models.generate_content(model="no-such-model", contents=HELLO)

    asyncio.run(main())


def test_a_stream_as_an_array_with_the_key_in_the_query(gateway: Gateway, simulator: SimulatorThread) -> None:
    """As a browser or `curl` does it. Nothing of the key is written anywhere."""
    connection = http.client.HTTPConnection(gateway.address, timeout=10)
    body = json.dumps({"contents": {"parts": {"text": HELLO}}})
    connection.request("POST", f"/v1beta/models/gpt-4.1:streamGenerateContent?key={CLIENT_KEY}", body)
    answer = connection.getresponse()
    chunks = json.loads(answer.read())
    connection.close()
    assert chunks[-1]["candidates"][0].pop("nativeFinishReason") == "stop"
    told = [types.GenerateContentResponse.model_validate(one) for one in chunks]
    assert (answer.status, answer.getheader("content-type")) == (200, "application/json; charset=utf-8")
    assert told[-1].candidates is not None
    assert told[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert CLIENT_KEY not in gateway.output()
    call = simulator.calls()[-1]
    assert call.key == UPSTREAM_KEY
    assert all(CLIENT_KEY.encode() not in value for _, value in call.headers)


def test_a_key_in_the_query_is_for_this_dialects_paths_alone(gateway: Gateway) -> None:
    connection = http.client.HTTPConnection(gateway.address, timeout=10)
    connection.request("POST", f"/v1/chat/completions?key={CLIENT_KEY}", b"{}")
    assert connection.getresponse().status == 401
    connection.close()


# The other way: OpenAI's SDK at a provider that speaks Gemini.


@pytest.fixture
def openai_client(gateway: Gateway, simulator: SimulatorThread) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=CLIENT_KEY, max_retries=0) as client:
        yield client


def test_the_openai_sdk_at_a_gemini_provider(openai_client: openai.OpenAI, gateway: Gateway) -> None:
    messages: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": HELLO}]
    whole = openai_client.chat.completions.create(model="native", messages=messages, max_completion_tokens=9)
    options: Any = {"include_usage": True}
    with openai_client.chat.completions.create(
        model="native", messages=messages, max_tokens=9, stream=True, stream_options=options
    ) as stream:
        chunks = list(stream)
    assert whole.choices[0].finish_reason == "length"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    usage = chunks[-1].usage
    assert usage is not None and whole.usage is not None
    assert usage.total_tokens == whole.usage.total_tokens
    event = last_event(gateway)
    assert (event.dialect, event.provider, event.usage.total) == ("openai", "native", usage.total_tokens)


def test_its_tools_at_a_gemini_provider(openai_client: openai.OpenAI) -> None:
    parameters = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"city": {"type": "string", "format": "uri"}, "days": {"type": "integer", "exclusiveMinimum": 0}},
        "required": ["city", "days"],
    }
    tools: Any = [
        {"type": "function", "function": {"name": name, "parameters": parameters}} for name in ("weather", "tide")
    ]
    messages: Any = [{"role": "user", "content": "weather and tide, please"}]
    whole = openai_client.chat.completions.create(
        model="native", messages=messages, tools=tools, tool_choice="required"
    )
    assert whole.choices[0].finish_reason == "tool_calls"
    message = whole.choices[0].message
    assert message.tool_calls
    with openai_client.chat.completions.create(
        model="native", messages=messages, tools=tools, tool_choice="required", stream=True
    ) as stream:
        deltas = [call for chunk in stream for call in chunk.choices[0].delta.tool_calls or ()]
    begun = [call for call in deltas if call.id]
    assert [call.function.name for call in begun if call.function] == [
        call.function.name for call in message.tool_calls if call.type == "function"
    ]
    assert [call.index for call in begun] == list(range(len(begun)))
    results: Any = [{"role": "tool", "tool_call_id": call.id, "content": "14"} for call in message.tool_calls]
    after = openai_client.chat.completions.create(model="native", messages=[*messages, message, *results], tools=tools)
    assert after.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("stream", [False, True])
def test_signatures_come_back_to_the_model_that_made_them(
    openai_client: openai.OpenAI, simulator: SimulatorThread, stream: bool
) -> None:
    """The simulated gemini-3-pro refuses a call without its signature, and any signature that it did not make."""
    simulator.change("gemini-3-pro", reasoningTokens=9)
    tools: Any = [{"type": "function", "function": {"name": name, "parameters": _CITY}} for name in ("weather", "tide")]
    asked: Any = [{"role": "user", "content": "weather and tide, please"}]
    settings: Any = {"model": "gemini-3-pro", "tools": tools, "tool_choice": "required", "reasoning_effort": "high"}
    if stream:
        with openai_client.chat.completions.create(messages=asked, stream=True, **settings) as chunks:
            message = _collected(chunks)
    else:
        message = openai_client.chat.completions.create(messages=asked, **settings).choices[0].message.model_dump()
    calls = message["tool_calls"]
    assert calls[0]["extra_content"]["google"]["thought_signature"]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "14"} for call in calls]
    history: Any = [*asked, message, *results]
    after = openai_client.chat.completions.create(model="gemini-3-pro", messages=history, tools=tools)
    assert after.choices[0].finish_reason == "stop"
    for call in calls:
        call.pop("extra_content", None)
    unsigned = openai_client.chat.completions.create(model="gemini-3-pro", messages=history, tools=tools)
    assert unsigned.choices[0].finish_reason == "stop"
    calls[0]["extra_content"] = {"google": {"thought_signature": "c2ln"}}
    with pytest.raises(openai.BadRequestError, match="signature"):
        openai_client.chat.completions.create(model="gemini-3-pro", messages=history, tools=tools)


_CITY: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def _collected(chunks: Any) -> Any:
    """As a client does it that keeps all it is given."""
    text = ""
    calls: list[Any] = []
    details: list[Any] = []
    for chunk in chunks:
        delta = chunk.choices[0].delta.model_dump()
        text += delta["content"] or ""
        details += delta.get("reasoning_details") or []
        for call in delta["tool_calls"] or []:
            if call["index"] == len(calls):
                calls.append(call)
            else:
                calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    for call in calls:
        call.pop("index")
    return {"role": "assistant", "content": text, "tool_calls": calls, "reasoning_details": details}


def test_a_schema_at_a_gemini_provider(openai_client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "p", "schema": schema, "strict": True}}
    answer = openai_client.chat.completions.create(
        model="native", messages=[{"role": "user", "content": HELLO}], response_format=wanted
    )
    assert list(json.loads(answer.choices[0].message.content or "")) == ["a"]
