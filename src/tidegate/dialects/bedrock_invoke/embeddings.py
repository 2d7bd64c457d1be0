"""Embedding models behind InvokeModel: each maker's own body, one dialect each, called natively or through `embedding`.

Source: Bedrock's user guide, "Inference request parameters and response fields for foundation models"; Nova's, "Complete
embeddings request and response schema".
"""

from typing import Final

import msgspec
from msgspec import Raw

from tidegate.core.usage import Usage
from tidegate.core.view import NO_PATH_TELLS, Operation, PathTells, View
from tidegate.dialects.bedrock.dialect import Bedrock, invoked_path, model_path
from tidegate.dialects.bedrock_invoke.cohere import BedrockCohereEmbedding
from tidegate.dialects.bedrock_invoke.nova import NovaEmbedding
from tidegate.dialects.bedrock_invoke.titan import TitanEmbedding, usage_of
from tidegate.dialects.dialect import Answer, ChatCodec, UnreadableAnswer, UpstreamModel
from tidegate.dialects.embedding import EmbeddingCodec
from tidegate.dialects.fields import bad_field, read_fields
from tidegate.wire.message import Headers

_INPUT_TOKENS: Final = b"x-amzn-bedrock-input-token-count"

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


class BedrockEmbedding(Bedrock):
    """What they share. Stateless."""

    chat: ChatCodec | None = None
    matches_paths: bool = False
    telling_headers: tuple[bytes, ...] = ()
    embedding: EmbeddingCodec

    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
        return invoked_path(path)

    def read(self, operation: Operation, body: bytes, path: PathTells = NO_PATH_TELLS) -> View:
        return self.view_of(read_fields(body), len(body), path)

    def view_of(self, fields: dict[str, Raw], size: int, path: PathTells) -> View:
        """Raises UnreadableRequest."""
        if path.stream:
            raise bad_field("Embeddings do not stream: send this body to `/invoke`.")
        return View(
            dialect=self.name,
            operation="embedding",
            model=path.model,
            stream=False,
            fields=fields,
            body_bytes=size,
            estimated_input_tokens=(size >> 2) + 1,
            worst_input_tokens=size,
            max_output_tokens=0,
        )

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        return base_path + model_path(model, "invoke")

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        return _encode(view.fields)

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        try:
            fields = _decode_object(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer is not a JSON object: {error}") from error
        return Answer(fields, usage_of(body))

    def read_usage_headers(self, headers: Headers) -> Usage:
        """What the body of most does not tell."""
        for name, value in headers:
            if name == _INPUT_TOKENS and value.isdigit() and len(value) < 12:
                return Usage(input=int(value), source="reported", raw=_encode({"inputTokenCount": int(value)}))
        return Usage()


class BedrockTitan(BedrockEmbedding):
    name: str = "bedrock-titan"
    family: str = "bedrock-titan"
    embedding: EmbeddingCodec = TitanEmbedding()


class BedrockNova(BedrockEmbedding):
    name: str = "bedrock-nova"
    family: str = "bedrock-nova"
    embedding: EmbeddingCodec = NovaEmbedding()


class BedrockCohere(BedrockEmbedding):
    name: str = "bedrock-cohere"
    family: str = "bedrock-cohere"
    embedding: EmbeddingCodec = BedrockCohereEmbedding()
