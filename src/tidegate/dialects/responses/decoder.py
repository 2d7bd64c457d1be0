"""An upstream's stream of Responses events, to canonical events.

Source: `openai.types.responses.response_stream_event` of the official SDK.
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
from tidegate.dialects.responses.answer_in import (
    KNOWN,
    Annotation,
    OutputItemTold,
    ResponseTold,
    call_of,
    citation_of,
    finish_of,
    read_item,
    thought_of,
    usage_told,
)
from tidegate.dialects.responses.faults import fault_of
from tidegate.dialects.responses.seal import FAMILY
from tidegate.wire.sse import sse_data


class _Event(Struct):
    type: str = ""
    response: ResponseTold | None = None
    item: Raw = NULL
    output_index: int | None = None
    summary_index: int | None = None
    delta: Raw = NULL
    annotation: Raw = NULL
    error: Raw = NULL


_TERMINAL: Final = frozenset(("response.completed", "response.incomplete", "response.failed"))
_decode = msgspec.json.Decoder(_Event).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_annotation = msgspec.json.Decoder(Annotation).decode


class ResponseDecoder:
    """Is an EventDecoder. Remembers the open item alone. Items of hosted tools are passed over."""

    def __init__(self) -> None:
        self._begun = False
        self._finished = False
        self._called = False
        self._next = 0
        self._open: OutputItem | None = None
        self._place: int | None = None
        """The upstream's index of the open item."""
        self._filled = False
        """The open item has had content."""
        self._told = False
        """The open item has been told: a thought's kind shows only with its first piece."""

    def decode(self, frame: bytes) -> list[Event]:
        """One SSE event. Raises UnreadableAnswer."""
        data = sse_data(frame)
        if not data or data == b"[DONE]" or self._finished:
            return []
        events: list[Event] = []
        try:
            event = _decode(data)
            if event.type == "error" or present(event.error) is not None:
                self._finished = True
                return [Failed(fault_of(data))]
            if not self._begun and event.type:
                self._begun = True
                events.append(Begun("" if event.response is None else event.response.id or ""))
            self._event(event, events)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"an event of the stream is not what the dialect promises: {error}") from error
        return events

    def end(self) -> list[Event]:
        """A body that ends without a terminal event was cut."""
        return []

    def _event(self, event: _Event, events: list[Event]) -> None:
        if event.type in _TERMINAL:
            self._end(event, events)
        elif event.type == "response.output_item.added":
            self._begin(event, events)
        elif event.type == "response.output_item.done":
            self._item_done(event, events)
        elif event.type == "response.output_text.annotation.added":
            self._cited(event, events)
        elif event.type == "response.reasoning_summary_part.added" and event.summary_index and self._filled:
            self._delta(event, "response.reasoning_summary_text.delta", "\n\n", events)
        elif event.type.endswith(".delta") and present(event.delta) is not None:
            self._delta(event, event.type, None, events)

    def _begin(self, event: _Event, events: list[Event]) -> None:
        self._close(events)
        item = read_item(event.item)
        self._place, self._filled, self._told = event.output_index, False, False
        if item.type == "message":
            self._open = Message("assistant", [], id=item.id or "")
        elif item.type == "reasoning":
            self._open = Reasoning(origin=FAMILY, id=item.id or "")
            return  # its kind is not known yet
        elif item.type in KNOWN:
            self._open = call_of(item)
            self._called = True
        if self._open is not None:
            self._tell(self._open, events)

    def _tell(self, item: OutputItem, events: list[Event]) -> None:
        events.append(ItemBegun(self._next, item))
        self._next += 1
        self._told = True

    def _delta(self, event: _Event, kind: str, given: str | None, events: list[Event]) -> None:
        item = self._open
        if item is None or (event.output_index is not None and event.output_index != self._place):
            if kind in _DELTAS and item is not None:
                raise UnreadableAnswer("items are mixed in one stream")
            return  # a hosted tool's
        if not isinstance(item, _DELTAS.get(kind, ())):
            return
        text = _decode_str(event.delta) if given is None else given
        if isinstance(item, Reasoning):
            if not self._told:
                item.summary = kind == "response.reasoning_summary_text.delta"
                self._tell(item, events)
            elif item.summary != (kind == "response.reasoning_summary_text.delta"):
                return  # a thought and its summary: one of them is enough
        self._filled = True
        events.append(_delta_of(kind, self._next - 1, text))

    def _cited(self, event: _Event, events: list[Event]) -> None:
        if isinstance(self._open, Message) and present(event.annotation) is not None:
            found = citation_of(_decode_annotation(event.annotation))
            if found is not None:
                events.append(CitationAdded(self._next - 1, found))

    def _item_done(self, event: _Event, events: list[Event]) -> None:
        """What was not told in pieces is told now."""
        whole = read_item(event.item)
        if whole.type not in KNOWN:
            return
        if self._open is None:
            self._begin(event, events)
        elif event.output_index is not None and event.output_index != self._place:
            raise UnreadableAnswer("items are mixed in one stream")
        item = self._open
        if isinstance(item, Reasoning):
            self._thought_done(item, whole, events)
        elif not self._filled:
            events += _contents(whole, self._next - 1)
        self._close(events)

    def _thought_done(self, item: Reasoning, whole: OutputItemTold, events: list[Event]) -> None:
        thought = thought_of(whole)
        if not self._told:
            item.summary = thought.summary
            self._tell(item, events)
            if thought.text:
                events.append(ReasoningDelta(self._next - 1, thought.text))
        if thought.encrypted:
            events.append(ReasoningSealed(self._next - 1, encrypted=thought.encrypted))

    def _close(self, events: list[Event]) -> None:
        if self._open is not None:
            if not self._told:
                self._tell(self._open, events)
            events.append(ItemEnded(self._next - 1))
            self._open = None

    def _end(self, event: _Event, events: list[Event]) -> None:
        told = event.response or ResponseTold()
        usage = usage_told(told)
        if usage is not None:
            events.append(UsageTold(usage))
        self._finished = True
        if event.type == "response.failed":
            error = told.error
            fault = Fault("", "", "") if error is None else Fault("", str(error.code or ""), error.message or "")
            events.append(Failed(fault))
            return
        self._close(events)
        if told.status is None:
            told.status = event.type.removeprefix("response.")
        events += [Finished(finish_of(told, called=self._called), told.service_tier or ""), Ended()]


