"""What a dialect gives to the gateway, and the two ways in which it can fail to read."""

from collections.abc import Mapping
from functools import cache
from typing import Final, Protocol, runtime_checkable

import msgspec
from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import Operation, PathTells, View
from tidegate.dialects.canon import Answer as CanonicalAnswer
from tidegate.dialects.canon import Event, Fault, Request
from tidegate.wire.message import Headers

FORM_HEADS: Final[Mapping[str, str]] = {"array": "content-type: application/json; charset=utf-8\r\n"}
"""Header lines of a client's stream whose form (`View.form`) is not the usual one of its dialect."""


class UnreadableRequest(Exception):
    """The client's request cannot be honoured; `problem` says which field and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class UnreadableAnswer(Exception):
    """The upstream's bytes are not what its dialect promises."""


class RefusedAnswer(UnreadableAnswer):
    """The upstream answered that it will not do this, with a status of success: the client's error, not its own."""

    def __init__(self, fault: Fault, usage: Usage) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.usage = usage


class UpstreamModel(Struct, frozen=True):
    """What a dialect must know of the model that it encodes a request for."""

    name: str
    """As its provider calls it."""
    quirks: frozenset[str] = frozenset()
    max_output_tokens: int | None = None
    """What the configuration says an answer may be at most."""


COUNTED: Final = Usage(source="reported")
"""An Answer's usage in dialects where the request itself says exactly what is consumed: the View's units."""


class Answer(Struct):
    """A whole answer and what it consumed: natively the top level with each value's bytes untouched, else canonical."""

    fields: dict[str, msgspec.Raw]
    usage: Usage
    canonical: CanonicalAnswer | None = None
    embeddings: Struct | None = None
    """`embedding.Embeddings`, of a call whose dialects differ."""
    rankings: Struct | None = None
    """`reranking.Rankings`, likewise."""
    pictures: Struct | None = None
    """`painting.Pictures`, likewise."""
    speech: Struct | None = None
    """`speaking.Speech`, likewise."""


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
    """Events with content so far: a token each at least, the basis of an estimate when a stream is cut."""
    content_bytes: int
    """Of the text in them, where that is known without more work; 0 in dialects whose events are a token each."""

    def read(self, event: bytes) -> StreamEvent:
        """`event` is one whole frame. Raises UnreadableAnswer."""
        ...

    def end_marker(self) -> bytes | None:
        """What to end the client's stream with when the upstream's simply ends; None if it is not complete."""
        ...

    def problem(self, problem: Problem) -> bytes:
        """The in-band error frame of the client's dialect; no end marker follows it."""
        ...


class Splitter(Protocol):
    """Cuts an upstream's bytes into whole frames."""

    def feed(self, data: bytes) -> list[bytes]:
        """Raises wire.framing.FrameError when what is held back grows over a bound, or cannot be a frame."""
        ...


class Relay(Protocol):
    """How calls of one client dialect are served by one upstream dialect: natively, or through the hub."""

    native: bool
    """Bodies pass without translation: the upstream's own errors are the client's dialect."""
    upstream_media: bytes
    """The content type that an upstream's stream begins with."""
    stream_head: str
    """Header lines of the client's stream."""

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        """The upstream's body. `output_cap`: a bound to set if the client set none.

        Sets `view.dropped`. Raises UnreadableRequest for a field that this upstream cannot honour.
        """
        ...

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        """Raises UnreadableAnswer."""
        ...

    def encode_answer(self, answer: Answer, view: View) -> bytes: ...

    def stream_reader(self, view: View) -> StreamReader: ...

    def splitter(self) -> Splitter: ...


class EventDecoder(Protocol):
    """One upstream stream, frame by frame, to canonical events. Keeps to the order that `canon` describes."""

    def decode(self, frame: bytes) -> list[Event]:
        """Raises UnreadableAnswer."""
        ...

    def end(self) -> list[Event]:
        """The body has ended. [] where the stream is not complete; else what is still due, `Ended` last."""
        ...


class EventEncoder(Protocol):
    """Canonical events to one client's stream.

    What must wait until the call is accounted for (the finish reason with its usage, the end marker) is given out by
    `end` alone.
    """

    def encode(self, event: Event) -> bytes:
        """b"" where nothing is due yet."""
        ...

    def end(self) -> bytes: ...

    def problem(self, problem: Problem) -> bytes:
        """The in-band error frame; nothing follows it."""
        ...


