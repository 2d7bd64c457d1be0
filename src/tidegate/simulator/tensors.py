"""Tensors as values and as bytes, and predictions that depend on nothing but the model and the rows.

The same rows get the same answers in every protocol, as JSON and as bytes.
"""

import math
import random
import struct
from typing import Any, Final, cast

from msgspec import Struct

from tidegate.simulator.composition import generator
from tidegate.simulator.predictor import Datatype, Predictor, TensorSpec
from tidegate.simulator.setting import Setting

_CODES: Final[dict[Datatype, str]] = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
_LENGTH: Final = struct.Struct("<I")
_WORDS: Final = ("setosa", "versicolor", "virginica", "ebb", "flood", "slack")


class BadTensor(ValueError):
    """A value that its datatype cannot hold, or bytes that are not what they are said to be."""


class Tensor(Struct):
    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    values: list[Any]
    """Flat; BYTES are bytes."""

    @property
    def rows(self) -> int:
        return self.shape[0] if self.shape else 1

    def row(self, index: int) -> bytes:
        """One row as bytes."""
        width = len(self.values) // self.rows
        return pack(self.datatype, self.values[index * width : (index + 1) * width])


def size_of(shape: tuple[int, ...]) -> int:
    """The number of elements."""
    return math.prod(shape)


def fits(spec: TensorSpec, shape: tuple[int, ...]) -> bool:
    """The shape is one that the model takes."""
    return len(shape) == len(spec.shape) and all(
        wanted in (-1, found) for wanted, found in zip(spec.shape, shape, strict=True)
    )


def width_of(datatype: Datatype) -> int | None:
    """Bytes of an element; None where they differ."""
    return None if datatype == "BYTES" else struct.calcsize("<" + _CODES[datatype])


def pack(datatype: Datatype, values: list[Any]) -> bytes:
    """Little-endian; each BYTES element behind its length."""
    if datatype == "BYTES":
        return b"".join(_LENGTH.pack(len(one)) + one for one in values)
    return struct.pack(f"<{len(values)}{_CODES[datatype]}", *values)


def unpack(datatype: Datatype, data: bytes, count: int) -> list[Any]:
    """The other way round. Raises BadTensor."""
    if datatype == "BYTES":
        return _unpack_bytes(data, count)
    expected = count * struct.calcsize(_CODES[datatype])
    if expected != len(data):
        raise BadTensor(f"Expected {expected}, got {len(data)}")
    return list(struct.unpack(f"<{count}{_CODES[datatype]}", data))


def _unpack_bytes(data: bytes, count: int) -> list[bytes]:
    found: list[bytes] = []
    at = 0
    while at + _LENGTH.size <= len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size + length
        found.append(data[at - length : at])
    if at != len(data) or len(found) != count:
        raise BadTensor(f"expected {count} string elements, got {len(found)}")
    return found


def hold(datatype: Datatype, value: object) -> Any:
    """A value of JSON as an element of the datatype. Raises BadTensor."""
    if datatype == "BYTES":
        if isinstance(value, str):
            return value.encode("utf-8", "surrogatepass")
    elif datatype == "BOOL":
        if isinstance(value, bool):
            return value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if datatype.startswith("FP") or isinstance(value, int):
            return _rounded(datatype, value)
    raise BadTensor(f"{value!r} is not of type {datatype}")


def _rounded(datatype: Datatype, value: float) -> float:
    try:
        return cast(float, struct.unpack("<" + _CODES[datatype], struct.pack("<" + _CODES[datatype], value))[0])
    except (struct.error, OverflowError) as error:
        raise BadTensor(f"{value!r} is out of the range of {datatype}") from error


def flatten(data: object) -> list[Any]:
    """The elements of nested lists, in order."""
    if not isinstance(data, list):
        return [data]
    found: list[Any] = []
    pending: list[Any] = [iter(cast(list[Any], data))]
    while pending:
        for one in pending[-1]:
            if isinstance(one, list):
                pending.append(iter(cast(list[Any], one)))
                break
            found.append(one)
        else:
            pending.pop()
    return found


def nest(values: list[Any], shape: tuple[int, ...]) -> Any:
    """Flat values as nested lists."""
    if not shape:
        return values[0]
    step = size_of(shape[1:])
    return [nest(values[at * step : (at + 1) * step], shape[1:]) for at in range(shape[0])]


def as_json(tensor: Tensor) -> list[Any]:
    """The flat values as JSON has them."""
    return [one.decode(errors="replace") if isinstance(one, bytes) else one for one in tensor.values]


def predict(predictor: Predictor, version: str, inputs: list[Tensor], setting: Setting) -> list[Tensor]:
    """Every output. Inputs have the same number of rows, and there is at least one."""
    rows = inputs[0].rows
    asked = [b"\0".join(one.row(index) for one in inputs) for index in range(rows)]
    found: list[Tensor] = []
    for spec in predictor.outputs:
        batched = spec.shape[:1] == (-1,)
        inner = tuple(max(1, one) for one in (spec.shape[1:] if batched else spec.shape))
        values: list[Any] = []
        for row in asked if batched else [b"".join(asked)]:
            rng = generator(setting.seed, setting.model, version, spec.name, row)
            values += [_invented(spec.datatype, rng) for _ in range(size_of(inner))]
        found.append(Tensor(spec.name, spec.datatype, (rows, *inner) if batched else inner, values))
    return found


def _invented(datatype: Datatype, rng: random.Random) -> Any:
    if datatype == "BYTES":
        return rng.choice(_WORDS).encode()
    if datatype == "BOOL":
        return rng.random() < 0.5
    return _rounded(datatype, round(rng.random(), 6)) if datatype.startswith("FP") else rng.randrange(10)
