"""An upstream's ConverseStream, to canonical events.

Source: `ConverseStreamOutput` of botocore's model of bedrock-runtime. Only tool calls (and what the hub has not) have a
`contentBlockStart`; other blocks begin with their first delta. The end is `metadata`, which has the usage.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.dialects.bedrock.answer import finish_of
from tidegate.dialects.bedrock.blocks import CitationTold, citation_of
from tidegate.dialects.bedrock.errors import read_exception
from tidegate.dialects.bedrock.frames import read_frame
from tidegate.dialects.bedrock.thoughts import ORIGIN
from tidegate.dialects.bedrock.usage import Tier, usage_of
from tidegate.dialects.canon import (
    ArgumentsDelta,
    Begun,
    CitationAdded,
    Ended,
    Event,
    Failed,
    Finish,
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


class _ToolStart(Struct, rename="camel"):
    tool_use_id: str
    name: str
    type: str | None = None


class _Start(Struct, rename="camel"):
    tool_use: _ToolStart | None = None


class _ToolDelta(Struct):
    input: str = ""


class _ReasoningDelta(Struct, rename="camel"):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class _Delta(Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolDelta | None = None
    reasoning_content: _ReasoningDelta | None = None
    citation: CitationTold | None = None


class _Payload(Struct, rename="camel"):
    """Every event's members; which one it is says the frame's header."""

    content_block_index: int = 0
    start: _Start | None = None
    delta: _Delta | None = None
    stop_reason: str | None = None
    additional_model_response_fields: Raw = NULL
    usage: Raw = NULL
    service_tier: Tier | None = None


_decode = msgspec.json.Decoder(_Payload).decode
_NONE: Final = -1


class StreamDecoder:
    """Is an EventDecoder. Remembers the open block and the finish, which waits for `metadata`."""

    def __init__(self) -> None:
        self._begun = False
        self._finish: Finish | None = None
        self._called = False
        self._next = 0
        self._open: OutputItem | None = None
        self._block = _NONE
        """The upstream's index of the open block; without an open item it is one that the hub has no place for."""

    def decode(self, frame: bytes) -> list[Event]:
        """One whole frame. Raises UnreadableAnswer."""
        read = read_frame(frame)
        if read.headers.get(":message-type") in ("exception", "error"):
            return [Failed(read_exception(read))]
        try:
            payload = _decode(read.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"an event of the stream is not what the dialect promises: {error}") from error
        events: list[Event] = []
        if not self._begun:
            self._begun = True
            events.append(Begun(""))
        self._event(read.headers.get(":event-type", ""), payload, events)
        return events

    def end(self) -> list[Event]:
        """`metadata` is the end: a stream without it was cut, and what it cost is not told."""
        return []

    def _event(self, name: str, payload: _Payload, events: list[Event]) -> None:
        match name:
            case "contentBlockStart":
                self._start(payload, events)
            case "contentBlockDelta":
                self._delta(payload, events)
            case "contentBlockStop":
                # A text stays open: the next block may go on with it.
                if not isinstance(self._open, Message):
                    self._close(events)
                self._block = _NONE
            case "messageStop":
                self._close(events)
                self._finish = finish_of(
                    payload.stop_reason or "", payload.additional_model_response_fields, called=self._called
                )
            case "metadata":
                self._metadata(payload, events)
            case _:
                pass  # messageStart, and what later versions may add

    def _start(self, payload: _Payload, events: list[Event]) -> None:
        told = None if payload.start is None else payload.start.tool_use
        if told is None or told.type is not None:
            self._close(events)
            self._block = payload.content_block_index
            return
        if not told.name or not told.tool_use_id:
            raise UnreadableAnswer("a tool call begins without a name or an id")
        self._called = True
        self._begin(ToolCall(told.tool_use_id, told.name, ""), payload.content_block_index, events)

    def _delta(self, payload: _Payload, events: list[Event]) -> None:
        delta, block = payload.delta, payload.content_block_index
        if delta is None:
            return
        if delta.text is not None:
            index = self._in(Message, block, events)
            if delta.text:
                events.append(TextDelta(index, delta.text))
        elif delta.tool_use is not None:
            self._arguments(delta.tool_use.input, block, events)
        elif delta.reasoning_content is not None:
            self._thought(delta.reasoning_content, block, events)
        elif delta.citation is not None and (found := citation_of(delta.citation)) is not None:
            events.append(CitationAdded(self._in(Message, block, events), found))

    def _arguments(self, text: str, block: int, events: list[Event]) -> None:
        if self._open is None and self._block == block:
            return  # of a server's own tool
        if not isinstance(self._open, ToolCall) or self._block != block:
            raise UnreadableAnswer("a tool call goes on that has not begun, or has ended")
        if text:
            events.append(ArgumentsDelta(self._next - 1, text))

    def _thought(self, told: _ReasoningDelta, block: int, events: list[Event]) -> None:
        index = self._in(Reasoning, block, events)
        if told.text:
            events.append(ReasoningDelta(index, told.text))
        if told.signature:
            events.append(ReasoningSealed(index, signature=told.signature))
        if told.redacted_content:
            events.append(ReasoningSealed(index, encrypted=told.redacted_content))

    def _metadata(self, payload: _Payload, events: list[Event]) -> None:
        if self._finish is None:
            raise UnreadableAnswer("the stream ended without a stopReason")
        tier = "" if payload.service_tier is None else payload.service_tier.type
        if present(payload.usage) is not None:
            events.append(UsageTold(usage_of(payload.usage, tier)))
        events += [Finished(self._finish, tier), Ended()]

    def _in(self, kind: type[Message] | type[Reasoning], block: int, events: list[Event]) -> int:
        """The index of the open item of this kind. Texts go on over blocks, thoughts do not."""
        fits = isinstance(self._open, kind) and (kind is Message or self._block == block)
        if not fits:
            self._begin(Message("assistant", []) if kind is Message else Reasoning(origin=ORIGIN), block, events)
        self._block = block
        return self._next - 1

    def _begin(self, item: OutputItem, block: int, events: list[Event]) -> None:
        if self._finish is not None:
            raise UnreadableAnswer("content comes after the stream's stopReason")
        self._close(events)
        events.append(ItemBegun(self._next, item))
        self._open, self._block = item, block
        self._next += 1

    def _close(self, events: list[Event]) -> None:
        if self._open is not None:
            events.append(ItemEnded(self._next - 1))
        self._open, self._block = None, _NONE
