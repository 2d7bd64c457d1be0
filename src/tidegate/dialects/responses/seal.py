"""What other providers want back with a thought, in the one opaque field that clients of Responses return.

That is `encrypted_content`. A reasoning item's signature and origin, or the signature of a tool call, are packed into it.
What a Responses upstream sealed itself passes as it is.
"""

import base64
import binascii
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.dialects.canon import Reasoning

FAMILY: Final = "openai-responses"
_MARK: Final = "tidegate.1."


class Seal(Struct, omit_defaults=True):
    origin: str = ""
    signature: str = ""
    encrypted: str = ""
    call_id: str = ""
    """Set where it is the signature of that tool call, and no thought at all."""


class _Item(Struct):
    type: str = ""
    encrypted_content: str | None = None


_decode = msgspec.json.Decoder(Seal).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_item = msgspec.json.Decoder(_Item).decode


def sealed(reasoning: Reasoning) -> str | None:
    """`encrypted_content` of a thought; None where there is nothing to seal. Another family's is always marked as such."""
    if not reasoning.signature and reasoning.origin in ("", FAMILY):
        return reasoning.encrypted or None
    return _packed(Seal(reasoning.origin, reasoning.signature, reasoning.encrypted))


def sealed_call(call_id: str, signature: str) -> str:
    """`encrypted_content` of the reasoning item that stands for a tool call's signature."""
    return _packed(Seal(signature=signature, call_id=call_id))


def unsealed(text: str) -> Seal:
    """Whatever a client sent: what is not ours is its provider's."""
    if text.startswith(_MARK):
        try:
            return _decode(base64.urlsafe_b64decode(text[len(_MARK) :]))
        except (binascii.Error, msgspec.DecodeError, ValueError, RecursionError):
            pass
    return Seal(FAMILY, encrypted=text)


def without_sealed(items: Raw) -> Raw:
    """An `input` for an upstream of this family: without the reasoning items that stand for what others sealed."""
    if _MARK.encode() not in bytes(items) or bytes(memoryview(items)[:1]) != b"[":
        return items
    try:
        kept = [one for one in _decode_list(items) if not _is_sealed(one)]
    except (msgspec.DecodeError, RecursionError):
        return items  # what is wrong with it is the upstream's to say
    return Raw(msgspec.json.encode(kept))


def _is_sealed(item: Raw) -> bool:
    if _MARK.encode() not in bytes(item):
        return False
    told = _decode_item(item)
    return told.type == "reasoning" and (told.encrypted_content or "").startswith(_MARK)


def _packed(seal: Seal) -> str:
    return _MARK + base64.urlsafe_b64encode(msgspec.json.encode(seal)).decode()
