"""Every ordered pair of chat dialects: what a client asks reaches the upstream, what the upstream tells reaches the client.

The client's bytes are made by its dialect's own encoder and the upstream's bytes by its own, so a scene is one canonical
value and holds for all pairs; that these bytes are what the vendors' SDKs send and read is for the case files to show.
"""

from itertools import product

import msgspec
import pytest
from tests.support.chat_scenes import ASKED, TOLD, Asked, Told
from tests.support.dialect_case import BROKEN

from tidegate.core.usage import Usage
from tidegate.core.view import PathTells, View
from tidegate.dialects.canon import (
    ArgumentsDelta,
    Ended,
    Event,
    Finished,
    Item,
    ItemBegun,
    ItemEnded,
    Message,
    Reasoning,
    ReasoningDelta,
    Refusal,
    Request,
    Text,
    TextDelta,
    ToolCall,
    ToolResult,
    UsageTold,
)
from tidegate.dialects.dialect import ChatCodec, Dialect, UpstreamModel
from tidegate.dialects.registry import DIALECTS
from tidegate.dialects.translation import Translation

SAME_BODIES = ("azure-openai", "vertex", "vertex-anthropic")
"""As another's of their family, but for the API's version."""
CHAT = [dialect for name, dialect in DIALECTS.items() if dialect.chat is not None and name not in SAME_BODIES]
PAIRS = list(product(CHAT, CHAT))
MODEL = UpstreamModel("model-x", max_output_tokens=100_000)


def pair_id(value: object) -> str:
    return getattr(value, "name", str(value))


def codec(dialect: Dialect) -> ChatCodec:
    assert dialect.chat is not None
    return dialect.chat


def relay(client: Dialect, upstream: Dialect) -> Translation:
    return Translation(client, codec(client), upstream, codec(upstream))


def as_client(dialect: Dialect, body: bytes, *, stream: bool) -> View:
    view = dialect.read("chat", body, PathTells(model="public", stream=stream))
    view.id, view.time_ns = "call-1", 1_760_000_000 * 10**9
    view.usage_asked = True
    view.stream = stream
    return view


def gist(items: list[Item]) -> list[object]:
    """What must survive, whatever the dialect: who said what, calls with their arguments, results, pictures.

    What is said for Mistral's assistant alone, after a result, is left out.
    """
    told: list[object] = []
    for before, item in zip([None, *items], items, strict=False):
        match item:
            case Message(role="assistant", parts=[Text(text="OK")]) if isinstance(before, ToolResult):
                pass
            case Message():
                _add_message(told, item)
            case ToolCall():
                told.append(("call", item.name, msgspec.json.decode(item.arguments or "{}")))
            case ToolResult():
                told.append(("result", "".join(part.text for part in item.parts if isinstance(part, Text))))
            case Reasoning():
                told.append(("thought", item.text.replace("|", "")))
    return told


def _add_message(told: list[object], message: Message) -> None:
    """Neighbouring texts of one speaker are one text."""
    role = "system" if message.role == "developer" else message.role
    for part in message.parts:
        kind = type(part).__name__
        what = part.text if isinstance(part, Text | Refusal) else getattr(part, "data", "")
        before = told[-1] if told else None
        if kind == "Text" and isinstance(before, tuple) and before[:2] == (role, kind):
            told[-1] = (role, kind, before[2] + what)
        else:
            told.append((role, kind, what))


def settings(request: Request) -> dict[str, object]:
    names = ("max_output_tokens", "temperature", "top_p", "stop", "stream")
    return {name: getattr(request, name) for name in names if getattr(request, name)}


@pytest.mark.parametrize("scene", ASKED, ids=pair_id)
@pytest.mark.parametrize(("client", "upstream"), PAIRS, ids=pair_id)
def test_requests(client: Dialect, upstream: Dialect, scene: Asked) -> None:
    if {client.name, upstream.name} & scene.without:
        return
    asked = scene.request()
    body = codec(client).encode_request(scene.request(), UpstreamModel("public", max_output_tokens=100_000))
    view = as_client(client, body, stream=asked.stream)
    sent = relay(client, upstream).encode_request(view, MODEL, output_cap=None)
    reached = codec(upstream).decode_request(as_client(upstream, sent, stream=asked.stream))
    assert gist(reached.items) == gist(asked.items)
    assert [tool.name for tool in reached.tools] == [tool.name for tool in asked.tools]
    for before, after in zip(asked.tools, reached.tools, strict=True):
        assert msgspec.json.decode(after.parameters or b"{}") == msgspec.json.decode(before.parameters or b"{}")
    if asked.tool_choice is not None:
        assert reached.tool_choice is not None
        assert (reached.tool_choice.mode, reached.tool_choice.names) in (
            (asked.tool_choice.mode, asked.tool_choice.names),
            ("required", asked.tool_choice.names),
        )
    if asked.output_format is not None:
        assert reached.output_format is not None
        assert msgspec.json.decode(reached.output_format.schema or b"{}") == msgspec.json.decode(
            asked.output_format.schema or b"{}"
        )
    got = settings(reached)
    for name, value in settings(asked).items():
        assert got.get(name) == value or name in view.dropped, name
    calls = [item.id for item in reached.items if isinstance(item, ToolCall)]
    assert [item.call_id for item in reached.items if isinstance(item, ToolResult)] == calls


