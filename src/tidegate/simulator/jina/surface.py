"""The one path of Jina's and Voyage's rerankers, and what its answer is made of."""

import random
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.jina.rerank import VOYAGE, jina_reply, read_jina, read_voyage, voyage_reply
from tidegate.simulator.model_state import ModelState
from tidegate.simulator.pydantic_fields import PydanticFields, details
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.surface import Moment, Order, Refusal, Route
from tidegate.wire.message import Request, encode_headers

_MESSAGES: Final = {
    401: "Provided API key is invalid.",
    403: "You are not allowed to use this model.",
    429: "You have exceeded your rate limit.",
    500: "An internal error occurred.",
    503: "The service is temporarily unavailable.",
}

PATHS: Final = frozenset({b"/v1/rerank"})
VARIES: Final = None


def claims(request: Request) -> bool:
    """Its path is all it has."""
    return False


def find_route(request: Request) -> Route:
    """Raises Rejection: 405 for another method."""
    if request.method != b"POST":
        raise Rejection(405, "Method Not Allowed")
    return Route("rerank")


def read_key(request: Request, route: Route) -> str:
    """`Authorization: Bearer`."""
    scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""


def no_key(route: Route) -> Rejection:
    """A 401."""
    return Rejection(401, "No API key was provided.")


def read_body(request: Request) -> PydanticFields:
    """The top level of a request's body. Raises Rejection."""
    return PydanticFields.of_body(request.body)


def read_model(fields: PydanticFields, route: Route) -> str:
    """Raises Rejection."""
    return fields.needed_text("model")


def unknown_model(name: str, route: Route) -> Rejection:
    """A 400."""
    return Rejection(400, f"Model {name} is not supported.")


def read_steering(fields: PydanticFields) -> str:
    """There is no field for it."""
    return ""


def take_order(fields: PydanticFields, route: Route, name: str, behaviour: Behaviour) -> Order:
    """Reads the body as the model's owner would. Raises Rejection."""
    if behaviour.task != "rerank":
        raise unknown_model(name, route)
    if behaviour.owned_by == VOYAGE:
        asked, reply = read_voyage(fields, behaviour), voyage_reply
    else:
        asked, reply = read_jina(fields, behaviour), jina_reply
    return Order(b"", 0, asked.tokens, False, partial(reply, asked))


def fixed_headers(name: str, route: Route) -> list[tuple[bytes, bytes]]:
    """There are none."""
    return []


def call_headers(ids: random.Random, route: Route) -> bytes:
    """There are none."""
    return b""


def rate_headers(state: ModelState, behaviour: Behaviour, moment: Moment, route: Route) -> bytes:
    """As Jina and Voyage have them: OpenAI's names."""
    return state.rate_headers(behaviour, moment.monotonic, azure=False)


def model_list(models: Mapping[str, Behaviour], route: Route) -> bytes:
    """No path leads here: the list has the path of OpenAI's."""
    return msgspec.json.encode({"data": [{"id": name} for name in models if name != "*"]})


def model_body(name: str, behaviour: Behaviour, route: Route) -> bytes:
    """No path leads here."""
    return msgspec.json.encode({"id": name})


def refuse(rejection: Rejection, request: Request, refusal: Refusal) -> tuple[bytes, bytes]:
    """`{"detail": …}`."""
    return encode_headers([(b"content-type", b"application/json")]) + refusal.rates, error_body(rejection, request)


def error_body(rejection: Rejection, request: Request | None) -> bytes:
    """A sentence; of a field, a list with its place."""
    detail: Any = rejection.message
    if rejection.usual:
        detail = _MESSAGES.get(rejection.status, "An error occurred.")
    elif rejection.param is not None:
        detail = details(rejection)
    return msgspec.json.encode({"detail": detail})
