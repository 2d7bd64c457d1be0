"""Reads the content blocks of messages: what each may hold, and who may say it."""

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import Final

from tidegate.simulator.anthropic.fields import Fields
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.signatures import is_ours

DIALECT: Final = "anthropic"
STRICT_VERSION: Final = b"2026-10-21"
ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
REDACTED: Final = "\0redacted"
"""What the data of a redacted thought is signed for."""
_IMAGES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
_USER_ONLY: Final = frozenset({"image", "tool_result", "search_result", "container_upload"})
_ASSISTANT_ONLY: Final = frozenset({"tool_use", "thinking", "redacted_thinking", "server_tool_use"})
_IMAGE_TOKENS: Final = 1500
_DOCUMENT_TOKENS: Final = 2000


class Piece:
    """One block as the rest of the simulator needs it."""

    __slots__ = ("extra_tokens", "fields", "file", "kind", "marked", "text")

    def __init__(self, fields: Fields, kind: str, text: str, extra_tokens: int = 0) -> None:
        self.fields = fields
        self.kind = kind
        self.text = text
        self.extra_tokens = extra_tokens
        self.marked = read_marker(fields)
        self.file = ""
        """The file that it is of."""


def read_marker(fields: Fields) -> str:
    """`cache_control`'s ttl; "" without one."""
    marker = fields.inner("cache_control")
    if marker is None:
        return ""
    marker.only(frozenset({"type", "ttl"}))
    if marker.needed_text("type") != "ephemeral":
        raise marker.wrong_value(marker.path("type"), marker.get("type"), ("ephemeral",))
    return marker.choice("ttl", ("5m", "1h"), "5m") or "5m"


def read_block(block: Fields, role: str, version: bytes) -> Piece:
    """Raises Rejection."""
    kind = block.needed_text("type")
    reader = _READERS.get(kind)
    if reader is None and not kind.endswith("_tool_result") and kind not in ("server_tool_use", "container_upload"):
        text = f"{block.at}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
        raise Rejection(400, text, param=block.at)
    if (kind in _ASSISTANT_ONLY and role != "assistant") or (kind in _USER_ONLY and role != "user"):
        where = "assistant" if kind in _ASSISTANT_ONLY else "user"
        raise Rejection(400, f"{block.at}: `{kind}` blocks can only be in `{where}` messages", param=block.at)
    if version == STRICT_VERSION:
        _check_strict_version(block, kind, role)
    if reader is None:
        piece = Piece(block, kind, json.dumps(block.values))
        piece.file = block.needed_text("file_id") if kind == "container_upload" else ""
        return piece
    return reader(block)


def read_texts(owner: Fields, name: str, what: str) -> list[Piece]:
    """A string, or text blocks: of `system`."""
    if isinstance(owner.get(name), str):
        content = owner.get(name)
        return [Piece(Fields({"type": "text", "text": content}, owner.path(name)), "text", content)] if content else []
    pieces: list[Piece] = []
    for block in owner.each(name):
        if block.needed_text("type") != "text":
            raise block.wrong_value(block.path("type"), block.get("type"), ("text",))
        pieces.append(_read_text(block, what))
    return pieces


def _check_strict_version(block: Fields, kind: str, role: str) -> None:
    if kind == "document" and role == "assistant":
        raise Rejection(400, f"{block.at}: `document` blocks are not permitted in `assistant` messages")
    if kind == "text" and role == "user" and block.get("citations"):
        raise Rejection(
            400, f"{block.path('citations')}: citations are not permitted on text blocks of `user` messages"
        )


def _read_text(block: Fields, what: str = "messages") -> Piece:
    block.only(frozenset({"type", "text", "citations", "cache_control"}))
    text = block.needed_text("text")
    if not text:
        raise Rejection(400, f"{what}: text content blocks must be non-empty", param=block.at)
    if not text.strip():
        raise Rejection(400, f"{what}: text content blocks must contain non-whitespace text", param=block.at)
    return Piece(block, "text", text)


def _read_image(block: Fields) -> Piece:
    block.only(frozenset({"type", "source", "cache_control", "transformations"}))
    source = block.needed_inner("source")
    kind = source.choice("type", ("base64", "url", "file"))
    if kind == "base64":
        source.choice("media_type", _IMAGES)
        _check_base64(source)
        return Piece(block, "image", f"image {source.needed_text('data')}", _IMAGE_TOKENS)
    if kind == "file":
        return _of_file(block, source, "image", _IMAGE_TOKENS)
    found = source.needed_text("url")
    if not found.startswith(("https://", "http://")):
        raise Rejection(400, f"{source.path('url')}: Only HTTPS URLs are supported.", param=source.path("url"))
    return Piece(block, "image", f"image {found}", _IMAGE_TOKENS)


