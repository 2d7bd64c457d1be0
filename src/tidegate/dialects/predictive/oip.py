"""Open Inference Protocol v2, as KServe, mlserver, Triton and OpenVINO speak it over HTTP.

Source: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md. A row is one
along the first dimension of the first input. The binary tensor extension is not served: tensors are JSON.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Raw, Struct

from tidegate.core.view import Operation, PathTells
from tidegate.dialects.fields import bad_field
from tidegate.dialects.predictive.native import Predictive, count_rows, in_path

_PATH: Final = re.compile(
    rb"/v2/models/(?P<model>[^/]+)(?P<version>/versions/[A-Za-z0-9._-]{1,64})?(?P<verb>/infer|/ready)?"
)


class _Input(Struct):
    name: str
    shape: list[int]
    datatype: str


_decode_inputs = msgspec.json.Decoder(list[_Input]).decode


class OpenInference(Predictive):
    """The dialect on both sides."""

    name = "oip"
    family = "oip"
    affinity_field = "inputs"

    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
        """`/v2/models/{m}[/versions/{v}]` with `/infer` (POST), `/ready` or nothing (GET)."""
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        model = unquote_to_bytes(match["model"]).decode(errors="replace")
        version, verb = (match["version"] or b"").decode(), (match["verb"] or b"").decode()
        if verb == "/infer":
            return "inference", PathTells(model=model, suffix=version)
        return "description", PathTells(model=model, suffix=version + verb)

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        verb = "/infer" if operation == "inference" else ""
        return f"{base_path.removesuffix('/v2')}/v2/models/{in_path(model)}{verb}"

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
