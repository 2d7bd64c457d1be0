"""Signatures of thoughts: whoever sends thoughts back sends them as they came, or is refused."""

import base64
import binascii
import hashlib
import random
from typing import Final

_KEY: Final = b"simulated anthropic"
_NONCE_BYTES: Final = 12
_MAC_BYTES: Final = 24


def sign(text: str, rng: random.Random) -> str:
    """For `text` as it is shown."""
    nonce = rng.randbytes(_NONCE_BYTES)
    return base64.b64encode(nonce + _mac(nonce, text)).decode()


def is_ours(signature: str, text: str) -> bool:
    """It was made by `sign` for this very text."""
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    nonce, mac = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
    return mac == _mac(nonce, text)


def _mac(nonce: bytes, text: str) -> bytes:
    return hashlib.blake2b(nonce + text.encode("utf-8", "surrogatepass"), key=_KEY, digest_size=_MAC_BYTES).digest()
