"""Mistral's REST dialect: chat completions and embeddings.

Its bodies are OpenAI's but for names and forms (`random_seed`, `tool_choice: any`, content as lists of chunks, thoughts
among them), so an OpenAI client's call goes through the hub, and fields that neither knows are refused. Its clients use
OpenAI's own path: there they are served as OpenAI's; under `/mistral` they are served as what they are.

Source: the official `mistralai` SDK.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from tidegate.core.problem import Problem
from tidegate.core.view import Operation, View
from tidegate.dialects.canon import Answer, Fault, Request
from tidegate.dialects.dialect import ChatCodec, UpstreamModel
from tidegate.dialects.embedding import EmbeddingCodec
from tidegate.dialects.fields import read_count
from tidegate.dialects.mistral.answer import decode_answer, encode_answer
from tidegate.dialects.mistral.errors import encode_error, read_error
from tidegate.dialects.mistral.request_in import decode_request
from tidegate.dialects.mistral.request_out import encode_request
from tidegate.dialects.mistral.stream import MistralDecoder, MistralEncoder, MistralReader
from tidegate.dialects.openai import OpenAI
from tidegate.dialects.openai.embedding import MistralEmbedding
from tidegate.dialects.reranking import RerankCodec

_encode = msgspec.json.Encoder().encode


class MistralChat:
    """Is a ChatCodec. Stateless."""

    def decode_request(self, view: View) -> Request:
        return decode_request(view.fields)

    def encode_request(self, request: Request, upstream: UpstreamModel) -> bytes:
        return encode_request(request, upstream)

    def decode_answer(self, body: bytes) -> Answer:
        return decode_answer(body)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        return encode_answer(answer, view)

    def event_decoder(self) -> MistralDecoder:
        return MistralDecoder()

    def event_encoder(self, view: View) -> MistralEncoder:
        return MistralEncoder(view)


class Mistral(OpenAI):
    """The dialect on both sides. Stateless."""

    name = "mistral"
    family = "mistral"
    chat: ChatCodec | None = MistralChat()
    embedding: EmbeddingCodec = MistralEmbedding()
    reranking: RerankCodec | None = None
    client_paths: Mapping[bytes, Operation] = {b"/v1/chat/completions": "chat", b"/v1/embeddings": "embedding"}
    prefix = b"/mistral"
    native_headers: tuple[bytes, ...] = ()

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        """Natively: a stream reports its usage without being asked to."""
        fields = dict(view.fields)
        fields["model"] = Raw(_encode(upstream.name))
        if output_cap is not None and view.max_output_tokens is None:
            fields["max_tokens"] = Raw(b"%d" % output_cap)
        return _encode(fields)

    def stream_reader(self, view: View) -> MistralReader:
        return MistralReader(view.model, choices=read_count(view.fields, "n") or 1)

    def read_fault(self, status: int, body: bytes) -> Fault:
        return read_error(body)

    def encode_problem(self, problem: Problem) -> bytes:
        return encode_error(problem)
