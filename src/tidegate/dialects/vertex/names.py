"""Vertex AI's resource names and paths: `/{version}/projects/{p}/locations/{l}/publishers/{publisher}/models/{m}:{verb}`.

A provider's base path is what its base URL has, then `/projects/{p}/locations/{l}`; without a project (express mode, with an
API key) there is no more than the publisher's part.

Source: `_api_client` and `t_model` of the official `google-genai` SDK, `lib/vertex` of the official `anthropic` SDK.
"""

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

_WHOLE: Final = ("projects/", "publishers/", "endpoints/", "tunedModels/")
_VERSION: Final = re.compile(r"/v\d[^/]*$")
_RESOURCE: Final = re.compile(rb"(?:projects/[^/]+/locations/[^/]+/)?publishers/([^/]+)/models/(.+)", re.DOTALL)


def endpoint(base_path: str, version: str, model: str, verb: str) -> str:
    """`version`: for base URLs that name none."""
    prefix, project, place = base_path.partition("/projects/")
    if _VERSION.search(prefix) is None:
        prefix += "/" + version
    name = resource(model)
    where = name if name.startswith("projects/") else f"{project.lstrip('/')}{place}/{name}".lstrip("/")
    return f"{prefix}/{quote(where, safe='/:@')}:{verb}"


def resource(model: str) -> str:
    """A model's name below its project and location; tuned models and endpoints are written as they are."""
    if model.startswith(_WHOLE):
        return model
    publisher, slash, name = model.removeprefix("models/").rpartition("/")
    if not slash:
        publisher = "anthropic" if name.lower().startswith("claude") else "google"
    return f"publishers/{publisher}/models/{name}"


def is_claude(model: str) -> bool:
    return "publishers/anthropic/" in resource(model)


def bare(model: str) -> str:
    return model.rpartition("/")[2]


def published(name: bytes) -> tuple[str, str] | None:
    """(publisher, model) of a client's path, still percent-encoded; None where it names no publisher's model."""
    match = _RESOURCE.fullmatch(name)
    return None if match is None else (_text(match[1]), _text(match[2]))


def _text(raw: bytes) -> str:
    return unquote_to_bytes(raw).decode(errors="replace")
