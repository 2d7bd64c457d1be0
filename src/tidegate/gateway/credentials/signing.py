"""Requests that are signed, each with its own header lines."""

from tidegate.dialects.dialect import Signer
from tidegate.wire.message import encode_headers


def signature(signer: Signer, head: bytes, body: bytes, now_ns: int) -> bytes:
    """The block of headers that signs a request. Of `head`, which may go on, the request line counts."""
    method, target, _ = head[: head.index(b"\r\n")].split(b" ")
    return encode_headers(signer.sign(method, target, body, now_ns))
