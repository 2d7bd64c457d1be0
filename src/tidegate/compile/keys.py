"""Consumers' keys → SHA-256 digests. The keys themselves go no further."""

from collections.abc import Mapping
from hashlib import sha256

from tidegate.config.consumer import Key
from tidegate.config.secret import read_secret


def key_digest(key: Key, env: Mapping[str, str]) -> bytes:
    """32 bytes. Raises SecretMissing when the key's value is not there."""
    if key.sha256 is not None:
        return bytes.fromhex(key.sha256)
    if key.value is None:
        raise ValueError("a key has a value or a digest")
    return sha256(read_secret(key.value, env).encode()).digest()
