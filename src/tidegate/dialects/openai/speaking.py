"""OpenAI's `/v1/audio/speech`, to the canonical form and back.

Source: `openai.types.audio.speech_create_params` of the official SDK; of its events `CreateSpeechResponseStreamEvent` in
OpenAI's OpenAPI document. OpenAI's `pcm` is 24 kHz, 16 bits, one channel.
"""

from base64 import b64encode
from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.dialect import UnreadableAnswer, UnreadableRequest
from tidegate.dialects.fields import bad_field, field_of, present, unsupported_field
from tidegate.dialects.openai.errors import encode_error
from tidegate.dialects.speaking import Sound, Speech, SpeechEvents, SpeechRequest
from tidegate.dialects.wav import wav_header
from tidegate.wire.sse import sse_event

_VOICES: Final = frozenset("alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse".split())
_PCM_RATE: Final = 24_000
_DEFAULT: Final = "mp3"
_MEDIA: Final = {"wav": "audio/wav", "pcm": "audio/pcm"}
"""What can be made of samples without an encoder."""
_KNOWN: Final = frozenset(("model", "input", "voice", "instructions", "response_format", "speed", "stream_format"))


class _Asked(Struct):
    input: str
    voice: str | dict[str, Any] = ""
    instructions: str = ""
    response_format: str = _DEFAULT
    speed: float = 1.0
    stream_format: str = "audio"


_encode = msgspec.json.encode
_decode_asked = msgspec.json.Decoder(_Asked).decode


class OpenAISpeaking:
    """Is a SpeechCodec."""

    def decode_speech(self, view: View) -> SpeechRequest:
        asked = _asked(view)
        if asked.response_format not in _MEDIA:
            raise _no_format(asked.response_format)
        if asked.speed != 1:
            message = (
                "`speed`: the upstream of this model has one speed. Leave it out, or tell the pace in `instructions`."
            )
            raise unsupported_field("speed", message)
        return SpeechRequest(
            text=asked.input, voice=_voice(asked.voice), style=asked.instructions.strip(), stream=view.stream
        )

    def encode_speech(self, speech: Speech, view: View) -> bytes:
        form = _asked(view).response_format
        view.answer_media = _MEDIA[form]
        pcm = _fitting(speech.sound, form).pcm
        return wav_header(speech.sound.rate, len(pcm)) + pcm if form == "wav" else pcm

    def speech_events(self, view: View) -> SpeechEvents:
        return SpeechEventEncoder(_asked(view).response_format)


class SpeechEventEncoder:
    """Is a SpeechEvents. The first sound of a WAV file has its header, which says that its length is not known."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._rate = 0

    def sound(self, sound: Sound) -> bytes:
        pcm = _fitting(sound, self._form).pcm
        if self._rate not in (0, sound.rate):
            raise UnreadableAnswer("the answer has sounds of different rates")
        if not self._rate and self._form == "wav":
            pcm = wav_header(sound.rate, None) + pcm
        self._rate = sound.rate
        return sse_event(_encode({"type": "speech.audio.delta", "audio": b64encode(pcm).decode()})) if pcm else b""

    def end(self, usage: Usage) -> bytes:
        told: dict[str, Any] = {"type": "speech.audio.done"}
        if usage.total:
            told["usage"] = {
                "input_tokens": usage.input_total,
                "output_tokens": usage.output_total,
                "total_tokens": usage.total,
            }
        return sse_event(_encode(told))

    def problem(self, problem: Problem) -> bytes:
        return b"event: error\ndata: " + encode_error(problem) + b"\n\n"


def _asked(view: View) -> _Asked:
    """Raises UnreadableRequest."""
    told = {name: raw for name, raw in view.fields.items() if present(raw) is not None}
    for name in told:
        if name not in _KNOWN:
            raise unsupported_field(name, f"`{name}` cannot be honoured by the upstream of this model. Leave it out.")
    try:
        return _decode_asked(_encode(told))
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"The body does not ask for speech: {error}.", field_of(error) or "input") from error


def _no_format(asked: str) -> UnreadableRequest:
    default = ", which it is where it is left out," if asked == _DEFAULT else ""
    message = (
        "`response_format`: the upstream of this model gives samples that are not compressed. "
        f"`{asked[:20]}`{default} cannot be made of them here. Ask for `wav` or `pcm`."
    )
    return unsupported_field("response_format", message)


def _voice(told: str | dict[str, Any]) -> str:
    """Raises UnreadableRequest for voices that OpenAI alone has: any other in their place would be another speaker."""
    if isinstance(told, str) and told.lower() not in _VOICES:
        return told
    name = f"`{told}` is one of OpenAI's voices" if isinstance(told, str) else "A voice by its `id` is one of OpenAI's"
    message = f"`voice`: {name}. Name one that the upstream of this model has: Gemini's are `Kore`, `Puck` and others."
    raise unsupported_field("voice", message)


def _fitting(sound: Sound, form: str) -> Sound:
    """`pcm` has nowhere to say its rate."""
    if form == "pcm" and sound.rate != _PCM_RATE:
        raise UnreadableAnswer(f"the sound has {sound.rate} samples a second, not {_PCM_RATE}")
    return sound
