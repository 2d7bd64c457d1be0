"""Which request is which operation of the Gemini API, and what its answer is made of.

Paths: `/{version}/models/{model}:{verb}`, and Vertex AI's with `publishers/google/` before `models/`.
"""

import random
import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import msgspec

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.gemini.content import JSON_TYPE, SSE, content_reply, prompt_details
from tidegate.simulator.gemini.content_request import read_count, read_generate
from tidegate.simulator.gemini.embeddings import embed_reply, read_embed
from tidegate.simulator.gemini.fields import Fields
from tidegate.simulator.gemini.images import image_verbs, take_images
from tidegate.simulator.gemini.rejection import encode_error
from tidegate.simulator.gemini.speech import read_speech, speech_reply
from tidegate.simulator.model_state import ModelState
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.setting import Setting
from tidegate.simulator.steering import METADATA
from tidegate.simulator.surface import Moment, Order, Refusal, Route
from tidegate.simulator.template import Mould
from tidegate.wire.message import Request, encode_headers

_VERBS: Final = frozenset(
    {b"generateContent", b"streamGenerateContent", b"countTokens", b"embedContent", b"batchEmbedContents", b"predict"}
)
_MODEL: Final = re.compile(
    rb"/(v1|v1alpha|v1beta|v1beta1)/(?:(?:projects/[^/]+/locations/[^/]+/)?publishers/google/)?models"
    rb"(?:/([^:]+?)(?::([A-Za-z]+))?)?"
)
_VERSIONS: Final = (b"/v1beta/", b"/v1beta1/", b"/v1alpha/")
_LIST_HEADERS: Final = (b"x-goog-api-key", b"x-goog-api-client")

PATHS: Final[frozenset[bytes]] = frozenset()
VARIES: Final = None


class VerbRoute(Route, frozen=True):
    """`operation` is the verb, or `models` and `model` without one."""

    version: str = "v1"
    sse: bool = False


def claims(request: Request) -> bool:
    """Paths of the beta versions, models with one of the verbs, and the list of models if Google's headers are there."""
    path = request.path
    if path.startswith(_VERSIONS):
        return True
    match = _MODEL.fullmatch(path) if path.startswith(b"/v1/") else None
    if match is None:
        return path.startswith((b"/v1/publishers/", b"/v1/projects/"))
    if match[3] is not None:
        return match[3] in _VERBS
    named = any(request.header(name) is not None for name in _LIST_HEADERS)
    return named or b"key" in parse_qs(request.query)


def find_route(request: Request) -> VerbRoute:
    """Raises Rejection: 404 for unknown paths and verbs, and for other methods."""
    match = _MODEL.fullmatch(request.path)
    if match is None:
        raise Rejection(404, "Requested entity was not found.")
    version, name, verb = match[1].decode(), match[2], match[3]
    if verb is None:
        operation = "models" if name is None else "model"
    elif verb in _VERBS:
        operation = verb.decode()
    else:
        raise Rejection(404, "Requested entity was not found.")
    if (request.method == b"POST") != (verb is not None):
        raise Rejection(404, "Requested entity was not found.")
    sse = b"alt=sse" in request.query.split(b"&")
    return VerbRoute(operation, unquote((name or b"").decode("latin-1")), version, sse)


def read_key(request: Request, route: VerbRoute) -> str:
    """`x-goog-api-key`, `?key=`, or a Bearer token."""
    key = request.header(b"x-goog-api-key")
    if key is not None:
        return key.decode("latin-1")
    if request.query:
        found = parse_qs(request.query.decode("latin-1")).get("key")
        if found:
            return found[0]
    scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""


def no_key(route: VerbRoute) -> Rejection:
    """A 403."""
    text = (
        "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other "
        "form of API consumer identity to call this API."
    )
    return Rejection(403, text)


def read_body(request: Request) -> Fields:
    """The top level of a request's body. Raises Rejection."""
    return Fields.of_body(request.body)


def read_model(fields: Fields, route: VerbRoute) -> str:
    """It is in the path."""
    return route.name


def unknown_model(name: str, route: VerbRoute) -> Rejection:
    """A 404."""
    text = (
        f"models/{name} is not found for API version {route.version}, or is not supported for {route.operation}. Call "
        "ListModels to see the list of available models and their supported methods."
    )
    return Rejection(404, text)


