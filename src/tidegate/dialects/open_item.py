"""What a decoder of loose deltas must remember: which item is open, and how many there were."""

from tidegate.dialects.canon import Event, ItemBegun, ItemEnded, Message, OutputItem, Reasoning


class OpenItem:
    """One item is open at a time; beginning another ends it."""

    __slots__ = ("_item", "_next")

    def __init__(self) -> None:
        self._item: OutputItem | None = None
        self._next = 0

    @property
    def index(self) -> int:
        """The open item's; that of the last one where none is open."""
        return self._next - 1

    @property
    def item(self) -> OutputItem | None:
        return self._item

    def begin(self, item: OutputItem, events: list[Event]) -> int:
        self.close(events)
        self._item = item
        self._next += 1
        events.append(ItemBegun(self.index, item))
        return self.index

    def message(self, events: list[Event]) -> int:
        """The index of an open message: begins one unless one is open."""
        if isinstance(self._item, Message):
            return self.index
        return self.begin(Message("assistant", []), events)

    def reasoning(self, origin: str, events: list[Event]) -> int:
        """The index of an open thought: begins one unless one is open."""
        if isinstance(self._item, Reasoning):
            return self.index
        return self.begin(Reasoning(origin=origin), events)

    def close(self, events: list[Event]) -> None:
        if self._item is not None:
            self._item = None
            events.append(ItemEnded(self.index))
