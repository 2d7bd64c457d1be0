"""Which request is which operation of Vertex AI: a publisher's model below a project, or without one in express mode.

Gemini's models answer as the Gemini API's do, Claude's as Anthropic's own API does; what differs is checked here.
"""

import random
import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

from tidegate.simulator.anthropic import surface as anthropic
from tidegate.simulator.anthropic.fields import Fields as ClaudeFields
from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.gemini import surface as gemini
from tidegate.simulator.gemini.embeddings import embed_reply
from tidegate.simulator.gemini.rejection import encode_error
from tidegate.simulator.model_state import ModelState
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.surface import Moment, Order, Refusal, Route
from tidegate.simulator.vertex.embeddings import predict_reply, read_embed, read_predict
from tidegate.wire.message import Request

PATHS: Final[frozenset[bytes]] = frozenset()
VARIES: Final = None

_PATH: Final = re.compile(
    rb"/(v1|v1beta1)/(projects/[^/]+/locations/[^/]+/)?publishers/(google|anthropic)/models/([^:/]+):([A-Za-z]+)"
)
_CLAUDE_VERBS: Final = {b"rawPredict": False, b"streamRawPredict": True}
_CHAT_VERBS: Final = frozenset({b"generateContent", b"streamGenerateContent", b"countTokens"})
_EMBEDDING_VERBS: Final = frozenset({b"predict", b"embedContent", b"batchEmbedContents"})
_VERSIONS: Final = {"vertex-2023-10-16": b"2023-06-01", "2026-10-21": b"2026-10-21"}
"""`anthropic_version` → what Anthropic's own API calls it."""
_NOT_HERE: Final = {b"store", b"model"}
"""Fields of the Gemini API that Vertex AI does not know."""


class VertexRoute(Route, frozen=True):
    """`own` is the route of the dialect that the model speaks."""

    own: Any = None
    project: bool = True
    claude: bool = False
    streams: bool = False


def claims(request: Request) -> bool:
    """Every path with a publisher in it."""
    return b"/publishers/" in request.path


def find_route(request: Request) -> VertexRoute:
    """Raises Rejection."""
    match = _PATH.fullmatch(request.path)
    if match is None or request.method != b"POST":
        raise Rejection(404, "Requested entity was not found.")
    version, name, verb = match[1].decode(), unquote(match[4].decode("latin-1")), match[5]
    project = match[2] is not None
    if match[3] == b"anthropic":
        if verb not in _CLAUDE_VERBS or not project:
            raise Rejection(404, "Requested entity was not found.")
        operation = "count" if name == "count-tokens" else "message"
        own = anthropic.VersionedRoute(operation, name)
        return VertexRoute(operation, name, own, project, claude=True, streams=_CLAUDE_VERBS[verb])
    if verb not in _CHAT_VERBS | _EMBEDDING_VERBS:
        raise Rejection(404, "Requested entity was not found.")
    sse = b"alt=sse" in request.query.split(b"&")
    return VertexRoute(verb.decode(), name, gemini.VerbRoute(verb.decode(), name, version, sse), project)


def read_key(request: Request, route: VertexRoute) -> str:
    """An access token as Bearer; an API key in express mode alone."""
    scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
    if scheme.lower() == b"bearer":
        return token.strip().decode("latin-1")
    if not route.project:
        return (request.header(b"x-goog-api-key") or b"").decode("latin-1")
    return ""


def no_key(route: VertexRoute) -> Rejection:
    """A 401."""
    text = (
        "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other "
        "valid authentication credential."
    )
    return Rejection(401, text)


def read_body(request: Request) -> Any:
    """The top level of a request's body, checked for what differs. Raises Rejection."""
    if b"/publishers/anthropic/" in request.path:
        return anthropic.read_body(request)
    fields = gemini.read_body(request)
    for name in _NOT_HERE:
        if fields.get(name.decode()) is not None:
            text = f'Invalid JSON payload received. Unknown name "{name.decode()}": Cannot find field.'
            raise Rejection(400, text)
    return fields


