"""Requests that come in with an AWS Signature Version 4: what they present, and which signature would be good. Sans I/O.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
"""

import hmac
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, NamedTuple

from tidegate.wire.message import Request
from tidegate.wire.sigv4 import ALGORITHM, canonical_request, signing_key

SCHEME: Final = b"AWS4-"
"""Begins every Authorization that is signed, whatever the algorithm."""

_AUTHORIZATION: Final = re.compile(
    ALGORITHM + r" *Credential=([^/,\s]{1,128})/(\d{8})/([^/,\s]{1,64})/([^/,\s]{1,64})/aws4_request,"
    r" *SignedHeaders=([!-+\--~]{1,4096}), *Signature=([0-9a-f]{64})"
)
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_HASH: Final = b"x-amz-content-sha256"
_OURS: Final = b"x-amz-"


class BadSignature(Exception):
    """What a request presents cannot be a good signature; says why, for whoever signed it."""


class Presented(NamedTuple):
    """Of a signed request, what its head says."""

    key_id: str
    day: str
    region: str
    service: str
    signed: tuple[str, ...]
    """Names of the headers that are signed, in lower case."""
    signature: str
    stamp: str

    def seconds(self) -> int:
        """When it was signed, since 1970. Raises BadSignature."""
        try:
            return int(datetime.strptime(self.stamp, _STAMP).replace(tzinfo=UTC).timestamp())
        except ValueError as error:
            raise BadSignature("`x-amz-date` must be as 20260131T235959Z.") from error


def read_presented(request: Request) -> Presented:
    """Checks all but the signature itself and what it depends on. Raises BadSignature."""
    told = (request.header(b"authorization") or b"").decode("latin-1")
    match = _AUTHORIZATION.fullmatch(told)
    if match is None:
        raise BadSignature(f"`Authorization` must be {ALGORITHM} with Credential, SignedHeaders and Signature.")
    key_id, day, region, service, names, signature = match.groups()
    signed = tuple(names.split(";"))
    if list(signed) != sorted(set(signed)):
        raise BadSignature("SignedHeaders must be sorted, each name once.")
    present = {name.decode("latin-1") for name, _ in request.headers}
    needed = {"host", "x-amz-date"} | {name for name in present if name.encode("latin-1").startswith(_OURS)}
    lacking = sorted((needed - set(signed)) | (set(signed) - present))
    if lacking:
        raise BadSignature(f"Every signed header must be sent, and these must be signed: {', '.join(lacking)[:200]}.")
    stamp = (request.header(b"x-amz-date") or b"").decode("latin-1")
    if stamp[:8] != day:
        raise BadSignature("The credential's day is not that of `x-amz-date`.")
    told_hash = request.header(_HASH)
    if told_hash is not None and re.fullmatch(rb"[0-9a-f]{64}", told_hash) is None:
        raise BadSignature(
            "`x-amz-content-sha256` must be the body's SHA-256: unsigned and streamed bodies are not taken."
        )
    return Presented(key_id, day, region, service, signed, signature, stamp)


def is_good(presented: Presented, secret: str, request: Request) -> bool:
    """Whether `secret` signed this request, its body included."""
    digest = sha256(request.body).hexdigest()
    told_hash = request.header(_HASH)
    if told_hash is not None and told_hash.decode("latin-1") != digest:
        return False
    headers = [(name, _value(request.headers, name.encode("latin-1"))) for name in presented.signed]
    canonical = canonical_request(request.method.decode("latin-1"), request.target, headers, digest)
    scope = f"{presented.day}/{presented.region}/{presented.service}/aws4_request"
    text = f"{ALGORITHM}\n{presented.stamp}\n{scope}\n{sha256(canonical).hexdigest()}"
    key = signing_key(secret, presented.day, presented.region, presented.service)
    return hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), presented.signature)


def _value(headers: Sequence[tuple[bytes, bytes]], wanted: bytes) -> str:
    """All values of a header, as they are signed: joined by commas, without runs of spaces."""
    return ",".join(" ".join(value.decode("latin-1").split()) for name, value in headers if name == wanted)
