"""Clients that sign with a key in place of sending it, as AWS's SDKs do: access keys that the gateway derives from its own.

A pair follows from a consumer's key and the gateway's secret alone, so nothing is stored, and it dies with its key.
"""

import hmac
from base64 import b32encode, b64encode
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.core.snapshot import Snapshot
from tidegate.gateway.credentials.secrets import secret_now
from tidegate.wire.message import Request
from tidegate.wire.sigv4_check import SCHEME, BadSignature, Presented, is_good, read_presented

_SERVICE: Final = "bedrock"
_SKEW: Final = 300
"""Seconds by which a client's clock may be wrong, as AWS has it."""
_PREFIX: Final = "TG"
_ID_LENGTH: Final = 20
_PURPOSE: Final = b"tidegate aws access\0"

_NOT_ACCEPTED: Final = Problem(
    status=403,
    code="invalid_api_key",
    message="This gateway takes no signed requests: its operator can set `awsAccess` on the Gateway. A key can be sent as "
    "a bearer token (AWS_BEARER_TOKEN_BEDROCK).",
)
_UNKNOWN: Final = Problem(
    status=403,
    code="invalid_api_key",
    message="This access key id is not known here. Check that it is one of this gateway, not of AWS, and not revoked.",
)
MISMATCH: Final = Problem(
    status=403,
    code="invalid_signature",
    message="The signature is not that of this request. Check the secret access key, and that nothing between client and "
    "gateway changes the host, the path or the body.",
)
ELSEWHERE: Final = Problem(
    status=401,
    code="invalid_api_key",
    message="Signed requests are taken at Bedrock's paths alone. Send the key itself: `Authorization: Bearer KEY`.",
)


class AccessPair(Struct, frozen=True):
    """What AWS's SDKs call an access key."""

    id: str
    secret: str


def issue(gateway_secret: str, digest: bytes) -> AccessPair:
    """The pair of the key with this SHA-256 digest."""
    proof = hmac.digest(gateway_secret.encode(), _PURPOSE + digest, sha256)
    return AccessPair(_id_of(digest), b64encode(proof).decode())


def is_signed(request: Request) -> bool:
    return (request.header(b"authorization") or b"").startswith(SCHEME)


class SignedAccess:
    """The access keys of one snapshot."""

    def __init__(self, gateway_secret: str | None, digests: Iterable[bytes]) -> None:
        """None: none are taken."""
        self._secret = gateway_secret
        self._digests = {} if gateway_secret is None else {_id_of(digest): digest for digest in digests}

    @classmethod
    def of(cls, snapshot: Snapshot) -> "SignedAccess":
        """Raises SecretMissing."""
        told = snapshot.server.aws_access
        return cls(None if told is None else secret_now(told), (digest for digest, _ in snapshot.keys))

    def digest_of(self, request: Request, now_ns: int, *, whole: bool) -> bytes | Problem:
        """The digest of the key that signed it. `whole`: the body is there; without it the signature is not checked."""
        if self._secret is None:
            return _NOT_ACCEPTED
        try:
            presented = read_presented(request)
            _check(presented, request, now_ns // 1_000_000_000)
        except BadSignature as error:
            return Problem(status=403, code="invalid_signature", message=str(error))
        digest = self._digests.get(presented.key_id)
        if digest is None:
            return _UNKNOWN
        if whole and not is_good(presented, issue(self._secret, digest).secret, request):
            return MISMATCH
        return digest


def _check(presented: Presented, request: Request, now: int) -> None:
    """Raises BadSignature."""
    if request.header(b"x-amz-security-token") is not None:
        raise BadSignature("This gateway's access keys have no session token: leave `x-amz-security-token` out.")
    if presented.service != _SERVICE:
        raise BadSignature(f"It is signed for the service `{presented.service}`, not for `{_SERVICE}`.")
    late = now - presented.seconds()
    if abs(late) > _SKEW:
        when = "Signature expired" if late > 0 else "Signature not yet current"
        raise BadSignature(f"{when}: signed at {presented.stamp}, {abs(late)} s from the gateway's clock.")


def _id_of(digest: bytes) -> str:
    return _PREFIX + b32encode(digest).decode()[: _ID_LENGTH - len(_PREFIX)]
