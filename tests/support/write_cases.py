"""Writes the scenes that every ordered pair of chat dialects has a case file for: `make cases`.

The client's bytes and the upstream's are made by each dialect's own encoder, what must come out is what comes out now: the
files keep it so. What shows that it is right is apart from them: the vendors' SDKs read every file (`tests/unit/dialects`),
and a change shows as a difference to review. Cases with other names are written by hand and are not touched.
"""

import json
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from msgspec.structs import replace
from tests.support.chat_scenes import OSLO, PIXEL, ROME, SCHEMA, TOOLS, USAGE, Told, said
from tests.support.dialect_case import FOLDER, UPSTREAM, Case

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.canon import (
    Ended,
    Finish,
    Finished,
    Image,
    Item,
    Message,
    OutputFormat,
    OutputItem,
    Reasoning,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolResult,
    UsageTold,
)
from tidegate.dialects.dialect import ChatCodec, UnreadableRequest, UpstreamModel
from tidegate.dialects.registry import DIALECTS
from tidegate.wire.eventstream import EventStreamSplitter, decode_frame

CHAT = ("openai", "openai-responses", "anthropic", "gemini", "bedrock", "cohere", "mistral", "ollama")
PREFIX = "scene_"
_PATHS = {
    "gemini": ("/v1beta/models/public:generateContent", "/v1beta/models/public:streamGenerateContent?alt=sse"),
    "bedrock": ("/model/public/converse", "/model/public/converse-stream"),
}
_SIGNING = ("anthropic", "gemini", "bedrock")
_OVERLOADED = Problem(status=503, code="overloaded", message="The model is overloaded.")


@dataclass
class Scene:
    """One case of every pair. `faulted`: the upstream reports an error in the middle of its stream."""

    name: str
    about: str
    items: list[Item]
    told: list[OutputItem]
    finish: Finish = field(default_factory=lambda: Finish("stop"))
    settings: dict[str, object] = field(default_factory=dict)
    usage: Usage = USAGE
    stream: bool = False
    faulted: bool = False
    without: frozenset[str] = frozenset()
    """Clients that cannot ask it."""


def _answer(text: str = "Hello!") -> list[OutputItem]:
    return [said(text, "assistant")]


_CALLS = Finish("tool_calls")
_WEATHER = said("Weather in Rome and Oslo?")
_ONE_RESULT: list[Item] = [said("Weather?"), ROME, ToolResult("call_1", [Text("12 °C")])]
_CACHED = Usage(input=11, cache_read=40, cache_write_5m=20, output=7, source="reported")
_THOUGHT = Reasoning("Let me| see.", signature="c2lnbmVk")

SCENES = (
    Scene("plain", "A question and an answer.", [said("Hi")], _answer(), settings={"max_output_tokens": 50}),
    Scene(
        "stream",
        "The same as a stream, with letters of several bytes.",
        [said("Grüße 🌊")],
        _answer("Grüße\u2028🌊"),
        stream=True,
    ),
    Scene("tools", "A call of one of two tools.", [_WEATHER], [ROME], _CALLS, TOOLS),
    Scene(
        "parallel_tools",
        "Text and two calls at once.",
        [_WEATHER],
        [*_answer("I look."), ROME, OSLO],
        _CALLS,
        TOOLS,
        stream=True,
    ),
    Scene(
        "one_call",
        "One call at a time is asked for, and two come: upstreams that cannot be held to it are trimmed to the first.",
        [_WEATHER],
        [*_answer("I look."), ROME, OSLO],
        _CALLS,
        {**TOOLS, "parallel_tool_calls": False},
        stream=True,
        without=frozenset({"gemini", "cohere", "ollama", "bedrock"}),
    ),
    Scene(
        "tool_history", "A call and its result go back.", [*_ONE_RESULT, said("And now?")], _answer(), settings=TOOLS
    ),
    Scene(
        "system_prompts",
        "Instructions before and between turns.",
        [
            said("Be brief.", "system"),
            said("Hi"),
            said("Hello.", "assistant"),
            said("In French.", "system"),
            said("Hi"),
        ],
        _answer("Salut"),
    ),
    Scene(
        "images",
        "A picture.",
        [Message("user", [Text("What is it?"), Image(data=PIXEL, media_type="image/png")])],
        _answer("A dot."),
    ),
    Scene(
        "json_schema",
        "An answer by a schema.",
        [said("Where?")],
        _answer('{"city":"Rome"}'),
        settings={"output_format": OutputFormat("json_schema", "place", SCHEMA)},
    ),
    Scene(
        "reasoning",
        "A thought before the answer, signed where the upstream signs.",
        [said("Think.")],
        [_THOUGHT, *_answer()],
        settings={"thinking": Thinking(effort="high"), "max_output_tokens": 64_000},
        stream=True,
    ),
    Scene(
        "stop",
        "A stop sequence is asked for, and met.",
        [said("Count.")],
        _answer("1 2"),
        Finish("stop", stop_sequence="3"),
        {"stop": ["3"]},
        without=frozenset({"openai-responses"}),
    ),
    Scene(
        "length",
        "The answer is cut off at its bound.",
        [said("Tell.")],
        _answer("Once upo"),
        Finish("length"),
        {"max_output_tokens": 3},
    ),
    Scene(
        "refusal",
        "The model refuses.",
        [said("No?")],
        [Message("assistant", [Refusal("I cannot.")])],
        Finish("content_filter"),
        stream=True,
    ),
    Scene(
        "error", "The upstream fails in the middle of its stream.", [said("Hi")], _answer(), stream=True, faulted=True
    ),
    Scene(
        "cache_usage",
        "Tokens read from a cache and written to it.",
        [said("Hi")],
        _answer(),
        usage=_CACHED,
        stream=True,
    ),
)


