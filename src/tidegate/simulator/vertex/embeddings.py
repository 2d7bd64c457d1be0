"""`:predict`, `:embedContent` and `:batchEmbedContents` as Vertex AI has them."""

from typing import Any, Final

import msgspec

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.gemini.content import JSON_TYPE, SSE
from tidegate.simulator.gemini.contents import read_content
from tidegate.simulator.gemini.embeddings import TASKS, EmbedRequest
from tidegate.simulator.gemini.fields import Fields, invalid
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.setting import Setting
from tidegate.simulator.template import Mould
from tidegate.simulator.vectors import unit_vector

_MOST_INSTANCES: Final = 250
_CONFIG: Final = frozenset("taskType title outputDimensionality autoTruncate documentOcr audioTrackExtraction".split())


def read_predict(fields: Fields, behaviour: Behaviour) -> EmbedRequest:
    """Raises Rejection."""
    fields.only(frozenset({"instances", "parameters"}))
    instances = fields.each("instances", longest=_MOST_INSTANCES)
    if not instances:
        raise invalid("The instances list must not be empty.", "instances")
    parameters = fields.inner("parameters") or Fields({}, "parameters")
    parameters.only(frozenset({"outputDimensionality", "autoTruncate"}))
    parameters.flag("autoTruncate")
    size = parameters.whole("outputDimensionality", 1, behaviour.dimensions) or behaviour.dimensions
    texts: list[tuple[bytes, int]] = []
    for one in instances:
        one.only(frozenset({"content", "taskType", "title", "mimeType"}))
        one.choice("taskType", TASKS)
        texts.append((one.needed_text("content").encode("utf-8", "surrogatepass"), size))
    return EmbedRequest(texts, True)


def read_embed(fields: Fields, batch: bool, behaviour: Behaviour) -> EmbedRequest:
    """Raises Rejection."""
    if not batch:
        return EmbedRequest([_read_one(fields, behaviour)], False)
    fields.only(frozenset({"requests"}))
    requests = fields.each("requests", longest=_MOST_INSTANCES)
    if not requests:
        raise invalid("At least one request is required.", "requests")
    return EmbedRequest([_read_one(one, behaviour) for one in requests], True)


def _read_one(fields: Fields, behaviour: Behaviour) -> tuple[bytes, int]:
    fields.only(frozenset({"content", "embedContentConfig"}) | _CONFIG)
    content = read_content(fields.needed_inner("content"))
    config = fields.inner("embedContentConfig") or fields
    if config is not fields:
        config.only(_CONFIG)
    config.choice("taskType", TASKS)
    size = config.whole("outputDimensionality", 1, behaviour.dimensions) or behaviour.dimensions
    return " ".join(part.text for part in content.parts).encode("utf-8", "surrogatepass"), size


def predict_reply(request: EmbedRequest, setting: Setting) -> Mould:
    """The answer of `:predict`, ready to be sent."""
    predictions: list[dict[str, Any]] = []
    for text, size in request.texts:
        told: dict[str, Any] = {"values": unit_vector(setting, text, size).tolist()}
        if setting.usage:
            told["statistics"] = {"token_count": estimate_tokens(text), "truncated": False}
        predictions.append({"embeddings": told})
    fields = {
        "predictions": predictions,
        "metadata": {"billableCharacterCount": sum(len(one) for one, _ in request.texts)},
    }
    mould = Mould(model=setting.model, pieces=[msgspec.json.encode(fields) + b"\n"], flaws=SSE, content_type=JSON_TYPE)
    mould.prompt_tokens = request.tokens
    return mould
