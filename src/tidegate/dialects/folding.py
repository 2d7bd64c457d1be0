"""A stream of canonical events to the whole answer that it tells, and a whole answer to such a stream.

For upstreams that can do only one of the two, whatever the client asked for.
"""

from typing import Final

from tidegate.core.usage import UNKNOWN_USAGE
from tidegate.dialects.canon import (
    Answer,
    ArgumentsDelta,
    Begun,
    Citation,
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
    Refusal,
    RefusalDelta,
    Text,
    TextDelta,
    ToolCall,
    UsageTold,
)
from tidegate.dialects.dialect import UnreadableAnswer

MAX_FOLDED: Final = 128 * 1024 * 1024
"""Characters, and what their pieces cost beside them: as much as a whole answer may be long."""
_PIECE_OVERHEAD: Final = 64
_ITEM_OVERHEAD: Final = 512

_Part = Text | Refusal


class Fold:
    """Event by event, in the order that `canon` describes. What contradicts it raises UnreadableAnswer."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        """The upstream's own error: there is no answer then."""
        self._id = ""
        self._items: list[OutputItem] = []
        self._open: OutputItem | None = None
        self._parts: list[_Part] = []
        self._pieces: list[str] = []
        """Of the open item's last part."""
        self._signatures: list[str] = []
        self._ciphertexts: list[str] = []
        self._usage = UNKNOWN_USAGE
        self._finished: Finished | None = None
        self._held = 0

    def add(self, event: Event) -> None:
        """Raises UnreadableAnswer."""
        match event:
            case TextDelta():
                self._in(Text)
                self._piece(event.text)
            case RefusalDelta():
                self._in(Refusal)
                self._piece(event.text)
            case ReasoningDelta():
                self._opened(Reasoning)
                self._piece(event.text)
            case ArgumentsDelta():
                self._opened(ToolCall)
                self._piece(event.text)
            case CitationAdded():
                self._cited(event.citation)
            case ReasoningSealed():
                self._opened(Reasoning)
                self._hold(len(event.signature) + len(event.encrypted))
                self._signatures.append(event.signature)
                self._ciphertexts.append(event.encrypted)
            case ItemBegun():
                self._close()
                self._hold(_ITEM_OVERHEAD)
                self._open = event.item
            case ItemEnded():
                self._close()
            case _:
                self._told_of_all(event)

    def answer(self) -> Answer:
        """Raises UnreadableAnswer where the stream did not come to its end."""
        finished = self._finished
        if finished is None or self.fault is not None:
            raise UnreadableAnswer("the stream ended without a finish reason")
        self._close()
        return Answer(self._id, self._items, finished.finish, self._usage, finished.service_tier)

    def _told_of_all(self, event: Event) -> None:
        match event:
            case Begun():
                self._id = event.id
            case UsageTold():
                self._usage = event.usage
            case Finished():
                self._finished = event
            case Failed():
                self.fault = event.fault
            case _:
                pass

    def _opened(self, kind: type[OutputItem]) -> None:
        if not isinstance(self._open, kind):
            raise UnreadableAnswer("the stream has content outside of an item of its kind")

    def _in(self, kind: type[Text] | type[Refusal]) -> None:
        """Opens a part of this kind in the open message unless one is open."""
        self._opened(Message)
        if self._parts and isinstance(self._parts[-1], kind):
            return
        self._close_part()
        self._hold(_ITEM_OVERHEAD)
        self._parts.append(kind(""))

    def _cited(self, citation: Citation) -> None:
        self._in(Text)
        self._hold(_ITEM_OVERHEAD + len(citation.url) + len(citation.title) + len(citation.text))
        part = self._parts[-1]
        if isinstance(part, Text):
            part.citations.append(citation)

    def _piece(self, text: str) -> None:
        self._hold(_PIECE_OVERHEAD + len(text))
        self._pieces.append(text)

    def _hold(self, size: int) -> None:
        self._held += size
        if self._held > MAX_FOLDED:
            raise UnreadableAnswer(f"the answer is larger than {MAX_FOLDED} characters")

    def _close_part(self) -> None:
        if self._parts:
            self._parts[-1].text = "".join(self._pieces)
        self._pieces = []

    def _close(self) -> None:
        item, self._open = self._open, None
        if item is not None:
            self._items.append(self._whole(item))
        self._parts, self._pieces, self._signatures, self._ciphertexts = [], [], [], []

    def _whole(self, item: OutputItem) -> OutputItem:
        """The begun item itself is its decoder's: it stays as it is."""
        if isinstance(item, Message):
            self._close_part()
            return Message(item.role, [*item.parts, *self._parts], item.name, item.id)
        text = "".join(self._pieces)
        if isinstance(item, ToolCall):
            arguments = item.arguments + text
            if not arguments and not item.custom:
                arguments = "{}"  # what has no arguments is still the text of an object
            return ToolCall(item.id, item.name, arguments, item.custom, item.signature, item.cache)
        return Reasoning(
            item.text + text,
            item.signature + "".join(self._signatures),
            item.encrypted + "".join(self._ciphertexts),
            item.summary,
            item.origin,
            item.id,
        )


def explode(answer: Answer) -> list[Event]:
    """Raises UnreadableAnswer for what no stream can tell."""
    events: list[Event] = [Begun(answer.id)]
    if answer.usage.source != "unknown":
        events.append(UsageTold(answer.usage))  # at the start, where some dialects tell it
    for index, item in enumerate(answer.items):
        events.append(ItemBegun(index, _begun(item)))
        events += _contents(index, item)
        events.append(ItemEnded(index))
    return [*events, Finished(answer.finish, answer.service_tier), Ended()]


def _begun(item: OutputItem) -> OutputItem:
    if isinstance(item, Message):
        return Message(item.role, [], item.name, item.id)
    if isinstance(item, ToolCall):
        return ToolCall(item.id, item.name, "", item.custom, item.signature, item.cache)
    return Reasoning(summary=item.summary, origin=item.origin, id=item.id)


def _contents(index: int, item: OutputItem) -> list[Event]:
    if isinstance(item, Message):
        return _parts(index, item)
    if isinstance(item, ToolCall):
        return [ArgumentsDelta(index, item.arguments)] if item.arguments else []
    events: list[Event] = [ReasoningDelta(index, item.text)] if item.text else []
    if item.signature or item.encrypted:
        events.append(ReasoningSealed(index, item.signature, item.encrypted))
    return events


def _parts(index: int, message: Message) -> list[Event]:
    """Neighbouring texts are one text in a stream: what is cited of a later one is found behind those before it."""
    events: list[Event] = []
    before = 0
    for part in message.parts:
        if isinstance(part, Text):
            if part.text:
                events.append(TextDelta(index, part.text))
            events += [CitationAdded(index, _moved(one, before)) for one in part.citations]
            before += len(part.text)
        elif isinstance(part, Refusal):
            events.append(RefusalDelta(index, part.text))
            before = 0
        else:
            raise UnreadableAnswer("the answer has a part that no stream of it could tell")
    return events


def _moved(citation: Citation, by: int) -> Citation:
    if not by or citation.start is None:
        return citation
    end = None if citation.end is None else citation.end + by
    return Citation(citation.url, citation.title, citation.start + by, end, citation.text)