_DELTAS: Final[dict[str, type[Message] | type[Reasoning] | type[ToolCall]]] = {
    "response.output_text.delta": Message,
    "response.refusal.delta": Message,
    "response.reasoning_text.delta": Reasoning,
    "response.reasoning_summary_text.delta": Reasoning,
    "response.function_call_arguments.delta": ToolCall,
    "response.custom_tool_call_input.delta": ToolCall,
}


def _delta_of(kind: str, index: int, text: str) -> Event:
    if kind == "response.output_text.delta":
        return TextDelta(index, text)
    if kind == "response.refusal.delta":
        return RefusalDelta(index, text)
    return ReasoningDelta(index, text) if "reasoning" in kind else ArgumentsDelta(index, text)


def _contents(whole: OutputItemTold, index: int) -> list[Event]:
    """Of a message or a call that came whole."""
    if whole.type != "message":
        text = whole.arguments or whole.input or ""
        return [ArgumentsDelta(index, text)] if text else []
    events: list[Event] = []
    for part in whole.content or ():
        if part.type == "refusal":
            events.append(RefusalDelta(index, part.refusal or ""))
        elif part.text:
            events.append(TextDelta(index, part.text))
            cited = (citation_of(one) for one in part.annotations or ())
            events += [CitationAdded(index, one) for one in cited if one is not None]
    return events
