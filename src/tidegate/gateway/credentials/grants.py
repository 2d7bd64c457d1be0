"""How an access token of Google's is asked for: with a service account's key, or at the machine's metadata server.

Source: RFC 7523 (JWT bearer grants); https://developers.google.com/identity/protocols/oauth2/service-account;
https://cloud.google.com/compute/docs/access/authenticate-workloads.
"""

from typing import Final, Protocol
from urllib.parse import quote

import msgspec
from msgspec import Struct

from tidegate.config.service_account import ServiceAccount
from tidegate.wire.client import Origin, parse_origin
from tidegate.wire.jwt import JwtSigner
from tidegate.wire.message import encode_headers

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
METADATA_HOST: Final = "http://metadata.google.internal"
_METADATA_PATH: Final = "/computeMetadata/v1/instance/service-accounts/default/token"
_GRANT: Final = b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="
_ASSERTION_SECONDS: Final = 3_600
_MOST_SECONDS: Final = 86_400
_MOST_TEXT: Final = 300
_CLOCK: Final = "invalid_grant"


class Refused(Exception):
    """No token: what was answered is an error. Names no secret."""


class Token(Struct, frozen=True):
    line: bytes
    """The header line that shows it."""
    seconds: float
    """How long it holds from now."""


class Grant(Protocol):
    """One way to a token. `origin` is asked by nothing else."""

    origin: Origin
    through_proxy: bool

    def request(self, now_ns: int) -> tuple[bytes, bytes]:
        """(head, body)."""
        ...


class ServiceAccountGrant:
    """An assertion that the account's key has signed, for a token."""

    through_proxy = True

    def __init__(self, account: ServiceAccount) -> None:
        """Raises wire.jwt.KeyUnusable or CryptographyMissing."""
        self.origin, path = parse_origin(account.token_uri)
        self._account = account
        self._signer = JwtSigner(account.private_key, account.private_key_id)
        self._target = quote(path.decode(), safe="/%:@") or "/"

    def request(self, now_ns: int) -> tuple[bytes, bytes]:
        now = now_ns // 1_000_000_000
        claims = {
            "iss": self._account.client_email,
            "scope": SCOPE,
            "aud": self._account.token_uri,
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
        }
        body = _GRANT + self._signer.signed(claims)
        headers = [
            (b"host", self.origin.host_header.encode()),
            (b"content-type", b"application/x-www-form-urlencoded"),
            (b"accept-encoding", b"identity"),
            (b"content-length", b"%d" % len(body)),
        ]
        return b"POST %b HTTP/1.1\r\n%b\r\n" % (self._target.encode(), encode_headers(headers)), body


class MetadataGrant:
    """The token of the account that this machine runs as. `url` is Google's, but in tests."""

    through_proxy = False

    def __init__(self, url: str = METADATA_HOST) -> None:
        self.origin, _ = parse_origin(url)

    def request(self, now_ns: int) -> tuple[bytes, bytes]:
        headers = [
            (b"host", self.origin.host_header.encode()),
            (b"metadata-flavor", b"Google"),
            (b"accept-encoding", b"identity"),
        ]
        return b"GET %b HTTP/1.1\r\n%b\r\n" % (_METADATA_PATH.encode(), encode_headers(headers)), b""


class _Answer(Struct):
    access_token: str = ""
    expires_in: float = 0
    error: str = ""
    error_description: str = ""


_decode = msgspec.json.Decoder(_Answer).decode


def read_token(status: int, body: bytes) -> Token:
    """Raises Refused."""
    try:
        told = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        told = _Answer()
    if status == 200 and _is_token(told.access_token) and told.expires_in > 0:
        line = encode_headers([(b"authorization", b"Bearer " + told.access_token.encode())])
        return Token(line, min(told.expires_in, _MOST_SECONDS))
    if status == 200:
        raise Refused("the answer has no access token that can be used")
    why = ": ".join(one for one in (told.error, told.error_description) if one)[:_MOST_TEXT]
    hint = " (this machine's clock may be wrong, or the key revoked)" if told.error == _CLOCK else ""
    raise Refused(f"status {status}{': ' if why else ''}{why}{hint}")


def _is_token(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text
