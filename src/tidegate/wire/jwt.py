"""JSON Web Tokens signed with an RSA key (RS256): RFC 7515, RFC 7518 §3.3.

The RSA arithmetic is `cryptography`'s, which is imported when a key is read and never before: it is an optional extra.
"""

import base64
import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

EXTRA_MISSING: Final = "the package `cryptography` is missing, which signs for a service account"
"""What to say of CryptographyMissing."""


class KeyUnusable(Exception):
    """The text is no private RSA key. The message says nothing of it."""


class CryptographyMissing(Exception):
    """The package `cryptography` is not installed."""


class JwtSigner:
    """Signs with one key."""

    def __init__(self, pem: str, key_id: str) -> None:
        """`pem`: a private RSA key without a pass phrase. Raises KeyUnusable or CryptographyMissing."""
        try:
            serialization = import_module("cryptography.hazmat.primitives.serialization")
            hashes = import_module("cryptography.hazmat.primitives.hashes")
            padding = import_module("cryptography.hazmat.primitives.asymmetric.padding")
            rsa = import_module("cryptography.hazmat.primitives.asymmetric.rsa")
        except ImportError as error:
            raise CryptographyMissing(str(error)) from error
        try:
            key: Any = serialization.load_pem_private_key(pem.encode(), None)
        except Exception:  # whatever the library raises, its text may quote the key
            raise KeyUnusable("it is no PEM private key that can be read") from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise KeyUnusable("it is no RSA key")
        self._key = key
        self._how = (padding.PKCS1v15(), hashes.SHA256())
        self._header = _part({"alg": "RS256", "typ": "JWT", "kid": key_id})

    def signed(self, claims: Mapping[str, object]) -> bytes:
        """The token, ready to be sent."""
        text = self._header + b"." + _part(claims)
        return text + b"." + _base64url(self._key.sign(text, *self._how))


def _part(fields: Mapping[str, object]) -> bytes:
    return _base64url(json.dumps(fields, separators=(",", ":")).encode())


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
