"""Embeddings: one content, or several requests at once."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.gemini.content import JSON_TYPE, SSE
from tidegate.simulator.gemini.contents import read_content
from tidegate.simulator.gemini.fields import Fields, invalid
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.setting import Setting
from tidegate.simulator.template import Mould
from tidegate.simulator.vectors import unit_vector

_KNOWN: Final = frozenset("model content taskType title outputDimensionality embedContentConfig autoTruncate".split())
TASKS: Final = (
    "TASK_TYPE_UNSPECIFIED",
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
)
_MOST_REQUESTS: Final = 100


class EmbedRequest(Struct):
    """Texts with their sizes."""

    texts: list[tuple[bytes, int]]
    batch: bool

    @property
    def tokens(self) -> int:
        """Of all texts."""
        return sum(estimate_tokens(text) for text, _ in self.texts)


def read_embed(fields: Fields, name: str, batch: bool, behaviour: Behaviour) -> EmbedRequest:
    """Raises Rejection."""
    if not batch:
        return EmbedRequest([_read_one(fields, name, behaviour)], False)
    fields.only(frozenset({"requests", "labels"}))
    requests = fields.each("requests", longest=_MOST_REQUESTS)
    if not requests:
        raise invalid("* BatchEmbedContentsRequest.requests: at least one request is required", "requests")
    for request in requests:
        if request.needed_text("model").split("#")[0] != f"models/{name}":
            text = f"* BatchEmbedContentsRequest.{request.at}.model: the model must match that of the path"
            raise invalid(text, request.path("model"))
    return EmbedRequest([_read_one(request, name, behaviour) for request in requests], True)


def _read_one(fields: Fields, name: str, behaviour: Behaviour) -> tuple[bytes, int]:
    if behaviour.strict:
        fields.only(_KNOWN | {"labels"})
    content = read_content(fields.needed_inner("content"))
    fields.choice("taskType", TASKS)
    size = fields.whole("outputDimensionality", 1, behaviour.dimensions) or behaviour.dimensions
    return " ".join(part.text for part in content.parts).encode("utf-8", "surrogatepass"), size


def embed_reply(request: EmbedRequest, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    values = [{"values": unit_vector(setting, text, size).tolist()} for text, size in request.texts]
    fields: dict[str, Any] = {"embeddings": values} if request.batch else {"embedding": values[0]}
    if setting.usage:
        fields["usageMetadata"] = {"promptTokenCount": request.tokens, "totalTokenCount": request.tokens}
    mould = Mould(model=setting.model, pieces=[msgspec.json.encode(fields) + b"\n"], flaws=SSE, content_type=JSON_TYPE)
    mould.prompt_tokens = request.tokens
    return mould
