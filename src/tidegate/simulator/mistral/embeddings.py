"""Embeddings as Mistral has them."""

from typing import Final

import msgspec
from msgspec import Struct

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.cohere.search import form_vector
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.mistral.chat import FLAWS
from tidegate.simulator.pydantic_fields import PydanticFields as Fields
from tidegate.simulator.setting import Setting
from tidegate.simulator.template import ID, Mould
from tidegate.simulator.vectors import unit_vector

_KNOWN: Final = frozenset({"model", "input", "metadata", "output_dimension", "output_dtype", "encoding_format"})


class EmbeddingRequest(Struct):
    texts: list[bytes]
    size: int
    form: str
    """`float` or `base64`."""

    @property
    def tokens(self) -> int:
        """Of all texts."""
        return sum(estimate_tokens(text) for text in self.texts)


def read_embedding(fields: Fields, behaviour: Behaviour) -> EmbeddingRequest:
    """Raises Rejection."""
    if behaviour.strict:
        fields.only(_KNOWN)
    given = fields.get("input")
    if not isinstance(given, str):
        fields.needed_items("input")
    texts = (given,) if isinstance(given, str) else fields.texts("input")
    fields.choice("output_dtype", ("float", "int8", "uint8", "binary", "ubinary"))
    size = fields.whole("output_dimension", 1, behaviour.dimensions) or behaviour.dimensions
    form = fields.choice("encoding_format", ("float", "base64"), "float")
    return EmbeddingRequest([text.encode("utf-8", "surrogatepass") for text in texts], size, form or "float")


def embedding_reply(request: EmbeddingRequest, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    vectors = [unit_vector(setting, text, request.size) for text in request.texts]
    data = [
        {"object": "embedding", "embedding": form_vector(one, request.form), "index": index}
        for index, one in enumerate(vectors)
    ]
    fields = {"id": ID, "object": "list", "data": data, "model": setting.model}
    if setting.usage:
        fields["usage"] = {"prompt_tokens": request.tokens, "total_tokens": request.tokens, "completion_tokens": 0}
    mould = Mould(model=setting.model, pieces=[msgspec.json.encode(fields)], flaws=FLAWS)
    mould.prompt_tokens = request.tokens
    return mould
