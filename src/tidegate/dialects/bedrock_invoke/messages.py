"""Anthropic's messages in InvokeModel's envelope, to the hub and back."""

from typing import Final

import msgspec
from msgspec import Raw

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.anthropic.answer import decode_answer, encode_answer
from tidegate.dialects.anthropic.event_decoder import MessageDecoder
from tidegate.dialects.anthropic.event_encoder import MessageEncoder
from tidegate.dialects.anthropic.request_in import decode_request
from tidegate.dialects.anthropic.request_out import encode_request
from tidegate.dialects.bedrock.errors import encode_exception
from tidegate.dialects.bedrock_invoke.chunks import opened, unwrapped, wrapped
from tidegate.dialects.canon import Answer, Event, Failed, Fault, Request, UsageTold
from tidegate.dialects.dialect import UpstreamModel
from tidegate.dialects.fields import bad_field

VERSION: Final = "bedrock-2023-05-31"
"""Of the API that is 2023-06-01 at Anthropic's own address. Later versions are called by their dates in both places."""
ENVELOPE: Final = ("anthropic_version", "anthropic_beta")
"""What a body has here and an HTTP header has at Anthropic's own API."""
NOT_TAKEN: Final = ("model", "stream")
"""They are in the path."""

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_betas = msgspec.json.Decoder(list[str] | None).decode


class InvokedMessages:
    """Is a ChatCodec. Stateless."""

    def decode_request(self, view: View) -> Request:
        fields = {name: raw for name, raw in view.fields.items() if name not in ENVELOPE}
        if view.stream:
            fields["stream"] = Raw(b"true")
        request = decode_request(fields)
        if betas_of(view.fields):
            request.dropped.append("anthropic_beta")
        return request

    def encode_request(self, request: Request, upstream: UpstreamModel) -> bytes:
        return _encode(enveloped(_decode_object(encode_request(request, upstream)), VERSION, []))

    def decode_answer(self, body: bytes) -> Answer:
        return decode_answer(body)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        return encode_answer(answer, view)

    def event_decoder(self) -> "ChunkDecoder":
        return ChunkDecoder()

    def event_encoder(self, view: View) -> "ChunkEncoder":
        return ChunkEncoder(view)


class ChunkDecoder:
    """Is an EventDecoder."""

    def __init__(self) -> None:
        self._inner = MessageDecoder()

    def decode(self, frame: bytes) -> list[Event]:
        found = opened(frame)
        if isinstance(found, Fault):
            return [Failed(found)]
        event = unwrapped(found)
        return self._inner.decode(event) if event else []

    def end(self) -> list[Event]:
        return self._inner.end()


class ChunkEncoder:
    """Is an EventEncoder."""

    def __init__(self, view: View) -> None:
        self._inner = MessageEncoder(view)
        self._usage: Usage | None = None

    def encode(self, event: Event) -> bytes:
        if isinstance(event, UsageTold):
            self._usage = event.usage
        return wrapped(self._inner.encode(event), self._usage)

    def end(self) -> bytes:
        return wrapped(self._inner.end(), self._usage)

    def problem(self, problem: Problem) -> bytes:
        return encode_exception(problem)


def enveloped(fields: dict[str, Raw], version: str, betas: list[str]) -> dict[str, Raw]:
    """The body for Bedrock of a messages request."""
    body = {name: raw for name, raw in fields.items() if name not in NOT_TAKEN and name not in ENVELOPE}
    body["anthropic_version"] = Raw(_encode(version))
    if betas:
        body["anthropic_beta"] = Raw(_encode(betas))
    return body


def betas_of(fields: dict[str, Raw]) -> list[str]:
    """The beta features that a body asks for. Raises UnreadableRequest."""
    raw = fields.get("anthropic_beta")
    if raw is None:
        return []
    try:
        return _decode_betas(raw) or []
    except msgspec.DecodeError as error:
        raise bad_field(f"`anthropic_beta` must be a list of strings: {error}.", "anthropic_beta") from error
