"""Streams of the servers behind the Open Inference Protocol: Triton's generate extension, and inferences of mlserver.

Source: https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_generate.html. Every
event is an answer of its own, or an error; the end of the body is the end. None says what was used: the View's rows count.
"""

import msgspec
from msgspec import Raw

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import StreamEvent, UnreadableAnswer
from tidegate.wire.sse import sse_data, sse_event

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_string = msgspec.json.Decoder(str).decode


class AnswerStream:
    """Is a StreamReader: each answer gets the model's public name and passes."""

    def __init__(self, view: View) -> None:
        self.usage: Usage | None = Usage(input=view.estimated_input_tokens, source="reported")
        self.content_events = 0
        self.content_bytes = 0
        self._model = Raw(_encode(view.model))

    def read(self, event: bytes) -> StreamEvent:
        data = sse_data(event)
        if not data:
            return StreamEvent(event)
        try:
            fields = _decode_object(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"an event is not a JSON object: {error}") from error
        if "error" in fields and "model_name" not in fields:
            return StreamEvent(event, fault=Fault("", "", _said(fields["error"])))
        self.content_events += 1
        if "model_name" in fields:
            fields["model_name"] = self._model
            event = sse_event(_encode(fields))
        return StreamEvent(event, content=True)

    def end_marker(self) -> bytes | None:
        return b""

    def problem(self, problem: Problem) -> bytes:
        return sse_event(_encode({"error": problem.message, "code": problem.code}))


def _said(raw: Raw) -> str:
    try:
        return _decode_string(raw)[:500]
    except msgspec.DecodeError:
        return ""
