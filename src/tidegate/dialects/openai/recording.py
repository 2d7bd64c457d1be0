"""OpenAI's audio endpoints: what a request may say here, and what an answer says was used.

Source: `openai.types.audio` of the official SDK. `/audio/speech` reports no usage. Transcriptions and translations are
asked for by forms of several parts, which go on byte for byte but for the model's name.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.core.view import Operation, PathTells, View
from tidegate.dialects.fields import bad_field, unsupported_field
from tidegate.wire.multipart import Form, MultipartError, Part, read_form

_LONGEST: Final = 32_768
"""Tokens of the longest recording that vendors take (25 minutes, at about ten tokens a second), twice over."""
_FALSE: Final = frozenset((b"", b"false", b"0"))
_AFFINITY_BYTES: Final = 1_024


class _InputDetails(Struct):
    text_tokens: int | None = None


class _UsageObject(Struct):
    input_tokens: int
    output_tokens: int
    input_token_details: _InputDetails | None = None


_decode_usage = msgspec.json.Decoder(_UsageObject).decode


def check_speech(fields: dict[str, Raw]) -> None:
    """Raises UnreadableRequest for what cannot be served."""
    raw = bytes(fields.get("stream_format", b"null"))
    try:
        form = msgspec.json.decode(raw, type=str | None)
    except msgspec.DecodeError as error:
        raise bad_field("`stream_format` must be a string.", "stream_format") from error
    if form not in (None, "audio"):
        raise unsupported_field("stream_format", "Speech comes as plain audio here: leave `stream_format` out.")


def read_recording(dialect: str, operation: Operation, body: bytes, tells: PathTells) -> View:
    """A form with a file. Raises UnreadableRequest."""
    try:
        form = read_form(tells.media, body)
    except MultipartError as error:
        raise bad_field(f"The body must be multipart/form-data: {error}.") from error
    model = tells.model or _text(form, _single(form, "model"), "model")
    _single(form, "model")
    file = _single(form, "file")
    if file is None or not file.is_file:
        raise bad_field("`file` is missing: send the recording as a part with a file name.", "file")
    stream = _single(form, "stream")
    if stream is not None and form.value(stream).strip().lower() not in _FALSE:
        raise unsupported_field("stream", "Transcripts are not streamed here yet: leave `stream` out.")
    size = file.end - file.start
    said = len(body) - size
    return View(
        dialect=dialect,
        operation=operation,
        model=model,
        stream=False,
        fields={},
        body_bytes=len(body),
        # A second of speech is about ten tokens, and 32 kB where it is not compressed.
        estimated_input_tokens=(said >> 2) + (size >> 12) + 1,
        # No recording has more tokens than bytes; a long one has six kilobits to a second or more.
        worst_input_tokens=said + min(size, _LONGEST + (size >> 6)),
        max_output_tokens=None,
        parts=form,
        media=form.content_type,
        affinity=body[file.start : file.start + _AFFINITY_BYTES],
    )


def renamed(parts: Struct, model: str) -> bytes:
    """The form's body for an upstream that knows the model by another name. Raises UnreadableRequest."""
    assert isinstance(parts, Form)  # noqa: S101 - read_recording has made it
    try:
        return parts.with_value("model", model.encode())
    except MultipartError as error:
        raise bad_field(f"The body cannot be sent on: {error}. Choose another boundary.") from error


def recording_usage(raw: Raw | None) -> Usage:
    """Of a JSON answer. What is told in seconds is unknown in tokens; input that is not said to be text is audio."""
    if raw is None:
        return Usage()
    try:
        told = _decode_usage(raw)
    except (msgspec.DecodeError, RecursionError):
        return Usage(raw=bytes(raw))
    text = max(0, (told.input_token_details or _InputDetails()).text_tokens or 0)
    return Usage(
        input=max(0, min(text, told.input_tokens)),
        input_audio=max(0, told.input_tokens - text),
        output=max(0, told.output_tokens),
        source="reported",
        raw=bytes(raw),
    )


def _single(form: Form, name: str) -> Part | None:
    found = form.named(name)
    if len(found) > 1:
        raise bad_field(f"There are {len(found)} parts `{name}`: send one.", name)
    return found[0] if found else None


def _text(form: Form, part: Part | None, name: str) -> str:
    if part is None:
        raise bad_field(f"`{name}` is missing: name the model to call, for example `whisper-1`.", name)
    try:
        value = form.value(part).decode()
    except UnicodeDecodeError:
        value = ""
    if not value or part.is_file:
        raise bad_field(f"`{name}` must be a text that is not empty.", name)
    return value
