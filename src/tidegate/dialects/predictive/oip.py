"""Open Inference Protocol v2, as KServe, mlserver, Triton and OpenVINO speak it over HTTP.

Source: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md. A row is one
along the first dimension of the first input. Tensors are JSON, or bytes behind it (the binary tensor extension:
https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol/binary-tensor-data-extension).
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Raw, Struct

from tidegate.core.view import NO_PATH_TELLS, Operation, PathTells, View
from tidegate.dialects.dialect import StreamReader, UnreadableRequest
from tidegate.dialects.fields import bad_field, read_fields
from tidegate.dialects.predictive.generation import AnswerStream
from tidegate.dialects.predictive.native import JSON_LENGTH, Predictive, count_rows, in_path

_PATH: Final = re.compile(
    rb"/v2/models/(?P<model>[^/]+)(?P<version>/versions/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63})?(?P<verb>/infer|/infer_stream|/generate|/generate_stream|/ready)?"
)


class _Input(Struct):
    name: str
    shape: list[int]
    datatype: str


_VERBS: Final[Mapping[Operation, str]] = {"inference": "/infer", "generation": "/generate"}
_HEADER: Final = "Inference-Header-Content-Length"
_DIGITS: Final = re.compile(rb"[0-9]{1,18}")
_decode_inputs = msgspec.json.Decoder(list[_Input]).decode


class OpenInference(Predictive):
    """The dialect on both sides."""

    name = "oip"
    family = "oip"
    affinity_field = "inputs"
    native_headers: tuple[bytes, ...] = (JSON_LENGTH,)
    upstream_media = b"text/event-stream"
    stream_head = "content-type: text/event-stream\r\ncache-control: no-cache\r\n"

    def read(self, operation: Operation, body: bytes, path: PathTells = NO_PATH_TELLS) -> View:
        if operation == "generation":
            fields = read_fields(body)
            view = self.view(operation, body, path, self._rows_generated(fields))
            view.fields = fields
            return view
        if not path.json_bytes:
            return super().read(operation, body, path)
        length = _json_length(path.json_bytes, body)
        # Without JSON the body is the one input of the model, and Triton takes that for a batch of one.
        rows = self.rows(_json_fields(body[:length])) if length else 1
        return self.read_opaque(operation, body, path, rows)

    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
        """`/v2/models/{m}[/versions/{v}]` with `/ready` or nothing (GET), or `/infer` or `/generate` (POST).

        With `_stream` behind them the answers are a stream.
        """
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        model = unquote_to_bytes(match["model"]).decode(errors="replace")
        version, verb = (match["version"] or b"").decode(), (match["verb"] or b"").decode()
        kind = verb.removesuffix("_stream")
        for operation, one in _VERBS.items():
            if one == kind:
                return operation, PathTells(model=model, stream=kind != verb, suffix=version)
        return "description", PathTells(model=model, suffix=version + verb)

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        verb = _VERBS.get(operation, "") + ("_stream" if stream else "")
        return f"{base_path.removesuffix('/v2')}/v2/models/{in_path(model)}{verb}"

    def stream_reader(self, view: View) -> StreamReader:
        return AnswerStream(view)

    def rows(self, fields: Mapping[str, Raw]) -> int:
        raw = fields.get("inputs")
        if raw is None:
            raise bad_field("`inputs` is missing: send the tensors to infer from.", "inputs")
        try:
            inputs = _decode_inputs(raw)
        except (msgspec.DecodeError, RecursionError) as error:
            raise bad_field(
                f"`inputs` is not a list of tensors with name, shape and datatype: {error}.", "inputs"
            ) from error
        if not inputs:
            raise bad_field("`inputs` is empty: send at least one tensor.", "inputs")
        shape = inputs[0].shape
        return count_rows(shape[0], "inputs") if shape else 1

    def _rows_generated(self, fields: Mapping[str, Raw]) -> int:
        """A text is a row. mlserver wants tensors here too; what else is called `inputs` is the model's own."""
        try:
            return self.rows(fields)
        except UnreadableRequest:
            return 1


def _json_length(said: bytes, body: bytes) -> int:
    """Raises UnreadableRequest."""
    if _DIGITS.fullmatch(said) is None:
        raise bad_field(f"`{_HEADER}` must be a number: the bytes of JSON at the body's front.", _HEADER)
    if int(said) > len(body):
        raise bad_field(f"`{_HEADER}` says {int(said)} bytes of JSON, and the body has {len(body)} bytes.", _HEADER)
    return int(said)


def _json_fields(head: bytes) -> dict[str, Raw]:
    """Raises UnreadableRequest."""
    try:
        return read_fields(head)
    except UnreadableRequest as error:
        raise bad_field(
            f"The {len(head)} bytes that `{_HEADER}` counts are no JSON object: {error.problem.message}", _HEADER
        ) from error
