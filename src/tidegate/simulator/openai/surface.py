"""Which request is which operation, whether its credential is good, and what its answer is made of.

Paths: OpenAI's `/v1/…`, Azure's `/openai/deployments/{deployment}/…?api-version=` and `/openai/v1/…`.
"""

import math
import random
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Literal
from urllib.parse import unquote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tidegate.simulator import setting as shared
from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.model_state import ModelState
from tidegate.simulator.openai.chat import chat_template
from tidegate.simulator.openai.chat_request import read_chat
from tidegate.simulator.openai.completions import completion_template, read_completion
from tidegate.simulator.openai.embeddings import embedding_template, read_embedding
from tidegate.simulator.openai.fields import Fields
from tidegate.simulator.openai.forms import FormFields
from tidegate.simulator.openai.media import FORM_PATHS, MEDIA, MEDIA_PATHS, MediaOperation, take_media
from tidegate.simulator.openai.moderations import moderation_template, read_moderation
from tidegate.simulator.openai.rejection import Rejection, encode_error
from tidegate.simulator.openai.response import compaction_reply, count_reply, queued_reply, response_reply
from tidegate.simulator.openai.response_request import read_response
from tidegate.simulator.openai.setting import Setting
from tidegate.simulator.steering import METADATA
from tidegate.simulator.surface import Keeping, Moment, Order, Refusal
from tidegate.simulator.template import Reply
from tidegate.wire.message import Request, encode_headers

_Response = Literal["response", "compaction", "input_tokens", "stored"]
Operation = Literal["chat", "completion", "embedding", "moderation", "models", "model"] | _Response | MediaOperation

_Task = Literal["chat", "completion", "embedding", "moderation"]

_OPERATIONS: Final[Mapping[bytes, Operation]] = {
    b"/chat/completions": "chat",
    b"/completions": "completion",
    b"/embeddings": "embedding",
    b"/moderations": "moderation",
    b"/responses": "response",
    b"/responses/input_tokens": "input_tokens",
    b"/responses/compact": "compaction",
    b"/models": "models",
    **MEDIA_PATHS,
}
_DEPLOYMENT: Final = re.compile(rb"/openai/(?:deployments/([^/]+)(/.+)|responses)")
_STORED: Final = re.compile(rb"/responses/([^/]+)(?:/(cancel|input_items))?")
_METHODS: Final[Mapping[Operation, tuple[str, ...]]] = {
    "models": ("GET", "HEAD"),
    "model": ("GET", "HEAD"),
    "stored": ("GET", "DELETE", "POST"),
}
_DEFAULT_MODERATION: Final = "omni-moderation-latest"


class Route(Struct, frozen=True):
    """What a request asks for. `name` comes from the path: of a model, of an Azure deployment, of a stored response."""

    operation: Operation
    azure: bool = False
    name: str = ""
    verb: str = ""
    """Of a stored response: `cancel`, `input_items`."""

    @property
    def task(self) -> _Task:
        """Of the models that serve it."""
        if self.operation in ("completion", "embedding", "moderation"):
            return self.operation
        return "chat"


_FIXED: Final = {b"/v1" + path: Route(name) for path, name in _OPERATIONS.items() if name != "models"}

PATHS: Final = frozenset(_FIXED)
VARIES: Final = None


def claims(request: Request) -> bool:
    """OpenAI's paths are those that nobody else has."""
    return False


def find_route(request: Request) -> Route:
    """Raises Rejection: 404 for unknown paths, 405 for known ones with another method."""
    path = request.path
    found = _FIXED.get(path)
    if found is not None and request.method == b"POST":
        return found
    if path.startswith(b"/v1/"):
        found = _route_below(path[3:], azure=False)
    elif path.startswith(b"/openai/v1/"):
        found = _route_below(path[10:], azure=True)
    else:
        found = _route_deployment(path, request.query)
    method = request.method.decode("latin-1")
    if found is None:
        raise Rejection(404, f"Invalid URL ({method} {path.decode('latin-1')})")
    if method not in _METHODS.get(found.operation, ("POST",)):
        where = path.decode("latin-1")
        text = f"Not allowed to {method} on {where}. (HINT: Perhaps you meant to use a different HTTP method?)"
        raise Rejection(405, text, code="method_not_supported")
    return found


def _route_below(path: bytes, azure: bool) -> Route | None:
    operation = _OPERATIONS.get(path)
    if operation is not None:
        return Route(operation, azure)
    if path.startswith(b"/models/"):
        return Route("model", azure, unquote(path[8:].decode("latin-1")))
    stored = _STORED.fullmatch(path)
    if stored is not None:
        return Route("stored", azure, unquote(stored[1].decode("latin-1")), (stored[2] or b"").decode())
    return None


def _route_deployment(path: bytes, query: bytes) -> Route | None:
    match = _DEPLOYMENT.fullmatch(path)
    operation = None if match is None else _OPERATIONS.get(match[2] or b"/responses")
    if match is None or operation is None or operation == "models":
        return None
    if not query.startswith(b"api-version=") and b"&api-version=" not in query:
        raise Rejection(404, "Resource not found")
    return Route(operation, True, unquote((match[1] or b"").decode("latin-1")))


