"""Signed tokens, as the key's other half reads them."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)
from tests.support.vertex import key_pair

from tidegate.wire import jwt
from tidegate.wire.jwt import CryptographyMissing, JwtSigner, KeyUnusable


def read(part: bytes) -> bytes:
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def test_the_public_key_proves_it() -> None:
    private, public = key_pair()
    token = JwtSigner(private, "key-1").signed({"iss": "a", "exp": 7})
    assert b"=" not in token
    head, claims, proof = token.split(b".")
    assert json.loads(read(head)) == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
    assert json.loads(read(claims)) == {"iss": "a", "exp": 7}
    key: Any = load_pem_public_key(public.encode())
    key.verify(read(proof), head + b"." + claims, padding.PKCS1v15(), SHA256())


def curve() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize("pem", ["", "secret words", key_pair()[0][:400], key_pair()[1], curve()])
def test_other_keys_are_refused_without_a_word_of_them(pem: str) -> None:
    with pytest.raises(KeyUnusable) as caught:
        JwtSigner(pem, "key-1")
    assert caught.value.__cause__ is None
    assert str(caught.value) in ("it is no PEM private key that can be read", "it is no RSA key")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(jwt, "import_module", missing)
    with pytest.raises(CryptographyMissing):
        JwtSigner(key_pair()[0], "key-1")
