"""Gemini's client paths: the model, the verb and the form of the stream are in the URL.

`/v1/models/{m}:predict` and the like belong to other APIs: only the verbs below are matched.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from tidegate.core.view import Operation, PathTells
from tidegate.dialects.gemini.frames import ARRAY

SINGLE: Final = "single"
"""The form of `embedContent`: one text, one vector, where `batchEmbedContents` has lists of them."""
_PATH: Final = re.compile(rb"/v1(?:alpha|beta|beta1)?/(.+):([A-Za-z]+)")
_VERBS: Final[Mapping[bytes, Operation]] = {
    b"generateContent": "chat",
    b"streamGenerateContent": "chat",
    b"embedContent": "embedding",
    b"batchEmbedContents": "embedding",
    b"countTokens": "token_count",
}
_UPSTREAM_VERBS: Final[Mapping[Operation, str]] = {"embedding": "batchEmbedContents", "token_count": "countTokens"}
_RESOURCE: Final = re.compile(r"(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/([^/]+)/)?models/(.+)", re.DOTALL)
_VERSION: Final = re.compile(r"/v\d[^/]*(?:/|$)")
_WHOLE_NAMES: Final = ("models/", "tunedModels/", "publishers/", "projects/")


def match_path(path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
    match = _PATH.fullmatch(path)
    operation = None if match is None else _VERBS.get(match[2])
    if match is None or operation is None:
        return None
    if operation == "embedding" and b"publishers/" in match[1]:
        return None  # Vertex AI's, whose embeddings have other shapes
    model = _model(unquote_to_bytes(match[1]).decode(errors="replace"))
    if model is None:
        return None
    asked = _query(query)
    stream = match[2] == b"streamGenerateContent"
    form = SINGLE if match[2] == b"embedContent" else ""
    if stream and asked.get(b"alt") != b"sse":
        form = ARRAY
    return operation, PathTells(model=model, stream=stream, form=form, key_digest=key_in_query(query))


def key_in_query(query: bytes) -> bytes:
    """The SHA-256 of the key that Google's clients may put there; b"" where there is none."""
    key = _query(query).get(b"key")
    return sha256(key).digest() if key else b""


def upstream_path(base_path: str, model: str, operation: Operation, *, stream: bool) -> str:
    verb = "streamGenerateContent?alt=sse" if stream else _UPSTREAM_VERBS.get(operation, "generateContent")
    return model_path(base_path, model, verb)


def model_path(base_path: str, model: str, verb: str) -> str:
    """A base URL that names no version means the one that has every feature."""
    if _VERSION.search(base_path) is None:
        base_path += "/v1beta"
    return f"{base_path}/{quote(resource(model), safe='/:@')}:{verb}"


def resource(model: str) -> str:
    """A model's full name, as Google's resources are named."""
    return model if model.startswith(_WHOLE_NAMES) else "models/" + model


def _model(name: str) -> str | None:
    """What is before the model's own name is taken off, however often a client put it there.

    The publisher of another's model stays: Google's SDK makes `publishers/org/models/name` of `org/name`.
    """
    if name.startswith("tunedModels/"):
        return name
    found = None
    while (match := _RESOURCE.fullmatch(name)) is not None:
        publisher = match[1]
        name = found = match[2]
        if publisher not in (None, "google"):
            return f"{publisher}/{name}"
    return found


def _query(query: bytes) -> dict[bytes, bytes]:
    """Of a name that is there twice the first counts."""
    asked: dict[bytes, bytes] = {}
    for pair in query.split(b"&"):
        name, _, value = pair.partition(b"=")
        asked.setdefault(name, unquote_to_bytes(value))
    return asked
