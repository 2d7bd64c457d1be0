"""Which request is which operation of Bedrock's runtime API, and what its answer is made of."""

import random
import re
from collections.abc import Mapping
from functools import partial
from typing import Final
from urllib.parse import unquote

from tidegate.simulator.anthropic.message import message_reply
from tidegate.simulator.anthropic.message_request import MessageRequest
from tidegate.simulator.bedrock.access import key_of
from tidegate.simulator.bedrock.converse import converse_reply
from tidegate.simulator.bedrock.converse_request import read_converse
from tidegate.simulator.bedrock.embeddings import take_embedding
from tidegate.simulator.bedrock.fields import Fields, invalid
from tidegate.simulator.bedrock.images import take_images
from tidegate.simulator.bedrock.invoke import (
    Framed,
    count_headers,
    count_reply,
    counted_body,
    read_claude,
    window_exceeded,
)
from tidegate.simulator.bedrock.rejection import encode_error, error_name
from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.model_state import ModelState
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.setting import Setting
from tidegate.simulator.steering import METADATA
from tidegate.simulator.surface import Moment, Order, Refusal, Route
from tidegate.simulator.template import Mould
from tidegate.wire.message import Request, encode_headers

PATHS: Final[frozenset[bytes]] = frozenset()
VARIES: Final = None
_PATH: Final = re.compile(rb"/model/([^/]+)/(converse|converse-stream|invoke|invoke-with-response-stream|count-tokens)")
_STREAMS: Final = ("converse-stream", "invoke-with-response-stream")


def claims(request: Request) -> bool:
    """Everything below `/model/`."""
    return request.path.startswith(b"/model/")


def find_route(request: Request) -> Route:
    """Raises Rejection: 404 for unknown paths, 405 for known ones with another method."""
    match = _PATH.fullmatch(request.path)
    if match is None:
        raise Rejection(404, "Unknown operation.", kind="UnknownOperationException")
    if request.method != b"POST":
        raise Rejection(405, "Method not allowed.", kind="UnknownOperationException")
    return Route(match[2].decode(), unquote(match[1].decode("latin-1")))


def read_key(request: Request, route: Route) -> str:
    """A bearer token, or the id of the access key that signed. Raises Rejection."""
    return key_of(request)


def no_key(route: Route) -> Rejection:
    """A 403."""
    return Rejection(403, "Missing Authentication Token", kind="MissingAuthenticationTokenException")


def read_body(request: Request) -> Fields:
    """The top level of a request's body. Raises Rejection."""
    return Fields.of_body(request.body)


def read_model(fields: Fields, route: Route) -> str:
    """It is in the path."""
    return route.name


def unknown_model(name: str, route: Route) -> Rejection:
    """A 400, as Bedrock has it."""
    return invalid("The provided model identifier is invalid.")


def read_steering(fields: Fields) -> str:
    """In `requestMetadata`, which Converse alone has."""
    metadata = fields.get("requestMetadata")
    told = metadata.get(METADATA) if isinstance(metadata, dict) else None
    return told if isinstance(told, str) else ""


def take_order(fields: Fields, route: Route, name: str, behaviour: Behaviour) -> Order:
    """Reads the body. Raises Rejection."""
    stream = route.operation in _STREAMS
    if route.operation == "count-tokens":
        return Order(b"", 0, 0, False, partial(count_reply, _counted(fields, behaviour)))
    if behaviour.task == "embedding" and route.operation == "invoke":
        return take_embedding(fields, name, behaviour)
    if behaviour.task == "image" and route.operation == "invoke":
        return take_images(fields, name, behaviour)
    if behaviour.task != "chat":
        raise invalid("The requested operation is not recognized by the service for this model.")
    if route.operation.startswith("converse"):
        asked = read_converse(fields, stream, behaviour)
        cacheable, cacheable_tokens, build = (
            asked.prompt,
            asked.prompt_tokens,
            partial(converse_reply, asked, behaviour),
        )
    else:
        asked = read_claude(fields, stream, behaviour)
        cacheable, cacheable_tokens, build = (
            asked.cacheable,
            asked.cacheable_tokens,
            partial(_invoked, asked, behaviour),
        )
    exceeded = window_exceeded(asked.prompt_tokens, behaviour)
    if exceeded is not None:
        raise exceeded
    return Order(cacheable, cacheable_tokens, asked.prompt_tokens + (asked.limit or 0), stream, build)


def _invoked(asked: MessageRequest, behaviour: Behaviour, setting: Setting) -> Mould | Framed:
    mould = message_reply(asked, behaviour, setting)
    if asked.stream:
        return Framed(mould, usage=setting.usage)
    if setting.usage:
        mould.headers = count_headers(mould.prompt_tokens, mould.completion_tokens)
    return mould


def _counted(fields: Fields, behaviour: Behaviour) -> int:
    asked = fields.needed_inner("input")
    invoked, converse = asked.inner("invokeModel"), asked.inner("converse")
    if invoked is not None:
        return read_claude(counted_body(invoked), False, behaviour, counting=True).prompt_tokens
    if converse is None:
        raise invalid("input: one of invokeModel and converse must be set")
    return read_converse(converse, False, behaviour, counting=True).prompt_tokens


def fixed_headers(name: str, route: Route) -> list[tuple[bytes, bytes]]:
    """What is the same in every answer of a model."""
    stream = route.operation == "invoke-with-response-stream"
    return [(b"x-amzn-bedrock-content-type", b"application/json")] if stream else []


def call_headers(ids: random.Random, route: Route) -> bytes:
    """The request's id."""
    return b"x-amzn-requestid: %b\r\n" % _request_id(ids).encode()


def _request_id(ids: random.Random) -> str:
    digits = f"{ids.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def rate_headers(state: ModelState, behaviour: Behaviour, moment: Moment, route: Route) -> bytes:
    """There are none."""
    return b""


def model_list(models: Mapping[str, Behaviour], route: Route) -> bytes:
    """The runtime lists none: no route leads here."""
    return b"{}"


def model_body(name: str, behaviour: Behaviour, route: Route) -> bytes:
    """As `model_list`."""
    return b"{}"


def refuse(rejection: Rejection, request: Request, refusal: Refusal) -> tuple[bytes, bytes]:
    """The exception's name is in a header."""
    headers = [
        (b"content-type", b"application/json"),
        (b"x-amzn-requestid", _request_id(refusal.ids).encode()),
        (b"x-amzn-errortype", error_name(rejection).encode() + b":http://internal.amazon.com/coral/"),
    ]
    return encode_headers(headers), encode_error(rejection)


def error_body(rejection: Rejection, request: Request | None) -> bytes:
    """In Bedrock's shape."""
    return encode_error(rejection)
