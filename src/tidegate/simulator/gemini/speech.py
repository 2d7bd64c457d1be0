"""Speech, as Gemini's TTS models take and give it: text in, 24 kHz PCM or a WAV file out.

Models from 3.8 on take the style beside the text (`speechMetadata`) and answer whole with a WAV file; earlier ones read the
style out of the text and know PCM alone.
"""

import random
import re
from base64 import b64encode
from typing import Any, Final

from msgspec import Struct

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import generator
from tidegate.simulator.gemini.content import JSON_TYPE, SSE, encode_document, framed, prompt_details
from tidegate.simulator.gemini.content_request import GENERATION, KNOWN
from tidegate.simulator.gemini.fields import Fields, invalid
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.media import sound
from tidegate.simulator.setting import Setting
from tidegate.simulator.template import Mould

_VOICES: Final = frozenset(
    """achernar achird algenib algieba alnilam aoede autonoe callirrhoe charon despina enceladus erinome fenrir gacrux
    iapetus kore laomedeia leda orus puck pulcherrima rasalgethi sadachbia sadaltager schedar sulafat umbriel vindemiatrix
    zephyr zubenelgenubi""".split()
)
_OWN_VOICES: Final = ("voice_", "voicekey_")
_VERSION: Final = re.compile(r"gemini-(\d+)\.(\d+)")
_BY_METADATA: Final = (3, 8)
_MILLISECONDS_EACH: Final = 20
"""Of speech, for each byte of text."""
_PIECE: Final = 9_600
_TEXT_PART: Final = frozenset(("text", "speechMetadata"))


class SpeechRequest(Struct, kw_only=True):
    text: bytes
    voice: str
    stream: bool
    newer: bool
    milliseconds: int
    cut: bool
    """By its bound on the output."""
    prompt_tokens: int
    tokens: int
    """Of the sound."""


