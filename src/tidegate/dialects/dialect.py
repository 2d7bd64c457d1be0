"""What a dialect gives to the gateway, and the two ways in which it can fail to read."""

from typing import Protocol

import msgspec
from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import Operation, View


class UnreadableRequest(Exception):
    """The client's request cannot be honoured; `problem` says which field and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class UnreadableAnswer(Exception):
    """The upstream's bytes are not what its dialect promises."""


class Answer(Struct):
    """A whole answer: the top level with each value's bytes untouched, and what it consumed."""

    fields: dict[str, msgspec.Raw]
    usage: Usage


class Fault(Struct, frozen=True):
    """An upstream's own error, read from its body as far as it can be; "" where it says nothing."""

    type: str
    code: str
    message: str


class StreamEvent(Struct):
    """One event of an upstream's stream, read as far as the gateway must act on it.

    `bytes` is what the client gets (b"" when the event is withheld).
    """

    bytes: bytes
    content: bool = False
    """It carries content, a tool call or an end of generation: from here on the call is committed."""
    done: bool = False
    """The dialect's end marker."""
    fault: Fault | None = None


class StreamReader(Protocol):
    """Reads one upstream stream; folds usage as it passes and keeps nothing else."""

    usage: Usage | None
    """As reported so far; None while the upstream reported none."""
    content_events: int
    """Events with content so far: about one token each, the basis of an estimate when a stream is cut."""

    def read(self, event: bytes) -> StreamEvent: ...

    def end_marker(self) -> bytes | None:
        """What to end the client's stream with when the upstream's simply ends; None if it is not complete."""
        ...


class Dialect(Protocol):
    """A wire format on the client's side and on the provider's side."""

    name: str

    def read(self, operation: Operation, body: bytes) -> View:
        """Raises UnreadableRequest."""
        ...

    def upstream_path(self, operation: Operation, model: str, base_path: str, api_version: str | None) -> str:
        """Path and query of the upstream's endpoint."""
        ...

    def credential_header(self, api_key: str) -> tuple[bytes, bytes]: ...

    def encode_request(self, view: View, model: str, *, output_cap: int | None, report_stream_usage: bool) -> bytes:
        """The body for an upstream that calls it `model`. `output_cap`: a bound to set if the client set none."""
        ...

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        """Raises UnreadableAnswer."""
        ...

    def encode_answer(self, answer: Answer, model: str) -> bytes: ...

    def stream_reader(self, view: View) -> StreamReader: ...

    def read_fault(self, status: int, body: bytes) -> Fault: ...

    def encode_problem(self, problem: Problem) -> bytes: ...

    def encode_stream_problem(self, problem: Problem) -> bytes:
        """The in-band error frame; no end marker follows it."""
        ...
