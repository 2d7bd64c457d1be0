"""TorchServe's inference API: bodies and answers are the model's own business, of any content type.

Source: https://docs.pytorch.org/serve/inference_api.html. A row is an element of a JSON list, or of the list
`instances` in a JSON object; any other body is one row.
"""

import re
import string
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote_to_bytes

import msgspec
from msgspec import Raw, Struct

from tidegate.core.problem import Problem
from tidegate.core.view import NO_PATH_TELLS, Operation, PathTells, View
from tidegate.dialects.canon import Fault
from tidegate.dialects.predictive.native import Predictive, in_path

_PATH: Final = re.compile(rb"/predictions/(?P<model>[^/]+)(?P<version>/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63})?")
_TYPES: Final[Mapping[int, str]] = {
    400: "BadRequestException",
    401: "InvalidKeyException",
    403: "InvalidKeyException",
    404: "ModelNotFoundException",
    405: "MethodNotAllowedException",
    413: "RequestEntityTooLargeException",
    429: "ServiceUnavailableException",
    503: "ServiceUnavailableException",
}

_NONE: Final = Raw(b"[]")

_encode = msgspec.json.Encoder().encode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


class _Error(Struct):
    type: str = ""
    message: str = ""


_decode_error = msgspec.json.Decoder(_Error).decode


class TorchServe(Predictive):
    """The dialect on both sides."""

    name = "torchserve"
    family = "torchserve"
    affinity_field = ""
    prefix = b"/torchserve"
    native_headers: tuple[bytes, ...] = (b"accept",)

    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
        """`/predictions/{m}[/{v}]`. The query goes along: its parameters are inputs of the model."""
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        model = unquote_to_bytes(match["model"]).decode(errors="replace")
        suffix = (match["version"] or b"").decode()
        if query:
            suffix += "?" + quote(query, safe=string.punctuation)
        return "prediction", PathTells(model=model, suffix=suffix)

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        named, mark, query = model.partition("?")
        return f"{base_path}/predictions/{in_path(named)}{mark}{query}"

    def read(self, operation: Operation, body: bytes, path: PathTells = NO_PATH_TELLS) -> View:
        return self.read_opaque(operation, body, path, _rows_of(body))

    def rows(self, fields: Mapping[str, Raw]) -> int:
        return _instances(fields)

    def read_fault(self, status: int, body: bytes) -> Fault:
        try:
            told = _decode_error(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Fault("", "", "")
        return Fault(told.type, "", told.message[:500])

    def encode_problem(self, problem: Problem) -> bytes:
        """As TorchServe's own, named after its exceptions; the gateway's code stands beside it."""
        told = _TYPES.get(problem.status, "InternalServerException")
        return _encode({"code": problem.status, "type": told, "message": problem.message, "reason": problem.code})


def _rows_of(body: bytes) -> int:
    """JSON is counted whatever content type it goes by: the model may read it all the same."""
    begins = body.lstrip()[:1]
    try:
        if begins == b"[":
            return max(1, len(_decode_list(body)))
        if begins == b"{":
            return _instances(_decode_object(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # it was not JSON after all
    return 1


def _instances(fields: Mapping[str, Raw]) -> int:
    try:
        return max(1, len(_decode_list(fields.get("instances", _NONE))))
    except (msgspec.DecodeError, RecursionError):
        return 1
