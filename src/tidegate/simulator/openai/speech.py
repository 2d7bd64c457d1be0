"""Speech: plain audio, or events of it, as OpenAI's speech models take and give them."""

from base64 import b64encode
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.simulator.composition import generator
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.media import sound
from tidegate.simulator.openai.fields import Fields
from tidegate.simulator.openai.rejection import Rejection, missing, out_of_range, wrong_type
from tidegate.simulator.openai.setting import Setting
from tidegate.simulator.template import Flaws, Mould
from tidegate.wire.sse import sse_event

_KNOWN: Final = frozenset({"input", "instructions", "model", "response_format", "speed", "stream_format", "voice"})
_MEDIA: Final = {
    "mp3": b"audio/mpeg",
    "opus": b"audio/ogg",
    "aac": b"audio/aac",
    "flac": b"audio/flac",
    "wav": b"audio/wav",
    "pcm": b"audio/pcm",
}
_LONGEST: Final = 4_096
_MILLISECONDS_EACH: Final = 20
"""Of speech, for each byte of text."""
_TOKENS_EACH_SECOND: Final = 20
_PIECE: Final = 16_384
FLAWS: Final = Flaws(
    error_event=b'event: error\ndata: {"type":"error","error":{"message":"The server had an error while processing your '
    b'request. Sorry about that!","type":"server_error","param":null,"code":null}}\n\n',
    broken_event=b'data: {"type":"speech.audio.del\n\n',
)


class SpeechRequest(Struct, kw_only=True):
    text: bytes
    voice: bytes
    form: str
    speed: float
    stream: bool

    @property
    def prompt_tokens(self) -> int:
        return estimate_tokens(self.text)


def read_speech(fields: Fields, strict: bool, legacy: bool) -> SpeechRequest:
    """Raises Rejection."""
    if strict:
        fields.only(_KNOWN)
    text = fields.needed_text("input")
    if not 0 < len(text) <= _LONGEST:
        bound = f"a string with 1 to {_LONGEST} characters"
        raise out_of_range("input", f"a string of length {len(text)}", bound, "string_above_max_length")
    stream = fields.choice("stream_format", ("sse", "audio"), "audio") == "sse"
    if stream and legacy:
        raise Rejection(400, "'sse' is not supported with this model.", param="stream_format", code="unsupported_value")
    fields.text("instructions")
    return SpeechRequest(
        text=text.encode(),
        voice=_voice(fields),
        form=fields.choice("response_format", tuple(_MEDIA), "mp3") or "mp3",
        speed=fields.number("speed", 0.25, 4.0) or 1.0,
        stream=stream,
    )


def _voice(fields: Fields) -> bytes:
    value = fields.get("voice")
    if value is None:
        raise missing("voice")
    if isinstance(value, dict):
        return fields.needed_inner("voice").needed_text("id").encode()
    if not isinstance(value, str):
        raise wrong_type("voice", "a string or an object", value)
    return value.encode()


def speech_reply(request: SpeechRequest, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    rng = generator(setting.seed, setting.model, request.text, request.voice)
    milliseconds = round(len(request.text) * _MILLISECONDS_EACH / request.speed)
    audio = sound(rng, request.form, milliseconds)
    out = -(-milliseconds * _TOKENS_EACH_SECOND // 1000)
    made = partial(Mould, model=setting.model, flaws=FLAWS)
    if request.stream:
        mould = made(pieces=_events(audio, request.prompt_tokens, out, setting), stream=True, repeated=0)
    else:
        mould = made(pieces=[audio], content_type=_MEDIA[request.form])
    mould.prompt_tokens = request.prompt_tokens
    mould.completion_tokens = out
    return mould


def _events(audio: bytes, told: int, out: int, setting: Setting) -> list[bytes]:
    pieces = [audio[at : at + _PIECE] for at in range(0, len(audio), _PIECE)]
    events = [event({"type": "speech.audio.delta", "audio": b64encode(one).decode()}) for one in pieces]
    done: dict[str, Any] = {"type": "speech.audio.done"}
    if setting.usage:
        done["usage"] = {"input_tokens": told, "output_tokens": out, "total_tokens": told + out}
    return [*events, event(done)]


def event(fields: dict[str, Any]) -> bytes:
    """As the audio endpoints send one."""
    return sse_event(msgspec.json.encode(fields))
