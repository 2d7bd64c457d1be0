"""Vertex AI as a provider: official SDKs of four dialects in front of the gateway, a simulated Vertex AI behind it.

The simulator takes no token that it did not issue itself, and issues them for assertions that hold alone.
"""

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from anthropic import Anthropic, AnthropicVertex
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials
from openai import OpenAI
from tests.support.dialect_gateway import last_event
from tests.support.gateway import Gateway, gateway_process
from tests.support.services import CLIENT_KEY
from tests.support.simulator import SimulatorThread, simulator_thread
from tests.support.vertex import EMAIL, key_file, key_pair

from tidegate.simulator.behaviour import profile_from

_PROVIDER = """
kind: Provider
metadata: {{name: {name}}}
spec:
  dialect: vertex
  baseUrl: {url}
  {place}
  credentials: [{{{credential}}}]
---
"""
_MODEL = """
kind: Model
metadata: {{name: "{name}"}}
spec:
  task: {task}
  targets: [{{provider: {provider}, model: "{model}"}}]
  routing: {{attempts: {attempts}}}
  price: {{inputPerMillion: 1.00, outputPerMillion: 4.00}}
---
"""
_CALLERS = """
kind: Team
metadata: {name: interop}
---
kind: Consumer
metadata: {name: sdk}
spec: {team: interop, keys: [{value: {env: CLIENT_KEY}}]}
"""
_OWN = """
kind: Provider
metadata: {{name: own-{dialect}}}
spec: {{dialect: {dialect}, baseUrl: {url}, credentials: [{{apiKey: {{env: SIM_KEY}}}}]}}
---
"""
HELLO = "When does the tide turn?"
SAID: Any = [{"role": "user", "content": HELLO}]
GEMINI, CLAUDE, VECTORS, EXPRESS = "gemini-2.5-flash", "claude-sonnet-4-5@20250929", "text-embedding-005", "express"


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorThread]:
    tasks = {GEMINI: "chat", CLAUDE: "chat", "gemini-3-pro": "chat", "claude-opus-5-5": "chat"}
    tasks |= {VECTORS: "embedding", "gemini-embedding-001": "embedding", "failing": "chat", "claude-failing": "chat"}
    models = {name: {"task": task} for name, task in tasks.items()}
    with simulator_thread(profile_from({"models": models, "serviceAccounts": {EMAIL: key_pair()[1]}})) as running:
        yield running


def config(url: str) -> str:
    place = "project: tides\n  region: europe-west4"
    text = _PROVIDER.format(name="cloud", url=url, place=place, credential="serviceAccount: {env: KEY_FILE}")
    text += _PROVIDER.format(name="quick", url=url, place="region: global", credential="apiKey: {env: SIM_KEY}")
    for name, keys in (("locked", "LOCKED"), ("half-locked", "LOCKED}}, {serviceAccount: {env: KEY_FILE")):
        credential = f"serviceAccount: {{env: {keys}}}"
        text += _PROVIDER.format(name=name, url=url, place=place, credential=credential)
    for dialect in ("gemini", "anthropic"):
        text += _OWN.format(dialect=dialect, url=url)
    for name, task, provider, model, attempts in (
        (GEMINI, "chat", "cloud", GEMINI, 1),
        ("gemini-3-pro", "chat", "cloud", "publishers/google/models/gemini-3-pro", 1),
        (CLAUDE, "chat", "cloud", CLAUDE, 1),
        ("claude-opus-5-5", "chat", "cloud", "anthropic/claude-opus-5-5", 1),
        ("failing", "chat", "cloud", "failing", 1),
        ("claude-failing", "chat", "cloud", "claude-failing", 1),
        (EXPRESS, "chat", "quick", GEMINI, 1),
        ("locked", "chat", "locked", GEMINI, 2),
        ("half-locked", "chat", "half-locked", GEMINI, 2),
        ("own-gemini", "chat", "own-gemini", GEMINI, 1),
        ("own-claude", "chat", "own-anthropic", "claude-opus-5-5", 1),
        (VECTORS, "embedding", "cloud", VECTORS, 1),
        ("gemini-embedding-001", "embedding", "cloud", "gemini-embedding-001", 1),
    ):
        text += _MODEL.format(name=name, task=task, provider=provider, model=model, attempts=attempts)
    return text + _CALLERS


