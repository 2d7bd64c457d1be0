"""A native stream of OpenAI's images, transcripts or speech: relayed event by event, its usage folded.

Source: `openai.types.image_gen_stream_event`, `image_edit_stream_event` and `openai.types.audio.transcription_stream_event`
of the official SDK; of speech `CreateSpeechResponseStreamEvent` in OpenAI's OpenAPI document. vLLM streams transcripts as
chunks, with `[DONE]` at their end.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import asdict, replace

from tidegate.core.problem import Problem
from tidegate.core.usage import Units, Usage
from tidegate.core.view import Operation, View
from tidegate.dialects.dialect import StreamEvent, UnreadableAnswer
from tidegate.dialects.fields import NULL
from tidegate.dialects.openai.chunks import sse_payload
from tidegate.dialects.openai.depiction import depiction_usage
from tidegate.dialects.openai.errors import encode_error, read_error
from tidegate.dialects.openai.recording import recording_usage, speech_usage
from tidegate.dialects.openai.usage import usage_of

_DONE: Final = b"[DONE]"
_LAST: Final = frozenset(
    ("image_generation.completed", "image_edit.completed", "transcript.text.done", "speech.audio.done")
)
_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


class _MediaEvent(Struct):
    type: str = ""
    model: str | None = None
    usage: Raw = NULL
    svg_usage: Raw = NULL
    error: Raw = NULL


_decode_event = msgspec.json.Decoder(_MediaEvent).decode


def _picture_usage(told: _MediaEvent, view: View) -> Usage:
    return depiction_usage({"usage": told.usage, "svg_usage": told.svg_usage}, images=int(told.type in _LAST))


def _speech_usage(told: _MediaEvent, view: View) -> Usage:
    """What was asked to be said is known in any case."""
    return replace(speech_usage(told.usage), units=view.units, source="reported")


def _transcript_usage(told: _MediaEvent, view: View) -> Usage:
    usage = recording_usage({"usage": told.usage})
    return usage_of(told.usage) if usage.source == "unknown" else usage


_FOLDS: Final[Mapping[Operation, Callable[[_MediaEvent, View], Usage]]] = {
    "image": _picture_usage,
    "image_edit": _picture_usage,
    "speech": _speech_usage,
    "transcription": _transcript_usage,
}


class MediaReader:
    """Is a StreamReader. Each image ends with an event of its own, and so does a transcript or a speech."""

    def __init__(self, view: View) -> None:
        self.usage: Usage | None = None
        self.content_events = 0
        self.content_bytes = 0
        self._view = view
        self._fold = _FOLDS[view.operation]
        self._due = view.requests
        self._ended = 0

    def read(self, event: bytes) -> StreamEvent:
        """`event` is one whole SSE event, its blank line included. Raises UnreadableAnswer."""
        data = sse_payload(event)
        if not data:
            return StreamEvent(event)
        if data == _DONE:
            return StreamEvent(event, done=True)
        try:
            told = _decode_event(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"an event of the stream is not what the dialect promises: {error}") from error
        if told.type == "error" or bytes(told.error) != b"null":
            return StreamEvent(event, fault=read_error(data))
        last = told.type in _LAST
        if last or bytes(told.usage) != b"null":
            used = self._fold(told, self._view)
            self.usage = used if self.usage is None else _sum(self.usage, used)
        if told.model is not None:
            event = self._renamed(event, data)
        self.content_events += 1
        self._ended += last
        return StreamEvent(event, content=True, done=self._ended >= self._due)

    def end_marker(self) -> bytes | None:
        """The last event is the end; of several images asked for, some may not have come."""
        return b"" if self._ended else None

    def problem(self, problem: Problem) -> bytes:
        return b"event: error\ndata: " + encode_error(problem) + b"\n\n"

    def _renamed(self, event: bytes, data: bytes) -> bytes:
        fields = _decode_object(data)
        fields["model"] = Raw(_encode(self._view.model))
        return event.replace(data, _encode(fields), 1) if data in event else b"data: " + _encode(fields) + b"\n\n"


def _sum(one: Usage, other: Usage) -> Usage:
    """Of two images of one call. Tokens that one of them does not tell are not told of the whole."""
    raw = b"[" + one.raw.removeprefix(b"[").removesuffix(b"]") + b"," + other.raw + b"]"
    if "unknown" in (one.source, other.source):
        return Usage(raw=raw)
    images = sum(used.units.images for used in (one, other) if used.units is not None)
    units = Units(images=images) if images else None
    if not (one.total and other.total):
        return Usage(units=units, source="reported", raw=raw)
    first, second = asdict(one), asdict(other)
    counts = {name: first[name] + second[name] for name in first if isinstance(first[name], int)}
    return Usage(**counts, units=units, source="reported", raw=raw)