def read_model(fields: Any, route: VertexRoute) -> str:
    """It is in the path, but for Claude's count. Raises Rejection."""
    if not route.claude or route.operation == "message":
        return route.name
    return anthropic.read_model(fields, route.own)


def unknown_model(name: str, route: VertexRoute) -> Rejection:
    """A 404."""
    text = f"Publisher Model `{name}` was not found or your project does not have access to it."
    return Rejection(404, text)


def read_steering(fields: Any) -> str:
    """Where the model's own dialect has it."""
    return anthropic.read_steering(fields) if isinstance(fields, ClaudeFields) else gemini.read_steering(fields)


def take_order(fields: Any, route: VertexRoute, name: str, behaviour: Behaviour) -> Order:
    """Reads the body. Raises Rejection."""
    if route.claude:
        return _message(fields, route, name, behaviour)
    if behaviour.task == "image":
        return gemini.take_order(fields, route.own, name, behaviour)
    embeds = route.operation.encode() in _EMBEDDING_VERBS
    if embeds != (behaviour.task == "embedding"):
        raise unknown_model(name, route)
    if not embeds:
        return gemini.take_order(fields, route.own, name, behaviour)
    if (route.operation == "predict") == ("gemini" in name):
        raise Rejection(400, f"`{name}` does not support {route.operation}.")
    if route.operation == "predict":
        asked = read_predict(fields, behaviour)
        return Order(b"", 0, asked.tokens, False, partial(predict_reply, asked))
    asked = read_embed(fields, route.operation == "batchEmbedContents", behaviour)
    return Order(b"", 0, asked.tokens, False, partial(embed_reply, asked))


def _message(fields: ClaudeFields, route: VertexRoute, name: str, behaviour: Behaviour) -> Order:
    told = dict(fields.values)
    written = told.pop("anthropic_version", None)
    version = _VERSIONS.get(written) if isinstance(written, str) else None
    if version is None:
        raise Rejection(400, "anthropic_version: Field required", param="anthropic_version")
    if route.operation == "message" and "model" in told:
        raise Rejection(400, "model: Extra inputs are not permitted", param="model")
    if route.operation == "message" and bool(told.get("stream")) != route.streams:
        raise Rejection(400, "stream: the method and the field must agree", param="stream")
    own = anthropic.VersionedRoute(route.operation, name, version)
    return anthropic.take_order(ClaudeFields(told), own, name, behaviour)


def fixed_headers(name: str, route: VertexRoute) -> list[tuple[bytes, bytes]]:
    """What is the same in every answer of a model."""
    return gemini.fixed_headers(name, route.own)


def call_headers(ids: random.Random, route: VertexRoute) -> bytes:
    """Those of the model's own dialect."""
    return anthropic.call_headers(ids, route.own) if route.claude else b""


def rate_headers(state: ModelState, behaviour: Behaviour, moment: Moment, route: VertexRoute) -> bytes:
    """There are none."""
    return b""


def model_list(models: Mapping[str, Behaviour], route: VertexRoute) -> bytes:
    """There is none."""
    raise Rejection(404, "Requested entity was not found.")


def model_body(name: str, behaviour: Behaviour, route: VertexRoute) -> bytes:
    """There is none."""
    raise Rejection(404, "Requested entity was not found.")


def refuse(rejection: Rejection, request: Request, refusal: Refusal) -> tuple[bytes, bytes]:
    """Google's own errors come in Google's shape for every model; Claude says what is wrong with a message itself."""
    if b"/publishers/anthropic/" in request.path and rejection.status not in (401, 403, 404, 429):
        return anthropic.refuse(rejection, request, refusal)
    return gemini.refuse(rejection, request, refusal)


def error_body(rejection: Rejection, request: Request | None) -> bytes:
    """In Google's shape."""
    return encode_error(rejection)
