"""OpenAI's Responses to the hub and back: the codec that ties the parts together."""

import msgspec

from tidegate.core.view import View
from tidegate.dialects.canon import Answer, Request
from tidegate.dialects.dialect import UpstreamModel
from tidegate.dialects.responses.answer_in import decode_answer
from tidegate.dialects.responses.conversation import may_be_kept
from tidegate.dialects.responses.decoder import ResponseDecoder
from tidegate.dialects.responses.encoder import ResponseEncoder
from tidegate.dialects.responses.request_in import decode_request
from tidegate.dialects.responses.request_out import encode_request
from tidegate.dialects.responses.response import Names, Shell, output_items


class ResponsesChat:
    """Is a ChatCodec. Stateless."""

    def decode_request(self, view: View) -> Request:
        return decode_request(view.fields)

    def encode_request(self, request: Request, upstream: UpstreamModel) -> bytes:
        return encode_request(request, upstream)

    def decode_answer(self, body: bytes) -> Answer:
        return decode_answer(body)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        names = Names(view)
        output = msgspec.json.encode(output_items(answer.items, names, answer.finish))
        body = Shell(view, names).ended(output, answer.finish, answer.usage, answer.service_tier)
        view.kept = body if may_be_kept(view) else b""
        return body

    def event_decoder(self) -> ResponseDecoder:
        return ResponseDecoder()

    def event_encoder(self, view: View) -> ResponseEncoder:
        return ResponseEncoder(view)
