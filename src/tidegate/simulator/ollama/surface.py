"""Which request is which operation of Ollama's API, and what its answer is made of."""

import hashlib
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import msgspec

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.model_state import ModelState
from tidegate.simulator.ollama.answers import JSON_TYPE, answer_reply, embed_reply
from tidegate.simulator.ollama.fields import Fields
from tidegate.simulator.ollama.requests import read_chat, read_embed, read_generate
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.steering import METADATA
from tidegate.simulator.surface import Moment, Order, Refusal, Route
from tidegate.wire.message import Request, encode_headers

_OPERATIONS: Final = {
    b"/api/chat": "chat",
    b"/api/generate": "generate",
    b"/api/embed": "embed",
    b"/api/embeddings": "embeddings",
    b"/api/tags": "models",
    b"/api/ps": "models",
    b"/api/version": "models",
}
_MESSAGES: Final = {
    400: "invalid request",
    401: "unauthorized",
    403: "forbidden",
    404: "not found",
    429: "too many requests",
    500: "llama runner process has terminated: exit status 2",
    503: "server busy, please try again.  maximum pending requests exceeded",
}

PATHS: Final = frozenset(_OPERATIONS)
VARIES: Final = None


def claims(request: Request) -> bool:
    """Below `/api/`."""
    return request.path.startswith(b"/api/")


def find_route(request: Request) -> Route:
    """Raises Rejection: 404 for unknown paths, 405 for known ones with another method."""
    operation = _OPERATIONS.get(request.path)
    if operation is None:
        raise Rejection(404, "404 page not found")
    if request.method not in ((b"GET", b"HEAD") if operation == "models" else (b"POST",)):
        raise Rejection(405, "405 method not allowed")
    return Route(operation, request.path.rpartition(b"/")[2].decode() if operation == "models" else "")


def read_key(request: Request, route: Route) -> str:
    """A Bearer token, where a proxy wants one."""
    scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""


def no_key(route: Route) -> None:
    """The server knows no credentials."""


def read_body(request: Request) -> Fields:
    """The top level of a request's body. Raises Rejection."""
    if not request.body:
        raise Rejection(400, "missing request body")
    return Fields.of_body(request.body)


def read_model(fields: Fields, route: Route) -> str:
    """Raises Rejection."""
    name = fields.text("model")
    if not name:
        raise Rejection(400, "model is required")
    return name.removesuffix(":latest")


def unknown_model(name: str, route: Route) -> Rejection:
    """A 404."""
    return Rejection(404, f"model '{name}' not found")


def read_steering(fields: Fields) -> str:
    """In `options`, of which unknown ones are ignored elsewhere."""
    options = fields.get("options")
    told = options.get(METADATA) if isinstance(options, dict) else None
    return told if isinstance(told, str) else ""


def take_order(fields: Fields, route: Route, name: str, behaviour: Behaviour) -> Order:
    """Reads the body. A prompt that is too long is cut, not refused. Raises Rejection."""
    if route.operation in ("embed", "embeddings"):
        if behaviour.task != "embedding":
            raise Rejection(501, "this model does not support embeddings")
        texts = read_embed(fields, route.operation == "embeddings", behaviour.dimensions)
        return Order(b"", 0, texts.tokens, False, partial(embed_reply, texts, behaviour))
    if behaviour.task != "chat":
        raise Rejection(400, f'"{name}" does not support {route.operation}')
    asked = read_chat(fields) if route.operation == "chat" else read_generate(fields)
    return Order(
        b"", 0, asked.prompt_tokens + (asked.limit or 16), asked.stream, partial(answer_reply, asked, behaviour)
    )


def fixed_headers(name: str, route: Route) -> list[tuple[bytes, bytes]]:
    """There are none."""
    return []


def call_headers(ids: random.Random, route: Route) -> bytes:
    """There are none: answers have no ids."""
    return b""


def rate_headers(state: ModelState, behaviour: Behaviour, moment: Moment, route: Route) -> bytes:
    """There are none."""
    return b""


def model_list(models: Mapping[str, Behaviour], route: Route) -> bytes:
    """`/api/tags`, `/api/ps` (nothing is loaded) and `/api/version`."""
    if route.name == "version":
        return msgspec.json.encode({"version": "0.14.0"})
    listed = [] if route.name == "ps" else [_tag(name, behaviour) for name, behaviour in models.items() if name != "*"]
    return msgspec.json.encode({"models": listed})


def _tag(name: str, behaviour: Behaviour) -> dict[str, Any]:
    return {
        "name": name,
        "model": name,
        "modified_at": datetime.fromtimestamp(behaviour.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "size": 2_019_393_189,
        "digest": hashlib.sha256(name.encode()).hexdigest(),
        "details": {
            "parent_model": "",
            "format": "gguf",
            "family": "llama",
            "families": ["llama"],
            "parameter_size": "3.2B",
            "quantization_level": "Q4_K_M",
        },
    }


def model_body(name: str, behaviour: Behaviour, route: Route) -> bytes:
    """No path leads here."""
    return msgspec.json.encode(_tag(name, behaviour))


def refuse(rejection: Rejection, request: Request, refusal: Refusal) -> tuple[bytes, bytes]:
    """`{"error": "…"}`."""
    return encode_headers([(b"content-type", JSON_TYPE)]), error_body(rejection, request)


def error_body(rejection: Rejection, request: Request | None) -> bytes:
    """`{"error": "…"}`."""
    message = rejection.message
    if rejection.usual:
        message = _MESSAGES.get(rejection.status, "internal server error")
    return msgspec.json.encode({"error": message})
