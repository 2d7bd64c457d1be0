"""Gemini's generateContent to the hub and back: the codec that ties the parts together."""

from tidegate.core.view import View
from tidegate.dialects.canon import Answer, Request
from tidegate.dialects.dialect import UpstreamModel
from tidegate.dialects.gemini.chat_answer import decode_answer, encode_answer
from tidegate.dialects.gemini.chat_decoder import ChunkDecoder
from tidegate.dialects.gemini.chat_encoder import ChunkEncoder
from tidegate.dialects.gemini.chat_request_in import decode_request
from tidegate.dialects.gemini.chat_request_out import encode_request


class GeminiChat:
    """Is a ChatCodec. Stateless."""

    def decode_request(self, view: View) -> Request:
        return decode_request(view)

    def encode_request(self, request: Request, upstream: UpstreamModel) -> bytes:
        return encode_request(request, upstream)

    def decode_answer(self, body: bytes) -> Answer:
        return decode_answer(body)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        return encode_answer(answer, view)

    def event_decoder(self) -> ChunkDecoder:
        return ChunkDecoder()

    def event_encoder(self, view: View) -> ChunkEncoder:
        return ChunkEncoder(view)
