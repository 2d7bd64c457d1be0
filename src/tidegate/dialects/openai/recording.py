"""OpenAI's audio endpoints: what a request may say here, and what an answer says was used.

Source: `openai.types.audio` of the official SDK. Speech reports its usage in its stream of events alone. Transcriptions
and translations are asked for by forms of several parts.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Units, Usage
from tidegate.core.view import Operation, PathTells, View
from tidegate.dialects.fields import bad_field, read_string, unsupported_field
from tidegate.dialects.openai.forms import flag, model_asked, read_parts, single

_LONGEST: Final = 32_768
"""Tokens of the longest recording that vendors take (25 minutes, at about ten tokens a second), twice over."""
_MOST_TOKENS_PER_SECOND: Final = 32
"""As Gemini counts sound; others take fewer."""
_LEAST_BYTES_PER_SECOND: Final = 750
"""Of the most frugal speech codec at its lowest rate (six kilobits)."""
_LONGEST_SECONDS: Final = 1e9
_AFFINITY_BYTES: Final = 1_024


class _InputDetails(Struct):
    text_tokens: int | None = None


class _UsageObject(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: _InputDetails | None = None
    seconds: float | None = None


_decode_usage = msgspec.json.Decoder(_UsageObject).decode


def speech_by_events(fields: dict[str, Raw]) -> bool:
    """Whether the client wants speech as events rather than as plain audio. Raises UnreadableRequest."""
    raw = bytes(fields.get("stream_format", b"null"))
    try:
        form = msgspec.json.decode(raw, type=str | None)
    except msgspec.DecodeError:
        form = ""
    if form not in (None, "audio", "sse"):
        raise bad_field("`stream_format` must be `audio` or `sse`.", "stream_format")
    return form == "sse"


def spoken(fields: dict[str, Raw]) -> Units:
    """How much is to be said. Raises UnreadableRequest."""
    return Units(characters=len(read_string(fields, "input")))


def read_recording(dialect: str, operation: Operation, body: bytes, tells: PathTells) -> View:
    """A form with a file. Raises UnreadableRequest."""
    form = read_parts(tells, body)
    model = model_asked(form, tells)
    file = single(form, "file")
    if file is None or not file.is_file:
        raise bad_field("`file` is missing: send the recording as a part with a file name.", "file")
    stream = flag(form, "stream")
    if stream and operation == "translation":
        raise unsupported_field("stream", "Translations have no stream: leave `stream` out.")
    size = file.end - file.start
    said = len(body) - size
    return View(
        dialect=dialect,
        operation=operation,
        model=model,
        stream=stream,
        fields={},
        body_bytes=len(body),
        # A second of speech is about ten tokens, and 32 kB where it is not compressed.
        estimated_input_tokens=(said >> 2) + (size >> 12) + 1,
        # No recording has more tokens than bytes; a long one has six kilobits to a second or more.
        worst_input_tokens=said + min(size, _LONGEST + size * _MOST_TOKENS_PER_SECOND // _LEAST_BYTES_PER_SECOND),
        max_output_tokens=None,
        units=Units(audio_ms=size * 1000 // _LEAST_BYTES_PER_SECOND),
        parts=form,
        media=form.content_type,
        affinity=body[file.start : file.start + _AFFINITY_BYTES],
    )


def recording_usage(fields: dict[str, Raw]) -> Usage:
    """Of a JSON answer: in tokens, or in seconds of sound. Servers that tell no usage may tell the recording's duration.
    Input that is not said to be text is audio.
    """
    raw = fields.get("usage")
    if raw is None or bytes(raw) == b"null":
        return _heard(fields.get("duration"))
    try:
        told = _decode_usage(raw)
    except (msgspec.DecodeError, RecursionError):
        return Usage(raw=bytes(raw))
    if told.input_tokens is None or told.output_tokens is None:
        units = None if told.seconds is None else sound(told.seconds)
        return Usage(raw=bytes(raw)) if units is None else Usage(units=units, source="reported", raw=bytes(raw))
    text = max(0, (told.input_token_details or _InputDetails()).text_tokens or 0)
    return Usage(
        input=max(0, min(text, told.input_tokens)),
        input_audio=max(0, told.input_tokens - text),
        output=max(0, told.output_tokens),
        source="reported",
        raw=bytes(raw),
    )


def sound(seconds: float) -> Units | None:
    """None where no recording lasts so long."""
    return Units(audio_ms=round(seconds * 1000)) if 0 <= seconds <= _LONGEST_SECONDS else None


def _heard(duration: Raw | None) -> Usage:
    """`duration` is a number, or one in a string."""
    try:
        units = None if duration is None else sound(msgspec.json.decode(duration, type=float, strict=False))
    except msgspec.DecodeError:
        units = None
    return Usage() if units is None else Usage(units=units, source="reported")


def speech_usage(raw: Raw) -> Usage:
    """Of a stream's last event: text in, audio out."""
    try:
        told = _decode_usage(raw)
    except (msgspec.DecodeError, RecursionError):
        return Usage(raw=bytes(raw))
    if told.input_tokens is None or told.output_tokens is None:
        return Usage(raw=bytes(raw))
    return Usage(
        input=max(0, told.input_tokens), output_audio=max(0, told.output_tokens), source="reported", raw=bytes(raw)
    )
