"""AWS Signature Version 4 for requests whose whole body is at hand, sans I/O.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
"""

import hmac
import time
from hashlib import sha256
from typing import Final
from urllib.parse import quote_from_bytes

ALGORITHM: Final = "AWS4-HMAC-SHA256"


class RequestSigner:
    """Signs requests to one host with one key. The day's key is derived once a day."""

    __slots__ = ("_day", "_day_key", "_host", "_key_id", "_region", "_secret", "_service", "_token")

    def __init__(self, key_id: str, secret: str, token: str, *, region: str, service: str, host: str) -> None:
        """`token` is that of a temporary key, else ""; `host` the value of the Host header."""
        self._key_id = key_id
        self._secret = secret
        self._token = token
        self._region = region
        self._service = service
        self._host = host
        self._day = ""
        self._day_key = b""

    def sign(self, method: bytes, target: bytes, body: bytes, now_ns: int) -> list[tuple[bytes, bytes]]:
        """The headers that prove a request; `target`: path and query as they stand in the request line."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_ns // 1_000_000_000))
        signed = [("host", self._host), ("x-amz-date", stamp)]
        if self._token:
            signed.append(("x-amz-security-token", self._token))
        day = stamp[:8]
        if day != self._day:
            self._day, self._day_key = day, signing_key(self._secret, day, self._region, self._service)
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        request = canonical_request(method.decode(), target, signed, sha256(body).hexdigest())
        text = f"{ALGORITHM}\n{stamp}\n{scope}\n{sha256(request).hexdigest()}"
        proof = hmac.digest(self._day_key, text.encode(), "sha256").hex()
        names = ";".join(name for name, _ in signed)
        told = f"{ALGORITHM} Credential={self._key_id}/{scope}, SignedHeaders={names}, Signature={proof}"
        headers = [(name.encode(), value.encode()) for name, value in signed[1:]]
        return [*headers, (b"authorization", told.encode())]


def signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    """`day` as YYYYMMDD."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def canonical_request(method: str, target: bytes, headers: list[tuple[str, str]], body_hash: str) -> bytes:
    """`headers`: those to sign, sorted by their lower-case names, values trimmed."""
    path, _, query = target.partition(b"?")
    lines = "".join(f"{name}:{value}\n" for name, value in headers)
    names = ";".join(name for name, _ in headers)
    return f"{method}\n{canonical_path(path)}\n{_canonical_query(query)}\n{lines}\n{names}\n{body_hash}".encode()


def canonical_path(path: bytes) -> str:
    """Without dot segments and doubled slashes, and encoded once more than it is sent, as every service but S3 has it."""
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    end = b"/" if kept and path.endswith(b"/") else b""
    return quote_from_bytes(b"/" + b"/".join(kept) + end, safe="/~")


def _canonical_query(query: bytes) -> str:
    if not query:
        return ""
    pairs = sorted(pair.decode("latin-1").partition("=")[::2] for pair in query.split(b"&"))
    return "&".join(f"{name}={value}" for name, value in pairs)