def told_by(upstream: Dialect, scene: Told) -> tuple[bytes, bytes]:
    """(whole answer, stream) as the upstream would send them."""
    view = View("x", "chat", "upstream-model", True, {}, 0, 0, 0, None, usage_asked=True, id="id-1")
    encoder = codec(upstream).event_encoder(view)
    stream = b"".join(encoder.encode(event) for event in scene.events() if not isinstance(event, Ended)) + encoder.end()
    return codec(upstream).encode_answer(scene.answer(), view), stream


def client_view(client: Dialect, *, stream: bool) -> View:
    body = codec(client).encode_request(Request(items=[Message("user", [Text("Hi")])], stream=stream), MODEL)
    return as_client(client, body, stream=stream)


def totals(usage: Usage | None) -> tuple[int, int]:
    assert usage is not None
    return usage.input_total, usage.output_total


def events_of(dialect: Dialect, stream: bytes) -> list[Event]:
    decoder, splitter = codec(dialect).event_decoder(), dialect.splitter()
    events = [event for frame in splitter.feed(stream) for event in decoder.decode(frame)]
    return events if isinstance(events[-1], Ended) else [*events, *decoder.end()]


@pytest.mark.parametrize("scene", TOLD, ids=pair_id)
@pytest.mark.parametrize(("client", "upstream"), PAIRS, ids=pair_id)
def test_whole_answers(client: Dialect, upstream: Dialect, scene: Told) -> None:
    if {client.name, upstream.name} & scene.without:
        return
    through = relay(client, upstream)
    answer = through.read_answer("chat", told_by(upstream, scene)[0])
    got = codec(client).decode_answer(through.encode_answer(answer, client_view(client, stream=False)))
    assert gist([*got.items]) == gist([*scene.items])
    assert got.finish.reason == scene.finish.reason
    assert totals(answer.usage) == totals(scene.usage) == totals(got.usage)


@pytest.mark.parametrize("scene", TOLD, ids=pair_id)
@pytest.mark.parametrize(("client", "upstream"), PAIRS, ids=pair_id)
def test_streams(client: Dialect, upstream: Dialect, scene: Told) -> None:
    """The same at every cut; well-formed; no end marker when the upstream's is missing."""
    if {client.name, upstream.name} & scene.without:
        return
    told = told_by(upstream, scene)[1]
    stream, usage, ended = streamed(client, upstream, [told])
    assert ended
    assert streamed(client, upstream, [told[i : i + 1] for i in range(len(told))])[0] == stream
    events = events_of(client, stream)
    assert_well_formed(events)
    assert gist(folded(events)) == gist([*scene.items])
    assert [event.finish.reason for event in events if isinstance(event, Finished)] == [scene.finish.reason]
    assert totals(usage) == totals(scene.usage)
    assert totals([event for event in events if isinstance(event, UsageTold)][-1].usage) == totals(scene.usage)


@pytest.mark.parametrize(("client", "upstream"), PAIRS, ids=pair_id)
def test_a_cut_stream_never_looks_whole(client: Dialect, upstream: Dialect) -> None:
    told = told_by(upstream, TOLD[0])[1]
    whole = streamed(client, upstream, [told])[0]
    splitter = upstream.splitter()
    frames = splitter.feed(told)
    if not codec(upstream).event_decoder().end() and len(frames) > 1:
        cut, _, ended = streamed(client, upstream, frames[:1])
        assert not ended
        assert cut != whole


def streamed(client: Dialect, upstream: Dialect, pieces: list[bytes]) -> tuple[bytes, Usage | None, bool]:
    through = relay(client, upstream)
    reader, splitter = through.stream_reader(client_view(client, stream=True)), upstream.splitter()
    out: list[bytes] = []
    for piece in pieces:
        for frame in splitter.feed(piece):
            event = reader.read(frame)
            out.append(event.bytes)
            if event.done or event.fault is not None:
                return b"".join(out), reader.usage, event.done
    marker = reader.end_marker()
    out.append(reader.problem(BROKEN) if marker is None else marker)
    return b"".join(out), reader.usage, marker is not None


def assert_well_formed(events: list[Event]) -> None:
    """The order that canon describes."""
    opened: int | None = None
    following = 0
    for event in events:
        if isinstance(event, ItemBegun):
            assert opened is None
            assert event.index == following
            opened, following = event.index, following + 1
        elif isinstance(event, ItemEnded):
            assert event.index == opened
            opened = None
        elif isinstance(event, TextDelta | ReasoningDelta | ArgumentsDelta):
            assert event.index == opened
    assert opened is None
    assert isinstance(events[-1], Ended)


def folded(events: list[Event]) -> list[Item]:
    items: list[Item] = []
    for event in events:
        if isinstance(event, ItemBegun):
            begun = event.item
            if isinstance(begun, Message):
                begun = Message("assistant", [Text("")])
            elif isinstance(begun, Reasoning):
                begun = Reasoning(begun.text)
            else:
                begun = ToolCall(begun.id, begun.name, begun.arguments)
            items.append(begun)
        elif isinstance(event, TextDelta):
            items[-1].parts[0].text += event.text  # type: ignore[union-attr]
        elif isinstance(event, ReasoningDelta):
            items[-1].text += event.text  # type: ignore[union-attr]
        elif isinstance(event, ArgumentsDelta):
            items[-1].arguments += event.text  # type: ignore[union-attr]
    return items
