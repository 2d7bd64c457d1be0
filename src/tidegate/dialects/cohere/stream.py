"""Cohere's stream of typed events: to canonical events, from them, and the native relay.

Source: `v2.types.v2chat_stream_response` of the official `cohere` SDK.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.canon import (
    ArgumentsDelta,
    Begun,
    CitationAdded,
    Ended,
    Event,
    Failed,
    Fault,
    Finish,
    Finished,
    ItemBegun,
    ItemEnded,
    Message,
    OutputItem,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCall,
    UsageTold,
)
from tidegate.dialects.cohere.answer import (
    FAILED,
    Block,
    Call,
    Cited,
    call_object,
    call_of,
    citation,
    citations_of,
    ending,
)
from tidegate.dialects.cohere.answer import finish_of as finish_of_word
from tidegate.dialects.cohere.errors import encode_stream_error
from tidegate.dialects.cohere.request_in import ORIGIN
from tidegate.dialects.cohere.usage import usage_of
from tidegate.dialects.dialect import StreamEvent, UnreadableAnswer
from tidegate.dialects.fields import NULL, present
from tidegate.dialects.open_item import OpenItem
from tidegate.wire.sse import sse_data, sse_event


class _Message(Struct):
    content: Block | list[Block] | None = None
    tool_plan: str | None = None
    tool_calls: Call | list[Call] | None = None
    citations: Cited | list[Cited] | None = None


class _Delta(Struct):
    message: _Message | None = None
    finish_reason: str | None = None
    error: str | None = None
    usage: Raw = NULL


class _Event(Struct):
    type: str | None = None
    id: str | None = None
    delta: _Delta | None = None
    message: str | None = None
    """Of an error outside of the protocol, which has no type."""


_decode = msgspec.json.Decoder(_Event).decode
_encode = msgspec.json.Encoder().encode


def _read(frame: bytes) -> _Event | None:
    """None for a frame without data, and for `[DONE]`. Raises UnreadableAnswer."""
    data = sse_data(frame)
    if not data or data == b"[DONE]":
        return None
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableAnswer(f"an event of the stream is not what the dialect promises: {error}") from error


def _fault(event: _Event) -> Fault | None:
    if event.type is None and event.message is not None:
        return Fault("", "", event.message)
    delta = event.delta
    if event.type != "message-end" or delta is None:
        return None
    if delta.finish_reason in FAILED or delta.error is not None:
        return Fault(delta.finish_reason or "", "", delta.error or f"the upstream gave up ({delta.finish_reason})")
    return None


class EventsDecoder:
    """Is an EventDecoder."""

    def __init__(self) -> None:
        self._items = OpenItem()
        self._begun = False
        self._calls = 0

    def decode(self, frame: bytes) -> list[Event]:
        """One SSE event. Raises UnreadableAnswer."""
        event = _read(frame)
        if event is None:
            return []
        fault = _fault(event)
        if fault is not None:
            return [Failed(fault)]
        events: list[Event] = []
        if not self._begun:
            self._begun = True
            events.append(Begun(event.id or ""))
        if event.type == "message-end":
            self._finish(event.delta or _Delta(), events)
        elif event.type in ("content-end", "tool-call-end"):
            self._items.close(events)
        elif event.delta is not None and event.delta.message is not None:
            self._said(event.type, event.delta.message, events)
        return events

    def end(self) -> list[Event]:
        return []

    def _finish(self, delta: _Delta, events: list[Event]) -> None:
        finish = finish_of_word(delta.finish_reason or "COMPLETE", called=self._calls > 0)
        self._items.close(events)
        if present(delta.usage) is not None:
            events.append(UsageTold(usage_of(delta.usage)))
        events += [Finished(finish), Ended()]

    def _said(self, kind: str | None, message: _Message, events: list[Event]) -> None:
        if kind in ("content-start", "content-delta") and isinstance(message.content, Block):
            block = message.content
            if block.thinking:
                events.append(ReasoningDelta(self._items.reasoning(ORIGIN, events), block.thinking))
            if block.text:
                events.append(TextDelta(self._items.message(events), block.text))
        elif kind == "tool-plan-delta" and message.tool_plan:
            events.append(TextDelta(self._items.message(events), message.tool_plan))
        elif kind == "tool-call-start" and isinstance(message.tool_calls, Call):
            call = call_of(message.tool_calls, self._calls)
            self._calls += 1
            index = self._items.begin(ToolCall(call.id, call.name, ""), events)
            if call.arguments:
                events.append(ArgumentsDelta(index, call.arguments))
        elif kind == "tool-call-delta" and isinstance(message.tool_calls, Call):
            self._arguments(message.tool_calls, events)
        elif kind == "citation-start" and isinstance(message.citations, Cited):
            if isinstance(self._items.item, Message):
                events += [CitationAdded(self._items.index, one) for one in citations_of(message.citations)]

    def _arguments(self, call: Call, events: list[Event]) -> None:
        if not isinstance(self._items.item, ToolCall):
            raise UnreadableAnswer("a tool call goes on after its end")
        if call.function is not None and call.function.arguments:
            events.append(ArgumentsDelta(self._items.index, call.function.arguments))


class EventsEncoder:
    """Is an EventEncoder. Contents are counted, and calls are, each from 0."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._finish = Finish("stop")
        self._usage: Usage | None = None
        self._open: OutputItem | None = None
        self._contents = 0
        self._calls = 0
        self._citations = 0

    def encode(self, event: Event) -> bytes:
        match event:
            case TextDelta() | RefusalDelta():
                return self._content("content-delta", {"text": event.text})
            case ReasoningDelta():
                return self._content("content-delta", {"thinking": event.text})
            case ArgumentsDelta():
                calls = {"tool_calls": {"function": {"arguments": event.text}}}
                return _event("tool-call-delta", index=self._calls, delta={"message": calls})
            case ItemBegun():
                return self._begun(event.item)
            case ItemEnded():
                return self._ended()
            case CitationAdded():
                return self._cited(event)
            case Begun():
                return _event("message-start", id=event.id or self._view.id, delta={"message": {"role": "assistant"}})
            case UsageTold():
                self._usage = event.usage
            case Finished():
                self._finish = event.finish
            case _:
                pass
        return b""

    def end(self) -> bytes:
        return _event("message-end", delta=ending(self._finish, self._usage))

    def problem(self, problem: Problem) -> bytes:
        return encode_stream_error(problem)

    def _begun(self, item: OutputItem) -> bytes:
        self._open = item
        if isinstance(item, ToolCall):
            calls = {"tool_calls": call_object(item)}
            return _event("tool-call-start", index=self._calls, delta={"message": calls})
        kind = "thinking" if isinstance(item, Reasoning) else "text"
        return self._content("content-start", {"type": kind, kind: ""})

    def _ended(self) -> bytes:
        called = isinstance(self._open, ToolCall)
        self._open = None
        if called:
            self._calls += 1
            return _event("tool-call-end", index=self._calls - 1)
        self._contents += 1
        return _event("content-end", index=self._contents - 1)

    def _cited(self, event: CitationAdded) -> bytes:
        """The text that it is about has gone to the client already."""
        told = citation(event.citation, "", self._contents)
        told.pop("text", None)
        index = self._citations
        self._citations += 1
        start = _event("citation-start", index=index, delta={"message": {"citations": told}})
        return start + _event("citation-end", index=index)

    def _content(self, kind: str, block: dict[str, str]) -> bytes:
        return _event(kind, index=self._contents, delta={"message": {"content": block}})


def _event(kind: str, **members: Any) -> bytes:
    return sse_event(_encode({"type": kind, **members}), kind.encode())


_CONTENT: Final = frozenset(("content-delta", "tool-plan-delta", "tool-call-start", "tool-call-delta"))


class EventsReader:
    """Is a StreamReader, natively: events as they come, for no model's name is in them."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.content_events = 0
        self.content_bytes = 0

    def read(self, event: bytes) -> StreamEvent:
        """One SSE event, its blank line included. Raises UnreadableAnswer."""
        told = _read(event)
        if told is None:
            return StreamEvent(event)
        fault = _fault(told)
        if fault is not None:
            return StreamEvent(event, fault=fault)
        if told.type == "message-end":
            if told.delta is not None and present(told.delta.usage) is not None:
                usage = usage_of(told.delta.usage)
                self.usage = usage if usage.source == "reported" else None
            return StreamEvent(event, content=True, done=True)
        content = told.type in _CONTENT
        self.content_events += content
        return StreamEvent(event, content=content)

    def end_marker(self) -> bytes | None:
        """Without its `message-end` it is not complete."""
        return None

    def problem(self, problem: Problem) -> bytes:
        return encode_stream_error(problem)
