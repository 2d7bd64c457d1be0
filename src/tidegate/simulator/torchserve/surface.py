"""Which request is which operation of TorchServe, and what its answer is made of."""

import random
import re
from collections.abc import Mapping
from functools import partial
from typing import Final
from urllib.parse import unquote

import msgspec

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.fields import Fields
from tidegate.simulator.model_state import ModelState
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.surface import Moment, Order, Refusal, Route
from tidegate.simulator.torchserve.prediction import prediction_reply, read_prediction
from tidegate.wire.message import Request, encode_headers

_PATH: Final = re.compile(rb"/(predictions|explanations)/([^/]+)(?:/([^/]+))?")
_TYPES: Final = {
    400: "BadRequestException",
    401: "InvalidKeyException",
    403: "InvalidKeyException",
    404: "ResourceNotFoundException",
    405: "MethodNotAllowedException",
    408: "RequestTimeoutException",
    429: "ServiceUnavailableException",
    503: "ServiceUnavailableException",
    507: "OutOfMemoryException",
}
_MESSAGES: Final = {
    401: "Token Authentication failed. Token either incorrect, expired, or not provided correctly",
    429: "Model has no worker to serve inference request. Please use scale workers API to add workers.",
    500: "Worker died.",
    503: "Model has no worker to serve inference request. Please use scale workers API to add workers.",
}

PATHS: Final = frozenset({b"/ping"})
VARIES: Final = None


class Body(Fields):
    """A body as it came: what it means is the model's business."""

    __slots__ = ("raw",)

    raw: bytes


class VersionRoute(Route, frozen=True):
    """`operation` is `predictions` or `explanations`."""

    version: str = ""


def claims(request: Request) -> bool:
    """Predictions and explanations."""
    return request.path.startswith((b"/predictions/", b"/explanations/"))


def find_route(request: Request) -> VersionRoute:
    """Raises Rejection: 404 for unknown paths, 405 for known ones with another method."""
    if request.path in PATHS:
        if request.method not in (b"GET", b"HEAD"):
            raise _wrong_method()
        return VersionRoute("models")
    match = _PATH.fullmatch(request.path)
    if match is None:
        raise Rejection(404, "Requested resource is not found, please refer to API document.")
    if request.method not in (b"POST", b"PUT", b"GET"):
        raise _wrong_method()
    name, version = (unquote((part or b"").decode("latin-1")) for part in (match[2], match[3]))
    return VersionRoute(match[1].decode(), name, version)


def _wrong_method() -> Rejection:
    return Rejection(405, "Requested method is not allowed, please refer to API document.")


def read_key(request: Request, route: Route) -> str:
    """A Bearer token."""
    scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""


def no_key(route: Route) -> None:
    """As with `--disable-token-auth`."""


def read_body(request: Request) -> Body:
    """Whatever it is."""
    body = Body({})
    body.raw = request.body
    return body


def read_model(fields: Body, route: VersionRoute) -> str:
    """It is in the path."""
    return route.name


def unknown_model(name: str, route: VersionRoute) -> Rejection:
    """A 404."""
    if route.version:
        text = f"Model version: {route.version} does not exist for model: {name}"
        return Rejection(404, text, kind="ModelVersionNotFoundException")
    return Rejection(404, f"Model not found: {name}", kind="ModelNotFoundException")


def read_steering(fields: Body) -> str:
    """There is no field for it."""
    return ""


def take_order(fields: Body, route: VersionRoute, name: str, behaviour: Behaviour) -> Order:
    """Reads the body. Raises Rejection."""
    predictor = behaviour.predictor
    if behaviour.task != "inference" or (route.version and route.version not in predictor.versions):
        raise unknown_model(name, route)
    version = route.version or predictor.versions[-1]
    asked = read_prediction(fields.raw, version, predictor, explains=route.operation == "explanations")
    return Order(b"", 0, 1, False, partial(prediction_reply, asked))


def fixed_headers(name: str, route: Route) -> list[tuple[bytes, bytes]]:
    """There are none."""
    return []


def call_headers(ids: random.Random, route: Route) -> bytes:
    """The request's id, and that nothing of it may be kept."""
    return b"x-request-id: %032x\r\npragma: no-cache\r\n" % ids.getrandbits(128)


def rate_headers(state: ModelState, behaviour: Behaviour, moment: Moment, route: Route) -> bytes:
    """There are none."""
    return b""


def model_list(models: Mapping[str, Behaviour], route: Route) -> bytes:
    """`/ping`: models are listed elsewhere."""
    return b'{\n  "status": "Healthy"\n}\n'


def model_body(name: str, behaviour: Behaviour, route: Route) -> bytes:
    """No path leads here."""
    return b"{}"


def refuse(rejection: Rejection, request: Request, refusal: Refusal) -> tuple[bytes, bytes]:
    """`{"code", "type", "message"}`."""
    return encode_headers([(b"content-type", b"application/json")]), error_body(rejection, request)


def error_body(rejection: Rejection, request: Request | None) -> bytes:
    """`{"code", "type", "message"}`: the type is one of its exceptions."""
    kind, message = rejection.kind, rejection.message
    if rejection.usual or not kind.endswith("Exception"):
        kind = _TYPES.get(rejection.status, "InternalServerException")
    if rejection.usual:
        message = _MESSAGES.get(rejection.status, "Prediction failed")
    told = {"code": rejection.status, "type": kind, "message": message}
    return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"
