"""Which request is for what a provider keeps: files, batches of files, batches of messages."""

import re
from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.dialects.dialect import Dialect
from tidegate.dialects.registry import DIALECTS
from tidegate.wire.message import Request

ObjectKind = Literal["file", "message_file", "batch", "message_batch"]
Verb = Literal["create", "list", "get", "drop", "cancel", "content"]

_OPENAI: Final = re.compile(rb"(?:(?:/openai)?/v1|/openai)/(files|batches)(?:/([^/]+)(?:/(content|cancel))?)?")
_ANTHROPIC: Final = re.compile(rb"(/anthropic)?/v1/(files|messages/batches)(?:/([^/]+)(?:/(content|results|cancel))?)?")
_NAME: Final = re.compile(r"[0-9A-Za-z_\-.:]{1,200}")
"""What an id may look like: it goes into an upstream's path."""
_VERSION: Final = b"anthropic-version"
"""Every client of Anthropic's sends it: it tells `/v1/files` from OpenAI's."""
_VERBS: Final[Mapping[tuple[bytes, bool, bytes], Verb]] = {
    (b"POST", False, b""): "create",
    (b"GET", False, b""): "list",
    (b"GET", True, b""): "get",
    (b"DELETE", True, b""): "drop",
    (b"POST", True, b"cancel"): "cancel",
    (b"GET", True, b"content"): "content",
    (b"GET", True, b"results"): "content",
}
_LACKING: Final[Mapping[ObjectKind, frozenset[tuple[Verb, bytes]]]] = {
    "file": frozenset({("cancel", b"cancel")}),
    "message_file": frozenset({("cancel", b"cancel"), ("content", b"results")}),
    "batch": frozenset({("drop", b""), ("content", b"content")}),
    "message_batch": frozenset({("content", b"content")}),
}
"""Of each kind what its path does not take: a verb and the path's end."""
_NOUNS: Final[Mapping[str, str]] = {"message_file": "file", "message_batch": "message batch"}


class ObjectAsked(Struct, frozen=True):
    dialect: Dialect
    kind: ObjectKind
    verb: Verb
    name: str = ""

    @property
    def noun(self) -> str:
        return noun_of(self.kind)


def read_object_path(request: Request) -> ObjectAsked | Problem | None:
    """None for paths that are none of these; a Problem (404, 405) for what such a path does not have."""
    path = request.path
    versioned = request.header(_VERSION) is not None
    match = _ANTHROPIC.fullmatch(path)
    if match is not None and (match[1] or versioned or match[2] != b"files"):
        kind: ObjectKind = "message_file" if match[2] == b"files" else "message_batch"
        return _asked(request, DIALECTS["anthropic"], kind, match[3], match[4])
    match = _OPENAI.fullmatch(path)
    if match is None or versioned:
        return None
    return _asked(request, DIALECTS["openai"], "file" if match[1] == b"files" else "batch", match[2], match[3])


def _asked(
    request: Request, dialect: Dialect, kind: ObjectKind, raw: bytes | None, end: bytes | None
) -> ObjectAsked | Problem:
    name = unquote_to_bytes(raw or b"").decode(errors="replace")
    if raw is not None and _NAME.fullmatch(name) is None:
        return missing(kind, name)
    found = _VERBS.get((request.method, raw is not None, end or b""))
    if found is None or (found, end or b"") in _LACKING[kind]:
        return Problem(
            status=405, code="invalid_request", message=f"This path does not take {request.method.decode('latin-1')}."
        )
    return ObjectAsked(dialect, kind, found, name)


def noun_of(kind: str) -> str:
    """What people call it."""
    return _NOUNS.get(kind, kind)


def missing(kind: str, name: str) -> Problem:
    """404, the same whether it is not there or another's."""
    return Problem(
        status=404, code="not_found", message=f"There is no {noun_of(kind)} `{name[:100]}` of this key here."
    )
