"""One tool call an answer, where the client asked for no more and the upstream cannot be held to it.

The first call stays; what the model called beside it is left out, as are the thoughts behind the first call, which led to
the others. Text stays. So the provider's history holds one call, which the client answers. Usage is what the upstream
reports, and the reason why the answer ended is its own.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from tidegate.dialects.canon import (
    ArgumentsDelta,
    CitationAdded,
    Event,
    ItemBegun,
    ItemEnded,
    Message,
    OutputItem,
    ReasoningDelta,
    ReasoningSealed,
    RefusalDelta,
    TextDelta,
    ToolCall,
)

_OF_ITEMS = (
    TextDelta,
    ReasoningDelta,
    ArgumentsDelta,
    ItemBegun,
    ItemEnded,
    RefusalDelta,
    CitationAdded,
    ReasoningSealed,
)


class FirstCallAlone:
    """Takes an answer's items in order. Remembers a few numbers."""

    def __init__(self) -> None:
        self.calls_left_out = 0
        self._called = False
        self._left_out = 0
        self._leaving_out = False

    def keeps(self, item: OutputItem) -> bool:
        """Whether this one, the next in order, is told to the client."""
        kept = not self._called or isinstance(item, Message)
        is_call = isinstance(item, ToolCall)
        self.calls_left_out += is_call and not kept
        self._called |= is_call
        return kept

    def items(self, items: Iterable[OutputItem]) -> list[OutputItem]:
        """Of a whole answer."""
        return [item for item in items if self.keeps(item)]

    def event(self, event: Event) -> Event | None:
        """Of a stream: None where nothing of it is told. Indexes stay dense."""
        if not isinstance(event, _OF_ITEMS):
            return event
        if isinstance(event, ItemBegun):
            self._leaving_out = not self.keeps(event.item)
            self._left_out += self._leaving_out
        if self._leaving_out:
            return None
        return replace(event, index=event.index - self._left_out) if self._left_out else event
