"""Cohere's chat to the hub and back: the codec that ties the parts together."""

from tidegate.core.view import View
from tidegate.dialects.canon import Answer, Request
from tidegate.dialects.cohere.answer import decode_answer, encode_answer
from tidegate.dialects.cohere.request_in import decode_request
from tidegate.dialects.cohere.request_out import encode_request
from tidegate.dialects.cohere.stream import EventsDecoder, EventsEncoder
from tidegate.dialects.dialect import UpstreamModel


class CohereChat:
    """Is a ChatCodec. Stateless."""

    def decode_request(self, view: View) -> Request:
        return decode_request(view.fields)

    def encode_request(self, request: Request, upstream: UpstreamModel) -> bytes:
        return encode_request(request, upstream)

    def decode_answer(self, body: bytes) -> Answer:
        return decode_answer(body)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        return encode_answer(answer, view)

    def event_decoder(self) -> EventsDecoder:
        return EventsDecoder()

    def event_encoder(self, view: View) -> EventsEncoder:
        return EventsEncoder(view)
