"""InvokeModel of embedding models: each maker's own body; how much was read is told in a header.

Source: Bedrock's user guide, "Inference request parameters and response fields for foundation models"; Nova's, "Complete
embeddings request and response schema".
"""

from functools import partial
from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.simulator.bedrock.fields import Fields, invalid
from tidegate.simulator.bedrock.invoke import FLAWS, count_headers
from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.cohere.fields import Fields as CohereFields
from tidegate.simulator.cohere.search import EmbedRequest, form_vector
from tidegate.simulator.cohere.search import read_embed as read_cohere_embed
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.setting import Setting
from tidegate.simulator.surface import Order
from tidegate.simulator.template import ID, Mould
from tidegate.simulator.vectors import unit_vector

_TITAN_CHARACTERS: Final = 50_000
_TITAN_SIZES: Final = (256, 512, 1024)
_NOVA_CHARACTERS: Final = 8_192
_NOVA_SIZES: Final = (256, 384, 1024, 3072)
_NOVA_PURPOSES: Final = tuple(
    """GENERIC_INDEX GENERIC_RETRIEVAL TEXT_RETRIEVAL IMAGE_RETRIEVAL VIDEO_RETRIEVAL DOCUMENT_RETRIEVAL AUDIO_RETRIEVAL
    CLASSIFICATION CLUSTERING""".split()
)
_COHERE: Final = frozenset(
    "input_type texts images inputs embedding_types output_dimension max_tokens truncate".split()
)
_COHERE_TRUNCATES: Final = ("NONE", "START", "END", "LEFT", "RIGHT")


class OneText(Struct):
    """All that Titan and Nova take in a call."""

    text: bytes
    size: int

    @property
    def tokens(self) -> int:
        return estimate_tokens(self.text)


def take_embedding(fields: Fields, name: str, behaviour: Behaviour) -> Order:
    """As the maker that the model's id names; one without such a name is Titan. Raises Rejection."""
    if "cohere." in name:
        asked = _read_cohere(fields, behaviour)
        by_type = fields.get("embedding_types") is not None
        return Order(b"", 0, asked.tokens, False, partial(_cohere_reply, asked, by_type))
    if ".nova-" in name:
        text, reply = _read_nova(fields, behaviour), _nova_reply
    else:
        text, reply = _read_titan(fields, behaviour), _titan_reply
    return Order(b"", 0, text.tokens, False, partial(reply, text))


def _read_titan(fields: Fields, behaviour: Behaviour) -> OneText:
    fields.only(frozenset({"inputText", "dimensions", "normalize", "embeddingTypes"}))
    text = fields.needed_text("inputText")
    if not text or len(text) > _TITAN_CHARACTERS:
        raise invalid(f"expected minLength: 1 and maxLength: {_TITAN_CHARACTERS}, actual: {len(text)}")
    fields.flag("normalize")
    if set(fields.texts("embeddingTypes")) - {"float", "binary"}:
        raise invalid("#/embeddingTypes: the values are float and binary")
    size = _size(fields, "dimensions", _TITAN_SIZES) or min(behaviour.dimensions, _TITAN_SIZES[-1])
    return OneText(text.encode("utf-8", "surrogatepass"), size)


def _read_nova(fields: Fields, behaviour: Behaviour) -> OneText:
    fields.only(frozenset({"schemaVersion", "taskType", "singleEmbeddingParams"}))
    fields.choice("schemaVersion", ("nova-multimodal-embed-v1",))
    task = fields.needed_text("taskType")
    if task != "SINGLE_EMBEDDING":
        raise fields.wrong_value("taskType", task, ("SINGLE_EMBEDDING",))
    params = fields.needed_inner("singleEmbeddingParams")
    params.only(frozenset({"embeddingPurpose", "embeddingDimension", "text", "image", "audio", "video"}))
    params.needed_text("embeddingPurpose")
    params.choice("embeddingPurpose", _NOVA_PURPOSES)
    given = [name for name in ("text", "image", "audio", "video") if params.get(name) is not None]
    if len(given) != 1:
        raise invalid(f"{params.at}: exactly one of text, image, audio and video must be provided")
    content = params.needed_inner(given[0])
    size = _size(params, "embeddingDimension", _NOVA_SIZES) or min(behaviour.dimensions, _NOVA_SIZES[-1])
    if given != ["text"]:
        return OneText(msgspec.json.encode(content.needed_inner("source").values), size)
    content.only(frozenset({"truncationMode", "value", "source"}))
    mode = content.needed_text("truncationMode")
    content.choice("truncationMode", ("START", "END", "NONE"))
    text = content.needed_text("value")
    if not text or (mode == "NONE" and len(text) > _NOVA_CHARACTERS):
        raise invalid(f"{content.path('value')}: expected from 1 to {_NOVA_CHARACTERS} characters, not {len(text)}")
    return OneText(text.encode("utf-8", "surrogatepass"), size)


def _read_cohere(fields: Fields, behaviour: Behaviour) -> EmbedRequest:
    """Cohere's own rules, but for the names of what is cut off."""
    fields.only(_COHERE)
    fields.choice("truncate", _COHERE_TRUNCATES)
    values = {name: value for name, value in fields.values.items() if name != "truncate"}
    return read_cohere_embed(CohereFields(values), behaviour)


def _size(fields: Fields, name: str, sizes: tuple[int, ...]) -> int | None:
    size = fields.whole(name, 1)
    if size is not None and size not in sizes:
        raise invalid(f"{size} is not a valid enum value: {fields.path(name)} is one of {', '.join(map(str, sizes))}")
    return size


def _titan_reply(request: OneText, setting: Setting) -> Mould:
    vector = unit_vector(setting, request.text, request.size).tolist()
    told: dict[str, Any] = {"embedding": vector, "embeddingsByType": {"float": vector}}
    if setting.usage:
        told["inputTextTokenCount"] = request.tokens
    return _mould(told, request.tokens, setting)


def _nova_reply(request: OneText, setting: Setting) -> Mould:
    vector = unit_vector(setting, request.text, request.size).tolist()
    return _mould({"embeddings": [{"embeddingType": "TEXT", "embedding": vector}]}, request.tokens, setting)


def _cohere_reply(request: EmbedRequest, by_type: bool, setting: Setting) -> Mould:
    vectors = [unit_vector(setting, text, request.size) for text in request.texts]
    formed = {form: [form_vector(vector, form) for vector in vectors] for form in request.forms}
    told: dict[str, Any] = {"id": ID, "texts": request.told}
    if by_type:
        told |= {"embeddings": formed, "response_type": "embeddings_by_type"}
    else:
        told |= {"embeddings": formed["float"], "response_type": "embeddings_floats"}
    return _mould(told, request.tokens, setting)


def _mould(told: dict[str, Any], tokens: int, setting: Setting) -> Mould:
    mould = Mould(model=setting.model, pieces=[msgspec.json.encode(told)], flaws=FLAWS)
    mould.prompt_tokens = tokens
    if setting.usage:
        mould.headers = count_headers(tokens)
    return mould
