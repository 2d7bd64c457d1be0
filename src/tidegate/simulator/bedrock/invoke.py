"""InvokeModel: Claude's messages in Bedrock's envelope; CountTokens of the same."""

import base64
import binascii
from typing import Final

import msgspec

from tidegate.simulator.anthropic.fields import Fields as ClaudeFields
from tidegate.simulator.anthropic.message_request import MessageRequest, read_message
from tidegate.simulator.bedrock.fields import Fields, invalid
from tidegate.simulator.bedrock.rejection import exception_frame
from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.setting import Setting
from tidegate.simulator.template import Flaws, Mould
from tidegate.wire.eventstream import encode_frame
from tidegate.wire.message import encode_headers
from tidegate.wire.sse import sse_data, sse_name

EVENT_STREAM: Final = b"application/vnd.amazon.eventstream"
_VERSIONS: Final = {"bedrock-2023-05-31": b"2023-06-01", "2026-10-21": b"2026-10-21"}
_CHUNK: Final = ((":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event"))


def _chunk(event: bytes) -> bytes:
    return encode_frame(_CHUNK, msgspec.json.encode({"bytes": base64.b64encode(event).decode(), "p": "abcdefghijklm"}))


FLAWS: Final = Flaws(
    error_event=exception_frame("modelStreamErrorException", "The system encountered an unexpected error."),
    broken_event=_chunk(b'{"type":"content_block_delta","index":0,"delta":{"type":"te'),
    comment=b"",
)


def count_headers(prompt: int, completion: int | None = None) -> bytes:
    """Encoded headers of what a whole answer consumed."""
    lines = [(b"x-amzn-bedrock-input-token-count", b"%d" % prompt)]
    if completion is not None:
        lines.append((b"x-amzn-bedrock-output-token-count", b"%d" % completion))
    return encode_headers(lines)


def read_claude(fields: Fields, stream: bool, behaviour: Behaviour, *, counting: bool = False) -> MessageRequest:
    """Anthropic's own rules, but for what the envelope says. Raises Rejection."""
    values = dict(fields.values)
    version = fields.text("anthropic_version")
    values.pop("anthropic_version", None)
    if version is None:
        raise invalid("anthropic_version: Field required")
    if version not in _VERSIONS:
        raise invalid(f'anthropic_version: "{version}" is not supported on this endpoint')
    betas = values.pop("anthropic_beta", None)
    if betas is not None and not isinstance(betas, list):
        raise invalid("anthropic_beta: Input should be a valid list")
    for name in ("model", "stream", "service_tier", "speed", "inference_geo", "container", "mcp_servers"):
        if name in values:
            raise invalid(f"{name}: Extra inputs are not permitted")
    if counting:
        for name in ("max_tokens", "temperature", "top_k", "top_p", "stop_sequences", "metadata"):
            values.pop(name, None)
    if stream:
        values["stream"] = True
    return read_message(ClaudeFields(values), _VERSIONS[version], behaviour, counting=counting)


def counted_body(invoked: Fields) -> Fields:
    """The body inside of a CountTokens request. Raises Rejection."""
    try:
        return Fields.of_body(base64.b64decode(invoked.needed_text("body"), validate=True))
    except (binascii.Error, ValueError) as error:
        raise invalid("input.invokeModel.body: not base64") from error


class Framed:
    """Is a Reply: a stream of Anthropic's, each event in a frame of Bedrock's."""

    def __init__(self, inner: Mould, *, usage: bool) -> None:
        self._inner = inner
        self._usage = usage
        self.model = inner.model
        self.stream = True
        self.content_type = EVENT_STREAM
        self.headers = b""
        self.prompt_tokens = inner.prompt_tokens
        self.cached_tokens = inner.cached_tokens
        self.completion_tokens = inner.completion_tokens
        self.repeated = max(0, inner.repeated - 1)  # the ping before it is left out
        self.flaws = FLAWS

    def body(self, answer_id: str, created: int) -> bytes:
        """A whole answer, which it is not."""
        return b"".join(self.events(answer_id, created))

    def events(self, answer_id: str, created: int) -> list[bytes]:
        """A stream's frames; the last tells of the invocation."""
        events = [one for one in self._inner.events(answer_id, created) if sse_name(one) != b"ping"]
        metrics = {"inputTokenCount": self.prompt_tokens, "outputTokenCount": self.completion_tokens}
        timed = {**metrics, "invocationLatency": 42, "firstByteLatency": 7}
        told = {"amazon-bedrock-invocationMetrics": timed} if self._usage else {}
        last = msgspec.json.encode({"type": "message_stop", **told})
        return [*(_chunk(sse_data(one)) for one in events[:-1]), _chunk(last)]


def count_reply(tokens: int, setting: Setting) -> Mould:
    return Mould(model=setting.model, pieces=[msgspec.json.encode({"inputTokens": tokens})], flaws=FLAWS)


def window_exceeded(prompt: int, behaviour: Behaviour) -> Rejection | None:
    if prompt <= behaviour.context_window:
        return None
    return Rejection(400, "Input is too long for requested model.", code="context_length_exceeded")
