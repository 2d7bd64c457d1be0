"""Anthropic's `/v1/files`. Source: `anthropic.types.beta` of the official SDK.

What was uploaded can be downloaded here; at Anthropic that is so of what its own tools have made.
"""

import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from tidegate.simulator.kept import Kept, KeptFile
from tidegate.simulator.rejection import Rejection
from tidegate.wire.message import Request
from tidegate.wire.multipart import Form, MultipartError, read_form

PATH: Final = re.compile(rb"/v1/files(?:/([^/]+)(/content)?)?")
PREFIX: Final = "file_"
_SPANS: Final = range(3_600, 7_776_001)

Told = tuple[bytes, bytes]


def serves(request: Request) -> bool:
    """The path is OpenAI's too: the header tells."""
    return PATH.fullmatch(request.path) is not None and request.header(b"anthropic-version") is not None


def answer(kept: Kept, request: Request, key: str) -> Told:
    """(content type, body). Raises Rejection."""
    asked = PATH.fullmatch(request.path)
    assert asked is not None  # noqa: S101 - the caller has matched it
    name = (asked[1] or b"").decode("latin-1")
    match request.method, asked[2] or b"", bool(name):
        case b"POST", b"", False:
            return _json(_object(_upload(kept, request, key)))
        case b"GET", b"", False:
            found = [_object(one) for one in reversed(kept.files(key, PREFIX))]
            return _json({"data": found, "next_page": None})
        case b"GET", b"", True:
            return _json(_object(kept.file(key, name)))
        case b"GET", b"/content", True:
            return b"application/binary", kept.file(key, name).content
        case b"DELETE", b"", True:
            kept.drop_file(key, name)
            return _json({"id": name, "type": "file_deleted"})
    raise Rejection(405, "Method Not Allowed")


def _upload(kept: Kept, request: Request, key: str) -> KeptFile:
    try:
        form = read_form(request.header(b"content-type") or b"", request.body)
    except MultipartError as error:
        raise Rejection(400, f"body: {error}") from error
    parts = form.named("file")
    if len(parts) != 1:
        raise Rejection(400, "file: Field required")
    (part,) = parts
    file = kept.add_file(key, part.media_type, part.filename or "unnamed", form.value(part), PREFIX)
    file.expires = _expiry(form, file.created)
    return file


def _expiry(form: Form, created: int) -> int:
    parts = form.named("expires_in_seconds")
    if not parts:
        return 0
    text = form.value(parts[0])
    if not text.isdigit() or int(text) not in _SPANS:
        raise Rejection(400, f"expires_in_seconds: Input should be from {_SPANS[0]} to {_SPANS[-1]}")
    return created + int(text)


def _object(file: KeptFile) -> dict[str, Any]:
    return {
        "type": "file",
        "id": file.id,
        "filename": file.name,
        "mime_type": file.purpose or "application/octet-stream",
        "size_bytes": len(file.content),
        "created_at": _date(file.created),
        "expires_at": _date(file.expires) if file.expires else None,
        "downloadable": True,
    }


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(told: dict[str, Any]) -> Told:
    return b"application/json", msgspec.json.encode(told)
