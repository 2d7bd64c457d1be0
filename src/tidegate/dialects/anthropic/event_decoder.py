"""An upstream's stream of message events, to canonical events.

Source: `anthropic.types.raw_message_stream_event` of the official SDK.
"""

import msgspec
from msgspec import Raw, Struct

from tidegate.dialects.anthropic.answer import (
    NO_ARGUMENTS,
    Block,
    CitationObject,
    StopDetails,
    billed_tier,
    call_of,
    citation_of,
    finish_of,
)
from tidegate.dialects.anthropic.errors import read_error
from tidegate.dialects.anthropic.events import frame_name
from tidegate.dialects.anthropic.thoughts import ORIGIN
from tidegate.dialects.anthropic.usage import RunningUsage
from tidegate.dialects.canon import (
    ArgumentsDelta,
    Begun,
    CitationAdded,
    Ended,
    Event,
    Failed,
    Finished,
    ItemBegun,
    ItemEnded,
    Message,
    OutputItem,
    Reasoning,
    ReasoningDelta,
    ReasoningSealed,
    TextDelta,
    ToolCall,
    UsageTold,
)
from tidegate.dialects.dialect import UnreadableAnswer
from tidegate.dialects.fields import NULL, present
from tidegate.wire.sse import sse_data


class _Message(Struct):
    id: str | None = None
    usage: Raw = NULL


class _Delta(Struct):
    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: CitationObject | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class _Event(Struct):
    """Any event's data."""

    index: int | None = None
    message: _Message | None = None
    content_block: Block | None = None
    delta: _Delta | None = None
    usage: Raw = NULL


_decode = msgspec.json.Decoder(_Event).decode


class MessageDecoder:
    """Is an EventDecoder. Remembers the open block and the usage told so far."""

    def __init__(self) -> None:
        self._begun = False
        self._finished = False
        self._next = 0
        self._open: OutputItem | None = None
        self._block: int | None = None
        """The upstream's index of the open block; also of one that is passed over."""
        self._input = ""
        """Arguments that the open call began with, for when none come as deltas."""
        self._running = RunningUsage()
        self._tier = ""

    def decode(self, frame: bytes) -> list[Event]:
        """One SSE event. Raises UnreadableAnswer."""
        data = sse_data(frame)
        if not data:
            return []
        try:
            name = frame_name(frame, data)
            if name == "error":
                return [Failed(read_error(data))]
            return self._event(name, _decode(data))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"an event of the stream is not what the dialect promises: {error}") from error

    def end(self) -> list[Event]:
        """Some compatible servers end the body after the stop reason."""
        return [Ended()] if self._finished else []

    def _event(self, name: str, told: _Event) -> list[Event]:
        events: list[Event] = []
        match name:
            case "message_start":
                self._start(told.message or _Message(), events)
            case "content_block_start" if self._begun:
                self._begin(told, events)
            case "content_block_delta" if self._begun:
                self._delta(told, events)
            case "content_block_stop" if self._begun:
                self._close(events)
            case "message_delta" if self._begun:
                self._end(told, events)
            case "message_stop" if self._finished:
                events.append(Ended())
            case "content_block_start" | "content_block_delta" | "content_block_stop" | "message_delta":
                raise UnreadableAnswer(f"`{name}` came before `message_start`")
            case "message_stop":
                raise UnreadableAnswer("the stream ended without a stop_reason")
            case _:
                pass
        return events

    def _start(self, message: _Message, events: list[Event]) -> None:
        if self._begun:
            raise UnreadableAnswer("the message began twice")
        self._begun = True
        events.append(Begun(message.id or ""))
        if present(message.usage) is not None:
            self._tier = billed_tier(message.usage)
            events.append(UsageTold(self._running.told(message.usage, final=False)))

    def _begin(self, told: _Event, events: list[Event]) -> None:
        block = told.content_block
        if block is None or self._finished:
            raise UnreadableAnswer("a block begins that is none, or after the end")
        self._close(events)
        self._block = told.index
        match block.type:
            case "text":
                self._item(Message("assistant", []), events)
                self._text(block.text, events)
            case "thinking" | "redacted_thinking":
                self._item(Reasoning(origin=ORIGIN), events)
                if block.thinking:
                    events.append(ReasoningDelta(self._next - 1, block.thinking))
                if block.signature or block.data:
                    events.append(ReasoningSealed(self._next - 1, block.signature or "", block.data or ""))
            case "tool_use":
                self._item(call_of(block), events)
                self._input = NO_ARGUMENTS if present(block.input) is None else bytes(block.input).decode()
            case _:
                pass  # a hosted tool's block: nothing that the hub can carry

    def _item(self, item: OutputItem, events: list[Event]) -> None:
        self._open = item
        events.append(ItemBegun(self._next, item))
        self._next += 1

    def _delta(self, told: _Event, events: list[Event]) -> None:
        delta = told.delta
        if delta is None or self._block is None or told.index != self._block:
            raise UnreadableAnswer("a delta belongs to no open block")
        if self._open is None:
            return
        index = self._next - 1
        match self._open, delta.type:
            case Message(), "text_delta":
                self._text(delta.text, events)
            case Message(), "citations_delta":
                found = None if delta.citation is None else citation_of(delta.citation)
                if found is not None:
                    events.append(CitationAdded(index, found))
            case Reasoning(), "thinking_delta":
                if delta.thinking:
                    events.append(ReasoningDelta(index, delta.thinking))
            case Reasoning(), "signature_delta":
                events.append(ReasoningSealed(index, delta.signature or ""))
            case ToolCall(), "input_json_delta":
                if delta.partial_json:
                    self._input = ""
                    events.append(ArgumentsDelta(index, delta.partial_json))
            case _, ("text_delta" | "thinking_delta" | "signature_delta" | "input_json_delta"):
                raise UnreadableAnswer(f"a `{delta.type}` came in a block of another type")
            case _:
                pass

    def _text(self, text: str | None, events: list[Event]) -> None:
        if text:
            events.append(TextDelta(self._next - 1, text))

    def _close(self, events: list[Event]) -> None:
        if self._open is not None:
            if isinstance(self._open, ToolCall) and self._input:
                events.append(ArgumentsDelta(self._next - 1, self._input))
            events.append(ItemEnded(self._next - 1))
        self._open = None
        self._block = None
        self._input = ""

    def _end(self, told: _Event, events: list[Event]) -> None:
        if present(told.usage) is not None:
            events.append(UsageTold(self._running.told(told.usage, final=True)))
        delta = told.delta
        if delta is None or delta.stop_reason is None or self._finished:
            return
        self._close(events)
        self._finished = True
        events.append(Finished(finish_of(delta.stop_reason, delta.stop_sequence, delta.stop_details), self._tier))