class ChatCodec(Protocol):
    """A dialect's chat operation to the hub and back."""

    def decode_request(self, view: View) -> Request:
        """Raises UnreadableRequest."""
        ...

    def encode_request(self, request: Request, upstream: UpstreamModel) -> bytes:
        """Adds the names of dropped hints to `request.dropped`. Raises UnreadableRequest."""
        ...

    def decode_answer(self, body: bytes) -> CanonicalAnswer:
        """Raises UnreadableAnswer."""
        ...

    def encode_answer(self, answer: CanonicalAnswer, view: View) -> bytes: ...

    def event_decoder(self) -> EventDecoder: ...

    def event_encoder(self, view: View) -> EventEncoder: ...


class Dialect(Relay, Protocol):
    """A wire format on the client's side and on the provider's side; as a Relay, the native one."""

    name: str
    family: str
    """Dialects of one family have the same bodies: between them nothing is translated."""
    chat: ChatCodec | None
    """None where the dialect has no chat."""
    client_paths: Mapping[bytes, Operation]
    """Where its clients send which operation."""
    prefix: bytes
    """Before any of its paths, it tells this dialect from others with the same; b"" for none."""
    matches_paths: bool
    """It has paths with a model or a version in them: see `match_path`."""
    telling_headers: tuple[bytes, ...]
    """Request headers that only clients of this dialect send."""
    native_headers: tuple[bytes, ...]
    """A client's headers that go upstream when the call is relayed natively."""

    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
        """For paths that are not in `client_paths`; the prefix is off. Raw bytes, still percent-encoded."""
        ...

    def read(self, operation: Operation, body: bytes, path: PathTells = ...) -> View:
        """Raises UnreadableRequest."""
        ...

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        """Path and query of the upstream's endpoint."""
        ...

    def credential_header(self, api_key: str) -> tuple[bytes, bytes]: ...

    def default_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """What every upstream call must carry unless the client's own value goes up in its place."""
        ...

    def read_fault(self, status: int, body: bytes) -> Fault: ...

    def encode_problem(self, problem: Problem) -> bytes: ...


@runtime_checkable
class ErrorsInHeaders(Protocol):
    """A dialect that says part of an error in the answer's headers."""

    def problem_headers(self, problem: Problem) -> str:
        """Header lines that go along with `encode_problem`."""
        ...

    def read_fault_headers(self, status: int, headers: Headers, body: bytes) -> Fault:
        """In place of `read_fault`."""
        ...


@cache
def errors_in_headers(dialect: Dialect) -> ErrorsInHeaders | None:
    return dialect if isinstance(dialect, ErrorsInHeaders) else None


@runtime_checkable
class NamesRequests(Protocol):
    """A dialect whose clients look for a request's id in a header of their own, beside `x-request-id`."""

    request_id_header: str


@cache
def request_id_header(dialect: Dialect) -> str:
    """ "" where it has none."""
    return dialect.request_id_header if isinstance(dialect, NamesRequests) else ""


@runtime_checkable
class TakesKeyInQuery(Protocol):
    """A dialect whose clients may put their key into a request's query."""

    def key_in_query(self, query: bytes) -> bytes:
        """Its SHA-256; b"" where there is none."""
        ...


@runtime_checkable
class UsageInHeaders(Protocol):
    """A dialect some of whose answers say in their headers alone what was used."""

    def read_usage_headers(self, headers: Headers) -> Usage: ...


@cache
def usage_in_headers(dialect: Dialect) -> UsageInHeaders | None:
    return dialect if isinstance(dialect, UsageInHeaders) else None


class AccessKey(Struct, frozen=True):
    """A credential that signs every request and never goes along with one."""

    id: str
    secret: str
    session_token: str = ""


class Signer(Protocol):
    def sign(self, method: bytes, target: bytes, body: bytes, now_ns: int) -> list[tuple[bytes, bytes]]:
        """The headers that prove a request; `target` as it stands in the request line."""
        ...


@runtime_checkable
class SigningDialect(Protocol):
    """A dialect whose providers take an AccessKey."""

    def signer(self, key: AccessKey, region: str, host: str) -> Signer: ...
