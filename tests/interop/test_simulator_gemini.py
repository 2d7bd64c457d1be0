"""The simulator's Gemini surface, met by the official SDK."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from tests.support.simulator import SimulatorThread, simulator_thread

MODEL = "gemini-2.5-flash"
NEWER = "gemini-3-pro"
FUNCTIONS: list[Any] = [
    {"name": "get_weather", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}},
    {"name": "get_tide", "parametersJsonSchema": {"type": "object", "properties": {"hour": {"type": "integer"}}}},
]
TOOLS = [{"functionDeclarations": FUNCTIONS}]
THOUGHTS = {"thinkingConfig": {"includeThoughts": True}}


@pytest.fixture(scope="module")
def thread() -> Iterator[SimulatorThread]:
    with simulator_thread() as thread:
        yield thread


@pytest.fixture
def simulator(thread: SimulatorThread) -> SimulatorThread:
    thread.reset()
    return thread


@pytest.fixture
def client(simulator: SimulatorThread) -> Iterator[genai.Client]:
    with genai.Client(api_key="key", http_options=types.HttpOptions(base_url=simulator.url)) as client:
        yield client


@pytest.fixture
def vertex(simulator: SimulatorThread) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=simulator.url)
    with genai.Client(vertexai=True, api_key="key", http_options=options) as client:
        yield client


def ask(simulator: SimulatorThread, path: str, body: Any) -> tuple[int, dict[str, str], Any]:
    """Without the SDK, which hides what it does not know."""
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=10)
    try:
        connection.request("POST", path, json.dumps(body), {"x-goog-api-key": "k", "content-type": "application/json"})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), json.loads(response.read())
    finally:
        connection.close()


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "short": {"max_output_tokens": 3},
    "thoughts": {"thinking_config": {"include_thoughts": True, "thinking_level": "LOW"}},
    "functions": {"tools": [{"function_declarations": FUNCTIONS}]},
    "one function": {
        "tools": [{"function_declarations": FUNCTIONS}],
        "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["get_tide"]}},
    },
    "no function": {
        "tools": [{"function_declarations": FUNCTIONS}],
        "tool_config": {"function_calling_config": {"mode": "NONE"}},
    },
    "thoughts and functions": {
        "tools": [{"function_declarations": FUNCTIONS}],
        "thinking_config": {"include_thoughts": True},
    },
    "json": {
        "response_mime_type": "application/json",
        "response_schema": {"type": "OBJECT", "properties": {"hour": {"type": "INTEGER"}}},
    },
    "several": {"candidate_count": 2},
}


@pytest.mark.parametrize("model", [MODEL, NEWER])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_says_what_the_whole_answer_says(client: genai.Client, variant: str, model: str) -> None:
    config: Any = {**VARIANTS[variant], "automatic_function_calling": {"disable": True}}
    asked: Any = {"model": model, "contents": "weather and tide, please", "config": config}
    whole = client.models.generate_content(**asked)
    chunks = list(client.models.generate_content_stream(**asked))
    assert whole.candidates
    for candidate in whole.candidates:
        mine = [
            found
            for chunk in chunks
            for found in chunk.candidates or []
            if (found.index or 0) == (candidate.index or 0)
        ]
        assert [found.finish_reason for found in mine] == [None] * (len(mine) - 1) + [candidate.finish_reason]
        parts = [part for found in mine for part in (found.content and found.content.parts) or []]
        assert candidate.content and candidate.content.parts
        assert told(parts) == told(candidate.content.parts)
        assert any(part.thought_signature for part in parts) == any(
            part.thought_signature for part in candidate.content.parts
        )
    assert chunks[-1].usage_metadata == whole.usage_metadata
    assert {chunk.response_id for chunk in chunks} != {whole.response_id}
    assert len({chunk.response_id for chunk in chunks}) == 1


def told(parts: list[types.Part]) -> tuple[str, str, list[Any]]:
    """Thoughts, text, calls."""
    return (
        "".join(part.text or "" for part in parts if part.thought),
        "".join(part.text or "" for part in parts if not part.thought),
        [part.function_call for part in parts if part.function_call],
    )


@pytest.mark.parametrize("model", [MODEL, NEWER])
def test_parallel_functions_and_their_results(client: genai.Client, model: str) -> None:
    config: Any = {"tools": [{"function_declarations": FUNCTIONS}], "automatic_function_calling": {"disable": True}}
    question = types.Content(role="user", parts=[types.Part(text="weather and tide")])
    first = client.models.generate_content(model=model, contents=question, config=config)
    calls = first.function_calls or []
    assert [call.name for call in calls] == ["get_weather", "get_tide"]
    assert all((call.id is not None) == (model == NEWER) for call in calls)
    assert first.candidates and first.candidates[0].content
    results = [
        types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"result": "fine"}))
        for call in calls
    ]
    turns: Any = [question, first.candidates[0].content, types.Content(role="user", parts=results)]
    second = client.models.generate_content(model=model, contents=turns, config=config)
    assert second.text
    assert not second.function_calls


def test_thought_signatures_are_ours_or_refused(client: genai.Client, simulator: SimulatorThread) -> None:
    call = {"functionCall": {"name": "get_tide", "args": {}}}
    result = {"functionResponse": {"name": "get_tide", "response": {"result": 1}}}

    def again(part: dict[str, Any], model: str = NEWER) -> Any:
        contents = [
            {"role": "user", "parts": [{"text": "tide"}]},
            {"role": "model", "parts": [part]},
            {"role": "user", "parts": [result]},
        ]
        path = f"/v1beta/models/{model}:generateContent"
        return ask(simulator, path, {"contents": contents, "tools": TOOLS})

    _, _, first = ask(
        simulator,
        f"/v1beta/models/{NEWER}:generateContent",
        {"contents": [{"parts": [{"text": "tide"}]}], "tools": TOOLS},
    )
    part = first["candidates"][0]["content"]["parts"][0]
    assert part["thoughtSignature"]
    assert again(part)[0] == 200
    assert again({**call, "thought_signature": "skip_thought_signature_validator"})[0] == 200
    for wrong in ("bm90IG91cnM=", "x"):
        status, _, body = again({**call, "thoughtSignature": wrong})
        assert (status, body["error"]["message"]) == (400, "Corrupted thought signature.")
    status, _, body = again(call)
    assert (status, "missing a thought_signature" in body["error"]["message"]) == (400, True)
    assert again(call, MODEL)[0] == 200


@pytest.mark.parametrize("refusal", ["answer", "prompt"])
def test_refusals(client: genai.Client, simulator: SimulatorThread, refusal: str) -> None:
    simulator.change(MODEL, refusal=refusal)
    whole = client.models.generate_content(model=MODEL, contents="hi")
    *_, last = client.models.generate_content_stream(model=MODEL, contents="hi")
    for found in (whole, last):
        if refusal == "prompt":
            assert not found.candidates
            assert found.prompt_feedback and found.prompt_feedback.block_reason == "PROHIBITED_CONTENT"
        else:
            assert found.candidates and found.candidates[0].finish_reason == "SAFETY"


def test_usage(client: genai.Client, simulator: SimulatorThread) -> None:
    simulator.change(MODEL, tokens=10, reasoningTokens=7)
    usage = client.models.generate_content(model=MODEL, contents="x" * 9000).usage_metadata
    assert usage is not None
    assert (usage.candidates_token_count, usage.thoughts_token_count) == (10, 7)
    assert usage.total_token_count == (usage.prompt_token_count or 0) + 17
    again = client.models.generate_content(model=MODEL, contents="x" * 9000).usage_metadata
    assert again is not None
    assert (again.cached_content_token_count or 0) >= 1024
    assert again.prompt_token_count == usage.prompt_token_count


def test_stops_and_log_probabilities(client: genai.Client, simulator: SimulatorThread) -> None:
    simulator.change(MODEL, text="one two three")
    config: Any = {"stop_sequences": ["two"], "response_logprobs": True, "logprobs": 2}
    found = client.models.generate_content(model=MODEL, contents="hi", config=config)
    assert found.text == "one "
    assert found.candidates and found.candidates[0].finish_reason == "STOP"
    result = found.candidates[0].logprobs_result
    assert result and result.top_candidates and len(result.top_candidates[0].candidates or []) == 2


def test_counting_and_embedding(client: genai.Client) -> None:
    counted = client.models.count_tokens(model=MODEL, contents="When does the tide turn?")
    asked = client.models.generate_content(model=MODEL, contents="When does the tide turn?").usage_metadata
    assert asked and counted.total_tokens == asked.prompt_token_count
    texts: Any = ["a", "b"]
    found = client.models.embed_content(
        model="gemini-embedding-001", contents=texts, config={"output_dimensionality": 5, "task_type": "CLUSTERING"}
    )
    assert [len(item.values or []) for item in found.embeddings or []] == [5, 5]
    assert found.usage_metadata is not None


def test_one_embedding(simulator: SimulatorThread) -> None:
    body = {"content": {"parts": [{"text": "a"}]}, "output_dimensionality": 3}
    status, _, found = ask(simulator, "/v1beta/models/gemini-embedding-001:embedContent", body)
    assert (status, len(found["embedding"]["values"])) == (200, 3)


def test_vertex_paths(vertex: genai.Client, simulator: SimulatorThread) -> None:
    assert vertex.models.generate_content(model=MODEL, contents="hi").text
    assert list(vertex.models.generate_content_stream(model=MODEL, contents="hi"))
    path = f"/v1beta1/projects/p/locations/l/publishers/google/models/{MODEL}:generateContent"
    asked = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    assert ask(simulator, path, asked)[0] == 401  # Vertex AI takes no API key in a project's paths


def test_a_stream_as_a_json_array(simulator: SimulatorThread) -> None:
    body = {"contents": [{"parts": [{"text": "hi"}]}]}
    status, headers, found = ask(simulator, f"/v1beta/models/{MODEL}:streamGenerateContent", body)
    assert status == 200
    assert headers["content-type"].startswith("application/json")
    assert found[-1]["candidates"][0]["finishReason"] == "STOP"
    assert len(found) > 5
    status, _, found = ask(simulator, "/v1beta/models/nope:streamGenerateContent", body)
    assert (status, found[0]["error"]["status"]) == (404, "NOT_FOUND")


def test_models(client: genai.Client) -> None:
    assert f"models/{MODEL}" in {model.name for model in client.models.list()}
    assert client.models.get(model=MODEL).input_token_limit == 1_048_576
    with pytest.raises(errors.ClientError):
        client.models.get(model="nope")


@pytest.mark.parametrize(
    ("status", "error", "name"),
    [
        ("400", errors.ClientError, "INVALID_ARGUMENT"),
        ("401", errors.ClientError, "UNAUTHENTICATED"),
        ("403", errors.ClientError, "PERMISSION_DENIED"),
        ("429", errors.ClientError, "RESOURCE_EXHAUSTED"),
        ("500", errors.ServerError, "INTERNAL"),
        ("503", errors.ServerError, "UNAVAILABLE"),
        ("504", errors.ServerError, "DEADLINE_EXCEEDED"),
    ],
)
def test_errors(
    client: genai.Client, simulator: SimulatorThread, status: str, error: type[errors.APIError], name: str
) -> None:
    simulator.change(MODEL, script=[status, status])
    with pytest.raises(error) as caught:
        client.models.generate_content(model=MODEL, contents="hi")
    assert (caught.value.code, caught.value.status) == (int(status), name)
    with pytest.raises(error):
        list(client.models.generate_content_stream(model=MODEL, contents="hi"))


def test_a_limit_tells_when_to_come_back(client: genai.Client, simulator: SimulatorThread) -> None:
    simulator.change(MODEL, limit={"requests": 1, "window": "60s"}, retryAfter="2500ms")
    client.models.generate_content(model=MODEL, contents="hi")
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model=MODEL, contents="hi")
    details: Any = caught.value.details
    found = {detail["@type"].rpartition(".")[2]: detail for detail in details["error"]["details"]}
    assert found["RetryInfo"]["retryDelay"] == "2.5s"
    assert "openai" not in (caught.value.message or "")


def test_an_error_in_the_middle_of_a_stream(client: genai.Client, simulator: SimulatorThread) -> None:
    simulator.change(MODEL, script=["error-event"])
    with pytest.raises(errors.APIError) as caught:
        list(client.models.generate_content_stream(model=MODEL, contents="hi"))
    assert caught.value.status == "UNAVAILABLE"


def test_steering(simulator: SimulatorThread) -> None:
    body = {"contents": [{"parts": [{"text": "hi"}]}]}
    path = f"/v1beta/models/{MODEL}%23text=Exactly:generateContent"
    found = ask(simulator, path, body)[2]
    assert found["candidates"][0]["content"]["parts"] == [{"text": "Exactly"}]
    found = ask(simulator, f"/v1/models/{MODEL}:generateContent", {**body, "labels": {"sim": "status=503"}})
    assert found[0] == 503


def test_a_key_is_needed(simulator: SimulatorThread) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=10)
    connection.request("POST", f"/v1beta/models/{MODEL}:generateContent", b"{}")
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["error"]["status"]) == (403, "PERMISSION_DENIED")
    body = json.dumps({"contents": [{"parts": [{"text": "hi"}]}]})
    connection.request("POST", f"/v1beta/models/{MODEL}:generateContent?key=k", body)
    assert connection.getresponse().status == 200
    connection.close()


def spoken(voice: str) -> types.GenerateContentConfig:
    prebuilt = types.PrebuiltVoiceConfig(voice_name=voice)
    return types.GenerateContentConfig(
        response_modalities=["AUDIO"],
        speech_config=types.SpeechConfig(voice_config=types.VoiceConfig(prebuilt_voice_config=prebuilt)),
    )


@pytest.mark.parametrize(
    ("model", "media"), [("gemini-2.5-flash-preview-tts", "audio/L16"), ("gemini-3.8-flash-tts", "audio/wav")]
)
def test_speech(client: genai.Client, vertex: genai.Client, model: str, media: str) -> None:
    for caller in (client, vertex):
        answer = caller.models.generate_content(model=model, contents="Say: ebb.", config=spoken("Kore"))
        assert answer.parts is not None
        inline = answer.parts[0].inline_data
        assert inline is not None
        assert (inline.mime_type or "").startswith(media)
        assert len(inline.data or b"") >= 9 * 20 * 48
    chunks = list(client.models.generate_content_stream(model=model, contents="Say: ebb.", config=spoken("Kore")))
    sounds = [chunk.parts[0].inline_data for chunk in chunks if chunk.parts]
    assert sum(len(one.data or b"") for one in sounds if one is not None) == 9 * 20 * 48
    with pytest.raises(errors.ClientError, match="alloy"):
        client.models.generate_content(model=model, contents="Say: ebb.", config=spoken("alloy"))


def test_what_is_heard(client: genai.Client) -> None:
    recording = types.Part.from_bytes(data=b"ID3" + bytes(8_000), mime_type="audio/mp3")
    answer = client.models.generate_content(model=MODEL, contents=["Write it down.", recording])
    assert answer.text
    assert answer.usage_metadata is not None
    details = {one.modality: one.token_count for one in answer.usage_metadata.prompt_tokens_details or []}
    assert details[types.MediaModality.AUDIO] == 64
    assert sum(count or 0 for count in details.values()) == answer.usage_metadata.prompt_token_count
