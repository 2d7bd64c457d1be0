"""The dialects that this version speaks, by the name used in `Provider.spec.dialect`, and how any two of them meet."""

from collections.abc import Mapping
from functools import cache
from typing import Final

from tidegate.core.view import Operation
from tidegate.dialects.anthropic import Anthropic
from tidegate.dialects.bedrock import Bedrock
from tidegate.dialects.bedrock_invoke import (
    BedrockCanvas,
    BedrockClaude,
    BedrockCohere,
    BedrockInvoke,
    BedrockNova,
    BedrockStability,
    BedrockTitan,
    ClaudeRelay,
    invoked_as,
)
from tidegate.dialects.cohere import Cohere
from tidegate.dialects.dialect import Dialect, Relay
from tidegate.dialects.embedding import EmbeddingTranslation, Embeds
from tidegate.dialects.gemini import Gemini, Imagen
from tidegate.dialects.gemini.models import is_imagen
from tidegate.dialects.mistral import Mistral
from tidegate.dialects.model_rules import answers_responses_alone
from tidegate.dialects.ollama import Ollama
from tidegate.dialects.openai import AzureOpenAI, OpenAI
from tidegate.dialects.painting import AsksForPaintings, PaintingTranslation, Paints
from tidegate.dialects.predictive import OpenInference, TensorFlowServing, TorchServe
from tidegate.dialects.reranking import Reranks, RerankTranslation
from tidegate.dialects.reshaping import Exploding, Folding
from tidegate.dialects.responses import AzureResponses, Responses
from tidegate.dialects.speaking import AsksForSpeech, Speaks, SpeechTranslation
from tidegate.dialects.transcribing import AsksForTranscripts, Hears, TranscriptTranslation
from tidegate.dialects.translation import Translation
from tidegate.dialects.vertex import Vertex, VertexClaude, VertexImagen
from tidegate.dialects.vertex.names import is_claude

DIALECTS: Final[Mapping[str, Dialect]] = {
    "openai": OpenAI(),
    "azure-openai": AzureOpenAI(),
    "openai-responses": Responses(),
    "mistral": Mistral(),
    "ollama": Ollama(),
    "cohere": Cohere(),
    "gemini": Gemini(),
    "gemini-imagen": Imagen(),
    "anthropic": Anthropic(),
    "vertex": Vertex(),
    "vertex-anthropic": VertexClaude(),
    "vertex-imagen": VertexImagen(),
    "bedrock": Bedrock(),
    "bedrock-claude": BedrockClaude(),
    "bedrock-titan": BedrockTitan(),
    "bedrock-nova": BedrockNova(),
    "bedrock-cohere": BedrockCohere(),
    "bedrock-canvas": BedrockCanvas(),
    "bedrock-stability": BedrockStability(),
    "oip": OpenInference(),
    "tfserving": TensorFlowServing(),
    "torchserve": TorchServe(),
    "bedrock-invoke": BedrockInvoke(),
}


_SURFACES: Final[Mapping[tuple[str, str], Dialect]] = {
    ("openai", "responses"): Responses(),
    ("azure-openai", "responses"): AzureResponses(),
}
"""A provider's dialect and one of its quirks → a further dialect that it speaks, with the same keys."""

_IMAGEN: Final[Mapping[str, Dialect]] = {"gemini": DIALECTS["gemini-imagen"], "vertex": DIALECTS["vertex-imagen"]}
"""A provider's dialect → the one that its models of that name speak."""


_SERVES_RESPONSES: Final = frozenset(("responses", "responses-only"))


def serves_responses(quirks: frozenset[str]) -> bool:
    return bool(quirks & _SERVES_RESPONSES)


@cache
def surfaces_of(provider: str) -> tuple[Dialect, ...]:
    """All that a provider of this dialect may speak, its main one first."""
    further = (DIALECTS["vertex-anthropic"],) if provider == "vertex" else ()
    return (DIALECTS[provider], *further, *(one for (of, _), one in _SURFACES.items() if of == provider))


@cache
def spoken_to(client: str, provider: str, quirks: frozenset[str], model: str) -> Dialect:
    """In which of its dialects a provider is called for a client and one of its models.

    The client's own if it can be, else the one that has what the client's has; else its main one.
    """
    family = DIALECTS[client].family
    further = _SURFACES.get((provider, "responses")) if serves_responses(quirks) else None
    if further is not None and (
        further.family == family or "responses-only" in quirks or answers_responses_alone(model)
    ):
        return further
    if provider == "bedrock":
        invoked = DIALECTS.get(invoked_as(model))
        if invoked is not None and (invoked.family == family or invoked.chat is None):
            return invoked
    if provider == "vertex" and is_claude(model):
        return DIALECTS["vertex-anthropic"]
    if provider in _IMAGEN and is_imagen(model):
        return _IMAGEN[provider]
    return DIALECTS[provider]


@cache
def relay_between(client: str, serving: Dialect, operation: Operation, streams: bool | None = None) -> Relay | None:
    """How a call of dialect `client` is served by a provider that is spoken to in `serving`; None where it cannot be.

    `streams`: set for a chat that the upstream must be asked for as a stream (or not), where its client asked otherwise.
    """
    asking = DIALECTS[client]
    if streams is not None and asking.chat is not None and serving.chat is not None:
        return (Folding if streams else Exploding)(asking, asking.chat, serving, serving.chat)
    if asking.family == serving.family and not (operation == "embedding" and _embed_otherwise(asking, serving)):
        enveloped = isinstance(asking, BedrockClaude) or isinstance(serving, BedrockClaude)
        return ClaudeRelay(asking, serving) if enveloped else serving
    if operation == "chat" and asking.chat is not None and serving.chat is not None:
        return Translation(asking, asking.chat, serving, serving.chat)
    if operation == "embedding" and isinstance(asking, Embeds) and isinstance(serving, Embeds):
        return EmbeddingTranslation(asking.embedding, serving.embedding, serving)
    if operation == "rerank" and isinstance(asking, Reranks) and isinstance(serving, Reranks):
        said, served = asking.reranking, serving.reranking
        return None if said is None or served is None else RerankTranslation(said, served, serving)
    if operation in ("image", "image_edit") and isinstance(asking, AsksForPaintings) and isinstance(serving, Paints):
        return PaintingTranslation(asking.painting, serving.painter, serving)
    if operation in ("transcription", "translation"):
        return _writing_down(asking, serving)
    if operation == "speech" and isinstance(asking, AsksForSpeech) and isinstance(serving, Speaks):
        return SpeechTranslation(asking.speech, asking, serving.speaker, serving)
    return None


def _writing_down(asking: Dialect, serving: Dialect) -> Relay | None:
    if isinstance(asking, AsksForTranscripts) and isinstance(serving, Hears) and serving.chat is not None:
        return TranscriptTranslation(asking.transcripts, asking, serving, serving.chat, serving.hearing)
    return None


def _embed_otherwise(asking: Dialect, serving: Dialect) -> bool:
    """Their chat is one, their embeddings are not."""
    return (
        isinstance(asking, Embeds)
        and isinstance(serving, Embeds)
        and type(asking.embedding) is not type(serving.embedding)
    )
