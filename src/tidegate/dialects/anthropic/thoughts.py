"""Thoughts in Anthropic's blocks, those of other providers' models too.

What Anthropic signed is carried as it came. What another provider's model thought keeps its own proof (Gemini's signature,
OpenAI's ciphertext) sealed inside the block's opaque field: Anthropic clients send such blocks back untouched, so that
it reaches its provider again on the next turn.

Source: `anthropic.types.thinking_block` and `redacted_thinking_block` of the official SDK.
"""

import base64
import binascii
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.dialects.canon import Reasoning, ToolCall
from tidegate.dialects.fields import NULL

ORIGIN: Final = "anthropic"
_SEAL: Final = "tidegate."


class _Sealed(Struct, omit_defaults=True):
    origin: str = ""
    signature: str = ""
    encrypted: str = ""
    id: str = ""
    summary: bool = False
    call: bool = False
    """`signature` is of the call that follows."""


class _Block(Struct):
    type: str = ""
    signature: str = ""
    data: str = ""


_SEALED: Final = b'"' + _SEAL.encode()
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Sealed).decode
_decode_messages = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_block = msgspec.json.Decoder(_Block).decode


def signature_of(thought: Reasoning) -> str:
    """What stands in the block's `signature`, or in its `data` where there is no text."""
    if thought.origin == ORIGIN:
        return thought.signature or thought.encrypted
    return _seal(_Sealed(thought.origin, thought.signature, thought.encrypted, thought.id, thought.summary))


def thought_blocks(thought: Reasoning) -> list[dict[str, Any]]:
    """For a client; [] for a thought of which nothing can be told."""
    if thought.text or (thought.origin == ORIGIN and thought.signature):
        return [{"type": "thinking", "thinking": thought.text, "signature": signature_of(thought)}]
    proof = thought.signature or thought.encrypted
    return [{"type": "redacted_thinking", "data": signature_of(thought)}] if proof else []


def call_seal(call: ToolCall) -> str:
    """The `data` of a block that goes before a call which its provider signed; "" where it did not."""
    return _seal(_Sealed(signature=call.signature, call=True)) if call.signature else ""


def read_thought(text: str, signature: str, data: str) -> Reasoning | str:
    """A client's block: a thought, or the signature of the call that follows."""
    opaque = signature or data
    sealed = _unseal(opaque)
    if sealed is None:
        if not opaque:
            return Reasoning(text)
        return Reasoning(text, signature=signature, encrypted=data, origin=ORIGIN)
    if sealed.call:
        return sealed.signature
    return Reasoning(
        text,
        signature=sealed.signature,
        encrypted=sealed.encrypted,
        summary=sealed.summary,
        origin=sealed.origin,
        id=sealed.id,
    )


def without_sealed(messages: Raw) -> Raw:
    """A client's messages for Anthropic itself: thoughts that the gateway sealed in an earlier turn are not its own.

    All else keeps its bytes. Messages that are not as they should be are the upstream's to refuse.
    """
    if _SEALED not in bytes(messages):
        return messages
    try:
        kept = [one for one in _decode_messages(messages) if _is_left(one)]
    except (msgspec.DecodeError, RecursionError):
        return messages
    return Raw(_encode(kept))


def _is_left(message: dict[str, Raw]) -> bool:
    """Takes the sealed blocks out of a message; False where nothing else was in it."""
    content = message.get("content", NULL)
    if _SEALED not in bytes(content) or bytes(memoryview(content)[:1]) != b"[":
        return True
    kept = [block for block in _decode_list(content) if not _is_sealed(block)]
    message["content"] = Raw(_encode(kept))
    return bool(kept)


def _is_sealed(raw: Raw) -> bool:
    block = _decode_block(raw)
    opaque = block.signature if block.type == "thinking" else block.data if block.type == "redacted_thinking" else ""
    return opaque.startswith(_SEAL)


def _seal(sealed: _Sealed) -> str:
    return _SEAL + base64.urlsafe_b64encode(_encode(sealed)).decode()


def _unseal(opaque: str) -> _Sealed | None:
    if not opaque.startswith(_SEAL):
        return None
    try:
        return _decode(base64.urlsafe_b64decode(opaque[len(_SEAL) :]))
    except (binascii.Error, ValueError):
        return None
