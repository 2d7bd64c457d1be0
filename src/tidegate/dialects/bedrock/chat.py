"""Converse to the hub and back: the codec that ties the parts together."""

from tidegate.core.view import View
from tidegate.dialects.bedrock.answer import decode_answer, encode_answer
from tidegate.dialects.bedrock.decoder import StreamDecoder
from tidegate.dialects.bedrock.encoder import StreamEncoder
from tidegate.dialects.bedrock.request_in import decode_request
from tidegate.dialects.bedrock.request_out import encode_request
from tidegate.dialects.canon import Answer, Request
from tidegate.dialects.dialect import UpstreamModel


class BedrockChat:
    """Is a ChatCodec. Stateless."""

    def decode_request(self, view: View) -> Request:
        return decode_request(view)

    def encode_request(self, request: Request, upstream: UpstreamModel) -> bytes:
        return encode_request(request, upstream)

    def decode_answer(self, body: bytes) -> Answer:
        return decode_answer(body)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        return encode_answer(answer)

    def event_decoder(self) -> StreamDecoder:
        return StreamDecoder()

    def event_encoder(self, view: View) -> StreamEncoder:
        return StreamEncoder()
