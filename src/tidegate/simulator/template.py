"""An answer ready to be sent many times: everything encoded but for its id and its date.

Knows framing, not what the answers mean.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from msgspec import Struct

DONE = b"data: [DONE]\n\n"


class Flaws(Struct, frozen=True):
    """What a dialect's stream looks like where it goes wrong."""

    error_event: bytes
    broken_event: bytes
    comment: bytes = b": keep-alive\n\n"
    """What may stand between events and means nothing; empty if there is no such thing."""


class Reply(Protocol):
    """An answer, whole or as a stream, that can be sent many times."""

    model: str
    stream: bool
    content_type: bytes
    headers: bytes
    """Encoded headers that tell of this answer, such as its usage."""
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    repeated: int
    """The event that an endless stream repeats."""
    flaws: Flaws

    def body(self, answer_id: str, created: int) -> bytes:
        """A whole answer."""
        ...

    def events(self, answer_id: str, created: int) -> list[bytes]:
        """A stream, piece by piece, with its end."""
        ...


_FLAWS: Final = Flaws(
    error_event=b'data: {"error":{"message":"The server had an error while processing your request. Sorry about that!",'
    b'"type":"server_error","param":null,"code":null}}\n\n',
    broken_event=b'data: {"id":"chatcmpl-broken","object":"chat.comple\n\n',
)


class Template:
    """One answer with id and date at its beginning, as OpenAI's have them: quick to fill.

    `tails` are the JSON texts from behind `created` on: one of a whole answer, one per stream event.
    """

    __slots__ = (
        "cached_tokens",
        "completion_tokens",
        "content_type",
        "dated",
        "flaws",
        "headers",
        "lead",
        "middle",
        "model",
        "opening",
        "prompt_tokens",
        "repeated",
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
        self.headers = b""
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.completion_tokens = 0
        self.repeated = 1
        self.flaws = _FLAWS
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


ID: Final = "\uf8ffid\uf8ff"
"""In a Mould's texts: where the answer's id comes."""
DATE: Final = "\uf8ffdate\uf8ff"
"""In a Mould's fields, as a value of its own: the date in seconds."""
TIME: Final = "\uf8fftime\uf8ff"
"""In a Mould's texts: where the date comes as RFC 3339 has it."""
_TIME: Final = TIME.encode()
_ID: Final = ID.encode()
_DATE: Final = f'"{DATE}"'.encode()


class Mould:
    """One answer with its id and date anywhere (`ID`, `DATE`, `TIME`).

    `pieces` are the whole, or a stream's framed events.
    """

    __slots__ = (
        "_filled",
        "_pieces",
        "cached_tokens",
        "completion_tokens",
        "content_type",
        "flaws",
        "headers",
        "model",
        "prompt_tokens",
        "repeated",
        "stream",
    )

    def __init__(
        self,
        *,
        model: str,
        pieces: Iterable[bytes],
        flaws: Flaws,
        stream: bool = False,
        repeated: int = 1,
        content_type: bytes | None = None,
    ) -> None:
        self.model = model
        self.stream = stream
        self._pieces = list(pieces)
        self._filled = [
            index for index, piece in enumerate(self._pieces) if any(mark in piece for mark in (_ID, _DATE, _TIME))
        ]
        self.flaws = flaws
        self.repeated = repeated
        self.headers = b""
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.completion_tokens = 0
        usual = b"text/event-stream; charset=utf-8" if stream else b"application/json"
        self.content_type = usual if content_type is None else content_type

    def body(self, answer_id: str, created: int) -> bytes:
        """A whole answer."""
        return self.events(answer_id, created)[0]

    def events(self, answer_id: str, created: int) -> list[bytes]:
        """A stream's pieces."""
        pieces = self._pieces.copy()
        name, date = answer_id.encode(), b"%d" % created
        written = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        for index in self._filled:
            pieces[index] = pieces[index].replace(_ID, name).replace(_DATE, date).replace(_TIME, written)
        return pieces
