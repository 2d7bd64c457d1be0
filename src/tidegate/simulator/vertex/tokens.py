"""Google's token endpoint and a metadata server: access tokens for assertions that hold.

Source: https://developers.google.com/identity/protocols/oauth2/service-account (claims, errors).
"""

import base64
import json
from importlib import import_module
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from tidegate.wire.message import Request

TOKEN_PATH: Final = b"/token"
METADATA_PATH: Final = b"/computeMetadata/v1/instance/service-accounts/default/token"
PATHS: Final = frozenset((TOKEN_PATH, METADATA_PATH))
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_HEADERS: Final = b"content-type: application/json; charset=utf-8\r\n"
_MOST_SECONDS: Final = 3_600
_SKEW_SECONDS: Final = 300
_MOST_TOKENS: Final = 1_024
PREFIX: Final = "ya29.sim-"


class _Denied(Exception):
    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


class TokenDesk:
    """Issues tokens and knows them again. `script`: the statuses of the next answers, for tests."""

    def __init__(self, accounts: dict[str, str], seconds: int) -> None:
        """`accounts`: public keys (PEM) by the service account's e-mail; `seconds`: how long a token holds."""
        self.accounts = accounts
        self.seconds = seconds
        self.script: list[int] = []
        self.asked = 0
        self._ends_at: dict[str, int] = {}

    def revoke(self) -> None:
        """No token holds any more."""
        self._ends_at.clear()

    def holds(self, token: str, now: int) -> bool:
        """Where accounts are known, their tokens alone do; else any that is not of the desk's own form."""
        if token.startswith(PREFIX):
            return self._ends_at.get(token, 0) > now
        return not self.accounts

    def answer(self, request: Request, now: int) -> tuple[int, bytes, bytes]:
        """(status, headers, body). `now`: seconds since 1970."""
        self.asked += 1
        status = self.script.pop(0) if self.script else 200
        if status != 200:
            return self._said(status, {"error": "internal_failure", "error_description": "Scripted."})
        try:
            if request.path == METADATA_PATH:
                _check_metadata(request)
            else:
                self._check_assertion(request, now)
        except _Denied as denied:
            return self._said(400, {"error": denied.error, "error_description": str(denied)})
        if len(self._ends_at) >= _MOST_TOKENS:
            self._ends_at.clear()
        token = f"{PREFIX}{self.asked}"
        self._ends_at[token] = now + self.seconds
        return self._said(200, {"access_token": token, "expires_in": self.seconds, "token_type": "Bearer"})

    def _said(self, status: int, fields: dict[str, object]) -> tuple[int, bytes, bytes]:
        return status, _HEADERS, msgspec.json.encode(fields)

    def _check_assertion(self, request: Request, now: int) -> None:
        if request.method != b"POST":
            raise _Denied("invalid_request", "Only POST is served here.")
        form = parse_qs(request.body.decode("latin-1"))
        if form.get("grant_type") != [_GRANT]:
            raise _Denied("unsupported_grant_type", "Invalid grant_type")
        text = form.get("assertion", [""])[0]
        head, claims = _read(text)
        if head.get("alg") != "RS256" or not head.get("kid"):
            raise _Denied("invalid_grant", "Invalid JWT: alg must be RS256, and kid must be there.")
        key = self.accounts.get(str(claims.get("iss")))
        if key is None:
            raise _Denied("invalid_grant", "Invalid grant: account not found")
        if not _is_signed(text, key):
            raise _Denied("invalid_grant", "Invalid JWT Signature.")
        host = (request.header(b"host") or b"").decode("latin-1")
        if claims.get("aud") != f"http://{host}{TOKEN_PATH.decode()}":
            raise _Denied("invalid_grant", "Invalid JWT: Failed audience check.")
        if claims.get("scope") != _SCOPE:
            raise _Denied("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        _check_times(claims, now)


def _check_metadata(request: Request) -> None:
    if request.method != b"GET" or request.header(b"metadata-flavor") != b"Google":
        raise _Denied("invalid_request", "Missing Metadata-Flavor: Google header.")


def _check_times(claims: dict[str, Any], now: int) -> None:
    begun, ends = claims.get("iat"), claims.get("exp")
    if not (
        isinstance(begun, int)
        and isinstance(ends, int)
        and begun <= now + _SKEW_SECONDS
        and now < ends <= begun + _MOST_SECONDS
    ):
        text = (
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
            "Check your iat and exp values in the JWT claim."
        )
        raise _Denied("invalid_grant", text)


def _read(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        head, claims, _ = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in text.split("."))
        told = json.loads(head), json.loads(claims)
    except ValueError as error:
        raise _Denied("invalid_grant", "Invalid JWT: it cannot be read.") from error
    if not all(isinstance(one, dict) for one in told):
        raise _Denied("invalid_grant", "Invalid JWT: it cannot be read.")
    return told


def _is_signed(text: str, pem: str) -> bool:
    serialization = import_module("cryptography.hazmat.primitives.serialization")
    hashes = import_module("cryptography.hazmat.primitives.hashes")
    padding = import_module("cryptography.hazmat.primitives.asymmetric.padding")
    invalid = import_module("cryptography.exceptions").InvalidSignature
    signed, _, proof = text.rpartition(".")
    key = serialization.load_pem_public_key(pem.encode())
    try:
        signature = base64.urlsafe_b64decode(proof + "=" * (-len(proof) % 4))
        key.verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    except (invalid, ValueError):
        return False
    return True