def read_key(request: Request, route: Route) -> str:
    """The credential: `Authorization: Bearer`, or Azure's `api-key`; "" if there is none."""
    if route.azure:
        key = request.header(b"api-key")
        if key is not None:
            return key.decode("latin-1")
    scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""


def no_key(route: Route) -> Rejection:
    """A 401."""
    if route.azure:
        text = (
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key "
            "for an active subscription and use a correct regional API endpoint for your resource."
        )
    else:
        text = (
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
            "auth (i.e. Authorization: Bearer YOUR_KEY)."
        )
    return Rejection(401, text)


def read_body(request: Request) -> Fields:
    """The top level of a request's body. Raises Rejection."""
    media = request.header(b"content-type")
    if media is not None and media.lower().startswith(b"multipart/") and request.path.endswith(FORM_PATHS):
        return FormFields.of_form(media, request.body)
    if media is not None and not media.lower().startswith(b"application/json"):
        text = (
            f"Invalid Content-Type header ({media.decode('latin-1')}), expected application/json. (HINT: If you're "
            "using curl, you can pass -H 'Content-Type: application/json')"
        )
        raise Rejection(400, text)
    return Fields.of_body(request.body)


def read_model(fields: Fields, route: Route) -> str:
    """The model's name as it was asked for; a deployment in the path has precedence. Raises Rejection."""
    if route.name:
        return route.name
    name = fields.text("model", _DEFAULT_MODERATION if route.operation == "moderation" else None)
    if not name:
        raise Rejection(400, "you must provide a model parameter")
    return name


def unknown_model(name: str, route: Route) -> Rejection:
    """A 404."""
    if route.azure:
        text = (
            "The API deployment for this resource does not exist. If you created the deployment within the last "
            "5 minutes, please wait a moment and try again."
        )
        return Rejection(404, text, code="model_not_found")
    text = f"The model `{name}` does not exist or you do not have access to it."
    return Rejection(404, text, code="model_not_found")


def read_steering(fields: Fields) -> str:
    """In `metadata`."""
    metadata = fields.get("metadata")
    told = metadata.get(METADATA) if isinstance(metadata, dict) else None
    return told if isinstance(told, str) else ""


def take_order(fields: Fields, route: Route, name: str, behaviour: Behaviour) -> Order:
    """Reads the body for an operation. Raises Rejection."""
    if route.operation in ("response", "input_tokens", "compaction"):
        return _take_response(fields, route, name, behaviour)
    if route.operation in MEDIA:
        order = take_media(fields, route.operation, name, behaviour)
    else:
        order = read_order(fields, route.task, name, behaviour)
    order.build = partial(_build, order.build, route.azure)
    return order


def _take_response(fields: Fields, route: Route, name: str, behaviour: Behaviour) -> Order:
    if behaviour.task != "chat":
        text = f"The requested model '{name}' is not supported with the Responses API."
        raise Rejection(400, text, param="model", code="unsupported_model")
    asked = read_response(fields, behaviour.strict)
    if route.operation == "input_tokens":
        return Order(b"", 0, 0, False, partial(count_reply, asked.prompt_tokens))
    _check_window(asked.prompt_tokens, asked.limit, behaviour)
    spent = asked.prompt_tokens + (asked.limit or 16)
    whole = partial(response_reply, replace(asked, stream=False), behaviour)
    if route.operation == "compaction":
        build, whole = partial(compaction_reply, asked), partial(compaction_reply, asked)
    elif asked.background and not asked.stream:
        build = partial(queued_reply, asked)
    else:
        build = partial(response_reply, asked, behaviour)
    keeps = Keeping(
        stored=asked.stored and route.operation == "response",
        asked=asked.asked,
        background=asked.background and not asked.stream,
        whole=whole,
        stream=partial(response_reply, replace(asked, stream=True), behaviour),
    )
    stream = asked.stream and route.operation == "response"
    return Order(asked.prompt, asked.prompt_tokens, spent, stream, build, asked.needs, keeps)


def _build(build: Callable[[Setting], Reply], azure: bool, setting: shared.Setting) -> Reply:
    return build(
        Setting(
            seed=setting.seed,
            model=setting.model,
            cached_tokens=setting.cached_tokens,
            usage=setting.usage,
            azure=azure,
        )
    )


