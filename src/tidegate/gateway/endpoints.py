"""From a request's raw path to the dialect and operation that it means.

Paths are matched byte for byte: what is authorised is what is routed. Every dialect's paths are served as its clients know
them, and again under the explicit prefix that tells dialects with equal paths apart (`/anthropic/v1/…`).
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from tidegate.core.view import NO_PATH_TELLS, Operation, PathTells
from tidegate.dialects.dialect import Dialect, TakesKeyInQuery
from tidegate.dialects.gemini import Gemini
from tidegate.dialects.registry import DIALECTS
from tidegate.wire.message import Request


class Endpoint(Struct, frozen=True):
    dialect: Dialect
    operation: Operation
    tells: PathTells = NO_PATH_TELLS


def _exact() -> dict[bytes, Endpoint]:
    table: dict[bytes, Endpoint] = {}
    for dialect in DIALECTS.values():
        for path, operation in dialect.client_paths.items():
            endpoint = Endpoint(dialect, operation)
            table.setdefault(path, endpoint)  # of two dialects with one path, the other has it under its prefix
            if dialect.prefix:
                table[dialect.prefix + path] = endpoint
    return table


EXACT: Final[Mapping[bytes, Endpoint]] = _exact()
_MATCHING: Final = tuple(one for one in DIALECTS.values() if one.matches_paths)
_OPENAI: Final = DIALECTS["openai"]
_GEMINI: Final = Gemini()
_ROOTS: Final = {
    b"/api/": DIALECTS["ollama"],
    b"/v1beta/": DIALECTS["gemini"],
    b"/v1alpha/": DIALECTS["gemini"],
    b"/v1beta1/": DIALECTS["vertex"],
}
"""No other dialect has anything below them."""
_ALSO_GOOGLES: Final = (b"/v1/models", b"/passthrough/")
"""Where a key in the query tells Google's clients from others."""
_KEYS_IN_QUERY: Final = (
    *_ALSO_GOOGLES,
    *(root for root, dialect in _ROOTS.items() if isinstance(dialect, TakesKeyInQuery)),
    *(
        dialect.prefix + b"/"
        for dialect in DIALECTS.values()
        if dialect.prefix and isinstance(dialect, TakesKeyInQuery)
    ),
)
"""Elsewhere a query may go upstream as it is, whatever headers tell of its client."""


def find_endpoint(request: Request) -> Endpoint | None:
    """None for paths that no dialect serves with POST."""
    endpoint = EXACT.get(request.path)
    if endpoint is not None:
        return endpoint
    for dialect in _MATCHING:
        path = request.path.removeprefix(dialect.prefix) if dialect.prefix else request.path
        found = dialect.match_path(path, request.query)
        if found is not None:
            return Endpoint(dialect, *found)
    return None


def spoken_by(request: Request | None) -> Dialect:
    """The dialect to answer a request in that has no endpoint: by its path, then by what SDKs send along."""
    if request is None:
        return _OPENAI
    endpoint = find_endpoint(request)
    if endpoint is not None:
        return endpoint.dialect
    for dialect in DIALECTS.values():
        if (dialect.prefix and request.path.startswith(dialect.prefix + b"/")) or any(
            request.header(name) is not None for name in dialect.telling_headers
        ):
            return dialect
    for root, dialect in _ROOTS.items():
        if request.path.startswith(root):
            return dialect
    queried = request.path.startswith(_ALSO_GOOGLES) and _GEMINI.key_in_query(request.query)
    return _GEMINI if queried else _OPENAI


def queried_key(request: Request, endpoint: Endpoint | None) -> bytes:
    """SHA-256 of the key in a request's query, where clients of its dialect may put it; else b""."""
    if endpoint is not None:
        return endpoint.tells.key_digest
    if not request.query or not request.path.startswith(_KEYS_IN_QUERY):
        return b""
    dialect = spoken_by(request)
    return dialect.key_in_query(request.query) if isinstance(dialect, TakesKeyInQuery) else b""
