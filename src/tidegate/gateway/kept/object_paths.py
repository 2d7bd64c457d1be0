"""Which request is for what a provider keeps, and what may be asked of each kind.

Source: the resources `files`, `uploads`, `batches`, `conversations`, `vector_stores` and `containers` of OpenAI's SDK,
`files` and `messages.batches` of Anthropic's.
"""

import re
from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.dialects.dialect import Dialect
from tidegate.dialects.registry import DIALECTS
from tidegate.wire.message import Request

ObjectKind = Literal[
    "file", "message_file", "batch", "message_batch", "upload", "conversation", "vector_store", "container"
]
Verb = Literal["create", "list", "get", "change", "drop", "cancel", "content", "complete", "below"]
"""below: what is under an object's own path, and goes where the object is without being looked at."""

_VERSION: Final = b"anthropic-version"
"""Every client of Anthropic's sends it: it tells `/v1/files` from OpenAI's."""
_OPENAI: Final = re.compile(rb"(?:(?:/openai)?/v1|/openai)/([a-z_]+)(/.+)?")
_ANTHROPIC: Final = re.compile(rb"(/anthropic)?/v1/(files|messages/batches)(/.+)?")
_NAME: Final = re.compile(r"(?=.*[^.])[0-9A-Za-z_\-.:]{1,200}")
"""What an id may look like: it goes into an upstream's path."""

PATHS: Final[Mapping[ObjectKind, str]] = {
    "file": "/files",
    "message_file": "/files",
    "batch": "/batches",
    "message_batch": "/messages/batches",
    "upload": "/uploads",
    "conversation": "/conversations",
    "vector_store": "/vector_stores",
    "container": "/containers",
}
_OPENAI_KINDS: Final[Mapping[bytes, ObjectKind]] = {
    path[1:].encode(): kind for kind, path in PATHS.items() if not kind.startswith("message_")
}
_MAKES: Final = ("POST", "", "create")
_LISTS: Final = ("GET", "", "list")
_GETS: Final = ("GET", "/*", "get")
_CHANGES: Final = ("POST", "/*", "change")
_DROPS: Final = ("DELETE", "/*", "drop")
_TAKES: Final[Mapping[ObjectKind, tuple[tuple[str, str, Verb], ...]]] = {
    "file": (_MAKES, _LISTS, _GETS, _DROPS, ("GET", "/*/content", "content")),
    "message_file": (_MAKES, _LISTS, _GETS, _DROPS, ("GET", "/*/content", "content")),
    "batch": (_MAKES, _LISTS, _GETS, ("POST", "/*/cancel", "cancel")),
    "message_batch": (
        *(_MAKES, _LISTS, _GETS, _DROPS),
        ("POST", "/*/cancel", "cancel"),
        ("GET", "/*/results", "content"),
    ),
    "upload": (
        _MAKES,
        ("POST", "/*/parts", "below"),
        ("POST", "/*/complete", "complete"),
        ("POST", "/*/cancel", "cancel"),
    ),
    "conversation": (
        *(_MAKES, _GETS, _CHANGES, _DROPS),
        *((method, "/*/items", "below") for method in ("GET", "POST")),
        *((method, "/*/items/*", "below") for method in ("GET", "DELETE")),
    ),
    "vector_store": (
        *(_MAKES, _LISTS, _GETS, _CHANGES, _DROPS),
        ("POST", "/*/search", "below"),
        *((method, "/*/files", "below") for method in ("GET", "POST")),
        *((method, "/*/files/*", "below") for method in ("GET", "POST", "DELETE")),
        ("GET", "/*/files/*/content", "below"),
        ("POST", "/*/file_batches", "below"),
        ("GET", "/*/file_batches/*", "below"),
        ("POST", "/*/file_batches/*/cancel", "below"),
        ("GET", "/*/file_batches/*/files", "below"),
    ),
    "container": (
        *(_MAKES, _LISTS, _GETS, _DROPS),
        *((method, "/*/files", "below") for method in ("GET", "POST")),
        *((method, "/*/files/*", "below") for method in ("GET", "DELETE")),
        ("GET", "/*/files/*/content", "below"),
    ),
}
"""(method, what follows the kind's own path, what that asks for); `*` is any name."""


class ObjectAsked(Struct, frozen=True):
    dialect: Dialect
    kind: ObjectKind
    verb: Verb
    name: str = ""
    below: str = ""
    """What follows the object's own path: `/items/msg_1`."""

    @property
    def noun(self) -> str:
        return noun_of(self.kind)

    @property
    def path(self) -> str:
        """At the provider, as `dialects/keeping.py` takes it."""
        return PATHS[self.kind] + (f"/{self.name}" if self.name else "") + self.below


def read_object_path(request: Request) -> ObjectAsked | Problem | None:
    """None for paths that are none of these; a Problem (404, 405) for what such a path does not have."""
    path = request.path
    versioned = request.header(_VERSION) is not None
    match = _ANTHROPIC.fullmatch(path)
    if match is not None and (match[1] or versioned or match[2] != b"files"):
        kind: ObjectKind = "message_file" if match[2] == b"files" else "message_batch"
        return _asked(request, DIALECTS["anthropic"], kind, match[3])
    match = _OPENAI.fullmatch(path)
    if match is None or versioned or match[1] not in _OPENAI_KINDS:
        return None
    return _asked(request, DIALECTS["openai"], _OPENAI_KINDS[match[1]], match[2])


def _asked(request: Request, dialect: Dialect, kind: ObjectKind, raw: bytes | None) -> ObjectAsked | Problem | None:
    names = [unquote_to_bytes(one).decode(errors="replace") for one in (raw or b"").split(b"/")[1:]]
    wrong = next((name for name in names if _NAME.fullmatch(name) is None), None)
    if wrong is not None:
        return missing(kind, wrong)
    found: dict[str, Verb] = {method: verb for method, pattern, verb in _TAKES[kind] if _fits(pattern, names)}
    if not found:
        return None
    method = request.method.decode("latin-1")
    verb = found.get(method)
    if verb is None:
        return Problem(status=405, code="invalid_request", message=f"This path does not take {method}.")
    below = "".join(f"/{name}" for name in names[1:])
    return ObjectAsked(dialect, kind, verb, names[0] if names else "", below)


def _fits(pattern: str, names: list[str]) -> bool:
    parts = pattern.split("/")[1:]
    return len(parts) == len(names) and all(part in ("*", name) for part, name in zip(parts, names, strict=True))


def noun_of(kind: str) -> str:
    """What people call it."""
    return "file" if kind == "message_file" else kind.replace("_", " ")


def missing(kind: str, name: str) -> Problem:
    """404, the same whether it is not there or another's."""
    return Problem(
        status=404, code="not_found", message=f"There is no {noun_of(kind)} `{name[:100]}` of this key here."
    )
