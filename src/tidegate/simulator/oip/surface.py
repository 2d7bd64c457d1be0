"""Which request is which operation of the Open Inference Protocol, and what its answer is made of."""

import random
import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.model_state import ModelState
from tidegate.simulator.oip.fields import HEADER, Fields
from tidegate.simulator.oip.generation import generate_reply, read_generate
from tidegate.simulator.oip.inference import infer_reply, read_infer, stream_reply
from tidegate.simulator.predictor import TensorSpec
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.surface import Moment, Order, Refusal, Route
from tidegate.wire.message import Request, encode_headers

_MODEL: Final = re.compile(
    rb"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(ready|infer|infer_stream|generate|generate_stream))?"
)
_SERVER: Final = {b"/v2": "server", b"/v2/health/live": "health", b"/v2/health/ready": "health"}
_MESSAGES: Final = {
    401: "unauthorized",
    403: "This protocol is restricted, expecting header 'triton-grpc-protocol-infer'",
    404: "not found",
    429: "Exceeds maximum queue size",
    500: "inference failed: CUDA out of memory",
    503: "Server is not ready",
}

PATHS: Final = frozenset(_SERVER)
VARIES: Final = HEADER


class VersionRoute(Route, frozen=True):
    """`verb` is what follows the model, `version` as the path says it."""

    version: str = ""
    verb: str = ""


def claims(request: Request) -> bool:
    """Below `/v2/models/`."""
    return request.path.startswith(b"/v2/models/")


def find_route(request: Request) -> VersionRoute:
    """Raises Rejection: 404 for unknown paths, 405 for known ones with another method."""
    reads = request.method in (b"GET", b"HEAD")
    server = _SERVER.get(request.path)
    if server is not None and reads:
        return VersionRoute("models", verb=server)
    match = _MODEL.fullmatch(request.path)
    if server is None and match is None:
        raise Rejection(404, "Not Found")
    verb = b"" if match is None else match[3] or b""
    if match is None or reads != (verb in (b"", b"ready")) or (not reads and request.method != b"POST"):
        raise Rejection(405, "Method Not Allowed")
    name, version = (unquote((part or b"").decode("latin-1")) for part in (match[1], match[2]))
    return VersionRoute("model" if reads else verb.decode(), name, version, verb.decode())


def read_key(request: Request, route: Route) -> str:
    """A Bearer token, where a proxy wants one."""
    scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""


def no_key(route: Route) -> None:
    """The server knows no credentials."""


def read_body(request: Request) -> Fields:
    """The JSON of a request, and what is behind it. Raises Rejection."""
    return Fields.of_request(request)


def read_model(fields: Fields, route: VersionRoute) -> str:
    """It is in the path."""
    return route.name


def unknown_model(name: str, route: VersionRoute) -> Rejection:
    """A 404."""
    version = f" version {route.version}" if route.version else ""
    return Rejection(404, f"Request for unknown model: '{name}'{version} is not found")


def read_steering(fields: Fields) -> str:
    """There is no field for it."""
    return ""


def take_order(fields: Fields, route: VersionRoute, name: str, behaviour: Behaviour) -> Order:
    """Reads the body. Raises Rejection."""
    version = _version(name, behaviour, route)
    streams = route.verb.endswith("_stream")
    if route.verb.startswith("generate") and fields.get("inputs") is None:
        text = read_generate(fields, name, version, behaviour.predictor, stream=streams)
        return Order(b"", 0, 1, streams, partial(generate_reply, text, behaviour))
    asked = read_infer(fields, name, version, behaviour.predictor)
    return Order(b"", 0, asked.inputs[0].rows, streams, partial(stream_reply if streams else infer_reply, asked))


def _version(name: str, behaviour: Behaviour, route: VersionRoute) -> str:
    if behaviour.task != "inference" or (route.version and route.version not in behaviour.predictor.versions):
        raise unknown_model(name, route)
    return route.version or behaviour.predictor.versions[-1]


def fixed_headers(name: str, route: Route) -> list[tuple[bytes, bytes]]:
    """There are none."""
    return []


def call_headers(ids: random.Random, route: Route) -> bytes:
    """There are none."""
    return b""


def rate_headers(state: ModelState, behaviour: Behaviour, moment: Moment, route: Route) -> bytes:
    """There are none."""
    return b""


def model_list(models: Mapping[str, Behaviour], route: VersionRoute) -> bytes:
    """The server says who it is, or, to whoever asks for its health, nothing."""
    if route.verb == "health":
        return b""
    extensions = ["binary_tensor_data", "generate"]
    return msgspec.json.encode({"name": "triton", "version": "2.61.0", "extensions": extensions})


def model_body(name: str, behaviour: Behaviour, route: VersionRoute) -> bytes:
    """The model's tensors and versions; of its readiness, nothing. Raises Rejection."""
    _version(name, behaviour, route)
    if route.verb == "ready":
        return b""
    predictor = behaviour.predictor
    told: dict[str, Any] = {"name": name, "versions": predictor.versions, "platform": "simulated"}
    told["inputs"] = [_described(one) for one in predictor.inputs]
    told["outputs"] = [_described(one) for one in predictor.outputs]
    return msgspec.json.encode(told)


def _described(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}


def refuse(rejection: Rejection, request: Request, refusal: Refusal) -> tuple[bytes, bytes]:
    """`{"error": "…"}`."""
    return encode_headers([(b"content-type", b"application/json")]), error_body(rejection, request)


def error_body(rejection: Rejection, request: Request | None) -> bytes:
    """`{"error": "…"}`."""
    message = _MESSAGES.get(rejection.status, "internal error") if rejection.usual else rejection.message
    return msgspec.json.encode({"error": message})
