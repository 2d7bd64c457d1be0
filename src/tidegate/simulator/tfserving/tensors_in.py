"""JSON into tensors, as strictly and in the words of TensorFlow Serving."""

import base64
import binascii
from typing import Any, Final, cast

import msgspec

from tidegate.simulator.fields import Fields
from tidegate.simulator.predictor import Predictor, TensorSpec
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.tensors import BadTensor, Tensor, fits, flatten, hold, size_of

_TYPES: Final = {"BOOL": "bool", "BYTES": "string", "FP16": "half", "FP32": "float", "FP64": "double"}


def dtype(spec: TensorSpec) -> str:
    """TensorFlow's name of a datatype: `float`, `int64`, `string`."""
    return _TYPES.get(spec.datatype, spec.datatype.lower())


def invalid(text: str) -> Rejection:
    """A 400."""
    return Rejection(400, text)


def read_instances(instances: object, predictor: Predictor) -> list[Tensor]:
    """The row format: each instance is a value, or an object of all inputs by name. Raises Rejection."""
    if not isinstance(instances, list):
        raise invalid("JSON Value: not formatted correctly. Excepting 'instances' to be an list/array")
    rows = cast(list[Any], instances)
    if not rows:
        raise invalid("JSON Value: not formatted correctly. No values in 'instances' array")
    named = _is_named(rows[0])
    if not named and len(predictor.inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    names = {one.name for one in predictor.inputs}
    for index, row in enumerate(rows):
        if named != _is_named(row):
            expected, got = ("object", "list") if named else ("value/list", "object")
            raise invalid(f"Expecting {expected} but got {got} at item {index} of input list")
        if named and set(row) != names:
            listed = ",".join(sorted(names))
            text = f"Failed to process element: {index} of 'instances' list. JSON object: {_told(row)}"
            raise invalid(f"{text} must only have keys: {listed}")
    return [_column([row[one.name] if named else row for row in rows], one) for one in predictor.inputs]


def read_columns(columns: object, predictor: Predictor) -> list[Tensor]:
    """The columnar format: one input's tensor, or an object of all by name. Raises Rejection."""
    first, *others = predictor.inputs
    if not _is_named(columns):
        if others:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        found = [_column(columns, first)]
    else:
        given = cast(dict[str, Any], columns)
        for one in predictor.inputs:
            if one.name not in given:
                raise invalid(f"Missing named input: {one.name} in 'inputs' object.")
        found = [_column(given[one.name], one) for one in predictor.inputs]
    for one in found[1:]:
        if one.rows != found[0].rows:
            raise invalid(f"Incompatible shapes: {_shown(found[0].shape)} vs. {_shown(one.shape)}")
    return found


def read_examples(fields: Fields, predictor: Predictor) -> list[Tensor]:
    """Of classify and regress: features by name, a value or a list of them each. Raises Rejection."""
    examples = fields.get("examples")
    if not isinstance(examples, list) or not examples:
        raise invalid("When method is classify or regress, key 'examples' is expected and must be a non-empty list")
    context = fields.get("context")
    shared = cast(dict[str, Any], context) if isinstance(context, dict) else {}
    rows: list[dict[str, Any]] = []
    for index, one in enumerate(cast(list[Any], examples)):
        if not isinstance(one, dict):
            raise invalid(f"Example: {_told(one)} at index {index} is not an object")
        rows.append({**shared, **cast(dict[str, Any], one)})
    found: list[Tensor] = []
    for spec in predictor.inputs:
        for row in rows:
            if spec.name not in row:
                raise invalid(f"Name: <unknown>, Feature: {spec.name} (data type: {dtype(spec)}) is required")
        width = len(spec.shape) > 1
        found.append(_column([_feature(row[spec.name], width) for row in rows], spec))
    return found


def _feature(value: object, listed: bool) -> object:
    return [value] if listed and not isinstance(value, list) else value


def _is_named(value: object) -> bool:
    """An object that is not base64."""
    return isinstance(value, dict) and set(cast(dict[str, Any], value)) != {"b64"}


def _column(data: object, spec: TensorSpec) -> Tensor:
    shape = _shape_of(data)
    _check_nesting(data, shape, 0)
    if not fits(spec, shape) or not size_of(shape):
        raise invalid(f"input '{spec.name}': Incompatible shapes: {_shown(shape)} vs. {_shown(spec.shape)}")
    return Tensor(spec.name, spec.datatype, shape, [_element(one, spec) for one in flatten(data)])


def _shape_of(data: object) -> tuple[int, ...]:
    shape: list[int] = []
    while isinstance(data, list):
        items = cast(list[Any], data)
        shape.append(len(items))
        data = items[0] if items else None
    return tuple(shape)


def _check_nesting(data: object, shape: tuple[int, ...], level: int) -> None:
    if not isinstance(data, list):
        if level != len(shape):
            text = f"JSON Value: {_told(data)} found at incorrect level: {level + 1} in the JSON DOM."
            raise invalid(f"{text} Expected at level: {len(shape)}")
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    items = cast(list[Any], data)
    if len(items) != shape[level]:
        text = f"Encountered list at unexpected size: {len(items)} at level: {level} expected size: {shape[level]}"
        raise invalid(text)
    for one in items:
        _check_nesting(one, shape, level + 1)


def _element(value: object, spec: TensorSpec) -> Any:
    if spec.datatype == "BYTES" and isinstance(value, dict):
        return _decoded(cast(dict[str, Any], value))
    try:
        return hold(spec.datatype, value)
    except BadTensor as error:
        text = f"JSON Value: {_told(value)} Type: {_kind(value)} is not of expected type: {dtype(spec)}"
        raise invalid(text) from error


def _decoded(value: dict[str, Any]) -> bytes:
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise invalid("Unable to base64 decode") from error


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "Boolean"
    return {str: "String", int: "Number", float: "Number", dict: "Object", list: "Array"}.get(type(value), "Null")


def _told(value: object) -> str:
    return msgspec.json.encode(value).decode()[:200]


def _shown(shape: tuple[int, ...]) -> str:
    return f"[{','.join('?' if one == -1 else str(one) for one in shape)}]"
