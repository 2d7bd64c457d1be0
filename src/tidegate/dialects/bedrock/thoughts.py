"""Thoughts in Bedrock's blocks, those of other providers' models too.

What another provider's model thought keeps its proof (Gemini's signature, OpenAI's ciphertext) sealed inside the block's
opaque member, as in Anthropic's dialect: clients send such blocks back untouched. Claude's signatures are the same on every
platform (source: Anthropic's extended thinking guide), so Anthropic's own go and come as Bedrock's.
"""

from base64 import b64decode, b64encode
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.dialects.anthropic.thoughts import call_seal, read_thought, signature_of
from tidegate.dialects.bedrock.blocks import ReasoningContent, ReasoningText
from tidegate.dialects.canon import Reasoning, ToolCall

ORIGIN: Final = "bedrock"
CLAUDES: Final = frozenset((ORIGIN, "anthropic"))
"""Where Claude's signatures come from."""
_SEAL: Final = "tidegate."
_REDACTED: Final = "tidegate-anthropic:"
"""Before what Anthropic encrypted: its API takes it back, Bedrock's may not."""

_SIGNS: Final = (b'"' + _SEAL.encode(), b'"dGlkZWdhdGU')
"""How a sealed text and a sealed blob begin."""

Json = dict[str, Any]


class _Block(Struct, rename="camel"):
    reasoning_content: ReasoningContent | None = None


_encode = msgspec.json.Encoder().encode
_decode_messages = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_block = msgspec.json.Decoder(_Block).decode


def thought_content(thought: Reasoning) -> Json | None:
    """The `reasoningContent` of a client's answer; None for a thought of which nothing can be told."""
    if thought.text or (thought.signature and thought.origin in CLAUDES):
        told: Json = {"text": thought.text}
        signature = sealed_signature(thought)
        return {"reasoningText": {**told, "signature": signature} if signature else told}
    return {"redactedContent": sealed_blob(thought)} if thought.signature or thought.encrypted else None


def sealed_signature(thought: Reasoning) -> str:
    """What stands beside the text."""
    return thought.signature if thought.origin in CLAUDES else signature_of(thought)


def sealed_blob(thought: Reasoning) -> str:
    """What stands in place of a text, as base64."""
    if thought.origin == ORIGIN:
        return thought.encrypted
    return _base64(_REDACTED + thought.encrypted if thought.origin in CLAUDES else signature_of(thought))


def call_content(call: ToolCall) -> Json | None:
    """Before a call that its provider signed."""
    sealed = call_seal(call)
    return {"redactedContent": _base64(sealed)} if sealed else None


def thought_of(told: ReasoningContent) -> Reasoning | str:
    """A block: a thought, or the signature of the call that follows."""
    if told.redacted_content is not None:
        return _opened(told.redacted_content)
    thought = told.reasoning_text or ReasoningText("")
    signature = thought.signature or ""
    if signature.startswith(_SEAL):
        return read_thought(thought.text, signature, "")
    return Reasoning(thought.text, signature, origin=ORIGIN)


def without_sealed(messages: Raw) -> Raw:
    """A client's messages for Bedrock itself: thoughts that the gateway sealed in an earlier turn are not its own.

    All else keeps its bytes. Messages that are not as they should be are the upstream's to refuse.
    """
    text = bytes(messages)
    if not any(sign in text for sign in _SIGNS):
        return messages
    try:
        told = _decode_messages(messages)
        for one in told:
            one["content"] = Raw(_encode([block for block in _decode_list(one["content"]) if not _is_sealed(block)]))
    except (msgspec.DecodeError, KeyError, RecursionError):
        return messages
    return Raw(_encode(told))


def _is_sealed(raw: Raw) -> bool:
    told = _decode_block(raw).reasoning_content
    if told is None:
        return False
    thought = thought_of(told)
    return isinstance(thought, str) or thought.origin != ORIGIN


def _opened(blob: str) -> Reasoning | str:
    try:
        text = b64decode(blob).decode()
    except ValueError:
        text = ""
    if text.startswith(_REDACTED):
        return Reasoning(encrypted=text.removeprefix(_REDACTED), origin="anthropic")
    if text.startswith(_SEAL):
        return read_thought("", "", text)
    return Reasoning(encrypted=blob, origin=ORIGIN)


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()
