"""An upstream's stream of chat completion chunks, to canonical events.

Source: `openai.types.chat.chat_completion_chunk` of the official SDK.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.dialects.canon import (
    ArgumentsDelta,
    Begun,
    CitationAdded,
    Ended,
    Event,
    Failed,
    Fault,
    Finished,
    ItemBegun,
    ItemEnded,
    Message,
    OutputItem,
    Reasoning,
    ReasoningDelta,
    ReasoningSealed,
    RefusalDelta,
    TextDelta,
    ToolCall,
    UsageTold,
)
from tidegate.dialects.dialect import UnreadableAnswer
from tidegate.dialects.fields import NULL, present
from tidegate.dialects.openai.chat_answer import Call, Said, citation_of, finish_of
from tidegate.dialects.openai.errors import read_error
from tidegate.dialects.openai.usage import usage_of
from tidegate.dialects.service_tiers import in_tier
from tidegate.wire.sse import sse_data

_DONE: Final = b"[DONE]"


class Choice(Struct):
    delta: Said | None = None
    finish_reason: str | None = None
    index: int = 0


class Chunk(Struct):
    choices: list[Choice] | None = None
    id: str | None = None
    usage: Raw = NULL
    error: Raw = NULL
    service_tier: str | None = None


_decode = msgspec.json.Decoder(Chunk).decode


class ChunkDecoder:
    """Is an EventDecoder. Remembers the open item and where each tool call stands.

    Dialects with chunks of nearly this shape read theirs with a `parse` of their own.
    """

    origin = "openai"
    """Of the thoughts in it."""

    def __init__(self) -> None:
        self._begun = False
        self._finished = False
        self._called = False
        self._next = 0
        self._open: OutputItem | None = None
        self._call_index: int | None = None

    def decode(self, frame: bytes) -> list[Event]:
        """One SSE event. Raises UnreadableAnswer."""
        data = sse_data(frame)
        if not data:
            return []
        if data == _DONE:
            if not self._finished:
                raise UnreadableAnswer("the stream ended without a finish_reason")
            return [Ended()]
        try:
            chunk = self.parse(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"a chunk of the stream is not what the dialect promises: {error}") from error
        if present(chunk.error) is not None:
            return [Failed(self.read_fault(data))]
        events: list[Event] = []
        if not self._begun:
            self._begun = True
            events.append(Begun(chunk.id or ""))
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._choice(choice, events, chunk.service_tier or "")
        if present(chunk.usage) is not None:
            events.append(UsageTold(in_tier(usage_of(chunk.usage), chunk.service_tier)))
        return events

    def parse(self, data: bytes) -> Chunk:
        """Raises msgspec.DecodeError."""
        return _decode(data)

    def read_fault(self, data: bytes) -> Fault:
        """Of a chunk with `error`."""
        return read_error(data)

    def end(self) -> list[Event]:
        """Some servers (`transformers serve`) end the body after the finish reason, without `[DONE]`."""
        return [Ended()] if self._finished else []

    def _choice(self, choice: Choice, events: list[Event], tier: str) -> None:
        delta = choice.delta
        if delta is not None and not self._finished:
            self._delta(delta, events)
        if choice.finish_reason is not None and not self._finished:
            finish = finish_of(choice.finish_reason, called=self._called)
            self._close(events)
            self._finished = True
            events.append(Finished(finish, tier))

    def _delta(self, delta: Said, events: list[Event]) -> None:
        thought = delta.reasoning or delta.reasoning_content
        if thought:
            events.append(ReasoningDelta(self._in(Reasoning, events), thought))
        if delta.signature:
            events.append(ReasoningSealed(self._in(Reasoning, events), delta.signature))
        if delta.content:
            events.append(TextDelta(self._in(Message, events), delta.content))
        if delta.refusal:
            events.append(RefusalDelta(self._in(Message, events), delta.refusal))
        for one in delta.annotations or ():
            found = citation_of(one)
            if found is not None:
                events.append(CitationAdded(self._in(Message, events), found))
        for call in delta.tool_calls or ():
            self._tool_call(call, events)
        if delta.function_call is not None:
            self._tool_call(Call(index=0, function=delta.function_call), events)

    def _tool_call(self, call: Call, events: list[Event]) -> None:
        told = call.function
        text = "" if told is None else told.arguments or ""
        name = "" if told is None else told.name or ""
        if call.custom is not None:
            text, name = call.custom.input or "", call.custom.name or ""
        if self._is_new(call, name):
            if not name:
                raise UnreadableAnswer("a tool call begins without a name")
            own = call.id or f"call_{self._next}"
            begun = ToolCall(own, name, "", custom=call.custom is not None, signature=call.signature)
            self._begin(begun, events)
            self._called = True
            self._call_index = call.index
        if text:
            events.append(ArgumentsDelta(self._next - 1, text))

    def _is_new(self, call: Call, name: str) -> bool:
        if not isinstance(self._open, ToolCall):
            if not name:
                raise UnreadableAnswer("a tool call goes on after its end")
            return True
        if call.index is None:
            return bool(name)  # servers that send no index send each call whole
        if self._call_index is not None and call.index < self._call_index:
            raise UnreadableAnswer("tool calls are mixed in one stream")
        if call.index != self._call_index:
            return True
        # Some servers give every call index 0: another id and name begin another call.
        return bool(name) and call.id is not None and call.id != self._open.id

    def _in(self, kind: type[Message] | type[Reasoning], events: list[Event]) -> int:
        """The index of the open item of this kind; begins one if another, or none, is open."""
        if not isinstance(self._open, kind):
            self._begin(Message("assistant", []) if kind is Message else Reasoning(origin=self.origin), events)
        return self._next - 1

    def _begin(self, item: OutputItem, events: list[Event]) -> None:
        self._close(events)
        self._open = item
        events.append(ItemBegun(self._next, item))
        self._next += 1

    def _close(self, events: list[Event]) -> None:
        if self._open is not None:
            events.append(ItemEnded(self._next - 1))
            self._open = None
