"""Which request is which operation of Anthropic's API, and what its answer is made of."""

import math
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from tidegate.simulator.anthropic.fields import Fields
from tidegate.simulator.anthropic.message import count_reply, message_reply
from tidegate.simulator.anthropic.message_request import MessageRequest, read_message
from tidegate.simulator.anthropic.rejection import encode_error, is_final
from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.model_state import ModelState
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.steering import METADATA
from tidegate.simulator.surface import Moment, Order, Refusal, Route
from tidegate.wire.message import Request, encode_headers

VARIES: Final = b"anthropic-version"
_VERSIONS: Final = (b"2023-01-01", b"2023-06-01", b"2026-10-21")
_OPERATIONS: Final = {b"/v1/messages": "message", b"/v1/messages/count_tokens": "count"}

PATHS: Final = frozenset(_OPERATIONS)


class VersionedRoute(Route, frozen=True):
    """The version is the client's, checked."""

    version: bytes = b""


def claims(request: Request) -> bool:
    """Below `/v1/messages`, and models and files if a version is named."""
    path = request.path
    if path.startswith(b"/v1/messages/"):
        return True
    return path.startswith((b"/v1/models", b"/v1/files")) and request.header(VARIES) is not None


def find_route(request: Request) -> VersionedRoute:
    """Raises Rejection: 404 for unknown paths, 405 for known ones with another method, 400 without a known version."""
    path = request.path
    operation, name = _OPERATIONS.get(path, ""), ""
    if path == b"/v1/models":
        operation = "models"
    elif path.startswith(b"/v1/models/"):
        operation, name = "model", unquote(path[11:].decode("latin-1"))
    if not operation:
        raise Rejection(404, "Not Found")
    if request.method not in ((b"GET", b"HEAD") if operation in ("models", "model") else (b"POST",)):
        raise Rejection(405, "Method Not Allowed")
    version = request.header(VARIES)
    if version is None:
        raise Rejection(400, "anthropic-version: header is required", param="anthropic-version")
    if version not in _VERSIONS:
        text = f'anthropic-version: "{version.decode("latin-1")}" is not a valid version'
        raise Rejection(400, text, param="anthropic-version")
    return VersionedRoute(operation, name, version)


def read_key(request: Request, route: VersionedRoute) -> str:
    """`x-api-key`, or `Authorization: Bearer`; the first counts if both are there."""
    key = request.header(b"x-api-key")
    if key is not None:
        return key.decode("latin-1")
    scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""


def no_key(route: VersionedRoute) -> Rejection:
    """A 401."""
    return Rejection(401, "x-api-key header is required")


def read_body(request: Request) -> Fields:
    """The top level of a request's body. Raises Rejection."""
    return Fields.of_body(request.body)


def read_model(fields: Fields, route: VersionedRoute) -> str:
    """Raises Rejection."""
    name = fields.needed_text("model")
    if not name:
        raise Rejection(400, "model: String should have at least 1 character", param="model")
    return name


def unknown_model(name: str, route: VersionedRoute) -> Rejection:
    """A 404."""
    return Rejection(404, f"model: {name}")


def read_steering(fields: Fields) -> str:
    """In `metadata`, where the real API takes `user_id` alone."""
    metadata = fields.get("metadata")
    told = metadata.get(METADATA) if isinstance(metadata, dict) else None
    return told if isinstance(told, str) else ""


def take_order(fields: Fields, route: VersionedRoute, name: str, behaviour: Behaviour) -> Order:
    """Reads the body. Raises Rejection."""
    if behaviour.task != "chat":
        raise unknown_model(name, route)
    if route.operation == "count":
        counted = read_message(fields, route.version, behaviour, counting=True)
        return Order(b"", 0, 0, False, partial(count_reply, counted))
    asked = read_message(fields, route.version, behaviour)
    _check_window(asked, behaviour)
    spent = asked.prompt_tokens + (asked.limit or 0)
    build = partial(message_reply, asked, behaviour)
    return Order(asked.cacheable, asked.cacheable_tokens, spent, asked.stream, build, asked.needs)


def _check_window(asked: MessageRequest, behaviour: Behaviour) -> None:
    window, prompt, limit = behaviour.context_window, asked.prompt_tokens, asked.limit or 0
    if prompt > window:
        raise Rejection(400, f"prompt is too long: {prompt} tokens > {window} maximum", code="context_length_exceeded")
    if prompt + limit > window:
        text = (
            f"input length and `max_tokens` exceed context limit: {prompt} + {limit} > {window}, decrease input length "
            "or `max_tokens` and try again"
        )
        raise Rejection(400, text, code="context_length_exceeded")


def fixed_headers(name: str, route: VersionedRoute) -> list[tuple[bytes, bytes]]:
    """What is the same in every answer of a model."""
    return [(b"anthropic-organization-id", b"00000000-0000-4000-8000-000000000000")]


def call_headers(ids: random.Random, route: VersionedRoute) -> bytes:
    """The request's id."""
    return b"request-id: %b\r\n" % _request_id(ids).encode()


def _request_id(ids: random.Random) -> str:
    return f"req_011{ids.getrandbits(96):024x}"


def rate_headers(state: ModelState, behaviour: Behaviour, moment: Moment, route: VersionedRoute) -> bytes:
    """`anthropic-ratelimit-…`: requests, tokens, and tokens of either direction."""
    lines: list[str] = []
    for name, limit, remaining, left in state.allowances(behaviour, moment.monotonic):
        resets = datetime.fromtimestamp(math.ceil(moment.seconds + left), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for told in (name,) if name == "requests" else ("tokens", "input-tokens", "output-tokens"):
            lines.append(f"anthropic-ratelimit-{told}-limit: {limit}\r\n")
            lines.append(f"anthropic-ratelimit-{told}-remaining: {remaining}\r\n")
            lines.append(f"anthropic-ratelimit-{told}-reset: {resets}\r\n")
    return "".join(lines).encode()


def model_list(models: Mapping[str, Behaviour], route: VersionedRoute) -> bytes:
    """`GET /v1/models`."""
    listed = [_model_object(name, behaviour) for name, behaviour in models.items() if name != "*"]
    ends = {
        "first_id": listed[0]["id"] if listed else None,
        "last_id": listed[-1]["id"] if listed else None,
        "has_more": False,
    }
    return msgspec.json.encode({"data": listed, **ends})


def model_body(name: str, behaviour: Behaviour, route: VersionedRoute) -> bytes:
    """`GET /v1/models/{model}`."""
    return msgspec.json.encode(_model_object(name, behaviour))


def _model_object(name: str, behaviour: Behaviour) -> dict[str, Any]:
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": datetime.fromtimestamp(behaviour.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
        "max_input_tokens": behaviour.context_window,
        "max_tokens": behaviour.max_output_tokens,
    }


def refuse(rejection: Rejection, request: Request, refusal: Refusal) -> tuple[bytes, bytes]:
    """`request-id` in header and body, `retry-after` in seconds, and whether to try again."""
    request_id = _request_id(refusal.ids)
    status = rejection.status
    again = not is_final(rejection) and (status in (408, 409, 429) or status >= 500)
    fields = [
        (b"content-type", b"application/json"),
        (b"request-id", request_id.encode()),
        (b"x-should-retry", b"true" if again else b"false"),
    ]
    if again and refusal.wait is not None:
        fields.append((b"retry-after", b"%d" % math.ceil(refusal.wait)))
    return encode_headers(fields) + refusal.rates, encode_error(rejection, request_id)


def error_body(rejection: Rejection, request: Request | None) -> bytes:
    """In Anthropic's shape."""
    return encode_error(rejection, None)
