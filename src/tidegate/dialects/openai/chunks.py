"""A native stream of chat or text completion chunks: relayed with the public model name, its usage folded."""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.dialects.dialect import StreamEvent, UnreadableAnswer
from tidegate.dialects.openai.errors import encode_error, read_error
from tidegate.dialects.openai.usage import usage_of
from tidegate.dialects.service_tiers import tiered

_DONE: Final = b"[DONE]"
_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_ABSENT: Final = Raw(b"null")


class _Delta(Struct):
    content: Raw = _ABSENT
    tool_calls: Raw = _ABSENT
    function_call: Raw = _ABSENT
    refusal: Raw = _ABSENT
    audio: Raw = _ABSENT
    reasoning: Raw = _ABSENT
    reasoning_content: Raw = _ABSENT


class _Choice(Struct):
    delta: _Delta | None = None
    text: Raw = _ABSENT
    finish_reason: str | None = None


class _Chunk(Struct):
    choices: list[_Choice] | None = None
    usage: Raw = _ABSENT
    error: Raw = _ABSENT
    service_tier: Raw = _ABSENT


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class ChunkReader:
    """Reads a stream of chat or text completion chunks, event by event.

    Every chunk gets the public model name. The usage chunk is withheld when the client did not ask for it. Only events
    that the gateway must act on are decoded; the rest are recognised by their bytes, which is safe because a quotation
    mark inside a JSON string is always escaped.
    """

    def __init__(self, model: str, *, choices: int, withhold_usage: bool) -> None:
        self.usage: Usage | None = None
        self.content_events = 0
        self.content_bytes = 0
        self._model = b'"model":' + _encode(model)
        self._upstream_model = b""
        self._withhold = withhold_usage
        self._committed = False
        self._unfinished = choices

    def read(self, event: bytes) -> StreamEvent:
        """`event` is one whole SSE event, its blank line included. Raises UnreadableAnswer."""
        if (
            self._committed
            and event.startswith(b"data: {")
            and (b'"usage":null' in event or b'"usage"' not in event)
            and b'"error"' not in event
            and (b'"finish_reason":null' in event or b'"finish_reason"' not in event)
        ):
            self.content_events += 1
            return StreamEvent(self._renamed(event), content=True)
        return self._read_slowly(event)

    def _read_slowly(self, event: bytes) -> StreamEvent:
        data = sse_payload(event)
        if not data:
            return StreamEvent(event)  # a comment: some upstreams keep idle connections alive with them
        if data == _DONE:
            return StreamEvent(event, done=True)
        try:
            chunk = _decode_chunk(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"a chunk of the stream is not what the dialect promises: {error}") from error
        if bytes(chunk.error) != b"null":
            return StreamEvent(event, fault=read_error(data))
        reported = bytes(chunk.usage) != b"null"
        if reported:
            self.usage = tiered(usage_of(chunk.usage), chunk.service_tier)
        if reported and not chunk.choices and self._withhold:
            return StreamEvent(b"")
        self._unfinished -= sum(choice.finish_reason is not None for choice in chunk.choices or ())
        if _has_content(chunk):
            self._committed = True
            self.content_events += 1
            return StreamEvent(self._renamed(event), content=True)
        return StreamEvent(self._renamed(event))

    def end_marker(self) -> bytes | None:
        """Some servers (`transformers serve`) end the body after the last `finish_reason`, without `[DONE]`."""
        return b"data: [DONE]\n\n" if self._unfinished <= 0 else None

    def problem(self, problem: Problem) -> bytes:
        return b"data: " + encode_error(problem) + b"\n\n"

    def _renamed(self, event: bytes) -> bytes:
        known = self._upstream_model
        if known and event.count(known) == 1:
            event = event.replace(known, self._model, 1)
        else:
            event = self._renamed_slowly(event)
        if self._withhold and b',"usage":null' in event:
            # It is there only because the gateway asked for usage; the client did not.
            event = event.replace(b',"usage":null', b"", 1)
        return event

    def _renamed_slowly(self, event: bytes) -> bytes:
        data = sse_payload(event)
        fields = _decode_object(data)
        model = fields.get("model")
        if model is None:
            return event
        self._upstream_model = b'"model":' + bytes(model)
        if event.count(self._upstream_model) == 1:
            return event.replace(self._upstream_model, self._model, 1)
        fields["model"] = Raw(self._model[len(b'"model":') :])
        return event.replace(data, _encode(fields), 1) if data in event else b"data: " + _encode(fields) + b"\n\n"


def sse_payload(event: bytes) -> bytes:
    if event.startswith(b"data: ") and b"\ndata:" not in event:
        end = event.find(b"\n")
        return event[6 : end if end >= 0 else len(event)].strip()
    lines = (line for line in event.splitlines() if line.startswith(b"data:"))
    return b"\n".join(line[5:].strip() for line in lines)


_EMPTY: Final = (b"null", b'""', b"[]")


def _filled(raw: Raw) -> bool:
    return bytes(raw) not in _EMPTY


def _has_content(chunk: _Chunk) -> bool:
    for choice in chunk.choices or ():
        if choice.finish_reason is not None or _filled(choice.text):
            return True
        delta = choice.delta
        if delta is not None and (
            _filled(delta.content)
            or _filled(delta.tool_calls)
            or _filled(delta.function_call)
            or _filled(delta.refusal)
            or _filled(delta.audio)
            or _filled(delta.reasoning)
            or _filled(delta.reasoning_content)
        ):
            return True
    return False
