"""Rankings: what is asked, and how either of the two answers it."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.fields import Fields
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.jina.fields import VoyageFields
from tidegate.simulator.pydantic_fields import PydanticFields
from tidegate.simulator.ranking import rank
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.setting import Setting
from tidegate.simulator.template import Flaws, Mould

VOYAGE: Final = "voyageai"
"""The owner of models that answer as Voyage's do."""
_JINA: Final = frozenset("model query documents top_n return_documents truncation max_doc_length".split())
_VOYAGE: Final = frozenset("model query documents top_k return_documents truncation".split())
_MOST_DOCUMENTS: Final = 1_000
_MOST_TOKENS: Final = 600_000
_FLAWS: Final = Flaws(error_event=b"", broken_event=b"")
"""Nothing here streams."""


class RerankRequest(Struct):
    query: str
    documents: list[str]
    top: int
    told: bool
    """The answer repeats the documents."""

    @property
    def tokens(self) -> int:
        """The query is read once for each document."""
        query = estimate_tokens(self.query.encode("utf-8", "surrogatepass"))
        return sum(query + estimate_tokens(one.encode("utf-8", "surrogatepass")) for one in self.documents)


def read_jina(fields: PydanticFields, behaviour: Behaviour) -> RerankRequest:
    """Documents are texts, or objects with a text. Raises Rejection."""
    if behaviour.strict:
        fields.only(_JINA)
    query = fields.needed_text("query")
    documents: list[str] = []
    for index, one in enumerate(fields.needed_items("documents")):
        place = fields.item_path("documents", index)
        documents.append(one if isinstance(one, str) else fields.of(one, place).needed_text("text"))
    fields.flag("truncation")
    fields.whole("max_doc_length", 1)
    top = fields.whole("top_n", 1) or len(documents)
    told = fields.get("return_documents") is None or fields.flag("return_documents")
    return RerankRequest(query, documents, top, told)


def read_voyage(fields: Fields, behaviour: Behaviour) -> RerankRequest:
    """Raises Rejection."""
    asked = VoyageFields(fields.values)
    if behaviour.strict:
        asked.only(_VOYAGE)
    query = asked.needed_text("query")
    asked.needed_items("documents", longest=_MOST_DOCUMENTS)
    documents = list(asked.texts("documents"))
    asked.flag("truncation")
    top = asked.whole("top_k", 1) or len(documents)
    request = RerankRequest(query, documents, top, asked.flag("return_documents"))
    if request.tokens > _MOST_TOKENS:
        text = f"The max allowed tokens per submitted request is {_MOST_TOKENS}. Yours has {request.tokens}."
        raise Rejection(400, text, code="context_length_exceeded")
    return request


def jina_reply(request: RerankRequest, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    results = _results(request, setting, lambda text: {"text": text})
    return _mould(request, setting, {"model": setting.model, "object": "list", "results": results})


def voyage_reply(request: RerankRequest, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    results = _results(request, setting, lambda text: text)
    return _mould(request, setting, {"object": "list", "data": results, "model": setting.model})


def _results(request: RerankRequest, setting: Setting, document: Any) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    for index, score in rank(setting, request.query, request.documents)[: request.top]:
        told = {"document": document(request.documents[index])} if request.told else {}
        results.append({"index": index, "relevance_score": score, **told})
    return results


def _mould(request: RerankRequest, setting: Setting, fields: dict[str, Any]) -> Mould:
    if setting.usage:
        fields["usage"] = {"total_tokens": request.tokens}
    mould = Mould(model=setting.model, pieces=[msgspec.json.encode(fields)], flaws=_FLAWS)
    mould.prompt_tokens = request.tokens
    return mould
