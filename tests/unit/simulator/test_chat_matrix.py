"""What every dialect of chat has of what a translation must know: parallel tools, signed thoughts, refusals, cached
usage; and that a wrong history, an unknown field or a bound beyond the model's is refused. One column a test, one row a
dialect; where a provider has or checks none of it, the row says so.
"""

import base64
import http.client
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from tests.support.simulator import SimulatorThread, simulator_thread

from tidegate.simulator.behaviour import profile_from

WORDS = "weather and tide, please"
NAMES = ("get_weather", "get_tide")
SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTIONS: Any = [{"name": name, "parameters": SCHEMA} for name in NAMES]
WRAPPED: Any = [{"type": "function", "function": one} for one in FUNCTIONS]
LONG = "tide " * 2_000


class Dialect(NamedTuple):
    """`{}` in a path is the model. What a dialect has not is None."""

    path: str
    streams: dict[str, Any] | str
    """Fields of a stream's request, or its path."""
    said: Any
    """A text → the fields of a request that says it."""
    tools: dict[str, Any]
    thinks: dict[str, Any] | None
    signed: bytes | None
    """What a signature's field is called."""
    refused: bytes
    """How an answer ends that declines."""
    cached: bytes | None
    """What tells of tokens found in a cache."""
    limit: Any
    """A number → the fields that bound the answer."""
    orphan: dict[str, Any] | None
    """A history with a result that nothing called for."""
    open: dict[str, Any] | None
    """A history with a call that nobody answered."""
    strict: bool = True
    """Unknown fields are refused."""
    headers: tuple[tuple[str, str], ...] = ()


def _messages(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def _contents(text: str) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


def _blocks(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"text": text}]}]}


def _openai(path: str) -> Dialect:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_tide", "arguments": "{}"}}
    user = _messages("x")["messages"]
    return Dialect(
        path=path,
        streams={"stream": True, "stream_options": {"include_usage": True}},
        said=_messages,
        tools={"tools": WRAPPED},
        thinks=None,
        signed=None,
        refused=b'"refusal":"I',
        cached=b'"cached_tokens":',
        limit=lambda most: {"max_completion_tokens": most},
        orphan={"messages": [*user, {"role": "tool", "tool_call_id": "call_1", "content": "x"}]},
        open={"messages": [*user, {"role": "assistant", "tool_calls": [call]}, *user]},
    )


def _claude(path: str, streams: dict[str, Any] | str, version: dict[str, Any], *headers: tuple[str, str]) -> Dialect:
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "x"}
    use = {"type": "tool_use", "id": "t1", "name": "get_tide", "input": {}}
    user = _messages("x")["messages"]
    fixed = {"max_tokens": 3_000, **version}
    return Dialect(
        path=path,
        streams=streams,
        said=lambda text: {**fixed, "messages": [{"role": "user", "content": [_marked(text)]}]},
        tools={"tools": [{"name": name, "input_schema": SCHEMA} for name in NAMES]},
        thinks={"thinking": {"type": "enabled", "budget_tokens": 2_000}},
        signed=b'"signature":"',
        refused=b'"stop_reason":"refusal"',
        cached=b'"cache_read_input_tokens":',
        limit=lambda most: {"max_tokens": most},
        orphan={**fixed, "messages": [{"role": "user", "content": [result]}]},
        open={**fixed, "messages": [*user, {"role": "assistant", "content": [use]}, *user]},
        headers=headers,
    )


def _marked(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}


