"""Embeddings: unit vectors that depend on the text alone, as base64 of little-endian 32-bit floats or as numbers."""

import array
import base64
import sys
from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.openai.fields import Fields
from tidegate.simulator.openai.rejection import Rejection, missing
from tidegate.simulator.openai.setting import Setting
from tidegate.simulator.template import Template
from tidegate.simulator.vectors import unit_vector

_KNOWN: Final = frozenset({"dimensions", "encoding_format", "input", "model", "user"})
_MOST_INPUTS: Final = 2048


class EmbeddingRequest(Struct, kw_only=True):
    inputs: list[bytes]
    prompt_tokens: int
    dimensions: int | None
    base64: bool


def read_embedding(fields: Fields, behaviour: Behaviour) -> EmbeddingRequest:
    """Raises Rejection."""
    if behaviour.strict:
        fields.only(_KNOWN)
    inputs, tokens = _read_inputs(fields)
    return EmbeddingRequest(
        inputs=inputs,
        prompt_tokens=tokens,
        dimensions=fields.whole("dimensions", 1, behaviour.dimensions),
        base64=fields.choice("encoding_format", ("float", "base64"), "float") == "base64",
    )


def _read_inputs(fields: Fields) -> tuple[list[bytes], int]:
    value = fields.get("input")
    if value is None:
        raise missing("input")
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not value or len(value) > _MOST_INPUTS:
        raise _invalid_input()
    if isinstance(value[0], int):
        value = [value]
    inputs: list[bytes] = []
    tokens = 0
    for item in value:
        if isinstance(item, str) and item:
            inputs.append(item.encode())
            tokens += estimate_tokens(inputs[-1])
        elif isinstance(item, list) and item and all(isinstance(number, int) for number in item):
            inputs.append(msgspec.json.encode(item))
            tokens += len(item)
        else:
            raise _invalid_input()
    return inputs, tokens


def _invalid_input() -> Rejection:
    text = "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
    return Rejection(400, text)


def embedding_template(request: EmbeddingRequest, behaviour: Behaviour, setting: Setting) -> Template:
    """The answer, ready to be sent."""
    size = request.dimensions or behaviour.dimensions
    vectors = [unit_vector(setting, text, size) for text in request.inputs]
    data = [
        {"object": "embedding", "index": index, "embedding": _encode(vector) if request.base64 else vector.tolist()}
        for index, vector in enumerate(vectors)
    ]
    fields: dict[str, Any] = {"object": "list", "data": data, "model": setting.model}
    if setting.usage:
        fields["usage"] = {"prompt_tokens": request.prompt_tokens, "total_tokens": request.prompt_tokens}
    template = Template(model=setting.model, opening=b"", middle=msgspec.json.encode(fields), tails=[b""], dated=False)
    template.prompt_tokens = request.prompt_tokens
    return template


def _encode(vector: "array.array[float]") -> str:
    if sys.byteorder == "big":
        vector = array.array("f", vector)
        vector.byteswap()
    return base64.b64encode(vector.tobytes()).decode()
