"""Which request is which operation of TensorFlow Serving, and what its answer is made of.

The status of a model has the path of OpenAI's models: there it is OpenAI's. Below `/tfserving` all paths are these.
"""

import random
import re
from collections.abc import Mapping
from functools import partial
from typing import Final
from urllib.parse import unquote

import msgspec

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.fields import Fields as SharedFields
from tidegate.simulator.model_state import ModelState
from tidegate.simulator.predictor import Predictor
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.surface import Moment, Order, Refusal, Route
from tidegate.simulator.tensors import Tensor
from tidegate.simulator.tfserving.answers import Asked, answer_reply, check_ranks, metadata_body, status_body
from tidegate.simulator.tfserving.tensors_in import invalid, read_columns, read_examples, read_instances
from tidegate.wire.message import Request, encode_headers

PREFIX: Final = b"/tfserving"
_VERBS: Final = ("predict", "classify", "regress")
_PATH: Final = re.compile(
    rb"/v1/models/(?P<model>[^/:]+)(?:/(?P<by>versions|labels)/(?P<which>[^/:]+))?"
    rb"(?:(?P<verb>:(?:predict|classify|regress))|(?P<metadata>/metadata))?"
)
_GOOGLES: Final = (b"x-goog-api-key", b"x-goog-api-client")
_SIGNATURES: Final = (None, "", "serving_default")
_MESSAGES: Final = {
    401: "Unauthorized",
    429: "Too many requests",
    500: "Internal error",
    503: "Servable is not available",
}

PATHS: Final[frozenset[bytes]] = frozenset()
VARIES: Final = None


class Fields(SharedFields):
    """A JSON object, read field by field."""

    __slots__ = ()

    @classmethod
    def unreadable(cls, why: str) -> Rejection:
        return invalid(f"JSON Parse error: {why}")

    @classmethod
    def wrong_type(cls, name: str, expected: str, value: object) -> Rejection:
        return invalid(f"JSON Value: '{name}' is not formatted correctly: expected {expected}")


class VersionRoute(Route, frozen=True):
    """`by` is `versions` or `labels`, `which` the one that the path names."""

    by: str = ""
    which: str = ""
    metadata: bool = False


def claims(request: Request) -> bool:
    """Its verbs and metadata, unless Google's headers are there; all paths below its own prefix."""
    if request.path.startswith(PREFIX + b"/"):
        return True
    match = _PATH.fullmatch(request.path)
    if match is None or (match["verb"] is None and match["by"] is None and match["metadata"] is None):
        return False
    return all(request.header(name) is None for name in _GOOGLES)


def find_route(request: Request) -> VersionRoute:
    """Raises Rejection: 404 for unknown paths, 400 for known ones with another method."""
    match = _PATH.fullmatch(request.path.removeprefix(PREFIX))
    method = request.method.decode("latin-1")
    if match is None or (request.method == b"POST") != (match["verb"] is not None):
        raise Rejection(404 if match is None else 400, f"Malformed request: {method} {request.path.decode('latin-1')}")
    name, by, which = (unquote((match[part] or b"").decode("latin-1")) for part in ("model", "by", "which"))
    verb = (match["verb"] or b"").decode().removeprefix(":")
    return VersionRoute(verb or "model", name, by, which, match["metadata"] is not None)


def read_key(request: Request, route: Route) -> str:
    """A Bearer token, where a proxy wants one."""
    scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""


def no_key(route: Route) -> None:
    """The server knows no credentials."""


def read_body(request: Request) -> Fields:
    """The top level of a request's body. Raises Rejection."""
    return Fields.of_body(request.body)


def read_model(fields: Fields, route: VersionRoute) -> str:
    """It is in the path."""
    return route.name


def unknown_model(name: str, route: VersionRoute) -> Rejection:
    """A 404."""
    if route.operation == "model":
        return Rejection(404, f"Could not find any versions of model {name}")
    wanted = f"Specific({name}, {route.which})" if route.by == "versions" else f"Latest({name})"
    return Rejection(404, f"Servable not found for request: {wanted}")


def read_steering(fields: Fields) -> str:
    """There is no field for it."""
    return ""


def take_order(fields: Fields, route: VersionRoute, name: str, behaviour: Behaviour) -> Order:
    """Reads the body. Raises Rejection."""
    version = _version(name, behaviour, route)
    predictor = behaviour.predictor
    signature = fields.text("signature_name")
    if signature not in _SIGNATURES:
        raise invalid(f'Serving signature name: "{signature}" not found in signature def')
    check_ranks(route.operation, predictor)
    by_rows, inputs = _read_inputs(fields, route.operation, predictor)
    asked = Asked(route.operation, by_rows, version, predictor, inputs)
    return Order(b"", 0, inputs[0].rows, False, partial(answer_reply, asked))


def _read_inputs(fields: Fields, verb: str, predictor: Predictor) -> tuple[bool, list[Tensor]]:
    """→ whether they came as rows, and the inputs."""
    if verb != "predict":
        return True, read_examples(fields, predictor)
    rows, columns = fields.values.get("instances"), fields.values.get("inputs")
    if rows is not None and columns is not None:
        raise invalid("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist")
    if rows is None and columns is None:
        raise invalid("Missing 'inputs' or 'instances' key")
    if rows is not None:
        return True, read_instances(rows, predictor)
    return False, read_columns(columns, predictor)


def _version(name: str, behaviour: Behaviour, route: VersionRoute) -> str:
    versions = behaviour.predictor.versions
    if behaviour.task != "inference" or (route.by == "versions" and route.which not in versions):
        raise unknown_model(name, route)
    if route.by == "labels" and route.which != "stable":
        raise invalid(f"Unrecognized servable version label: {route.which}")
    return route.which if route.by == "versions" else versions[-1]


def fixed_headers(name: str, route: Route) -> list[tuple[bytes, bytes]]:
    """There are none."""
    return []


def call_headers(ids: random.Random, route: Route) -> bytes:
    """There are none."""
    return b""


def rate_headers(state: ModelState, behaviour: Behaviour, moment: Moment, route: Route) -> bytes:
    """There are none."""
    return b""


def model_list(models: Mapping[str, Behaviour], route: Route) -> bytes:
    """No path leads here: the server lists none."""
    return b"{}"


def model_body(name: str, behaviour: Behaviour, route: VersionRoute) -> bytes:
    """The status of its versions, or its metadata. Raises Rejection."""
    version = _version(name, behaviour, route)
    if route.metadata:
        return metadata_body(name, version, behaviour.predictor)
    return status_body((version,) if route.by else behaviour.predictor.versions)


def refuse(rejection: Rejection, request: Request, refusal: Refusal) -> tuple[bytes, bytes]:
    """`{"error": "…"}`."""
    return encode_headers([(b"content-type", b"application/json")]), error_body(rejection, request)


def error_body(rejection: Rejection, request: Request | None) -> bytes:
    """`{"error": "…"}`."""
    message = _MESSAGES.get(rejection.status, "Internal error") if rejection.usual else rejection.message
    return msgspec.json.format(msgspec.json.encode({"error": message}), indent=1) + b"\n"
