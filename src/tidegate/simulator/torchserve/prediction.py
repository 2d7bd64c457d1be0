"""Bodies of any kind: rows as JSON are checked as a model's handler would, all else is one row of bytes."""

from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from tidegate.simulator.composition import generator
from tidegate.simulator.predictor import Predictor, TensorSpec
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.setting import Setting
from tidegate.simulator.template import Flaws, Mould
from tidegate.simulator.tensors import BadTensor, Tensor, flatten, hold, nest, predict, size_of

_FLAWS: Final = Flaws(error_event=b"", broken_event=b"")
"""Nothing here streams."""
_LABELS: Final = ("setosa", "versicolor", "virginica")


class PredictionRequest(Struct):
    version: str
    predictor: Predictor
    tensor: Tensor | None
    """None: the body is something else than rows."""
    body: bytes
    enveloped: bool
    """The rows came as `instances`, and go as `predictions` or `explanations`."""
    explains: bool


def read_prediction(body: bytes, version: str, predictor: Predictor, *, explains: bool) -> PredictionRequest:
    """Raises Rejection."""
    rows, enveloped = _rows_of(body)
    if rows is None:
        return PredictionRequest(version, predictor, None, body, False, explains)
    spec = predictor.inputs[0]
    width = size_of(tuple(max(1, one) for one in spec.shape[1:]))
    values: list[Any] = []
    for row in rows:
        values += _row(row, spec, width)
    shape = (len(rows), *(max(1, one) for one in spec.shape[1:]))
    tensor = Tensor(spec.name, spec.datatype, shape, values)
    return PredictionRequest(version, predictor, tensor, body, enveloped, explains)


def failed() -> Rejection:
    """The handler raised something: TorchServe tells nobody what."""
    return Rejection(503, "Prediction failed", kind="InternalServerException")


def _rows_of(body: bytes) -> tuple[list[Any] | None, bool]:
    if body.lstrip()[:1] not in (b"[", b"{"):
        return None, False
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise failed() from error
    enveloped = isinstance(told, dict)
    rows = cast(dict[str, Any], told).get("instances") if enveloped else told
    if not isinstance(rows, list) or not rows:
        raise failed()
    return cast(list[Any], rows), enveloped


def _row(row: object, spec: TensorSpec, width: int) -> list[Any]:
    """The elements; an object has them in `data`."""
    if isinstance(row, dict):
        row = cast(dict[str, Any], row).get("data")
    flat = flatten(row)
    if len(flat) != width:
        raise failed()
    try:
        return [hold(spec.datatype, one) for one in flat]
    except BadTensor as error:
        raise failed() from error


def prediction_reply(request: PredictionRequest, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    if request.tensor is None:
        told: Any = _scores(generator(setting.seed, setting.model, request.version, request.body).random())
    elif request.explains:
        told = [_importance(request.tensor, index, setting) for index in range(request.tensor.rows)]
    else:
        output = predict(request.predictor, request.version, [request.tensor], setting)[0]
        values = [one.decode(errors="replace") if isinstance(one, bytes) else one for one in output.values]
        told = nest(values, output.shape)
    if request.enveloped:
        told = {"explanations" if request.explains else "predictions": told}
    mould = Mould(model=setting.model, pieces=[msgspec.json.format(msgspec.json.encode(told), indent=2)], flaws=_FLAWS)
    mould.prompt_tokens = 1 if request.tensor is None else request.tensor.rows
    return mould


def _scores(first: float) -> dict[str, float]:
    """As its image classifiers answer: a probability for each label."""
    rest = (1 - first) / (len(_LABELS) - 1)
    return {label: round(first if at == 0 else rest, 6) for at, label in enumerate(_LABELS)}


def _importance(tensor: Tensor, index: int, setting: Setting) -> list[float]:
    """A weight for each element of a row."""
    rng = generator(setting.seed, setting.model, "explanations", tensor.row(index))
    return [round(rng.uniform(-1, 1), 6) for _ in range(len(tensor.values) // tensor.rows)]
