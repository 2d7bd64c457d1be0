"""Anthropic's messages to the hub and back: the codec that ties the parts together."""

from tidegate.core.view import View
from tidegate.dialects.anthropic.answer import decode_answer, encode_answer
from tidegate.dialects.anthropic.event_decoder import MessageDecoder
from tidegate.dialects.anthropic.event_encoder import MessageEncoder
from tidegate.dialects.anthropic.request_in import decode_request
from tidegate.dialects.anthropic.request_out import encode_request
from tidegate.dialects.canon import Answer, Request
from tidegate.dialects.dialect import UpstreamModel


class AnthropicMessages:
    """Is a ChatCodec. Stateless."""

    def decode_request(self, view: View) -> Request:
        return decode_request(view.fields)

    def encode_request(self, request: Request, upstream: UpstreamModel) -> bytes:
        return encode_request(request, upstream)

    def decode_answer(self, body: bytes) -> Answer:
        return decode_answer(body)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        return encode_answer(answer, view)

    def event_decoder(self) -> MessageDecoder:
        return MessageDecoder()

    def event_encoder(self, view: View) -> MessageEncoder:
        return MessageEncoder(view)
