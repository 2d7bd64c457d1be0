"""Speech of Gemini's TTS models, by `generateContent` and `streamGenerateContent`.

Source: `google.genai.types.SpeechConfig`, `VoiceConfig` and `SpeechMetadata` of the official SDK;
https://ai.google.dev/gemini-api/docs/generate-content/speech-generation, and the guide to Gemini 3.8 TTS:
https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/text-to-speech/migration-guide. Models from 3.8 on take
the style beside the text and answer whole with a WAV file; earlier ones find the style in the text, and all know PCM.
"""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tidegate.core.usage import Usage
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import RefusedAnswer, UnreadableAnswer, UpstreamModel
from tidegate.dialects.fields import bad_field, present
from tidegate.dialects.gemini.chat_answer import Candidate, Content, Response, blocked, finish_of, read_response
from tidegate.dialects.gemini.errors import read_error
from tidegate.dialects.gemini.models import styles_beside_text
from tidegate.dialects.gemini.usage import usage_of
from tidegate.dialects.speaking import Sound, Speech, SpeechPiece, SpeechRequest
from tidegate.dialects.wav import WavError, read_wav
from tidegate.wire.sse import SseSplitter, sse_data

_MOST_FRAME_BYTES: Final = 64 * 1024 * 1024
"""Earlier models say all in one event: eleven minutes of speech are 42 MB in base64."""
_RATE: Final = re.compile(r"rate=(\d{4,6})")
_PCM: Final = ("audio/l16", "audio/pcm")
_WAV: Final = ("audio/wav", "audio/x-wav", "audio/wave")


class _Inline(Struct, rename="camel"):
    mime_type: str = ""
    data: str = ""


_encode = msgspec.json.encode
_decode_inline = msgspec.json.Decoder(_Inline).decode


class GeminiSpeaking:
    """Is a SpeechUpstream."""

    def encode_speech_request(self, request: SpeechRequest, upstream: UpstreamModel) -> bytes:
        beside = styles_beside_text(upstream.name)
        part: dict[str, Any] = {"text": request.text}
        if request.style and beside:
            if not request.voice:
                message = "`instructions` need a `voice` at the upstream of this model: name one, for example `Kore`."
                raise bad_field(message, "voice")
            part["speechMetadata"] = {"style": request.style}
        elif request.style:
            part["text"] = f"{request.style.rstrip(' :.')}:\n{request.text}"
        config: dict[str, Any] = {"responseModalities": ["AUDIO"]}
        if request.voice:
            voice = {"voice": request.voice} if beside else {"prebuiltVoiceConfig": {"voiceName": request.voice}}
            config["speechConfig"] = {"voiceConfig": voice}
        if upstream.max_output_tokens is not None:
            config["maxOutputTokens"] = upstream.max_output_tokens
        return _encode({"contents": [{"role": "user", "parts": [part]}], "generationConfig": config})

    def decode_speech(self, body: bytes) -> Speech:
        told = read_response(body)
        usage = _usage(told) or Usage()
        candidate = _candidate(told)
        refusal = _refusal(told, candidate)
        if refusal is not None:
            raise RefusedAnswer(refusal, usage)
        sounds = _sounds(candidate)
        if not any(one.pcm for one in sounds):
            raise UnreadableAnswer("the answer has no sound")
        if len({one.rate for one in sounds}) > 1:
            raise UnreadableAnswer("the answer has sounds of different rates")
        return Speech(Sound(b"".join(one.pcm for one in sounds), sounds[0].rate), usage)

    def splitter(self) -> SseSplitter:
        return SseSplitter(_MOST_FRAME_BYTES)

    def decode_piece(self, frame: bytes) -> SpeechPiece:
        data = sse_data(frame)
        if not data:
            return SpeechPiece()
        told = read_response(data)
        if present(told.error) is not None:
            return SpeechPiece(fault=read_error(data))
        candidate = _candidate(told)
        refusal = _refusal(told, candidate)
        ended = candidate is not None and candidate.finish_reason is not None
        return SpeechPiece(_sounds(candidate), _usage(told), ended, refusal=refusal)


def _candidate(told: Response) -> Candidate | None:
    return told.candidates[0] if told.candidates else None


def _refusal(told: Response, candidate: Candidate | None) -> Fault | None:
    """Why not all of it was said; None if nothing says so. Raises UnreadableAnswer for the upstream's own failures."""
    if candidate is not None:
        if candidate.finish_reason is None:
            return None
        finish = finish_of(candidate.finish_reason, candidate.finish_message, called=False)
    elif told.prompt_feedback is not None and told.prompt_feedback.block_reason:
        finish = blocked(told.prompt_feedback)
    else:
        return None
    if finish.reason == "stop":
        return None
    if finish.reason == "length":
        message = f"The text is longer than the upstream can say in one answer ({finish.native}). Send it in pieces."
        return Fault("invalid_request_error", "string_above_max_length", message)
    why = f" {finish.explanation}" if finish.explanation else ""
    message = f"The upstream's safety system would not say this ({finish.native}).{why}"
    return Fault("invalid_request_error", "content_policy_violation", message)


def _sounds(candidate: Candidate | None) -> list[Sound]:
    content = None if candidate is None else candidate.content
    sounds: list[Sound] = []
    for part in (content or Content()).parts or ():
        if present(part.inline_data) is None or part.thought:
            continue
        try:
            inline = _decode_inline(part.inline_data)
            # Google's JSON may have either alphabet of base64.
            data = b64decode(inline.data.replace("-", "+").replace("_", "/"), validate=True)
        except (msgspec.DecodeError, RecursionError, NotBase64) as error:
            raise UnreadableAnswer(f"a sound cannot be read: {error}") from error
        sounds.append(_sound(inline.mime_type.lower(), data))
    return sounds


def _sound(media: str, data: bytes) -> Sound:
    """The media type of PCM says its rate: `audio/L16;codec=pcm;rate=24000`."""
    rate = _RATE.search(media)
    if media.startswith(_PCM) and rate is not None:
        return Sound(data, int(rate[1]))
    if media.startswith(_WAV):
        try:
            return Sound(*read_wav(data))
        except WavError as error:
            raise UnreadableAnswer(f"a sound cannot be read: {error}") from error
    raise UnreadableAnswer(f"a sound of the type {media[:60]!r} was not asked for")


def _usage(told: Response) -> Usage | None:
    """Nothing but sound was asked for: output whose modality is not told is that."""
    raw = present(told.usage_metadata)
    if raw is None:
        return None
    used = usage_of(raw)
    if used.source == "unknown" or used.output_audio:
        return used
    return replace(used, output=0, output_audio=used.output)