@pytest.fixture(scope="module")
def gateway(simulator: SimulatorThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    environment = {"SIM_KEY": "sim-key", "CLIENT_KEY": CLIENT_KEY, "KEY_FILE": key_file(simulator.url)}
    environment["LOCKED"] = key_file(simulator.url, private_key=key_pair(1)[0])
    with gateway_process(tmp_path_factory.mktemp("vertex"), config(simulator.url), env=environment) as running:
        yield running
        assert "PRIVATE KEY" not in running.output()
        assert "ya29." not in running.output()


@pytest.fixture
def asking_openai(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.url + "/v1", api_key=CLIENT_KEY, timeout=10, max_retries=0) as client:
        yield client


@pytest.fixture
def asking_anthropic(gateway: Gateway) -> Iterator[Anthropic]:
    with Anthropic(base_url=gateway.url, api_key=CLIENT_KEY, timeout=10, max_retries=0) as client:
        yield client


@pytest.fixture
def asking_claude(gateway: Gateway) -> Iterator[AnthropicVertex]:
    with AnthropicVertex(
        region="europe-west4",
        project_id="mine",
        access_token=CLIENT_KEY,
        base_url=gateway.url + "/v1",
        timeout=10,
        max_retries=0,
    ) as client:
        yield client


def google(gateway: Gateway, *, vertex: bool, path: str = "") -> genai.Client:
    options = types.HttpOptions(base_url=gateway.url + path, timeout=10_000)
    if not vertex:
        return genai.Client(vertexai=False, api_key=CLIENT_KEY, http_options=options)
    return genai.Client(
        vertexai=True, project="mine", location="global", credentials=Credentials(CLIENT_KEY), http_options=options
    )


def last_call(simulator: SimulatorThread) -> Any:
    return simulator.calls()[-1]


def of(model: str) -> Any:
    return lambda event: event.model == model


# Gemini's models.


@pytest.mark.parametrize("vertex", [False, True], ids=["gemini", "vertex"])
@pytest.mark.parametrize("model", [GEMINI, "gemini-3-pro", "own-gemini"])
def test_gemini_natively(gateway: Gateway, simulator: SimulatorThread, vertex: bool, model: str) -> None:
    with google(gateway, vertex=vertex) as client:
        whole = client.models.generate_content(model=model, contents=HELLO)
        chunks = list(client.models.generate_content_stream(model=model, contents=HELLO))
        counted = client.models.count_tokens(model=model, contents=HELLO)
    assert whole.text
    assert "".join(chunk.text or "" for chunk in chunks) == whole.text
    assert {chunk.model_version for chunk in chunks} == {model} == {whole.model_version}
    assert counted.total_tokens
    call = last_call(simulator)
    sent = call.target.decode()
    named = model if model != "own-gemini" else GEMINI
    if model == "own-gemini":
        assert sent == f"/v1beta/models/{named}:countTokens"
    else:
        assert sent == f"/v1beta1/projects/tides/locations/europe-west4/publishers/google/models/{named}:countTokens"
        assert dict(call.headers)[b"authorization"].startswith(b"Bearer ya29.sim-")
    assert CLIENT_KEY.encode() not in b"".join(value for _, value in call.headers)
    event = last_event(gateway, lambda event: event.model == model and event.stream)
    assert (event.usage.source, event.outcome) == ("reported", "ok")
    assert event.cost_nano


def test_what_vertex_alone_has_goes_along(gateway: Gateway) -> None:
    with google(gateway, vertex=True, path="/vertex") as client:
        answer = client.models.generate_content(
            model=GEMINI, contents=HELLO, config=types.GenerateContentConfig(labels={"team": "tides"})
        )
    assert answer.text


def test_express_mode(gateway: Gateway, simulator: SimulatorThread) -> None:
    options = types.HttpOptions(base_url=gateway.url, timeout=10_000)
    with genai.Client(vertexai=True, api_key=CLIENT_KEY, http_options=options) as client:
        assert client.models.generate_content(model=EXPRESS, contents=HELLO).text
    call = last_call(simulator)
    assert b"authorization" not in dict(call.headers)
    assert dict(call.headers)[b"x-goog-api-key"] == b"sim-key"


def test_gemini_for_others(asking_openai: OpenAI, asking_anthropic: Anthropic, gateway: Gateway) -> None:
    whole = asking_openai.chat.completions.create(model=GEMINI, messages=SAID)
    with asking_openai.chat.completions.create(
        model=GEMINI, messages=SAID, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    said = asking_anthropic.messages.create(model=GEMINI, max_tokens=200, messages=SAID)
    assert said.content[0].type == "text"


@pytest.mark.parametrize("model", ["gemini-3-pro", "claude-opus-5-5"])
def test_tools_over_two_turns(asking_openai: OpenAI, model: str) -> None:
    schema: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools: Any = [{"type": "function", "function": {"name": "get_tide", "parameters": schema}}]
    asked: Any = [{"role": "user", "content": "Use the tool get_tide."}]
    fields: Any = {"model": model, "tools": tools, "tool_choice": "required"}
    first = asking_openai.chat.completions.create(messages=asked, **fields).choices[0]
    assert first.finish_reason == "tool_calls"
    calls: Any = first.message.tool_calls
    results = [{"role": "tool", "tool_call_id": call.id, "content": "14 m"} for call in calls]
    history = [*asked, first.message.model_dump(exclude_none=True), *results]
    after = asking_openai.chat.completions.create(model=model, tools=tools, messages=history)
    assert after.choices[0].message.content


# Claude.


def test_claude_for_anthropics_own_client(
    asking_anthropic: Anthropic, gateway: Gateway, simulator: SimulatorThread
) -> None:
    whole = asking_anthropic.messages.create(
        model=CLAUDE, max_tokens=200, messages=SAID, extra_headers={"anthropic-beta": "one-2026-01-01"}
    )
    call = last_call(simulator)
    assert dict(call.headers)[b"anthropic-beta"] == b"one-2026-01-01"
    assert b"anthropic-version" not in dict(call.headers)
    assert whole.model == CLAUDE
    with asking_anthropic.messages.stream(model=CLAUDE, max_tokens=200, messages=SAID) as stream:
        streamed = stream.get_final_message()
    assert streamed.content[0].text == whole.content[0].text  # type: ignore[union-attr]
    counted = asking_anthropic.messages.with_raw_response.count_tokens(model=CLAUDE, messages=SAID)
    assert counted.parse().input_tokens == whole.usage.input_tokens
    assert "x-tidegate-estimated" not in counted.headers
    event = last_event(gateway, lambda event: event.model == CLAUDE and event.stream)
    assert (event.dialect, event.usage.source, event.usage.output_total) == (
        "anthropic",
        "reported",
        whole.usage.output_tokens,
    )


@pytest.mark.parametrize("model", [CLAUDE, "own-claude"])
def test_claude_for_vertex_clients(
    asking_claude: AnthropicVertex, gateway: Gateway, simulator: SimulatorThread, model: str
) -> None:
    whole = asking_claude.messages.create(model=model, max_tokens=200, messages=SAID)
    assert whole.model == model
    headers = dict(last_call(simulator).headers)
    if model == "own-claude":
        assert headers[b"anthropic-version"] == b"2026-10-21"
    with asking_claude.messages.stream(model=model, max_tokens=200, messages=SAID) as stream:
        streamed = stream.get_final_message()
    assert streamed.content[0].text == whole.content[0].text  # type: ignore[union-attr]
    assert asking_claude.messages.count_tokens(model=model, messages=SAID).input_tokens == whole.usage.input_tokens
    assert asking_claude.beta.messages.create(model=model, max_tokens=9, messages=SAID, betas=["one-2026-01-01"]).id
    assert last_event(gateway, of(model)).dialect == "vertex-anthropic"


def test_vertex_clients_of_claude_reach_other_models(asking_claude: AnthropicVertex) -> None:
    with asking_claude.messages.stream(model=GEMINI, max_tokens=200, messages=SAID) as stream:
        assert stream.get_final_text()


def test_claude_for_others(asking_openai: OpenAI, gateway: Gateway) -> None:
    """With a sampler, which the older version of the API takes."""
    whole = asking_openai.chat.completions.create(model=CLAUDE, messages=SAID, temperature=0.5)
    with asking_openai.chat.completions.create(model=CLAUDE, messages=SAID, temperature=0.5, stream=True) as stream:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert text == whole.choices[0].message.content
    with google(gateway, vertex=True) as client:
        assert client.models.generate_content(model=CLAUDE, contents=HELLO).text


# Embeddings.


@pytest.mark.parametrize("model", [VECTORS, "gemini-embedding-001"])
def test_embeddings(asking_openai: OpenAI, gateway: Gateway, model: str) -> None:
    texts = ["Ebb", "flow"]
    told = asking_openai.embeddings.create(model=model, input=texts, dimensions=64)
    assert [len(one.embedding) for one in told.data] == [64, 64]
    assert told.usage.prompt_tokens
    with google(gateway, vertex=True) as client:
        config = types.EmbedContentConfig(output_dimensionality=64, task_type="RETRIEVAL_QUERY")
        several: Any = client.models.embed_content(model=model, contents=texts, config=config)
        single: Any = client.models.embed_content(model=model, contents="Ebb", config=config)
    with google(gateway, vertex=False) as client:
        own: Any = client.models.embed_content(model=model, contents=texts, config={"output_dimensionality": 64})
    expected = [one.embedding for one in told.data]
    for vectors in (several.embeddings, own.embeddings):
        assert [one.values for one in vectors] == pytest.approx([pytest.approx(one, abs=1e-6) for one in expected])
    assert single.embeddings[0].values == pytest.approx(expected[0], abs=1e-6)
    event = last_event(gateway, of(model))
    assert (event.operation, event.usage.source) == ("embedding", "reported")


# Errors.


def test_errors_reach_each_client_in_its_own_shape(
    gateway: Gateway, simulator: SimulatorThread, asking_openai: OpenAI, asking_claude: AnthropicVertex
) -> None:
    simulator.change("failing", script=["503", "503"])
    with pytest.raises(openai.InternalServerError):
        asking_openai.chat.completions.create(model="failing", messages=SAID)
    with google(gateway, vertex=True) as client:
        with pytest.raises(errors.ServerError) as caught:
            client.models.generate_content(model="failing", contents=HELLO)
        assert caught.value.code == 503
        with pytest.raises(errors.ClientError) as unknown:
            client.models.generate_content(model="unheard-of", contents=HELLO)
        assert unknown.value.code == 404
    with pytest.raises(anthropic.NotFoundError):
        asking_claude.messages.create(model="unheard-of", max_tokens=9, messages=SAID)


def test_what_google_says_of_claude_is_told_as_anthropic_would(
    simulator: SimulatorThread, asking_anthropic: Anthropic
) -> None:
    simulator.change("claude-failing", script=["429"])
    with pytest.raises(anthropic.RateLimitError) as caught:
        asking_anthropic.messages.create(model="claude-failing", max_tokens=9, messages=SAID)
    assert caught.value.type == "rate_limit_error"


def test_without_a_token_the_client_hears_that_the_credential_is_at_fault(
    asking_openai: OpenAI, gateway: Gateway
) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        asking_openai.chat.completions.create(model="locked", messages=SAID)
    assert caught.value.status_code == 502
    assert "refused the gateway's own credential" in str(caught.value)
    with pytest.raises(openai.InternalServerError) as resting:
        asking_openai.chat.completions.create(model="locked", messages=SAID)
    assert (resting.value.status_code, "resting" in str(resting.value)) == (503, True)
    assert "provider locked, credential 0: no access token: status 400: invalid_grant" in gateway.output()


def test_another_credential_serves_in_its_place(asking_openai: OpenAI) -> None:
    for _ in range(8):
        assert asking_openai.chat.completions.create(model="half-locked", messages=SAID).choices[0].message.content
