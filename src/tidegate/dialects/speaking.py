"""Speech between two dialects: a text in, sound out, whole or piece by piece, through one canonical request and answer."""

from typing import Protocol, runtime_checkable

from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import Operation, View
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import (
    Answer,
    Dialect,
    RefusedAnswer,
    Splitter,
    StreamEvent,
    StreamReader,
    UnreadableAnswer,
    UpstreamModel,
)


class SpeechRequest(Struct, kw_only=True):
    """`dropped`: hints, by the client's names, that this call does without."""

    text: str
    """To be said word for word."""
    voice: str = ""
    """As the upstream calls it; "" for its default."""
    style: str = ""
    """How it shall be said, in words."""
    stream: bool = False
    dropped: list[str] = field(default_factory=list[str])


class Sound(Struct, frozen=True):
    """Samples of 16 bits, little-endian, of one channel."""

    pcm: bytes
    rate: int
    """Samples a second."""


class Speech(Struct):
    sound: Sound
    usage: Usage


class SpeechPiece(Struct):
    """What one frame of an upstream's stream says."""

    sounds: list[Sound] = field(default_factory=list[Sound])
    usage: Usage | None = None
    finished: bool = False
    """Nothing but usage may follow."""
    fault: Fault | None = None
    refusal: Fault | None = None
    """It would not say it, or not all of it."""


class SpeechEvents(Protocol):
    """One client's stream of speech."""

    def sound(self, sound: Sound) -> bytes:
        """Raises UnreadableAnswer."""
        ...

    def end(self, usage: Usage) -> bytes: ...

    def problem(self, problem: Problem) -> bytes: ...


class SpeechCodec(Protocol):
    """A dialect's speech to the canonical form and back."""

    def decode_speech(self, view: View) -> SpeechRequest:
        """Raises UnreadableRequest."""
        ...

    def encode_speech(self, speech: Speech, view: View) -> bytes:
        """Sets `view.answer_media`. Raises UnreadableAnswer."""
        ...

    def speech_events(self, view: View) -> SpeechEvents: ...


class SpeechUpstream(Protocol):
    """The canonical form to a dialect whose providers speak, and back."""

    def encode_speech_request(self, request: SpeechRequest, upstream: UpstreamModel) -> bytes:
        """Adds the names of dropped hints to `request.dropped`. Raises UnreadableRequest."""
        ...

    def decode_speech(self, body: bytes) -> Speech:
        """Raises UnreadableAnswer; RefusedAnswer where the upstream would not say it, or not all of it."""
        ...

    def splitter(self) -> Splitter:
        """Of its streams: a whole speech may be one frame."""
        ...

    def decode_piece(self, frame: bytes) -> SpeechPiece:
        """One frame of a stream. Raises UnreadableAnswer."""
        ...


@runtime_checkable
class AsksForSpeech(Protocol):
    """A dialect whose clients ask for speech that others give."""

    speech: SpeechCodec


@runtime_checkable
class Speaks(Protocol):
    """A dialect whose providers speak for clients of others."""

    speaker: SpeechUpstream


class SpeechTranslation:
    """Is a Relay. Stateless."""

    native = False

    def __init__(
        self, client: SpeechCodec, client_dialect: Dialect, upstream: SpeechUpstream, serving: Dialect
    ) -> None:
        self._client = client
        self._upstream = upstream
        self.upstream_media = serving.upstream_media
        self.stream_head = client_dialect.stream_head

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        request = self._client.decode_speech(view)
        body = self._upstream.encode_speech_request(request, upstream)
        view.dropped = tuple(dict.fromkeys(request.dropped))
        return body

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        told = self._upstream.decode_speech(body)
        return Answer({}, told.usage, speech=told)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        told = answer.speech
        assert isinstance(told, Speech)  # noqa: S101 - read_answer of this class has set it
        return self._client.encode_speech(told, view)

    def stream_reader(self, view: View) -> StreamReader:
        return SpeechReader(self._upstream, self._client.speech_events(view), view)

    def splitter(self) -> Splitter:
        return self._upstream.splitter()


class SpeechReader:
    """Is a StreamReader. Holds one frame's sound at a time."""

    def __init__(self, upstream: SpeechUpstream, events: SpeechEvents, view: View) -> None:
        self.usage: Usage | None = None
        self.content_events = 0
        self.content_bytes = 0  # sound is no text
        self._upstream = upstream
        self._events = events
        self._units = view.units
        self._finished = False
        self._refusal: Fault | None = None

    def read(self, event: bytes) -> StreamEvent:
        """One whole frame of the upstream. Raises UnreadableAnswer."""
        piece = self._upstream.decode_piece(event)
        if piece.usage is not None:
            self.usage = replace(piece.usage, units=self._units, source="reported")
        if piece.fault is not None:
            message = piece.fault.message or "The upstream reported an error in its stream."
            problem = Problem(status=502, code="upstream_error", message=message)
            return StreamEvent(self._events.problem(problem), fault=piece.fault)
        self._finished = self._finished or piece.finished
        self._refusal = self._refusal or piece.refusal
        said = b"".join(self._events.sound(sound) for sound in piece.sounds)
        self.content_events += bool(said)
        return StreamEvent(said, content=bool(said))

    def end_marker(self) -> bytes | None:
        """Raises RefusedAnswer where not all of it was said."""
        if self._refusal is not None:
            raise RefusedAnswer(self._refusal, self.usage or Usage())
        if self._finished and not self.content_events:
            raise UnreadableAnswer("the answer has no sound")
        if not self._finished:
            return None
        if self.usage is None:
            self.usage = Usage(units=self._units, source="reported")  # what was asked to be said is known in any case
        return self._events.end(self.usage)

    def problem(self, problem: Problem) -> bytes:
        return self._events.problem(problem)