def _of_file(block: Fields, source: Fields, kind: str, tokens: int) -> Piece:
    piece = Piece(block, kind, f"{kind} {source.needed_text('file_id')}", tokens)
    piece.file = source.needed_text("file_id")
    return piece


def _check_base64(source: Fields) -> None:
    source.needed_text("media_type")
    try:
        base64.b64decode(source.needed_text("data"), validate=True)
    except (binascii.Error, ValueError) as error:
        text = f"{source.path('data')}: Input should be valid base64"
        raise Rejection(400, text, param=source.path("data")) from error


def _read_document(block: Fields) -> Piece:
    block.only(frozenset({"type", "source", "title", "context", "citations", "cache_control"}))
    source = block.needed_inner("source")
    kind = source.needed_text("type")
    if kind == "base64":
        source.choice("media_type", ("application/pdf",))
        _check_base64(source)
    elif kind == "text":
        source.choice("media_type", ("text/plain",))
        source.needed_text("data")
    elif kind == "file":
        return _of_file(block, source, "document", _DOCUMENT_TOKENS)
    elif kind not in ("url", "content"):
        raise source.wrong_value(source.path("type"), kind, ("base64", "text", "url", "content", "file"))
    return Piece(block, "document", json.dumps(source.values), _DOCUMENT_TOKENS)


def _read_search_result(block: Fields) -> Piece:
    block.needed_text("source")
    block.needed_text("title")
    return Piece(block, "search_result", json.dumps(block.values))


def _read_thinking(block: Fields) -> Piece:
    block.only(frozenset({"type", "thinking", "signature"}))
    text, signature = block.needed_text("thinking"), block.needed_text("signature")
    if not is_ours(DIALECT, signature, text):
        where = block.at
        raise Rejection(400, f"{where}: Invalid `signature` in `thinking` block", param=where)
    return Piece(block, "thinking", "")


def _read_redacted(block: Fields) -> Piece:
    block.only(frozenset({"type", "data"}))
    if not is_ours(DIALECT, block.needed_text("data"), REDACTED):
        raise Rejection(400, f"{block.at}: Invalid `data` in `redacted_thinking` block", param=block.at)
    return Piece(block, "redacted_thinking", "")


def _read_tool_use(block: Fields) -> Piece:
    block.only(frozenset({"type", "id", "name", "input", "cache_control", "caller", "toolset_name"}))
    _check_id(block, "id")
    name = block.needed_text("name")
    if not isinstance(block.get("input"), dict):
        raise Rejection(400, f"{block.path('input')}: Input should be a valid dictionary", param=block.path("input"))
    return Piece(block, "tool_use", name + json.dumps(block.get("input")))


def _read_tool_result(block: Fields) -> Piece:
    block.only(frozenset({"type", "tool_use_id", "content", "is_error", "cache_control", "toolset_name"}))
    _check_id(block, "tool_use_id")
    block.flag("is_error")
    content = block.get("content")
    if content is None or isinstance(content, str):
        return Piece(block, "tool_result", content or "")
    pieces: list[Piece] = []
    for part in block.each("content"):
        kind = part.needed_text("type")
        reader = _IN_RESULTS.get(kind)
        if reader is None:
            raise part.wrong_value(part.path("type"), kind, tuple(_IN_RESULTS))
        pieces.append(reader(part))
    text = " ".join(piece.text for piece in pieces)
    return Piece(block, "tool_result", text, sum(piece.extra_tokens for piece in pieces))


def _check_id(block: Fields, name: str) -> None:
    if ID.fullmatch(block.needed_text(name)) is None:
        at = f"{block.at}.{block.get('type')}.{name}"
        raise Rejection(400, f"{at}: String should match pattern '^[a-zA-Z0-9_-]+$'", param=at)


_IN_RESULTS: Final[dict[str, Callable[[Fields], Piece]]] = {
    "text": _read_text,
    "image": _read_image,
    "document": _read_document,
    "search_result": _read_search_result,
}
_READERS: Final[dict[str, Callable[[Fields], Piece]]] = {
    **_IN_RESULTS,
    "thinking": _read_thinking,
    "redacted_thinking": _read_redacted,
    "tool_use": _read_tool_use,
    "tool_result": _read_tool_result,
}
