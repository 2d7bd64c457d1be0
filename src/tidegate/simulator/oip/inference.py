"""`infer`: tensors in, tensors out, as JSON or as bytes, and as strictly as Triton takes them."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.simulator.oip.fields import HEADER, Fields
from tidegate.simulator.predictor import Predictor, TensorSpec
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.setting import Setting
from tidegate.simulator.template import Flaws, Mould
from tidegate.simulator.tensors import (
    BadTensor,
    Tensor,
    as_json,
    fits,
    flatten,
    hold,
    pack,
    predict,
    size_of,
    unpack,
    width_of,
)
from tidegate.wire.message import encode_headers

SSE: Final = Flaws(
    error_event=b'data: {"error":"inference failed: out of memory"}\n\n', broken_event=b'data: {"model_name":"brok\n\n'
)
_NAMELESS: Final = "[request id: <id_unknown>] "
_encode = msgspec.json.encode


class Wanted(Struct, frozen=True):
    name: str
    binary: bool


class InferRequest(Struct, kw_only=True):
    model: str
    version: str
    """As the answer names it."""
    predictor: Predictor
    inputs: list[Tensor]
    outputs: list[Wanted]
    id: str | None = None


def read_infer(fields: Fields, model: str, version: str, predictor: Predictor) -> InferRequest:
    """Raises Rejection."""
    if fields.bare:
        inputs = [_bare_input(fields, model, predictor)]
        outputs = [Wanted(one.name, True) for one in predictor.outputs]
        return InferRequest(model=model, version=version, predictor=predictor, inputs=inputs, outputs=outputs)
    inputs = _read_inputs(fields, model, predictor)
    return InferRequest(
        model=model,
        version=version,
        predictor=predictor,
        inputs=inputs,
        outputs=_read_outputs(fields, model, predictor),
        id=fields.text("id"),
    )


def _bare_input(fields: Fields, model: str, predictor: Predictor) -> Tensor:
    """A batch of one, if the model says how large that is."""
    if len(predictor.inputs) != 1:
        raise Rejection(400, f"Raw request must only have 1 input (found {len(predictor.inputs)}) to be deduced")
    spec = predictor.inputs[0]
    shape = (1, *spec.shape[1:])
    if -1 in shape:
        raise Rejection(400, f"Raw request for model '{model}': the shape of '{spec.name}' cannot be deduced")
    return Tensor(spec.name, spec.datatype, shape, _unpacked(spec, model, fields.tail, size_of(shape)))


def _read_inputs(fields: Fields, model: str, predictor: Predictor) -> list[Tensor]:
    fields.needed_items("inputs")
    specs = {one.name: one for one in predictor.inputs}
    tail = fields.tail
    found: dict[str, Tensor] = {}
    for one in fields.each("inputs"):
        name = one.needed_text("name")
        spec = specs.get(name)
        if spec is None:
            raise Rejection(400, f"{_NAMELESS}unexpected inference input '{name}' for model '{model}'")
        if name in found:
            raise Rejection(400, f"input '{name}' already exists in request")
        found[name], tail = _read_input(one, spec, model, tail)
    if tail:
        raise Rejection(400, f"Unexpected additional input data for model '{model}'")
    if len(found) != len(specs):
        text = f"{_NAMELESS}expected {len(specs)} inputs but got {len(found)} inputs for model '{model}'. "
        raise Rejection(
            400, f"{text}Got input(s) {list(found)}, but missing required input(s) {_missing(specs, found)}."
        )
    inputs = [found[name] for name in specs]
    for one in inputs[1:]:
        if one.rows != inputs[0].rows:
            text = f"{_NAMELESS}input '{one.name}' batch size does not match other inputs for '{model}'"
            raise Rejection(400, text)
    return inputs


def _missing(specs: dict[str, TensorSpec], found: dict[str, Tensor]) -> list[str]:
    return [name for name in specs if name not in found]


def _read_input(one: Fields, spec: TensorSpec, model: str, tail: bytes) -> tuple[Tensor, bytes]:
    """→ the tensor, and the bytes that belong to those behind it."""
    datatype = one.needed_text("datatype")
    if datatype != spec.datatype:
        text = f"{_NAMELESS}inference input '{spec.name}' data-type is '{datatype}', but model '{model}' expects "
        raise Rejection(400, f"{text}'{spec.datatype}'")
    shape = _read_shape(one)
    if not fits(spec, shape) or not size_of(shape):
        wanted, got = (f"[{','.join(map(str, dims))}]" for dims in (spec.shape, shape))
        text = f"{_NAMELESS}unexpected shape for input '{spec.name}' for model '{model}'. Expected {wanted}, got {got}."
        raise Rejection(400, text)
    parameters = one.inner("parameters") or Fields({}, "parameters")
    size = parameters.whole("binary_data_size", 0)
    if size is None:
        return Tensor(spec.name, spec.datatype, shape, _read_data(one, spec, size_of(shape))), tail
    if one.get("data") is not None:
        raise Rejection(400, f"unexpected 'data' field for input '{spec.name}': it has binary data")
    if size > len(tail):
        text = f"unexpected size for input '{spec.name}', expecting {size - len(tail)} additional bytes"
        raise Rejection(400, f"{text} for model '{model}'")
    return Tensor(spec.name, spec.datatype, shape, _unpacked(spec, model, tail[:size], size_of(shape))), tail[size:]


def _read_shape(one: Fields) -> tuple[int, ...]:
    shape: list[int] = []
    for dimension in one.needed_items("shape"):
        if isinstance(dimension, bool) or not isinstance(dimension, int) or dimension < 0:
            raise one.wrong_type("shape", "an unsigned-integer", dimension)
        shape.append(dimension)
    return tuple(shape)


def _read_data(one: Fields, spec: TensorSpec, count: int) -> list[Any]:
    data = one.items("data")
    if data is None:
        raise one.missing("data")
    flat = flatten(data)
    if len(flat) != count:
        raise Rejection(400, "Unable to parse 'data': Shape does not match true shape of 'data' field")
    try:
        return [hold(spec.datatype, value) for value in flat]
    except BadTensor as error:
        raise Rejection(400, f"Unable to parse 'data': {error}") from error


def _unpacked(spec: TensorSpec, model: str, data: bytes, count: int) -> list[Any]:
    try:
        return unpack(spec.datatype, data, count)
    except BadTensor as error:
        if width_of(spec.datatype) is None:
            text = f"{_NAMELESS}{error} for inference input '{spec.name}' for model '{model}'"
        else:
            text = f"{_NAMELESS}input byte size mismatch for input '{spec.name}' for model '{model}'. {error}"
        raise Rejection(400, text) from error


def _read_outputs(fields: Fields, model: str, predictor: Predictor) -> list[Wanted]:
    """Those that are asked for, else all."""
    parameters = fields.inner("parameters") or Fields({}, "parameters")
    binary = parameters.flag("binary_data_output")
    known = [one.name for one in predictor.outputs]
    if fields.items("outputs") is None:
        return [Wanted(name, binary) for name in known]
    wanted: list[Wanted] = []
    for one in fields.each("outputs"):
        name = one.needed_text("name")
        if name not in known:
            raise Rejection(400, f"{_NAMELESS}unexpected inference output '{name}' for model '{model}'")
        told = one.inner("parameters") or Fields({}, "parameters")
        if told.get("classification") is not None or told.get("shared_memory_region") is not None:
            raise Rejection(501, "classification and shared memory are not simulated")
        wanted.append(Wanted(name, binary if told.get("binary_data") is None else told.flag("binary_data")))
    return wanted


def infer_reply(request: InferRequest, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    head, tail = _answer(request, predict(request.predictor, request.version, request.inputs, setting))
    if not any(one.binary for one in request.outputs):
        return _counted(Mould(model=setting.model, pieces=[head], flaws=SSE), request)
    mould = Mould(model=setting.model, pieces=[head + tail], flaws=SSE, content_type=b"application/octet-stream")
    mould.headers = encode_headers([(HEADER, b"%d" % len(head))])
    return _counted(mould, request)


def stream_reply(request: InferRequest, setting: Setting) -> Mould:
    """An event for each row, as JSON."""
    events: list[bytes] = []
    asked = [Wanted(one.name, False) for one in request.outputs]
    for row in range(request.inputs[0].rows):
        inputs = [_row_of(one, row) for one in request.inputs]
        told = msgspec.structs.replace(request, inputs=inputs, outputs=asked)
        head, _ = _answer(told, predict(request.predictor, request.version, inputs, setting))
        events.append(b"data: %b\n\n" % head)
    return _counted(Mould(model=setting.model, pieces=events, flaws=SSE, stream=True, repeated=0), request)


def _row_of(tensor: Tensor, row: int) -> Tensor:
    width = len(tensor.values) // tensor.rows
    values = tensor.values[row * width : (row + 1) * width]
    return Tensor(tensor.name, tensor.datatype, (1, *tensor.shape[1:]), values)


def _answer(request: InferRequest, predicted: list[Tensor]) -> tuple[bytes, bytes]:
    """→ the JSON, and the bytes behind it."""
    by_name = {one.name: one for one in predicted}
    outputs: list[dict[str, Any]] = []
    tail = b""
    for wanted in request.outputs:
        tensor = by_name[wanted.name]
        told: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
        if wanted.binary:
            data = pack(tensor.datatype, tensor.values)
            tail += data
            told["parameters"] = {"binary_data_size": len(data)}
        else:
            told["data"] = as_json(tensor)
        outputs.append(told)
    fields: dict[str, Any] = {} if request.id is None else {"id": request.id}
    fields |= {"model_name": request.model, "model_version": request.version, "outputs": outputs}
    return _encode(fields), tail


def _counted(mould: Mould, request: InferRequest) -> Mould:
    mould.prompt_tokens = request.inputs[0].rows
    return mould