def read_speech(fields: Fields, name: str, stream: bool, behaviour: Behaviour) -> SpeechRequest:
    """Raises Rejection."""
    if behaviour.strict:
        fields.only(KNOWN)
    if fields.get("systemInstruction") is not None:
        raise invalid(f"Developer instruction is not enabled for models/{name}", "systemInstruction")
    if fields.get("tools") is not None:
        raise invalid(f"Tool use is not enabled for models/{name}", "tools")
    newer = _is_newer(name)
    texts, styled = _texts(fields, newer)
    config = fields.inner("generationConfig") or Fields({}, "generationConfig")
    if behaviour.strict:
        config.only(GENERATION)
    modalities = config.texts("responseModalities")
    if modalities != ("AUDIO",):
        told = ", ".join(modalities or ("TEXT",))
        text = f"The requested combination of response modalities ({told}) is not supported by the model."
        raise invalid(f"{text} models/{name} accepts the following combination of response modalities:\n* AUDIO\n")
    config.number("temperature", 0, 2)
    if (config.whole("candidateCount", 1, 8) or 1) > 1:
        raise invalid("Multiple candidates is not enabled for this model", config.path("candidateCount"))
    voice = _voice(config.inner("speechConfig") or Fields({}, "generationConfig.speechConfig"), newer)
    if styled and not voice:
        raise invalid("Request contains an invalid argument.")
    text = "\n".join(texts).encode()
    limit = config.whole("maxOutputTokens", 1, behaviour.max_output_tokens) or behaviour.max_output_tokens
    rate = 32 if newer else 25
    milliseconds = min(len(text) * _MILLISECONDS_EACH, limit * 1000 // rate)
    return SpeechRequest(
        text=text,
        voice=voice,
        stream=stream,
        newer=newer,
        milliseconds=milliseconds,
        cut=milliseconds < len(text) * _MILLISECONDS_EACH,
        prompt_tokens=estimate_tokens(text) + 2,
        tokens=-(-milliseconds * rate // 1000),
    )


def speech_reply(request: SpeechRequest, behaviour: Behaviour, sse: bool, setting: Setting) -> Mould:
    """The answer, ready to be sent. `sse`: how a stream is framed."""
    rng = generator(setting.seed, setting.model, request.text, request.voice)
    if behaviour.refusal:
        blocked: dict[str, Any] = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
        refused = {"candidates": [{"finishReason": "SAFETY", "index": 0}]}
        steps = [blocked if behaviour.refusal == "prompt" else refused]
    else:
        steps = _steps(request, rng)
    tokens = 0 if behaviour.refusal else request.tokens
    usage = _usage(request, tokens)
    documents = [encode_document(step, usage, setting) for step in steps]
    if request.stream:
        mould = framed(documents, sse, setting)
    else:
        mould = Mould(model=setting.model, pieces=[documents[0] + b"\n"], flaws=SSE, content_type=JSON_TYPE)
    mould.prompt_tokens = request.prompt_tokens
    mould.completion_tokens = tokens
    return mould


def _is_newer(name: str) -> bool:
    version = _VERSION.search(name)
    return version is not None and (int(version[1]), int(version[2])) >= _BY_METADATA


def _texts(fields: Fields, newer: bool) -> tuple[list[str], bool]:
    """(what is to be said, whether a style is told beside it)."""
    contents = fields.each("contents")
    if len(contents) != 1:
        raise invalid("Multiturn chat is not enabled for this model", "contents")
    contents[0].only(frozenset(("role", "parts")))
    if contents[0].text("role") not in (None, "user"):
        raise invalid("Please use a valid role: user.", contents[0].path("role"))
    texts: list[str] = []
    styled = False
    for part in contents[0].each("parts"):
        part.only(_TEXT_PART)
        texts.append(part.needed_text("text"))
        metadata = part.inner("speechMetadata")
        if metadata is None:
            continue
        if not newer:
            raise invalid("Speech metadata is not supported by this model.", part.path("speechMetadata"))
        metadata.only(frozenset(("speaker", "style")))
        styled = styled or bool(metadata.text("style"))
    if not any(text.strip() for text in texts):
        raise invalid("Unable to submit request because it has an empty text parameter.", contents[0].path("parts"))
    return texts, styled


def _voice(config: Fields, newer: bool) -> str:
    """ "" where none is told."""
    config.only(frozenset(("voiceConfig", "languageCode", "multiSpeakerVoiceConfig")))
    config.text("languageCode")
    told, several = config.inner("voiceConfig"), config.inner("multiSpeakerVoiceConfig")
    if several is not None:
        if told is not None:
            text = "voice_config and multi_speaker_voice_config are mutually exclusive."
            raise invalid(text, config.path("voiceConfig"))
        speakers = several.each("speakerVoiceConfigs")
        if len(speakers) != 2:
            raise invalid("The number of enabled_voices must equal 2.", several.path("speakerVoiceConfigs"))
        return "+".join(_one_voice(one.needed_inner("voiceConfig"), newer) for one in speakers)
    return "" if told is None else _one_voice(told, newer)


def _one_voice(config: Fields, newer: bool) -> str:
    config.only(frozenset(("prebuiltVoiceConfig", "replicatedVoiceConfig", *(("voice",) if newer else ()))))
    prebuilt = config.inner("prebuiltVoiceConfig")
    name = (config.text("voice") if prebuilt is None else prebuilt.text("voiceName")) or ""
    own = newer and prebuilt is None and name.startswith(_OWN_VOICES)
    if name and not own and name.lower() not in _VOICES:
        if newer:
            raise invalid(f"No matching speaker voice found for name: {name} and language: ")
        raise invalid(f"Voice name {name} is not supported. Allowed voice names are: {', '.join(sorted(_VOICES))}")
    return name


def _steps(request: SpeechRequest, rng: random.Random) -> list[dict[str, Any]]:
    """Whole, or in the portions in which a stream tells it: each a document's candidates."""
    whole = request.newer and not request.stream
    data = sound(rng, "wav" if whole else "pcm", request.milliseconds)
    size = _PIECE if request.stream else max(1, len(data))
    media = "audio/l16; rate=24000; channels=1" if request.newer else "audio/L16;codec=pcm;rate=24000"
    steps: list[dict[str, Any]] = []
    for at in range(0, max(1, len(data)), size):
        inline = {
            "mimeType": "audio/wav" if whole else media,
            "data": b64encode(data[at : at + size]).decode(),
        }
        candidate: dict[str, Any] = {"content": {"parts": [{"inlineData": inline}], "role": "model"}, "index": 0}
        steps.append({"candidates": [candidate]})
    steps[-1]["candidates"][0]["finishReason"] = "MAX_TOKENS" if request.cut else "STOP"
    return steps


def _usage(request: SpeechRequest, tokens: int) -> dict[str, Any]:
    fields: dict[str, Any] = {"promptTokenCount": request.prompt_tokens}
    if tokens:
        fields["candidatesTokenCount"] = tokens
        fields["candidatesTokensDetails"] = [{"modality": "AUDIO", "tokenCount": tokens}]
    fields["totalTokenCount"] = request.prompt_tokens + tokens
    fields["promptTokensDetails"] = prompt_details(request.prompt_tokens, 0)
    return fields
