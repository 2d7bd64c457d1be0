"""TensorFlow Serving's REST API, which KServe v1 shares for `predict`.

Source: https://www.tensorflow.org/tfx/serving/api_rest. A row is an instance (row format), or one along the first dimension
of the first input (columnar format), or an example (classify, regress).
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Raw

from tidegate.core.view import Operation, PathTells
from tidegate.dialects.fields import bad_field
from tidegate.dialects.predictive.native import Predictive, count_rows, in_path

_PATH: Final = re.compile(
    rb"/v1/models/(?P<model>[^/:]+)(?P<suffix>(?:/(?:versions|labels)/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63})?:(?:predict|classify|regress))"
)
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_columns = msgspec.json.Decoder(dict[str, Raw]).decode


class TensorFlowServing(Predictive):
    """The dialect on both sides."""

    name = "tfserving"
    family = "tfserving"
    affinity_field = "instances"
    prefix = b"/tfserving"

    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
        """`/v1/models/{m}[/versions/{v}|/labels/{l}]:{predict|classify|regress}`."""
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        model = unquote_to_bytes(match["model"]).decode(errors="replace")
        return "inference", PathTells(model=model, suffix=match["suffix"].decode())

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        return f"{base_path.removesuffix('/v1')}/v1/models/{in_path(model)}"

    def rows(self, fields: Mapping[str, Raw]) -> int:
        for name in ("instances", "examples"):
            if name in fields:
                return count_rows(len(_list(fields[name], name)), name)
        raw = fields.get("inputs")
        if raw is None:
            raise bad_field(
                "`instances` is missing: send the rows to predict for (or `inputs`, or `examples`).", "instances"
            )
        if bytes(memoryview(raw)[:1]) == b"{":
            columns = _decode_columns(raw)
            raw = next(iter(columns.values()), Raw(b"[]"))
        if bytes(memoryview(raw)[:1]) != b"[":
            return 1
        return count_rows(len(_list(raw, "inputs")), "inputs")


def _list(raw: Raw, name: str) -> list[Raw]:
    try:
        return _decode_list(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"`{name}` must be a list: {error}.", name) from error
