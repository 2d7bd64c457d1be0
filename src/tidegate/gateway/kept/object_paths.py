"""Which request is for what a provider keeps: files, batches of files, batches of messages."""

import re
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.dialects.dialect import Dialect
from tidegate.dialects.registry import DIALECTS
from tidegate.wire.message import Request

ObjectKind = Literal["file", "batch", "message_batch"]
Verb = Literal["create", "list", "get", "drop", "cancel", "content"]

_OPENAI: Final = re.compile(rb"(?:(?:/openai)?/v1|/openai)/(files|batches)(?:/([^/]+)(?:/(content|cancel))?)?")
_MESSAGES: Final = re.compile(rb"(?:/anthropic)?/v1/messages/batches(?:/([^/]+)(?:/(results|cancel))?)?")
_NAME: Final = re.compile(r"[0-9A-Za-z_\-.:]{1,200}")
"""What an id may look like: it goes into an upstream's path."""
_VERBS: Final[dict[tuple[bytes, bool, bytes], Verb]] = {
    (b"POST", False, b""): "create",
    (b"GET", False, b""): "list",
    (b"GET", True, b""): "get",
    (b"DELETE", True, b""): "drop",
    (b"POST", True, b"cancel"): "cancel",
    (b"GET", True, b"content"): "content",
    (b"GET", True, b"results"): "content",
}


class ObjectAsked(Struct, frozen=True):
    dialect: Dialect
    kind: ObjectKind
    verb: Verb
    name: str = ""


def read_object_path(request: Request) -> ObjectAsked | Problem | None:
    """None for paths that are none of these; a Problem (404, 405) for what such a path does not have."""
    path = request.path
    match = _MESSAGES.fullmatch(path)
    if match is not None:
        return _asked(request, DIALECTS["anthropic"], "message_batch", match[1], match[2])
    match = _OPENAI.fullmatch(path)
    if match is None or request.header(b"anthropic-version") is not None:
        return None  # Anthropic's files, at the same path, are not served
    kind: ObjectKind = "file" if match[1] == b"files" else "batch"
    return _asked(request, DIALECTS["openai"], kind, match[2], match[3])


def _asked(
    request: Request, dialect: Dialect, kind: ObjectKind, raw: bytes | None, verb: bytes | None
) -> ObjectAsked | Problem:
    name = unquote_to_bytes(raw or b"").decode(errors="replace")
    if raw is not None and _NAME.fullmatch(name) is None:
        return missing(kind, name)
    found = _VERBS.get((request.method, raw is not None, verb or b""))
    fits = {"drop": kind != "batch", "cancel": kind != "file", "content": kind != "batch"}
    if found is None or not fits.get(found, True):
        return Problem(
            status=405, code="invalid_request", message=f"This path does not take {request.method.decode('latin-1')}."
        )
    return ObjectAsked(dialect, kind, found, name)


def missing(kind: str, name: str) -> Problem:
    """404, the same whether it is not there or another's."""
    what = kind.replace("_", " ")
    return Problem(status=404, code="not_found", message=f"There is no {what} `{name[:100]}` of this key here.")
