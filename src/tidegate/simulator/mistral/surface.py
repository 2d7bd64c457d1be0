"""Which request is which operation of Mistral's API, and what its answer is made of."""

import math
import random
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.mistral.chat import chat_reply
from tidegate.simulator.mistral.chat_request import read_chat
from tidegate.simulator.mistral.embeddings import embedding_reply, read_embedding
from tidegate.simulator.mistral.rejection import encode_error
from tidegate.simulator.model_state import ModelState
from tidegate.simulator.pydantic_fields import PydanticFields as Fields
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.steering import METADATA
from tidegate.simulator.surface import Moment, Order, Refusal, Route
from tidegate.wire.message import Request, encode_headers

_OPERATIONS: Final = {
    b"/mistral/v1/chat/completions": "chat",
    b"/mistral/v1/embeddings": "embedding",
    b"/mistral/v1/models": "models",
}
_MODELS: Final = b"/mistral/v1/models/"

PATHS: Final = frozenset(_OPERATIONS)
VARIES: Final = None


def claims(request: Request) -> bool:
    """Below `/mistral/`."""
    return request.path.startswith(b"/mistral/")


def find_route(request: Request) -> Route:
    """Raises Rejection: 404 for unknown paths, 405 for known ones with another method."""
    operation, name = _OPERATIONS.get(request.path, ""), ""
    if request.path.startswith(_MODELS):
        operation, name = "model", unquote(request.path[len(_MODELS) :].decode("latin-1"))
    if not operation:
        raise Rejection(404, "no Route matched with those values")
    if request.method not in ((b"GET", b"HEAD") if operation in ("models", "model") else (b"POST",)):
        raise Rejection(405, "Method Not Allowed")
    return Route(operation, name)


def read_key(request: Request, route: Route) -> str:
    """`Authorization: Bearer`."""
    scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""


def no_key(route: Route) -> Rejection:
    """A 401."""
    return Rejection(401, "Unauthorized")


def read_body(request: Request) -> Fields:
    """The top level of a request's body. Raises Rejection."""
    return Fields.of_body(request.body)


def read_model(fields: Fields, route: Route) -> str:
    """Raises Rejection."""
    return fields.needed_text("model")


def unknown_model(name: str, route: Route) -> Rejection:
    """A 400."""
    return Rejection(400, f"Invalid model: {name}", kind="invalid_model", code="1500")


def read_steering(fields: Fields) -> str:
    """In `metadata`."""
    metadata = fields.get("metadata")
    told = metadata.get(METADATA) if isinstance(metadata, dict) else None
    return told if isinstance(told, str) else ""


def take_order(fields: Fields, route: Route, name: str, behaviour: Behaviour) -> Order:
    """Reads the body. Raises Rejection."""
    if behaviour.task != route.operation:
        raise unknown_model(name, route)
    if route.operation == "embedding":
        texts = read_embedding(fields, behaviour)
        return Order(b"", 0, texts.tokens, False, partial(embedding_reply, texts))
    asked = read_chat(fields, behaviour)
    spent = asked.prompt_tokens + (asked.limit or 0)
    if spent > behaviour.context_window:
        text = f"Prompt contains {asked.prompt_tokens} tokens and {asked.limit or 0} draft tokens, too large for model "
        text += f"with {behaviour.context_window} maximum context length"
        raise Rejection(400, text, kind="invalid_request_prompt", code="3051")
    return Order(asked.prompt, asked.prompt_tokens, spent, asked.stream, partial(chat_reply, asked, behaviour))


def fixed_headers(name: str, route: Route) -> list[tuple[bytes, bytes]]:
    """There are none."""
    return []


def call_headers(ids: random.Random, route: Route) -> bytes:
    """The id to name to the provider."""
    return b"mistral-correlation-id: %032x\r\n" % ids.getrandbits(128)


def rate_headers(state: ModelState, behaviour: Behaviour, moment: Moment, route: Route) -> bytes:
    """`x-ratelimit-…-req-minute` and `-tokens-minute`."""
    lines: list[str] = []
    for name, bound, remaining, _ in state.allowances(behaviour, moment.monotonic):
        what = "req" if name == "requests" else name
        lines.append(f"x-ratelimit-limit-{what}-minute: {bound}\r\n")
        lines.append(f"x-ratelimit-remaining-{what}-minute: {remaining}\r\n")
    return "".join(lines).encode()


def model_list(models: Mapping[str, Behaviour], route: Route) -> bytes:
    """`GET /v1/models`."""
    listed = [_model(name, behaviour) for name, behaviour in models.items() if name != "*"]
    return msgspec.json.encode({"object": "list", "data": listed})


def model_body(name: str, behaviour: Behaviour, route: Route) -> bytes:
    """`GET /v1/models/{model}`."""
    return msgspec.json.encode(_model(name, behaviour))


def _model(name: str, behaviour: Behaviour) -> dict[str, Any]:
    chats = behaviour.task == "chat"
    can = {"completion_chat": chats, "function_calling": chats, "completion_fim": False, "fine_tuning": False}
    told: dict[str, Any] = {"id": name, "object": "model", "created": behaviour.created, "owned_by": "mistralai"}
    return told | {"capabilities": can, "max_context_length": behaviour.context_window, "type": "base"}


def refuse(rejection: Rejection, request: Request, refusal: Refusal) -> tuple[bytes, bytes]:
    """`{"object": "error", …}`, and when to come back."""
    headers = [(b"content-type", b"application/json")]
    headers.append((b"mistral-correlation-id", b"%032x" % refusal.ids.getrandbits(128)))
    if refusal.wait is not None:
        headers.append((b"retry-after", b"%d" % math.ceil(refusal.wait)))
    return encode_headers(headers) + refusal.rates, error_body(rejection, request)


def error_body(rejection: Rejection, request: Request | None) -> bytes:
    """`{"object": "error", …}`."""
    return encode_error(rejection)
