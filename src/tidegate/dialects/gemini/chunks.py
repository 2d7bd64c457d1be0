"""A native stream: relayed with the public model name, its usage folded, in the form that the client asked for.

What tells of the end (the last finish reason with the usage) waits until the body has ended: by then the call is settled.
"""

import msgspec
from msgspec import Raw, Struct

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.dialect import StreamEvent, UnreadableAnswer
from tidegate.dialects.fields import NULL, present
from tidegate.dialects.gemini.errors import read_error
from tidegate.dialects.gemini.frames import Framer
from tidegate.dialects.gemini.grounding import Grounding, Searches
from tidegate.dialects.gemini.usage import usage_of
from tidegate.wire.sse import sse_data

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


_PART_BYTES = len(b'[{"text":""}]')


class _Content(Struct):
    parts: Raw = NULL


class _Candidate(Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    grounding_metadata: Grounding | None = None


class _Feedback(Struct, rename="camel"):
    block_reason: str | None = None


class _Chunk(Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: Raw = NULL
    model_version: Raw = NULL
    error: Raw = NULL


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class ChunkReader:
    """Is a StreamReader. Holds back one frame at most."""

    def __init__(self, view: View, *, candidates: int) -> None:
        self.usage: Usage | None = None
        self.content_events = 0
        self.content_bytes = 0
        self._model = Raw(_encode(view.model))
        self._framer = Framer(view.form)
        self._searches = Searches()
        self._unfinished = candidates
        self._held = b""

    def read(self, event: bytes) -> StreamEvent:
        """One whole SSE event. Raises UnreadableAnswer."""
        data = sse_data(event)
        if not data:
            return StreamEvent(b"")  # a comment: this dialect's clients would take it for JSON
        try:
            chunk = _decode_chunk(data)
            fields = _decode_object(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"a chunk of the stream is not what the dialect promises: {error}") from error
        if present(chunk.error) is not None:
            return StreamEvent(self._framer.frame(data), fault=read_error(data))
        if present(chunk.usage_metadata) is not None:
            self.usage = usage_of(chunk.usage_metadata)
        content = self._content(chunk)
        if self.usage is not None:
            self.usage = self._searches.put_into(self.usage)
        self.content_events += content
        if "modelVersion" in fields:
            fields["modelVersion"] = self._model
        frame = self._framer.frame(_encode(fields))
        before, self._held = self._held, b""
        if self._unfinished > 0:
            return StreamEvent(before + frame, content=content)
        self._held = frame
        return StreamEvent(before, content=content)

    def end_marker(self) -> bytes | None:
        return None if self._unfinished > 0 else self._held + self._framer.end()

    def problem(self, problem: Problem) -> bytes:
        return self._framer.problem(problem)

    def _content(self, chunk: _Chunk) -> bool:
        """Whether there is content in it; counts the candidates that have ended, and what they have searched."""
        found = False
        for candidate in chunk.candidates or ():
            self._searches.told(candidate.grounding_metadata, chunk.model_version)
            if candidate.finish_reason is not None:
                self._unfinished -= 1
                found = True
            parts = None if candidate.content is None else present(candidate.content.parts)
            if parts is not None and bytes(parts) != b"[]":
                found = True
                self.content_bytes += _text_bytes(bytes(parts))
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason:
            self._unfinished = 0
            found = True
        return found


def _text_bytes(parts: bytes) -> int:
    """What is not text is no measure of tokens: pictures, sound, signatures."""
    if b'"inlineData"' in parts or b'"thoughtSignature"' in parts:
        return 0
    return max(0, len(parts) - _PART_BYTES)