def read_steering(fields: Fields) -> str:
    """In `labels`."""
    labels = fields.get("labels")
    told = labels.get(METADATA) if isinstance(labels, dict) else None
    return told if isinstance(told, str) else ""


def take_order(fields: Fields, route: VerbRoute, name: str, behaviour: Behaviour) -> Order:
    """Reads the body. Raises Rejection."""
    if behaviour.task == "image" and route.operation in image_verbs(name):
        return take_images(fields, route.operation, route.sse, name, behaviour)
    if route.operation == "predict":
        raise unknown_model(name, route)
    embeds = route.operation in ("embedContent", "batchEmbedContents")
    if behaviour.task not in (("embedding",) if embeds else ("chat", "speech")):
        raise unknown_model(name, route)
    if embeds:
        asked = read_embed(fields, name, route.operation == "batchEmbedContents", behaviour)
        return Order(b"", 0, asked.tokens, False, partial(embed_reply, asked))
    if route.operation == "countTokens":
        return Order(b"", 0, 0, False, partial(_count_reply, read_count(fields)))
    stream = route.operation == "streamGenerateContent"
    if behaviour.task == "speech":
        speech = read_speech(fields, name, stream, behaviour)
        build = partial(speech_reply, speech, behaviour, route.sse)
        return Order(b"", speech.prompt_tokens, speech.prompt_tokens, stream, build)
    content = read_generate(fields, name, stream, behaviour)
    if content.prompt_tokens > behaviour.context_window:
        text = (
            f"The input token count ({content.prompt_tokens}) exceeds the maximum number of tokens allowed "
            f"({behaviour.context_window})."
        )
        raise Rejection(400, text, code="context_length_exceeded")
    spent = content.prompt_tokens + (content.limit or 16)
    build = partial(content_reply, content, behaviour, route.sse)
    return Order(content.prompt, content.prompt_tokens, spent, stream, build)


def _count_reply(counted: tuple[int, int], setting: Setting) -> Mould:
    fields = {"totalTokens": counted[0], "promptTokensDetails": prompt_details(*counted)}
    return Mould(model=setting.model, pieces=[msgspec.json.encode(fields)], flaws=SSE, content_type=JSON_TYPE)


def fixed_headers(name: str, route: VerbRoute) -> list[tuple[bytes, bytes]]:
    """What is the same in every answer of a model."""
    return [(b"vary", b"Origin"), (b"x-frame-options", b"SAMEORIGIN"), (b"server-timing", b"gfet4t7; dur=12")]


def call_headers(ids: random.Random, route: VerbRoute) -> bytes:
    """There are none: an answer is named by its `responseId`."""
    return b""


def rate_headers(state: ModelState, behaviour: Behaviour, moment: Moment, route: VerbRoute) -> bytes:
    """There are none."""
    return b""


def model_list(models: Mapping[str, Behaviour], route: VerbRoute) -> bytes:
    """`GET /v1/models`."""
    listed = [_model_object(name, behaviour) for name, behaviour in models.items() if name != "*"]
    return msgspec.json.encode({"models": listed})


def model_body(name: str, behaviour: Behaviour, route: VerbRoute) -> bytes:
    """`GET /v1/models/{model}`."""
    return msgspec.json.encode(_model_object(name, behaviour))


def _model_object(name: str, behaviour: Behaviour) -> dict[str, Any]:
    verbs = {
        "chat": ["generateContent", "countTokens"],
        "speech": ["generateContent", "countTokens"],
        "embedding": ["embedContent"],
        "image": list(image_verbs(name)[:1]),
    }
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "inputTokenLimit": behaviour.context_window,
        "outputTokenLimit": behaviour.max_output_tokens,
        "supportedGenerationMethods": verbs.get(behaviour.task, []),
    }


def refuse(rejection: Rejection, request: Request, refusal: Refusal) -> tuple[bytes, bytes]:
    """When to come back is told in the body. A stream that is an array is refused with an array."""
    in_array = b":streamGenerateContent" in request.path and b"alt=sse" not in request.query.split(b"&")
    return encode_headers([(b"content-type", JSON_TYPE)]), encode_error(rejection, refusal.wait, in_array)


def error_body(rejection: Rejection, request: Request | None) -> bytes:
    """In Google's shape."""
    return encode_error(rejection)
