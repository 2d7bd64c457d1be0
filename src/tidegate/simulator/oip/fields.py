"""Strict reading of a request's fields, in Triton's words; and the bytes that may stand behind them."""

import re
from typing import Final, Self

from tidegate.simulator import fields as shared
from tidegate.simulator.rejection import Rejection
from tidegate.wire.message import Request

HEADER: Final = b"inference-header-content-length"
"""The bytes of JSON at the body's front; tensors follow them."""
_DIGITS: Final = re.compile(rb"[0-9]{1,18}")


class Fields(shared.Fields):
    """A JSON object, read field by field."""

    __slots__ = ("bare", "tail")

    tail: bytes
    """What is behind the JSON."""
    bare: bool
    """There is no JSON: the tail is the one input."""

    @classmethod
    def of_request(cls, request: Request) -> Self:
        """Raises Rejection."""
        told = request.header(HEADER)
        body, length = request.body, len(request.body)
        if told is not None:
            if _DIGITS.fullmatch(told) is None or int(told) > len(body):
                raise Rejection(400, f"Unable to parse Inference-Header-Content-Length: {told.decode('latin-1')}")
            length = int(told)
        fields = cls({}) if told is not None and not length else cls.of_body(body[:length])
        fields.tail, fields.bare = body[length:], told is not None and not length
        return fields

    @classmethod
    def unreadable(cls, why: str) -> Rejection:
        return Rejection(400, f"failed to parse the request JSON buffer: {why}")

    @classmethod
    def missing(cls, name: str) -> Rejection:
        return Rejection(400, f"Unable to parse '{name}': attempt to access non-existing object member '{name}'")

    @classmethod
    def wrong_type(cls, name: str, expected: str, value: object) -> Rejection:
        kind = expected.rpartition(" ")[2]
        return Rejection(400, f"Unable to parse '{name}': attempt to access JSON non-{kind} as {kind}")

    @classmethod
    def empty(cls, name: str) -> Rejection:
        return Rejection(400, f"Unable to parse '{name}': expected at least one")

    @classmethod
    def out_of_range(cls, name: str, value: object, bound: str, code: str) -> Rejection:
        return Rejection(400, f"Unable to parse '{name}': {value} is not {bound}")
