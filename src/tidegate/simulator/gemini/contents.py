"""Reads `contents`: who speaks, what a part may hold, and that calls and responses follow each other."""

import base64
import binascii
import json
from typing import Final

from msgspec import Struct

from tidegate.simulator.gemini.fields import Fields, invalid
from tidegate.simulator.media import seconds_of
from tidegate.simulator.signatures import is_ours

DIALECT: Final = "gemini"
_DATA: Final = (
    "text inlineData fileData functionCall functionResponse executableCode codeExecutionResult toolCall toolResponse"
).split()
_PART: Final = frozenset(
    [*_DATA, "thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata", "mediaProcessing"]
)
_UNSIGNED: Final = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
"""Documented stand-ins for signatures that a client does not have."""
_MEDIA_TOKENS: Final = 258
_SOUNDS: Final = frozenset("wav mp3 mpeg mpga aiff aac x-aac ogg flac m4a mp4 pcm webm opus".split())
"""Of the Gemini API and Vertex AI together."""
_TOKENS_EACH_SECOND: Final = 32


class Part(Struct):
    kind: str
    text: str
    """As it counts."""
    signed: bool = False
    tokens: int = 0
    """Beside the text's."""
    audio_tokens: int = 0
    """Of sound, whose `text` is not counted."""


class Content(Struct):
    role: str
    at: str
    parts: list[Part]

    def count(self, kind: str) -> int:
        """Of its parts."""
        return sum(part.kind == kind for part in self.parts)


def read_content(content: Fields) -> Content:
    """Raises Rejection."""
    content.only(frozenset({"role", "parts"}))
    role = content.text("role") or "user"
    parts = [_read_part(part) for part in content.each("parts")]
    if not parts:
        raise invalid(f"* GenerateContentRequest.{content.at}.parts: contents.parts must not be empty.", content.at)
    return Content(role, content.at, parts)


def standard_base64(text: str) -> str:
    """Both alphabets of base64 are read, as of any bytes in Google's JSON; the SDK writes the one for URLs."""
    return text.replace("-", "+").replace("_", "/")


def read_contents(fields: Fields, signatures_needed: bool) -> list[Content]:
    """`signatures_needed`: calls of the current turn must be signed. Raises Rejection."""
    contents = [read_content(content) for content in fields.each("contents")]
    if not contents:
        raise invalid("* GenerateContentRequest.contents: contents is not specified", "contents")
    for content in contents:
        if content.role not in ("user", "model"):
            raise invalid("Please use a valid role: user, model.", f"{content.at}.role")
    _check_calls(contents)
    if signatures_needed:
        _check_signatures(contents)
    return contents


def _read_part(part: Fields) -> Part:
    part.only(_PART)
    found = [name for name in _DATA if part.get(name) is not None]
    if len(found) != 1:
        one = "required oneof field 'data' must have one initialized field"
        raise invalid(f"* GenerateContentRequest.{part.at}.data: {one}", part.at)
    kind = found[0]
    part.flag("thought")
    signature = part.text("thoughtSignature")
    if signature is not None and signature not in _UNSIGNED and not is_ours(DIALECT, standard_base64(signature), ""):
        raise invalid("Corrupted thought signature.", part.path("thoughtSignature"))
    signed = signature is not None
    if kind == "text":
        text = part.needed_text("text")
        if not text and not signed:
            raise invalid("Unable to submit request because it has an empty text parameter.", part.path("text"))
        return Part("thought" if part.flag("thought") else kind, text, signed)
    inner = part.needed_inner(kind)
    match kind:
        case "inlineData":
            return _read_blob(inner, signed)
        case "fileData":
            return Part(kind, inner.needed_text("fileUri"), signed, _MEDIA_TOKENS)
        case "functionCall":
            inner.only(frozenset({"id", "name", "args", "partialArgs", "willContinue"}))
            return Part(kind, _read_named(inner, "args", "function_call"), signed)
        case "functionResponse":
            inner.only(frozenset({"id", "name", "response", "parts", "willContinue", "scheduling"}))
            return Part(kind, _read_named(inner, "response", "function_response"), signed)
    return Part(kind, json.dumps(inner.values), signed)


def _read_blob(blob: Fields, signed: bool) -> Part:
    blob.only(frozenset({"mimeType", "data", "displayName"}))
    data = blob.text("data", "") or ""
    media = blob.text("mimeType")
    if not media:
        raise invalid("Unable to submit request because it must have a mimeType parameter.", blob.path("mimeType"))
    try:
        content = base64.b64decode(standard_base64(data), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(f"Invalid value at '{blob.at}.data' (TYPE_BYTES), Base64 decoding failed", blob.at) from error
    if not media.startswith("audio/"):
        return Part("inlineData", data, signed, _MEDIA_TOKENS)
    if media.removeprefix("audio/") not in _SOUNDS:
        raise invalid(f"Unsupported MIME type: {media}", blob.path("mimeType"))
    return Part("inlineData", data, signed, 0, max(1, round(seconds_of(content) * _TOKENS_EACH_SECOND)))


def _read_named(call: Fields, values: str, word: str) -> str:
    name = call.text("name")
    if not name:
        raise invalid(f"* GenerateContentRequest.{call.at}: {word}.name: Name cannot be empty.", call.path("name"))
    call.text("id")
    inner = call.get(values)
    if inner is not None and not isinstance(inner, dict):
        raise call.wrong_type(call.path(values), "an object", inner)
    return name + json.dumps(inner or {})


def _check_calls(contents: list[Content]) -> None:
    turns: list[Content] = []
    for content in contents:  # contents of one role, one after the other, are one turn
        if turns and turns[-1].role == content.role:
            turns[-1] = Content(content.role, turns[-1].at, [*turns[-1].parts, *content.parts])
        else:
            turns.append(content)
    called = 0
    for index, turn in enumerate(turns):
        answered = turn.count("functionResponse")
        if answered and not called:
            text = "Please ensure that function response turn comes immediately after a function call turn."
            raise invalid(text, turn.at)
        if answered != called:
            text = (
                "Please ensure that the number of function response parts is equal to the number of function call parts "
                "of the function call turn."
            )
            raise invalid(text, turn.at)
        called = turn.count("functionCall")
        if called and index == 0:
            text = (
                "Please ensure that function call turn comes immediately after a user turn or after a function response "
                "turn."
            )
            raise invalid(text, turn.at)


def _check_signatures(contents: list[Content]) -> None:
    """From the user's last words on, the first call of each step is signed."""
    start = max(
        (index for index, content in enumerate(contents) if content.role == "user" and content.count("text")), default=0
    )
    for content in contents[start:]:
        calls = [part for part in content.parts if part.kind == "functionCall"]
        if calls and not calls[0].signed:
            text = (
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
                "correctly, and missing thought_signature may lead to degraded model performance."
            )
            raise invalid(text, content.at)