def _gemini(path: str, stream_path: str) -> Dialect:
    response = {"functionResponse": {"name": "get_tide", "response": {}}}
    call = {"functionCall": {"name": "get_tide", "args": {}}}
    user = _contents("x")["contents"]
    return Dialect(
        path=path,
        streams=stream_path,
        said=_contents,
        tools={"tools": [{"functionDeclarations": FUNCTIONS}]},
        thinks={"generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
        signed=b'"thoughtSignature":"',
        refused=b'"finishReason":"SAFETY"',
        cached=b'"cachedContentTokenCount":',
        limit=lambda most: {"generationConfig": {"maxOutputTokens": most}},
        orphan={"contents": [*user, {"role": "user", "parts": [response]}]},
        open={"contents": [*user, {"role": "model", "parts": [call]}, *user]},
    )


def _responses() -> Dialect:
    output = {"type": "function_call_output", "call_id": "c1", "output": "x"}
    call = {"type": "function_call", "call_id": "c1", "name": "get_tide", "arguments": "{}"}
    return Dialect(
        path="/v1/responses",
        streams={"stream": True},
        said=lambda text: {"input": text},
        tools={"tools": [{"type": "function", **one, "strict": False} for one in FUNCTIONS]},
        thinks={"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]},
        signed=b'"encrypted_content":"',
        refused=b'"refusal":"I',
        cached=b'"cached_tokens":',
        limit=lambda most: {"max_output_tokens": most},
        orphan={"input": [{"role": "user", "content": "x"}, output]},
        open={"input": [{"role": "user", "content": "x"}, call, {"role": "user", "content": "x"}]},
    )


def _converse() -> Dialect:
    use = {"toolUse": {"toolUseId": "t1", "name": "get_tide", "input": {}}}
    result = {"toolResult": {"toolUseId": "t1", "content": [{"text": "x"}]}}
    config = {"tools": [{"toolSpec": {"name": name, "inputSchema": {"json": SCHEMA}}} for name in NAMES]}
    user = _blocks("x")["messages"]
    return Dialect(
        path="/model/{}/converse",
        streams="/model/{}/converse-stream",
        said=_blocks,
        tools={"toolConfig": config},
        thinks={"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2_000}}},
        signed=b'"signature":"',
        refused=b'"stopReason":"content_filtered"',
        cached=b'"cacheReadInputTokens":',
        limit=lambda most: {"inferenceConfig": {"maxTokens": most}},
        orphan={"messages": [{"role": "user", "content": [result]}], "toolConfig": config},
        open={"messages": [*user, {"role": "assistant", "content": [use]}, *user], "toolConfig": config},
    )


def _cohere() -> Dialect:
    call = {"id": "c1", "type": "function", "function": {"name": "get_tide", "arguments": "{}"}}
    user = _messages("x")["messages"]
    return Dialect(
        path="/v2/chat",
        streams={"stream": True},
        said=_messages,
        tools={"tools": WRAPPED},
        thinks={"thinking": {"type": "enabled"}},
        signed=None,
        refused=b"I can't",
        cached=b'"cached_tokens":',
        limit=lambda most: {"max_tokens": most},
        orphan={"messages": [*user, {"role": "tool", "tool_call_id": "c1", "content": "x"}]},
        open={"messages": [*user, {"role": "assistant", "tool_calls": [call]}, *user]},
    )


def _mistral() -> Dialect:
    call = {"id": "abcdefgh1", "function": {"name": "get_tide", "arguments": "{}"}}
    user = _messages("x")["messages"]
    return _cohere()._replace(
        path="/mistral/v1/chat/completions",
        thinks={"reasoning_effort": "high"},
        signed=b'"signature":"',
        orphan={"messages": [*user, {"role": "tool", "tool_call_id": "abcdefgh1", "content": "x"}]},
        open={"messages": [*user, {"role": "assistant", "tool_calls": [call]}, *user]},
    )


def _ollama() -> Dialect:
    """It checks no history, bounds nothing, and ignores what it does not know."""
    return Dialect(
        path="/api/chat",
        streams={"stream": True},
        said=lambda text: {"stream": False, **_messages(text)},
        tools={"tools": WRAPPED},
        thinks={"think": True},
        signed=None,
        refused=b"I can't",
        cached=None,
        limit=None,
        orphan=None,
        open=None,
        strict=False,
    )


_CLAUDE_VERSION = ("anthropic-version", "2023-06-01")
_VERTEX = "/v1/publishers/{publisher}/models/{{}}:"
DIALECTS = {
    "openai": _openai("/v1/chat/completions"),
    "azure": _openai("/openai/deployments/{}/chat/completions?api-version=2024-10-21"),
    "responses": _responses(),
    "anthropic": _claude("/v1/messages", {"stream": True}, {}, _CLAUDE_VERSION),
    "anthropic on bedrock": _claude(
        "/model/{}/invoke", "/model/{}/invoke-with-response-stream", {"anthropic_version": "bedrock-2023-05-31"}
    ),
    "gemini": _gemini("/v1beta/models/{}:generateContent", "/v1beta/models/{}:streamGenerateContent?alt=sse"),
    "vertex": _gemini(
        _VERTEX.format(publisher="google") + "generateContent",
        _VERTEX.format(publisher="google") + "streamGenerateContent?alt=sse",
    ),
    "bedrock": _converse(),
    "cohere": _cohere(),
    "mistral": _mistral(),
    "ollama": _ollama(),
}
_IN_PATH = ("anthropic on bedrock", "gemini", "vertex", "bedrock")


@pytest.fixture(scope="module")
def thread() -> Iterator[SimulatorThread]:
    with simulator_thread(profile_from({"models": {"m": {"tokens": 12, "maxOutputTokens": 4_000}}})) as thread:
        yield thread


@pytest.fixture
def simulator(thread: SimulatorThread) -> SimulatorThread:
    thread.reset()
    return thread


def ask(simulator: SimulatorThread, name: str, fields: dict[str, Any], stream: bool = False) -> tuple[int, bytes]:
    dialect = DIALECTS[name]
    body = dict(fields) if name in _IN_PATH else {"model": "m", **fields}
    path = dialect.path
    if stream and isinstance(dialect.streams, str):
        path = dialect.streams
    elif stream:
        body |= dict(dialect.streams)  # type: ignore[arg-type]
    headers = {"content-type": "application/json", **dict(dialect.headers)}
    headers["x-goog-api-key" if name in ("gemini", "vertex") else "authorization"] = "Bearer k"
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=10)
    try:
        connection.request("POST", path.format("m"), json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def unframed(content: bytes) -> bytes:
    """A frame of Bedrock's InvokeModel holds its event as base64; the whole is searched as text."""
    found = [content]
    for piece in content.split(b'{"bytes":"')[1:]:
        found.append(base64.b64decode(piece.partition(b'"')[0]))
    return b"\n".join(found)


every = pytest.mark.parametrize("name", DIALECTS)
both = pytest.mark.parametrize("stream", [False, True])


def having(field: str) -> pytest.MarkDecorator:
    """The dialects whose row has it."""
    return pytest.mark.parametrize("name", [name for name, one in DIALECTS.items() if getattr(one, field) is not None])


@both
@every
def test_parallel_tools(simulator: SimulatorThread, name: str, stream: bool) -> None:
    dialect = DIALECTS[name]
    status, content = ask(simulator, name, {**dialect.said(WORDS), **dialect.tools}, stream)
    assert status == 200
    told = unframed(content)
    assert all(name.encode() in told for name in NAMES)


@both
@having("thinks")
def test_signed_thoughts(simulator: SimulatorThread, name: str, stream: bool) -> None:
    dialect = DIALECTS[name]
    fields = dialect.said("Why?")
    plain = unframed(ask(simulator, name, fields, stream)[1])
    status, content = ask(simulator, name, {**fields, **dialect.thinks}, stream)
    told = unframed(content)
    assert (status, len(told) > len(plain)) == (200, True)
    if dialect.signed is not None:
        assert dialect.signed in told and dialect.signed not in plain.replace(b'"signature":""', b"")


@both
@every
def test_refusals(simulator: SimulatorThread, name: str, stream: bool) -> None:
    dialect = DIALECTS[name]
    fields = dialect.said("Why?")
    good = unframed(ask(simulator, name, fields, stream)[1])
    simulator.change("m", refusal="answer", tokensPerEvent=50)
    status, content = ask(simulator, name, fields, stream)
    assert (status, dialect.refused in good) == (200, False)
    assert dialect.refused in unframed(content)
    simulator.change("m", refusal="prompt")
    status, content = ask(simulator, name, fields, stream)
    assert status == 200 and b"I can't" not in unframed(content)


@both
@having("cached")
def test_cached_usage(simulator: SimulatorThread, name: str, stream: bool) -> None:
    dialect = DIALECTS[name]
    found = []
    for _ in range(2):
        told = unframed(ask(simulator, name, dialect.said(LONG), stream)[1]).replace(b": ", b":")
        counts = [int(one[: len(one) - len(one.lstrip(b"0123456789"))] or 0) for one in told.split(dialect.cached)[1:]]
        found.append(max(counts, default=0))
    assert found[0] == 0
    assert found[1] >= 1_024


@pytest.mark.parametrize(
    ("name", "history"),
    [(name, kind) for name, one in DIALECTS.items() for kind in ("orphan", "open") if getattr(one, kind) is not None],
)
def test_histories_that_are_refused(simulator: SimulatorThread, name: str, history: str) -> None:
    fields = getattr(DIALECTS[name], history)
    status, content = ask(simulator, name, {**DIALECTS[name].tools, **fields})
    assert status == 400, content


@every
def test_fields_that_nobody_knows(simulator: SimulatorThread, name: str) -> None:
    status, _ = ask(simulator, name, {**DIALECTS[name].said("Why?"), "no_such_field": 1})
    assert status in ((400, 422) if DIALECTS[name].strict else (200,))


@having("limit")
def test_a_bound_beyond_the_models(simulator: SimulatorThread, name: str) -> None:
    dialect = DIALECTS[name]
    fields = dialect.said("Why?")
    assert ask(simulator, name, {**fields, **dialect.limit(4_000)})[0] == 200
    status, content = ask(simulator, name, {**fields, **dialect.limit(4_001)})
    assert status in (400, 422), content
    assert b"4001" in content or b"4000" in content
