"""What a simulated predictive model takes and gives: its tensors and its versions, as a profile writes them."""

from typing import Literal

from msgspec import Struct

Datatype = Literal[
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
]
"""As the Open Inference Protocol names them."""


class TensorSpec(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    """The rows come first; -1 is any number."""


class Predictor(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Of a model of task `inference`. With a BYTES input `text_input` and output `text_output` it also generates text."""

    inputs: tuple[TensorSpec, ...] = (TensorSpec("x", "FP32", (-1, 4)),)
    outputs: tuple[TensorSpec, ...] = (TensorSpec("y", "FP32", (-1, 3)),)
    versions: tuple[str, ...] = ("1",)
    """The last one answers where none is asked for."""

    def __post_init__(self) -> None:
        if not (self.inputs and self.outputs and self.versions):
            raise ValueError("a predictor has at least one input, one output and one version")

    @property
    def generates(self) -> bool:
        taken = {one.name for one in self.inputs if one.datatype == "BYTES"}
        given = {one.name for one in self.outputs if one.datatype == "BYTES"}
        return "text_input" in taken and "text_output" in given