def write(client: str, upstream: str, scene: Scene) -> None:
    folder = FOLDER / f"{client}-to-{upstream}"
    folder.mkdir(exist_ok=True)
    path = folder / f"{PREFIX}{scene.name}.case"
    if client in scene.without:
        return
    head = f"{scene.about} Written by `make cases`.\n".encode()
    request = _request(client, scene)
    answer, stream = _told(upstream, scene)
    asked = head + request
    if not scene.faulted:
        asked += b"== upstream-answer\n" + answer + b"\n"
    asked += _stream_section("upstream-stream", upstream, stream)
    path.write_bytes(asked)
    path.write_bytes(_expected(path, head + request, asked))


def _expected(path: Path, request: bytes, asked: bytes) -> bytes:
    case = Case(path)
    try:
        view, sent = case.sent()
    except UnreadableRequest as error:
        problem = error.problem
        field_name = f" {problem.field}" if problem.field else ""
        return request + f"== problem {problem.status} {problem.code}{field_name}\n{problem.message}\n".encode()
    body = request + b"== upstream-request\n" + _pretty(sent) + b"\n"
    if view.dropped:
        body += b"== dropped\n" + " ".join(view.dropped).encode() + b"\n"
    body += asked[len(request) :]
    told: Usage | None = None
    if "upstream-answer" in case.sections:
        answered, told = case.answered()
        body += b"== answer\n" + _pretty(answered) + b"\n"
    stream, usage, ended = case.streamed([case.text("upstream-stream")])
    body += _stream_section("stream" if ended else "stream cut", case.client.name, stream)
    known = told or usage
    return body if known is None else body + b"== usage\n" + _usage(known) + b"\n"


def _request(client: str, scene: Scene) -> bytes:
    asked = Request(items=list(scene.items), stream=scene.stream, **scene.settings)  # type: ignore[arg-type]
    body = _codec(client).encode_request(asked, UpstreamModel("public", max_output_tokens=100_000))
    path = f" {_PATHS[client][scene.stream]}" if client in _PATHS else ""
    return f"== request{path}\n".encode() + _pretty(body) + b"\n"


def _told(upstream: str, scene: Scene) -> tuple[bytes, bytes]:
    """(whole answer, stream) as the upstream sends them."""
    items = [_of(upstream, item) for item in scene.told]
    told = Told(scene.name, items, scene.finish, scene.usage)
    view = View(
        upstream, "chat", UPSTREAM, True, {}, 0, 0, 0, None, usage_asked=True, id="id-1", time_ns=1_760_000_000 * 10**9
    )
    encoder = _codec(upstream).event_encoder(view)
    events = [one for one in told.events() if not isinstance(one, Ended)]
    if scene.faulted:
        events = [one for one in events if not isinstance(one, Finished | UsageTold)][:-1]
        stream = b"".join(encoder.encode(one) for one in events) + encoder.problem(_OVERLOADED)
    else:
        stream = b"".join(encoder.encode(one) for one in events) + encoder.end()
    return _codec(upstream).encode_answer(told.answer(), view), stream


def _of(upstream: str, item: OutputItem) -> OutputItem:
    """A signature is of the one who answers, where it signs."""
    if not isinstance(item, Reasoning):
        return item
    signs = upstream in _SIGNING
    return replace(item, signature=item.signature if signs else "", origin=DIALECTS[upstream].family if signs else "")


def _codec(dialect: str) -> ChatCodec:
    found = DIALECTS[dialect].chat
    assert found is not None
    return found


def _stream_section(name: str, dialect: str, stream: bytes) -> bytes:
    if dialect != "bedrock":
        return f"== {name}\n".encode() + stream
    kind, _, argument = name.partition(" ")
    lines = [_frame(frame) for frame in EventStreamSplitter().feed(stream)]
    return f"== {kind} frames {argument}".rstrip().encode() + b"\n" + "".join(lines).encode()


def _frame(frame: bytes) -> str:
    told = decode_frame(frame)
    exception = told.headers.get(":exception-type")
    name = f"!{exception}" if exception else told.headers[":event-type"]
    return f"{name} {told.payload.decode()}\n"


def _pretty(body: bytes) -> bytes:
    return json.dumps(json.loads(body), ensure_ascii=False).encode()


def _usage(usage: Usage) -> bytes:
    counted = [
        f"{name}={value}"
        for name in Usage.__struct_fields__
        if isinstance(value := getattr(usage, name), int) and value
    ]
    return " ".join([*counted, f"source={usage.source}"]).encode()


if __name__ == "__main__":
    for one, other in product(CHAT, CHAT):
        for each in SCENES:
            write(one, other, each)
