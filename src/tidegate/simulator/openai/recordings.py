"""Transcriptions and translations, as OpenAI's models take and give them: invented words, by the recording's bytes."""

import math
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import generator
from tidegate.simulator.invention import estimate_tokens, invent_prose, split_tokens
from tidegate.simulator.media import seconds_of
from tidegate.simulator.openai.fields import Fields
from tidegate.simulator.openai.forms import needed_file
from tidegate.simulator.openai.rejection import Rejection, wrong_value
from tidegate.simulator.openai.setting import Setting
from tidegate.simulator.openai.speech import FLAWS, event
from tidegate.simulator.template import Mould

_KNOWN: Final = {
    "transcription": frozenset(
        {
            *("chunking_strategy", "file", "include", "keywords", "known_speaker_names", "known_speaker_references"),
            *("language", "languages", "model", "prompt", "response_format", "stream", "temperature"),
            "timestamp_granularities",
        }
    ),
    "translation": frozenset({"file", "model", "prompt", "response_format", "temperature"}),
}
_FORMS: Final = ("json", "text", "srt", "verbose_json", "vtt")
_TOKENS_EACH_SECOND: Final = 10
_TEXT: Final = b"text/plain; charset=utf-8"


class RecordingRequest(Struct, kw_only=True):
    operation: str
    content: bytes
    prompt: bytes
    form: str
    seconds: float
    words: bool
    stream: bool

    @property
    def audio_tokens(self) -> int:
        return math.ceil(self.seconds * _TOKENS_EACH_SECOND)

    @property
    def text_tokens(self) -> int:
        return estimate_tokens(self.prompt)

    @property
    def prompt_tokens(self) -> int:
        return self.audio_tokens + self.text_tokens


def read_recording(fields: Fields, operation: str, behaviour: Behaviour) -> RecordingRequest:
    """Raises Rejection."""
    if behaviour.strict:
        fields.only(_KNOWN[operation])
    content = needed_file(fields, "file").content
    if not content:
        raise Rejection(400, "Audio file is too short. Minimum audio length is 0.1 seconds.", code="audio_too_short")
    form = fields.choice("response_format", _FORMS, "json") or "json"
    if not behaviour.legacy and form not in ("json", "text"):
        text = f"response_format '{form}' is not compatible with this model. Use 'json' or 'text' instead."
        raise Rejection(400, text, param="response_format", code="unsupported_value")
    granularities = _texts(fields, "timestamp_granularities")
    if any(one not in ("word", "segment") for one in granularities):
        raise wrong_value("timestamp_granularities", granularities, ("word", "segment"))
    if granularities and form != "verbose_json":
        text = "'timestamp_granularities' needs 'response_format' to be 'verbose_json'."
        raise Rejection(400, text, param="timestamp_granularities", code="invalid_value")
    if any(one != "logprobs" for one in _texts(fields, "include")):
        raise wrong_value("include", _texts(fields, "include"), ("logprobs",))
    fields.number("temperature", 0, 1)
    prompt = fields.text("prompt") or ""
    return RecordingRequest(
        operation=operation,
        content=content,
        prompt=prompt.encode(),
        form=form,
        seconds=round(seconds_of(content), 2),
        words="word" in granularities,
        stream=fields.flag("stream") and not behaviour.legacy,  # those take it and answer whole
    )


def _texts(fields: Fields, name: str) -> tuple[str, ...]:
    value = fields.get(name)
    return (value,) if isinstance(value, str) else fields.texts(name)


def recording_reply(request: RecordingRequest, behaviour: Behaviour, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    rng = generator(setting.seed, setting.model, request.content)
    said = behaviour.text
    tokens = invent_prose(rng, behaviour.tokens.draw_count(rng)) if said is None else split_tokens(said)
    text = "".join(tokens)
    usage = _usage(request, behaviour, len(tokens)) if setting.usage else None
    made = partial(Mould, model=setting.model, flaws=FLAWS)
    if request.stream:
        mould = made(pieces=_events(tokens, usage), stream=True, repeated=0)
    elif request.form in ("json", "verbose_json"):
        body = _plain(text, request, usage) if request.form == "json" else _verbose(text, request, usage)
        mould = made(pieces=[msgspec.json.encode(body)])
    else:
        mould = made(pieces=[_subtitles(text, request).encode()], content_type=_TEXT)
    mould.prompt_tokens = request.prompt_tokens
    mould.completion_tokens = len(tokens)
    return mould


def _usage(request: RecordingRequest, behaviour: Behaviour, out: int) -> dict[str, Any]:
    if behaviour.legacy:
        return {"type": "duration", "seconds": math.ceil(request.seconds)}
    return {
        "type": "tokens",
        "total_tokens": request.prompt_tokens + out,
        "input_tokens": request.prompt_tokens,
        "input_token_details": {"text_tokens": request.text_tokens, "audio_tokens": request.audio_tokens},
        "output_tokens": out,
    }


def _events(tokens: list[str], usage: dict[str, Any] | None) -> list[bytes]:
    done: dict[str, Any] = {"type": "transcript.text.done", "text": "".join(tokens)}
    if usage is not None:
        done["usage"] = usage
    return [*(event({"type": "transcript.text.delta", "delta": one}) for one in tokens), event(done)]


def _plain(text: str, request: RecordingRequest, usage: dict[str, Any] | None) -> dict[str, Any]:
    if usage is None or request.operation == "translation":
        return {"text": text}
    return {"text": text, "usage": usage}


def _verbose(text: str, request: RecordingRequest, usage: dict[str, Any] | None) -> dict[str, Any]:
    segment = {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": request.seconds,
        "text": text,
        "tokens": [50364],
        "temperature": 0.0,
        "avg_logprob": -0.25,
        "compression_ratio": 1.1,
        "no_speech_prob": 0.01,
    }
    body: dict[str, Any] = {
        "task": "translate" if request.operation == "translation" else "transcribe",
        "language": "english",
        "duration": request.seconds,
        "text": text,
        "segments": [segment],
    }
    if request.words:
        body["words"] = [{"word": one, "start": 0.0, "end": request.seconds} for one in text.split()]
    if usage is not None and request.operation == "transcription":
        body["usage"] = usage
    return body


def _subtitles(text: str, request: RecordingRequest) -> str:
    if request.form == "text":
        return text + "\n"
    end = f"00:{int(request.seconds) // 60 % 60:02}:{int(request.seconds) % 60:02}"
    if request.form == "vtt":
        return f"WEBVTT\n\n00:00:00.000 --> {end}.000\n{text}\n\n"
    return f"1\n00:00:00,000 --> {end},000\n{text}\n\n\n"
