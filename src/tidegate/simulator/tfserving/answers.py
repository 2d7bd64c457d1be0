"""Encodes predictions, classes and regressions; the status and the metadata of a model."""

import base64
from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.simulator.predictor import Predictor, TensorSpec
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.setting import Setting
from tidegate.simulator.template import Flaws, Mould
from tidegate.simulator.tensors import Tensor, nest, predict, size_of

_FLAWS: Final = Flaws(error_event=b"", broken_event=b"")
"""Nothing here streams."""
_BYTES: Final = "_bytes"
"""The end of the names of outputs that come as base64."""
_DTYPES: Final = {"BYTES": "DT_STRING", "FP16": "DT_HALF", "FP32": "DT_FLOAT", "FP64": "DT_DOUBLE"}
_encode = msgspec.json.encode


class Asked(Struct):
    verb: str
    """`predict`, `classify` or `regress`."""
    by_rows: bool
    version: str
    predictor: Predictor
    inputs: list[Tensor]


def answer_reply(asked: Asked, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    outputs = predict(asked.predictor, asked.version, asked.inputs, setting)
    match asked.verb:
        case "classify":
            told: dict[str, Any] = {"result": [_classes(row) for row in _rows(outputs[0])]}
        case "regress":
            told = {"result": [row[0] for row in _rows(outputs[0])]}
        case _:
            told = _by_rows(outputs) if asked.by_rows else _by_columns(outputs)
    body = msgspec.json.format(_encode(told), indent=4) + b"\n"
    mould = Mould(model=setting.model, pieces=[body], flaws=_FLAWS)
    mould.prompt_tokens = asked.inputs[0].rows
    return mould


def check_ranks(verb: str, predictor: Predictor) -> None:
    """Classes are scores and regressions are numbers, a row each. Raises Rejection."""
    spec = predictor.outputs[0]
    if verb != "predict" and (spec.shape[:1] != (-1,) or not spec.datatype.startswith("FP")):
        raise Rejection(400, f"Expected {verb} signature method_name to be tensorflow/serving/{verb}.")


def _rows(tensor: Tensor) -> list[list[float]]:
    width = size_of(tensor.shape[1:])
    return [tensor.values[at * width : (at + 1) * width] for at in range(tensor.rows)]


def _classes(scores: list[float]) -> list[list[Any]]:
    return [[str(index), score] for index, score in enumerate(scores)]


def _by_columns(outputs: list[Tensor]) -> dict[str, Any]:
    columns = {one.name: nest(_values(one), one.shape) for one in outputs}
    return {"outputs": columns if len(outputs) > 1 else columns[outputs[0].name]}


def _by_rows(outputs: list[Tensor]) -> dict[str, Any]:
    columns = {one.name: nest(_values(one), one.shape) for one in outputs}
    if len(outputs) == 1:
        return {"predictions": columns[outputs[0].name]}
    count = outputs[0].rows
    for one in outputs:
        if one.rows != count:
            text = f"Tensor name: {one.name} has inconsistent batch size: {one.rows} expecting: {count}"
            raise Rejection(400, text)
    return {"predictions": [{name: column[at] for name, column in columns.items()} for at in range(count)]}


def _values(tensor: Tensor) -> list[Any]:
    if tensor.datatype != "BYTES":
        return tensor.values
    if tensor.name.endswith(_BYTES):
        return [{"b64": base64.b64encode(one).decode()} for one in tensor.values]
    return [one.decode(errors="replace") for one in tensor.values]


def status_body(versions: tuple[str, ...]) -> bytes:
    """Of these versions, the newest first."""
    good = {"error_code": "OK", "error_message": ""}
    told = [{"version": one, "state": "AVAILABLE", "status": good} for one in reversed(versions)]
    return msgspec.json.format(_encode({"model_version_status": told}), indent=1) + b"\n"


def metadata_body(name: str, version: str, predictor: Predictor) -> bytes:
    """The one signature."""
    signature = {
        "inputs": {one.name: _described(one) for one in predictor.inputs},
        "outputs": {one.name: _described(one) for one in predictor.outputs},
        "method_name": "tensorflow/serving/predict",
    }
    told = {
        "model_spec": {"name": name, "signature_name": "", "version": version},
        "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
    }
    return msgspec.json.format(_encode(told), indent=1) + b"\n"


def _described(spec: TensorSpec) -> dict[str, Any]:
    sizes = [{"size": str(one), "name": ""} for one in spec.shape]
    kind = _DTYPES.get(spec.datatype, f"DT_{spec.datatype}")
    return {"dtype": kind, "tensor_shape": {"dim": sizes, "unknown_rank": False}, "name": f"{spec.name}:0"}
