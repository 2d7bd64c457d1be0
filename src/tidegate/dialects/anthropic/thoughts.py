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
from msgspec import Struct

from tidegate.dialects.canon import Reasoning, ToolCall

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


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Sealed).decode


def signature_of(thought: Reasoning) -> str:
    """What stands in the block's `signature`, or in its `data` where there is no text."""
    if thought.origin == ORIGIN:
        return thought.signature or thought.encrypted
    if not (thought.signature or thought.encrypted or thought.id):
        return ""
    return _seal(_Sealed(thought.origin, thought.signature, thought.encrypted, thought.id, thought.summary))


def thought_blocks(thought: Reasoning) -> list[dict[str, Any]]:
    """For a client; [] for a thought of which nothing can be told."""
    if thought.text or (thought.origin == ORIGIN and thought.signature):
        return [{"type": "thinking", "thinking": thought.text, "signature": signature_of(thought)}]
    sealed = signature_of(thought)
    return [{"type": "redacted_thinking", "data": sealed}] if sealed else []


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


def _seal(sealed: _Sealed) -> str:
    return _SEAL + base64.urlsafe_b64encode(_encode(sealed)).decode()


def _unseal(opaque: str) -> _Sealed | None:
    if not opaque.startswith(_SEAL):
        return None
    try:
        return _decode(base64.urlsafe_b64decode(opaque[len(_SEAL) :]))
    except (binascii.Error, ValueError):
        return None
