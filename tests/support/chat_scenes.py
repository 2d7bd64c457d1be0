"""What a chat can hold, in canonical form: the scenes that every pair of dialects must carry."""

from dataclasses import dataclass, field

from msgspec import Raw

from tidegate.core.usage import Usage
from tidegate.dialects.canon import (
    Answer,
    ArgumentsDelta,
    Begun,
    Ended,
    Event,
    Finish,
    Finished,
    Image,
    Item,
    ItemBegun,
    ItemEnded,
    Message,
    OutputFormat,
    OutputItem,
    Reasoning,
    ReasoningDelta,
    ReasoningSealed,
    Refusal,
    RefusalDelta,
    Request,
    Text,
    TextDelta,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    UsageTold,
)

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = Raw(
    b'{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}'
)
WEATHER = Tool("get_weather", "The weather of a city, now.", SCHEMA)
TIDES = Tool("get_tides", "", Raw(b'{"type":"object","properties":{"port":{"type":"string"}}}'))
USAGE = Usage(input=11, cache_read=4, output=7, source="reported")


def said(text: str, role: str = "user") -> Message:
    return Message(role, [Text(text)])  # type: ignore[arg-type]


@dataclass
class Asked:
    """A request. `without`: dialects that cannot carry it and say so, as a client or as an upstream."""

    name: str
    items: list[Item]
    settings: dict[str, object] = field(default_factory=dict)
    without: frozenset[str] = frozenset()

    def request(self) -> Request:
        return Request(items=self.items, **self.settings)  # type: ignore[arg-type]


@dataclass
class Told:
    """An answer, whole and as a stream."""

    name: str
    items: list[OutputItem]
    finish: Finish
    usage: Usage = USAGE
    without: frozenset[str] = frozenset()

    def answer(self) -> Answer:
        return Answer("id-1", self.items, self.finish, self.usage)

    def events(self) -> list[Event]:
        events: list[Event] = [Begun("id-1")]
        for index, item in enumerate(self.items):
            events += [ItemBegun(index, _skeleton(item)), *_deltas(index, item), ItemEnded(index)]
        return [*events, Finished(self.finish), UsageTold(self.usage), Ended()]


def _skeleton(item: OutputItem) -> OutputItem:
    if isinstance(item, Message):
        return Message("assistant", [])
    if isinstance(item, Reasoning):
        return Reasoning(origin=item.origin, summary=item.summary)
    return ToolCall(item.id, item.name, "", signature=item.signature)


def _deltas(index: int, item: OutputItem) -> list[Event]:
    if isinstance(item, ToolCall):
        half = len(item.arguments) // 2
        return [ArgumentsDelta(index, item.arguments[:half]), ArgumentsDelta(index, item.arguments[half:])]
    if isinstance(item, Reasoning):
        deltas: list[Event] = [ReasoningDelta(index, word) for word in item.text.split("|") if word]
        if item.signature or item.encrypted:
            deltas.append(ReasoningSealed(index, item.signature, item.encrypted))
        return deltas
    deltas = []
    for part in item.parts:
        if isinstance(part, Text):
            deltas += [TextDelta(index, piece) for piece in (part.text[:3], part.text[3:]) if piece]
        elif isinstance(part, Refusal):
            deltas.append(RefusalDelta(index, part.text))
    return deltas


ROME = ToolCall("call_1", "get_weather", '{"city":"Rome"}')
OSLO = ToolCall("call_2", "get_weather", '{"city":"Oslo"}')
TOOLS: dict[str, object] = {"tools": [WEATHER, TIDES]}

ASKED = [
    Asked("plain", [said("Hi")], {"max_output_tokens": 50}),
    Asked("unicode", [said("Grüße 🌊\u2028 „tide“")]),
    Asked("system", [said("Be brief.", "system"), said("Hi")]),
    Asked("turns", [said("Hi"), said("Hello!", "assistant"), said("How are you?")]),
    Asked("samplers", [said("Hi")], {"temperature": 0.5, "top_p": 0.9}),
    Asked("stop", [said("Hi")], {"stop": ["END", "STOP"]}, frozenset({"openai-responses"})),
    Asked("tools", [said("Weather in Rome?")], TOOLS),
    Asked(
        "tool choice required",
        [said("Weather?")],
        {**TOOLS, "tool_choice": ToolChoice("required")},
        frozenset({"ollama"}),
    ),
    Asked(
        "tool choice named",
        [said("Weather?")],
        {**TOOLS, "tool_choice": ToolChoice("tool", ["get_tides"])},
        frozenset({"ollama", "cohere"}),
    ),
    Asked(
        "tool history", [said("Weather?"), ROME, ToolResult("call_1", [Text("12 °C")]), said("And tomorrow?")], TOOLS
    ),
    Asked(
        "parallel tool history",
        [
            said("Weather?"),
            said("Let me look.", "assistant"),
            ROME,
            OSLO,
            ToolResult("call_1", [Text("12 °C")]),
            ToolResult("call_2", [Text("-3 °C")]),
        ],
        TOOLS,
    ),
    Asked("image", [Message("user", [Text("What is this?"), Image(data=PIXEL, media_type="image/png")])]),
    Asked(
        "json schema",
        [said("Where?")],
        {"output_format": OutputFormat("json_schema", "place", SCHEMA)},
    ),
    Asked("effort", [said("Think.")], {"thinking": Thinking(effort="high"), "max_output_tokens": 64_000}),
    Asked("stream", [said("Hi")], {"stream": True}),
]

TOLD = [
    Told("plain", [said("Hello!", "assistant")], Finish("stop")),
    Told("unicode", [said("Grüße 🌊\u2028 „tide“", "assistant")], Finish("stop")),
    Told("length", [said("Hello, th", "assistant")], Finish("length")),
    Told("filtered", [said("I", "assistant")], Finish("content_filter"), without=frozenset({"ollama", "cohere"})),
    Told("tool", [ROME], Finish("tool_calls")),
    Told("text and parallel tools", [said("Let me look.", "assistant"), ROME, OSLO], Finish("tool_calls")),
    Told("reasoning", [Reasoning("Let me| see."), said("12 °C", "assistant")], Finish("stop")),
]
