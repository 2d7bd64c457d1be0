"""Claude on Vertex AI: Anthropic's messages with the model in the path and the version of the API in the body.

Source: `lib/vertex` of the official `anthropic` SDK;
https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from tidegate.core.view import NO_PATH_TELLS, Operation, PathTells, View
from tidegate.dialects.anthropic.dialect import BETA_HEADER, VERSION_HEADER, Anthropic, messages_view
from tidegate.dialects.anthropic.messages import AnthropicMessages
from tidegate.dialects.canon import Fault, Request
from tidegate.dialects.dialect import ChatCodec, UpstreamModel
from tidegate.dialects.fields import bad_field, read_boolean, read_fields, read_string
from tidegate.dialects.gemini.errors import read_error as read_google_error
from tidegate.dialects.vertex.names import bare, endpoint, published

VERSION: Final = "vertex-2023-10-16"
"""Vertex AI's name of the version that takes samplers. Translated calls have it: see `anthropic.dialect.API_VERSION`."""
_SAME: Final = frozenset((b"", b"2023-01-01", b"2023-06-01"))
"""What Anthropic's own API calls it."""
_ITS_OWN: Final = b"2023-06-01"
_COUNTING: Final = "count-tokens"
_PATH: Final = re.compile(rb"/v1(?:beta1)?/(.+):(rawPredict|streamRawPredict)")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRUE: Final = Raw(b"true")

_encode = msgspec.json.Encoder().encode
_decode_string = msgspec.json.Decoder(str).decode


class ClaudeMessages(AnthropicMessages):
    """Is a ChatCodec. Stateless."""

    def encode_request(self, request: Request, upstream: UpstreamModel) -> bytes:
        body: dict[str, Any] = msgspec.json.decode(
            super().encode_request(request, replace(upstream, name=bare(upstream.name))), type=dict[str, Raw]
        )
        del body["model"]
        return _encode({"anthropic_version": VERSION, **body})


class VertexClaude(Anthropic):
    """The dialect on both sides. Stateless. Its Views are as Anthropic's own clients' would be."""

    name: str = "vertex-anthropic"
    chat: ChatCodec | None = ClaudeMessages()
    client_paths: Mapping[bytes, Operation] = {}
    prefix: bytes = b"/vertex"
    matches_paths: bool = True
    telling_headers: tuple[bytes, ...] = ()
    native_headers: tuple[bytes, ...] = (BETA_HEADER,)

    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
        match = _PATH.fullmatch(path)
        found = None if match is None else published(match[1])
        if match is None or found is None or found[0] != "anthropic":
            return None
        if found[1] == _COUNTING:
            return "token_count", NO_PATH_TELLS
        return "chat", PathTells(model=found[1], stream=match[2] == b"streamRawPredict")

    def read(self, operation: Operation, body: bytes, path: PathTells = NO_PATH_TELLS) -> View:
        fields = read_fields(body)
        version = fields.pop("anthropic_version", None)
        if operation == "token_count":
            model = read_string(fields, "model")
        else:
            model = path.model
            if path.stream and not read_boolean(fields, "stream"):
                fields["stream"] = _TRUE
        stream = operation == "chat" and read_boolean(fields, "stream")
        view = messages_view(self.name, operation, model, fields, len(body), stream=stream)
        view.version = _said(version)
        return view

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        if operation == "token_count":
            return endpoint(base_path, "v1", f"anthropic/{_COUNTING}", "rawPredict")
        return endpoint(base_path, "v1", model, "streamRawPredict" if stream else "rawPredict")

    def default_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ()

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        fields = self.fields_for(view, bare(upstream.name), output_cap)
        if view.operation != "token_count":
            del fields["model"]
        return _encode({"anthropic_version": _version(view), **fields})

    def read_fault(self, status: int, body: bytes) -> Fault:
        """What Google refuses before the model is asked is said in Google's shape."""
        told = super().read_fault(status, body)
        if told.type:
            return told
        google = read_google_error(body)
        return replace(google, foreign=bool(google.type))


def _version(view: View) -> str:
    """In Vertex AI's words. It leaves the headers that would go along: the body says it."""
    headers = view.upstream_headers or view.headers
    view.upstream_headers = tuple(pair for pair in view.upstream_headers if pair[0] != VERSION_HEADER)
    said = view.version or next((value for name, value in headers if name == VERSION_HEADER), b"")
    return VERSION if said in _SAME else said.decode("latin-1")


def _said(version: Raw | None) -> bytes:
    """The version as Anthropic's own API has it in a header."""
    try:
        said = VERSION if version is None else _decode_string(version)
    except msgspec.DecodeError:
        said = ""
    if _NAME.fullmatch(said) is None:
        raise bad_field(f"`anthropic_version` is not the name of a version, such as `{VERSION}`.", "anthropic_version")
    return _ITS_OWN if said == VERSION else said.encode()
