"""Ollama's chat and generate to the hub and back: the codec that ties the parts together."""

from tidegate.core.view import View
from tidegate.dialects.canon import Answer, Request
from tidegate.dialects.dialect import UpstreamModel
from tidegate.dialects.ollama.answer import decode_answer, encode_answer
from tidegate.dialects.ollama.request_in import decode_request
from tidegate.dialects.ollama.request_out import encode_request
from tidegate.dialects.ollama.stream import LineDecoder, LineEncoder


class OllamaChat:
    """Is a ChatCodec. Stateless. Upstreams are always called at `/api/chat`."""

    def decode_request(self, view: View) -> Request:
        return decode_request(view.fields, view.form, stream=view.stream)

    def encode_request(self, request: Request, upstream: UpstreamModel) -> bytes:
        return encode_request(request, upstream)

    def decode_answer(self, body: bytes) -> Answer:
        return decode_answer(body)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        return encode_answer(answer, view)

    def event_decoder(self) -> LineDecoder:
        return LineDecoder()

    def event_encoder(self, view: View) -> LineEncoder:
        return LineEncoder(view)
