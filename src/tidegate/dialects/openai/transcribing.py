"""OpenAI's `/v1/audio/transcriptions` and `/v1/audio/translations`, to the canonical form and back.

Source: `openai.types.audio.transcription_create_params`, `transcription`, `transcription_text_done_event` and
`translation_create_params` of the official SDK.
"""

from typing import Any, Final

import msgspec

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.fields import bad_field, unsupported_field
from tidegate.dialects.openai.errors import encode_error
from tidegate.dialects.openai.forms import FormFields, SentFile
from tidegate.dialects.recordings import recording_format
from tidegate.dialects.transcribing import Recording, TranscriptEvents, TranscriptRequest
from tidegate.wire.sse import sse_event

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"
_MEDIA: Final = {"json": _JSON, "text": _TEXT}
_HINTS: Final = {"chunking_strategy": frozenset(("auto",))}
"""Values that ask for nothing that another model would do otherwise."""

_encode = msgspec.json.encode


class OpenAITranscripts:
    """Is a TranscriptCodec."""

    def decode_recording(self, view: View) -> TranscriptRequest:
        form = FormFields(view.parts)
        file = form.files("file")[0]  # the reader of the View has seen that there is one
        form.text("model")
        _response_format(form)
        languages = [one for one in (form.text("language"),) if one]
        request = TranscriptRequest(
            recording=Recording(file.content, _format_of(file), file.name),
            translate=view.operation == "translation",
            prompt=form.text("prompt") or "",
            temperature=_temperature(form),
            stream=form.flag("stream"),
        )
        if view.operation == "transcription":
            request.languages = [*languages, *form.texts("languages")]
            request.keywords = form.texts("keywords")
            request.dropped = _hints(form)
        elif languages:
            raise unsupported_field("language", "`language`: translations are into English. Leave it out.")
        for name in form.unread():
            raise unsupported_field(name, f"`{name}` cannot be honoured by the upstream of this model. Leave it out.")
        return request

    def encode_transcript(self, text: str, usage: Usage, view: View) -> bytes:
        view.answer_media = _MEDIA[_response_format(FormFields(view.parts))]
        if view.answer_media == _TEXT:
            return text.encode() + b"\n"
        told: dict[str, Any] = {"text": text}
        if view.operation == "transcription" and usage.source != "unknown":
            told["usage"] = _usage(usage)
        return _encode(told)

    def transcript_events(self, view: View) -> TranscriptEvents:
        return TranscriptEventEncoder()


class TranscriptEventEncoder:
    """Is a TranscriptEvents."""

    def delta(self, text: str) -> bytes:
        return sse_event(_encode({"type": "transcript.text.delta", "delta": text}))

    def end(self, text: str, usage: Usage | None) -> bytes:
        told: dict[str, Any] = {"type": "transcript.text.done", "text": text}
        if usage is not None and usage.source != "unknown":
            told["usage"] = _usage(usage)
        return sse_event(_encode(told))

    def problem(self, problem: Problem) -> bytes:
        return b"event: error\ndata: " + encode_error(problem) + b"\n\n"


def _response_format(form: FormFields) -> str:
    told = form.text("response_format") or "json"
    if told not in _MEDIA:
        message = (
            f"`response_format`: the upstream of this model tells no times and no speakers, which `{told[:20]}` needs. "
            "Ask for `json` or `text`."
        )
        raise unsupported_field("response_format", message)
    return told


def _format_of(file: SentFile) -> str:
    return recording_format(file.content, file.name, file.media_type)


def _temperature(form: FormFields) -> float | None:
    told = form.number("temperature")
    if told is not None and not 0 <= told <= 1:
        raise bad_field("`temperature` must be a number from 0 to 1.", "temperature")
    return told


def _hints(form: FormFields) -> list[str]:
    """Those that are there. Raises UnreadableRequest for other values than hints have."""
    found: list[str] = []
    for name, harmless in _HINTS.items():
        told = form.texts(name)
        if not told:
            continue
        if not harmless.issuperset(told):
            raise unsupported_field(
                name, f"`{name}`: the upstream of this model cuts recordings as it will. Leave it out."
            )
        found.append(name)
    return found


def _usage(usage: Usage) -> dict[str, Any]:
    heard = usage.input_audio + usage.cache_read_audio
    return {
        "type": "tokens",
        "input_tokens": usage.input_total,
        "input_token_details": {"text_tokens": usage.input_total - heard, "audio_tokens": heard},
        "output_tokens": usage.output_total,
        "total_tokens": usage.total,
    }
