"""Signatures of thoughts: whoever sends them back sends them as they came, or is refused. No dialect takes another's."""

import base64
import binascii
import hashlib
import random
from typing import Final

_NONCE_BYTES: Final = 12
_MAC_BYTES: Final = 24


def sign(dialect: str, text: str, rng: random.Random) -> str:
    """For `text` as it is shown."""
    nonce = rng.randbytes(_NONCE_BYTES)
    return base64.b64encode(nonce + _mac(dialect, nonce, text)).decode()


def is_ours(dialect: str, signature: str, text: str) -> bool:
    """It was made by `sign` for this very text."""
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    nonce, mac = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
    return mac == _mac(dialect, nonce, text)


def _mac(dialect: str, nonce: bytes, text: str) -> bytes:
    said = nonce + text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(said, key=dialect.encode(), digest_size=_MAC_BYTES).digest()
