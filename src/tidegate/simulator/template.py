"""An answer ready to be sent many times: everything encoded but for its id and its date.

Knows framing of server-sent events, not what the answers mean.
"""

from collections.abc import Sequence

DONE = b"data: [DONE]\n\n"


class Template:
    """One answer. `tails` are the JSON texts from behind `created` on: one of a whole answer, one per stream event."""

    __slots__ = (
        "cached_tokens",
        "completion_tokens",
        "content_type",
        "dated",
        "lead",
        "middle",
        "model",
        "opening",
        "prompt_tokens",
        "stream",
        "tails",
    )

    def __init__(
        self,
        *,
        model: str,
        opening: bytes,
        middle: bytes,
        tails: Sequence[bytes],
        stream: bool = False,
        dated: bool = True,
        lead: bytes = b"",
    ) -> None:
        self.model = model
        self.stream = stream
        self.opening = opening
        """Up to the id; without one, `middle` and the tail are the whole."""
        self.middle = middle
        """Between the id and the date."""
        self.dated = dated
        self.tails = tuple(tails)
        self.lead = lead
        """An event before the others, as it stands (Azure's prompt filter results)."""
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.completion_tokens = 0
        self.content_type = b"text/event-stream; charset=utf-8" if stream else b"application/json"

    def body(self, answer_id: str, created: int) -> bytes:
        """A whole answer."""
        return self._head(answer_id, created) + self.tails[0] + b"\n"

    def events(self, answer_id: str, created: int) -> list[bytes]:
        """A stream's events, its end marker included."""
        head = b"data: " + self._head(answer_id, created)
        events = [head + tail + b"\n\n" for tail in self.tails]
        if self.lead:
            events.insert(0, b"data: " + self.lead + b"\n\n")
        events.append(DONE)
        return events

    def _head(self, answer_id: str, created: int) -> bytes:
        if not self.opening:
            return self.middle
        head = self.opening + answer_id.encode() + self.middle
        return head + b"%d" % created if self.dated else head