def read_order(fields: Fields, operation: _Task, name: str, behaviour: Behaviour) -> Order:
    """As `take_order`, for no route in particular. Raises Rejection."""
    if behaviour.task != operation:
        raise _wrong_endpoint(operation, name)
    match operation:
        case "chat":
            chat = read_chat(fields, behaviour.strict)
            _check_window(chat.prompt_tokens, chat.limit, behaviour)
            spent = chat.prompt_tokens + (chat.limit or 16)
            build = partial(chat_template, chat, behaviour)
            return Order(chat.prompt, chat.prompt_tokens, spent, chat.stream, build)
        case "completion":
            legacy = read_completion(fields, behaviour.strict)
            _check_window(legacy.prompt_tokens, legacy.limit, behaviour)
            spent = legacy.prompt_tokens + legacy.limit
            build = partial(completion_template, legacy, behaviour)
            return Order(legacy.prompt, legacy.prompt_tokens, spent, legacy.stream, build)
        case "embedding":
            embedding = read_embedding(fields, behaviour)
            tokens = embedding.prompt_tokens
            return Order(b"", tokens, tokens, False, partial(embedding_template, embedding, behaviour))
        case "moderation":
            moderation = read_moderation(fields, behaviour.strict)
            tokens = moderation.prompt_tokens
            return Order(b"", tokens, tokens, False, partial(moderation_template, moderation, behaviour))


def _check_window(prompt_tokens: int, limit: int | None, behaviour: Behaviour) -> None:
    window = behaviour.context_window
    if limit is not None and limit > behaviour.max_output_tokens:
        text = (
            f"max_tokens is too large: {limit}. This model supports at most {behaviour.max_output_tokens} completion "
            "tokens, whereas you provided " + str(limit) + "."
        )
        raise Rejection(400, text, param="max_tokens", code="invalid_value")
    if prompt_tokens + (limit or 0) > window:
        asked = "" if limit is None else f" ({prompt_tokens} in the messages, {limit} in the completion)"
        text = (
            f"This model's maximum context length is {window} tokens. However, your messages resulted in "
            f"{prompt_tokens + (limit or 0)} tokens{asked}. Please reduce the length of the messages."
        )
        raise Rejection(400, text, param="messages", code="context_length_exceeded")


def _wrong_endpoint(operation: _Task, name: str) -> Rejection:
    if operation == "chat":
        text = (
            "This is not a chat model and thus not supported in the v1/chat/completions endpoint. Did you mean to use "
            "v1/completions?"
        )
        return Rejection(404, text, param="model")
    if operation == "completion":
        text = (
            "This is a chat model and not supported in the v1/completions endpoint. Did you mean to use "
            "v1/chat/completions?"
        )
        return Rejection(404, text, param="model")
    if operation == "embedding":
        return Rejection(403, "You are not allowed to generate embeddings from this model")
    return Rejection(400, f"Invalid value for 'model' = {name}. Please check the OpenAI documentation and try again.")


def fixed_headers(name: str, route: Route) -> list[tuple[bytes, bytes]]:
    """What is the same in every answer of a model."""
    if route.azure:
        return [
            (b"x-ms-region", b"Simulated Region"),
            (b"x-ms-deployment-name", name.encode()),
        ]
    return [
        (b"openai-organization", b"org-simulated"),
        (b"openai-processing-ms", b"12"),
        (b"openai-version", b"2020-10-01"),
    ]


def call_headers(ids: random.Random, route: Route) -> bytes:
    """Ids of the request."""
    named = b"x-request-id: req_%032x\r\n" % ids.getrandbits(128)
    if not route.azure or route.operation in ("models", "model"):
        return named
    return named + b"apim-request-id: %032x\r\n" % ids.getrandbits(128)


def rate_headers(state: ModelState, behaviour: Behaviour, moment: Moment, route: Route) -> bytes:
    """`x-ratelimit-…`, or how much of an Azure deployment is in use."""
    return state.rate_headers(behaviour, moment.monotonic, route.azure)


def model_body(name: str, behaviour: Behaviour, route: Route) -> bytes:
    """`GET /v1/models/{model}`."""
    return msgspec.json.encode(model_object(name, behaviour)) + b"\n"


def model_object(name: str, behaviour: Behaviour) -> dict[str, object]:
    """As `/v1/models` lists it."""
    return {"id": name, "object": "model", "created": behaviour.created, "owned_by": behaviour.owned_by}


def model_list(models: Mapping[str, Behaviour], route: Route) -> bytes:
    """`GET /v1/models`."""
    listed = [model_object(name, behaviour) for name, behaviour in models.items() if name != "*"]
    return msgspec.json.encode({"object": "list", "data": listed}) + b"\n"


def refuse(rejection: Rejection, request: Request, refusal: Refusal) -> tuple[bytes, bytes]:
    """`retry-after` and its like, and the error."""
    fields = [(b"content-type", b"application/json"), (b"x-request-id", b"req_%032x" % refusal.ids.getrandbits(128))]
    if rejection.code == "insufficient_quota":
        fields.append((b"x-should-retry", b"false"))
    elif refusal.wait is not None:
        fields.append((b"retry-after", b"%d" % math.ceil(refusal.wait)))
        fields.append((b"retry-after-ms", b"%d" % math.ceil(refusal.wait * 1000)))
    return encode_headers(fields) + refusal.rates, error_body(rejection, request)


def error_body(rejection: Rejection, request: Request | None) -> bytes:
    """In OpenAI's shape, or Azure's."""
    return encode_error(rejection, request is not None and request.path.startswith(b"/openai/"))
