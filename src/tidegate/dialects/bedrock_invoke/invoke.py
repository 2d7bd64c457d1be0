"""The paths of InvokeModel and CountTokens on the client's side: which dialect a body is of is told by its shape alone."""

import re
from base64 import b64decode
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.view import NO_PATH_TELLS, Operation, PathTells, View
from tidegate.dialects.bedrock.dialect import Bedrock, invoked_path, named_model
from tidegate.dialects.bedrock.models import family_of
from tidegate.dialects.bedrock_invoke.claude import STREAM_HEAD, BedrockClaude
from tidegate.dialects.bedrock_invoke.embeddings import BedrockCohere, BedrockEmbedding, BedrockNova, BedrockTitan
from tidegate.dialects.bedrock_invoke.painting import BedrockCanvas, BedrockStability
from tidegate.dialects.dialect import ChatCodec, UnreadableRequest
from tidegate.dialects.fields import NULL, bad_field, present, read_fields

_COUNT: Final = re.compile(rb"/model/([^/]+)/count-tokens")
_CONVERSE: Final = Bedrock()
_CLAUDE: Final = BedrockClaude()
_TITAN: Final = BedrockTitan()
_NOVA: Final = BedrockNova()
_COHERE: Final = BedrockCohere()
_SIGNS: Final[tuple[tuple[str, BedrockEmbedding], ...]] = (
    ("inputText", _TITAN), ("inputImage", _TITAN), ("singleEmbeddingParams", _NOVA),
    ("texts", _COHERE), ("images", _COHERE), ("inputs", _COHERE),
)  # fmt: skip
"""Members that tell whose body it is."""
_GENERATES: Final = "textGenerationConfig"
"""Titan's text models have `inputText` too."""
_NAMES: Final = (
    ("titan-embed", _TITAN.name),
    ("cohere.embed", _COHERE.name),
    ("nova-2-multimodal-embed", _NOVA.name),
    ("nova-multimodal-embed", _NOVA.name),
    ("nova-canvas", BedrockCanvas.name),
    ("titan-image", BedrockCanvas.name),
    ("stability.stable-image-core", BedrockStability.name),
    ("stability.stable-image-ultra", BedrockStability.name),
    ("stability.sd3", BedrockStability.name),
)


class _Invoked(Struct):
    body: str


class _Counted(Struct, rename="camel"):
    invoke_model: _Invoked | None = None
    converse: Raw = NULL


_encode = msgspec.json.Encoder().encode
_decode_counted = msgspec.json.Decoder(_Counted).decode


def invoked_as(model: str) -> str:
    """The dialect in which InvokeModel calls a model of Bedrock's; "" where nothing is known of it but its id."""
    name = model.lower()
    for sign, dialect in _NAMES:
        if sign in name:
            return dialect
    return _CLAUDE.name if family_of(name).claude is not None else ""


class BedrockInvoke(Bedrock):
    """Finds the dialect of a body and lets that read it. Has no body, and so no codec, of its own. Stateless."""

    name: str = "bedrock-invoke"
    family: str = "bedrock-invoke"
    chat: ChatCodec | None = None
    telling_headers: tuple[bytes, ...] = ()
    stream_head: str = STREAM_HEAD

    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
        """`/model/{id}/invoke`, whose operation only the body can tell, `/invoke-with-response-stream`, `/count-tokens`."""
        found = invoked_path(path)
        if found is not None:
            return found
        counted = _COUNT.fullmatch(path)
        return None if counted is None else ("token_count", PathTells(model=named_model(counted[1])))

    def read(self, operation: Operation, body: bytes, path: PathTells = NO_PATH_TELLS) -> View:
        fields = read_fields(body)
        if operation == "token_count":
            return _read_counted(fields, path)
        if "anthropic_version" in fields:
            return _CLAUDE.view_of(fields, len(body), "chat", path)
        for sign, dialect in _SIGNS:
            if sign in fields and _GENERATES not in fields:
                return dialect.view_of(fields, len(body), path)
        raise _unknown_body()

    def encode_count(self, tokens: int) -> bytes:
        return _encode({"inputTokens": tokens})


def _read_counted(fields: dict[str, Raw], path: PathTells) -> View:
    """`input` has what one of the other operations would get."""
    try:
        counted = _decode_counted(fields.get("input", NULL))
        if counted.invoke_model is not None:
            body = b64decode(counted.invoke_model.body, validate=True)
            return _CLAUDE.view_of(read_fields(body), len(body), "token_count", path)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise bad_field(f"`input` cannot be read: {error}.", "input") from error
    converse = present(counted.converse)
    if converse is None:
        raise bad_field("`input` must have `invokeModel` or `converse`.", "input")
    body = bytes(converse)
    return _CONVERSE.converse_view(read_fields(body), len(body), 0, "token_count", path)


def _unknown_body() -> UnreadableRequest:
    return bad_field(
        "InvokeModel is served here for Claude's messages, whose body has `anthropic_version`, and for the embeddings of "
        "Titan (`inputText`), Nova (`singleEmbeddingParams`) and Cohere (`texts`). For all else use Converse."
    )
