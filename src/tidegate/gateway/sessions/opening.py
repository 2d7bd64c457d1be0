"""What a request must say to open a session: its path, its handshake, and who asks."""

from hashlib import sha256
from typing import Final
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.wire.message import Request
from tidegate.wire.websocket import is_key

REALTIME_PATHS: Final = frozenset((b"/v1/realtime", b"/openai/v1/realtime", b"/openai/realtime"))
_KEY_PROTOCOL: Final = "openai-insecure-api-key."
_PREVIEW_PROTOCOL: Final = "openai-beta.realtime-v1"
_NAMES: Final = frozenset((b"model", b"deployment", b"api-version"))


class Opening(Struct, frozen=True):
    model: str
    websocket_key: bytes
    protocol: str
    """The subprotocol that is agreed to; "" where the client offered none that is known."""
    preview: bool
    """The client speaks the API's preview."""
    key: bytes
    """SHA-256 of the caller's key."""


def key_in_protocols(request: Request) -> bytes:
    """SHA-256 of a key among the offered subprotocols, where browsers put it for want of headers; b"" for none."""
    for protocol in _protocols(request):
        if protocol.startswith(_KEY_PROTOCOL) and len(protocol) > len(_KEY_PROTOCOL):
            return sha256(protocol.removeprefix(_KEY_PROTOCOL).encode()).digest()
    return b""


def read_opening(request: Request, key: bytes) -> Opening | Problem:
    """RFC 6455 §4.2.1, then the query. `key`: SHA-256 of the caller's key."""
    if _tokens(request, b"upgrade").isdisjoint(("websocket",)) or "upgrade" not in _tokens(request, b"connection"):
        return _problem(426, "This path is a WebSocket: connect with a client that speaks it.")
    if request.header(b"sec-websocket-version") != b"13":
        return _problem(426, "The only version of WebSocket served is 13.")
    keys = [value for name, value in request.headers if name == b"sec-websocket-key"]
    if request.version != "1.1" or request.body or len(keys) != 1 or not is_key(keys[0]):
        return _problem(400, "This is not the opening handshake of a WebSocket (RFC 6455, section 4.1).")
    query = _query(request.query)
    if isinstance(query, Problem):
        return query
    model = query.get(b"model") or query.get(b"deployment") or ""
    if not model:
        return _problem(400, "`model` is missing: name it in the query, as in `?model=gpt-realtime`.", "model")
    protocols = _protocols(request)
    beta = request.header(b"openai-beta") or b""
    return Opening(
        model,
        keys[0],
        "realtime" if "realtime" in protocols else "",
        _PREVIEW_PROTOCOL in protocols or b"realtime=v1" in beta,
        key,
    )


def _query(raw: bytes) -> dict[bytes, str] | Problem:
    found: dict[bytes, str] = {}
    for pair in filter(None, raw.split(b"&")):
        name, _, value = pair.partition(b"=")
        if name not in _NAMES or name in found:
            told = name[:40].decode("latin-1")
            message = f"`{told}` is not served here, or is there twice: a session is opened by `model` alone."
            return _problem(400, message, told, code="unsupported_field")
        found[name] = unquote_to_bytes(value.replace(b"+", b" ")).decode(errors="replace")
    return found


def _protocols(request: Request) -> list[str]:
    offered = [value for name, value in request.headers if name == b"sec-websocket-protocol"]
    return [one.strip(" \t") for value in offered for one in value.decode("latin-1").split(",")]


def _tokens(request: Request, field: bytes) -> set[str]:
    values = [value for name, value in request.headers if name == field]
    return {one.strip(" \t").lower() for value in values for one in value.decode("latin-1").split(",")}


def _problem(status: int, message: str, field: str | None = None, code: str = "invalid_request") -> Problem:
    return Problem(status=status, code=code, message=message, field=field)
