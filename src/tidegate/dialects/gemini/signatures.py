"""Thought signatures that pass through a Gemini client though Gemini did not make them.

`thoughtSignature` is base64 to every client, and Google's SDK writes it anew in the URL-safe alphabet. So what another
provider signed or encrypted is packed together with its origin, and comes out of the next turn's history byte for byte.
"""

import base64
import binascii
import re
from typing import Final

import msgspec
from msgspec import Struct

from tidegate.dialects.canon import Reasoning

ORIGIN: Final = "gemini"
SKIPPED: Final = "skip_thought_signature_validator"
"""What Google has a client send in place of a signature that it does not have: for calls that another model made.
Source: https://ai.google.dev/gemini-api/docs/thought-signatures."""

_MARK: Final = "dGlkZWdhdGU6"
"""`tidegate:` in base64, nine bytes and so without a remainder."""
_PACKED: Final = re.compile(rb'("thought_?[sS]ignature"\s*:\s*")dGlkZWdhdGU6[^"\\]*"')
_URL_SAFE: Final = str.maketrans("-_", "+/")


class _Sealed(Struct, omit_defaults=True):
    origin: str
    signature: str = ""
    encrypted: str = ""
    id: str = ""


_decode = msgspec.json.Decoder(_Sealed).decode


def packed(thought: Reasoning) -> str:
    """The `thoughtSignature` of a thought; "" where there is nothing to prove it."""
    if thought.origin == ORIGIN or not (thought.signature or thought.encrypted):
        return thought.signature
    sealed = _Sealed(thought.origin, thought.signature, thought.encrypted, thought.id)
    return _MARK + base64.b64encode(msgspec.json.encode(sealed)).decode()


def unpacked(signature: str) -> Reasoning:
    """A thought without its text."""
    if signature.startswith(_MARK):
        text = signature[len(_MARK) :].translate(_URL_SAFE).rstrip("=")
        try:
            sealed = _decode(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
        except (binascii.Error, ValueError, msgspec.DecodeError):
            return Reasoning(signature=signature, origin=ORIGIN)
        return Reasoning(signature=sealed.signature, encrypted=sealed.encrypted, origin=sealed.origin, id=sealed.id)
    return Reasoning(signature=signature, origin=ORIGIN)


def without_foreign(contents: bytes) -> bytes:
    """A history that goes to Gemini itself: what others sealed is not for it to check."""
    return _PACKED.sub(rb"\g<1>" + SKIPPED.encode() + b'"', contents) if _MARK.encode() in contents else contents
