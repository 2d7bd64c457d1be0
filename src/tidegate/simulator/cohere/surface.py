"""Which request is which operation of Cohere's API, and what its answer is made of."""

import random
from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.cohere.chat import chat_reply
from tidegate.simulator.cohere.chat_request import read_chat
from tidegate.simulator.cohere.fields import Fields
from tidegate.simulator.cohere.search import embed_reply, read_embed, read_rerank, rerank_reply
from tidegate.simulator.model_state import ModelState
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.surface import Moment, Order, Refusal, Route
from tidegate.wire.message import Request, encode_headers

_OPERATIONS: Final = {b"/v2/chat": "chat", b"/v2/embed": "embedding", b"/v2/rerank": "rerank"}
_MESSAGES: Final = {
    400: "invalid request",
    401: "invalid api token",
    403: "you do not have access to this resource",
    404: "not found",
    429: "You have exceeded your rate limit. Please try again later.",
    498: "blocked token",
    500: "internal server error",
    503: "service unavailable",
    504: "the request timed out",
}

PATHS: Final = frozenset(_OPERATIONS)
VARIES: Final = None


def claims(request: Request) -> bool:
    """Its paths are all it has."""
    return False


def find_route(request: Request) -> Route:
    """Raises Rejection: 405 for another method."""
    if request.method != b"POST":
        raise Rejection(405, "method not allowed")
    return Route(_OPERATIONS[request.path])


def read_key(request: Request, route: Route) -> str:
    """`Authorization: Bearer`."""
    scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""


def no_key(route: Route) -> Rejection:
    """A 401."""
    return Rejection(401, "no api key supplied")


def read_body(request: Request) -> Fields:
    """The top level of a request's body. Raises Rejection."""
    return Fields.of_body(request.body)


def read_model(fields: Fields, route: Route) -> str:
    """Raises Rejection."""
    return fields.needed_text("model")


def unknown_model(name: str, route: Route) -> Rejection:
    """A 404."""
    text = f"model '{name}' not found, make sure the correct model ID was used and that you have access to the model."
    return Rejection(404, text)


def read_steering(fields: Fields) -> str:
    """There is no field for it."""
    return ""


def take_order(fields: Fields, route: Route, name: str, behaviour: Behaviour) -> Order:
    """Reads the body. Raises Rejection."""
    if behaviour.task != route.operation:
        raise Rejection(400, f"invalid request: model '{name}' is not supported for this endpoint")
    if route.operation == "embedding":
        texts = read_embed(fields, behaviour)
        return Order(b"", 0, texts.tokens, False, partial(embed_reply, texts))
    if route.operation == "rerank":
        query = read_rerank(fields, behaviour)
        return Order(b"", 0, query.tokens, False, partial(rerank_reply, query))
    asked = read_chat(fields, behaviour)
    if asked.prompt_tokens + (asked.limit or 0) > behaviour.context_window:
        over = asked.prompt_tokens + (asked.limit or 0) - behaviour.context_window
        text = f"too many tokens: size limit exceeded by {over} tokens. Try using shorter or fewer inputs."
        raise Rejection(400, text, code="context_length_exceeded")
    spent = asked.prompt_tokens + (asked.limit or 16)
    return Order(asked.prompt, asked.prompt_tokens, spent, asked.stream, partial(chat_reply, asked, behaviour))


def fixed_headers(name: str, route: Route) -> list[tuple[bytes, bytes]]:
    """There are none."""
    return []


def call_headers(ids: random.Random, route: Route) -> bytes:
    """The id to name to the provider."""
    return b"x-debug-trace-id: %032x\r\n" % ids.getrandbits(128)


def rate_headers(state: ModelState, behaviour: Behaviour, moment: Moment, route: Route) -> bytes:
    """`x-trial-endpoint-call-…`: calls, not tokens."""
    for name, limit, remaining, _ in state.allowances(behaviour, moment.monotonic):
        if name == "requests":
            return (
                f"x-trial-endpoint-call-limit: {limit}\r\nx-trial-endpoint-call-remaining: {remaining}\r\n"
            ).encode()
    return b""


def model_list(models: Mapping[str, Behaviour], route: Route) -> bytes:
    """No path leads here: Cohere's list has the path of OpenAI's."""
    return msgspec.json.encode({"models": [{"name": name} for name in models if name != "*"]})


def model_body(name: str, behaviour: Behaviour, route: Route) -> bytes:
    """No path leads here."""
    return msgspec.json.encode({"name": name})


def refuse(rejection: Rejection, request: Request, refusal: Refusal) -> tuple[bytes, bytes]:
    """`{"id", "message"}`, without a word about when to come back."""
    trace = refusal.ids.getrandbits(128)
    headers = encode_headers([(b"content-type", b"application/json"), (b"x-debug-trace-id", b"%032x" % trace)])
    return headers + refusal.rates, _body(rejection, f"{trace:032x}")


def error_body(rejection: Rejection, request: Request | None) -> bytes:
    """`{"message"}`."""
    return _body(rejection, None)


def _body(rejection: Rejection, name: str | None) -> bytes:
    message = rejection.message
    if rejection.usual:
        message = _MESSAGES.get(rejection.status, "internal server error")
    return msgspec.json.encode({"message": message} if name is None else {"id": name, "message": message})
