"""Embeddings and rankings."""

import array
import base64
import math
import sys
from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.cohere.chat import FLAWS
from tidegate.simulator.cohere.fields import Fields, invalid
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.ranking import rank
from tidegate.simulator.setting import Setting
from tidegate.simulator.template import ID, Mould
from tidegate.simulator.vectors import unit_vector

_EMBED: Final = frozenset(
    "model input_type texts images inputs max_tokens output_dimension embedding_types truncate priority".split()
)
_RERANK: Final = frozenset("model query documents top_n max_tokens_per_doc relevant_spans priority".split())
_INPUT_TYPES: Final = ("search_document", "search_query", "classification", "clustering", "image")
_FORMS: Final = ("float", "int8", "uint8", "binary", "ubinary", "base64")
_MOST_TEXTS: Final = 96
_MOST_DOCUMENTS: Final = 10_000
_UNIT_DOCUMENTS: Final = 100
"""A search unit is one query with so many documents."""


class EmbedRequest(Struct):
    texts: list[bytes]
    told: list[str]
    """The texts, as the answer repeats them."""
    images: int
    forms: tuple[str, ...]
    size: int

    @property
    def tokens(self) -> int:
        """Of all texts."""
        return sum(estimate_tokens(text) for text in self.texts)


class RerankRequest(Struct):
    query: str
    documents: list[str]
    top: int
    tokens: int


def read_embed(fields: Fields, behaviour: Behaviour) -> EmbedRequest:
    """Raises Rejection."""
    if behaviour.strict:
        fields.only(_EMBED)
    if fields.get("input_type") is None:
        raise invalid("valid input_type must be provided with the provided model")
    fields.choice("input_type", _INPUT_TYPES)
    given = [name for name in ("texts", "images", "inputs") if fields.get(name) is not None]
    if len(given) != 1:
        raise invalid("exactly one of texts, images and inputs must be provided")
    told = list(fields.texts("texts", longest=_MOST_TEXTS))
    images = list(fields.texts("images", longest=_MOST_TEXTS))
    inputs = [str(item.values) for item in fields.each("inputs", longest=_MOST_TEXTS)]
    texts = [text.encode("utf-8", "surrogatepass") for text in [*told, *images, *inputs]]
    if not texts:
        raise invalid(f"{given[0]} must not be empty")
    forms = fields.texts("embedding_types") or ("float",)
    for form in forms:
        if form not in _FORMS:
            raise fields.wrong_value("embedding_types", form, _FORMS)
    fields.choice("truncate", ("NONE", "START", "END"))
    size = fields.whole("output_dimension", 1, behaviour.dimensions) or behaviour.dimensions
    return EmbedRequest(texts, told, len(images), forms, size)


def embed_reply(request: EmbedRequest, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    vectors = [unit_vector(setting, text, request.size) for text in request.texts]
    fields: dict[str, Any] = {
        "id": ID,
        "embeddings": {form: [form_vector(vector, form) for vector in vectors] for form in request.forms},
        "texts": request.told,
        "response_type": "embeddings_by_type",
    }
    billed = {"images": request.images} if request.images else {"input_tokens": request.tokens}
    fields["meta"] = {"api_version": {"version": "2"}, **({"billed_units": billed} if setting.usage else {})}
    mould = Mould(model=setting.model, pieces=[msgspec.json.encode(fields)], flaws=FLAWS)
    mould.prompt_tokens = request.tokens
    return mould


def form_vector(vector: "array.array[float]", form: str) -> object:
    """As an answer has it: numbers, bits packed into numbers, or base64 of little-endian 32-bit floats."""
    match form:
        case "float":
            return vector.tolist()
        case "int8":
            return [max(-128, min(127, round(number * 127))) for number in vector]
        case "uint8":
            return [max(0, min(255, round(number * 127) + 128)) for number in vector]
        case "base64":
            raw = array.array("f", vector)
            if sys.byteorder == "big":
                raw.byteswap()
            return base64.b64encode(raw.tobytes()).decode()
    bits = [int(number > 0) for number in vector]
    packed = [
        sum(bit << (7 - at) for at, bit in enumerate(bits[start : start + 8])) for start in range(0, len(bits), 8)
    ]
    return packed if form == "ubinary" else [number - 128 for number in packed]


def read_rerank(fields: Fields, behaviour: Behaviour) -> RerankRequest:
    """Raises Rejection."""
    if behaviour.strict:
        fields.only(_RERANK)
    query = fields.needed_text("query")
    if not query:
        raise invalid("query must not be empty")
    fields.needed_items("documents", longest=_MOST_DOCUMENTS)
    documents = list(fields.texts("documents"))
    top = fields.whole("top_n", 1)
    fields.whole("max_tokens_per_doc", 1)
    tokens = sum(estimate_tokens((query + text).encode("utf-8", "surrogatepass")) for text in documents)
    return RerankRequest(query, documents, min(top or len(documents), len(documents)), tokens)


def rerank_reply(request: RerankRequest, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    ranked = rank(setting, request.query, request.documents)
    results = [{"index": index, "relevance_score": score} for index, score in ranked[: request.top]]
    units = math.ceil(len(request.documents) / _UNIT_DOCUMENTS)
    billed = {"billed_units": {"search_units": units}} if setting.usage else {}
    meta = {"api_version": {"version": "2"}, **billed}
    body = msgspec.json.encode({"id": ID, "results": results, "meta": meta})
    mould = Mould(model=setting.model, pieces=[body], flaws=FLAWS)
    mould.prompt_tokens = request.tokens
    return mould
