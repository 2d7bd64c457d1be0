"""Mistral's stream: its chunks to canonical events, canonical events to its chunks, and the native relay.

Source: `completionchunk`, `deltamessage` of the official `mistralai` SDK.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.canon import (
    ArgumentsDelta,
    Begun,
    Event,
    Fault,
    Finish,
    Finished,
    ItemBegun,
    ItemEnded,
    ReasoningDelta,
    ReasoningSealed,
    RefusalDelta,
    TextDelta,
    ToolCall,
    UsageTold,
)
from tidegate.dialects.dialect import StreamEvent
from tidegate.dialects.fields import NULL, present
from tidegate.dialects.mistral.answer import Said, call_object, usage_object
from tidegate.dialects.mistral.content import ORIGIN, Json, arguments_text
from tidegate.dialects.mistral.errors import encode_error, read_error
from tidegate.dialects.openai import chat_answer, chat_decoder
from tidegate.dialects.openai.chunks import ChunkReader, sse_payload


class _Choice(Struct):
    delta: Said | None = None
    finish_reason: str | None = None
    index: int = 0


class _Chunk(Struct):
    choices: list[_Choice] | None = None
    id: str | None = None
    object: str | None = None
    usage: Raw = NULL
    error: Raw = NULL


_decode = msgspec.json.Decoder(_Chunk).decode
_encode = msgspec.json.Encoder().encode


class MistralDecoder(chat_decoder.ChunkDecoder):
    """Is an EventDecoder: chunks as OpenAI's, once their content is brought to that shape."""

    origin = ORIGIN

    def parse(self, data: bytes) -> chat_decoder.Chunk:
        chunk = _decode(data)
        choices = [
            chat_decoder.Choice(_plain(one.delta) if one.delta is not None else None, one.finish_reason, one.index)
            for one in chunk.choices or ()
        ]
        error = Raw(data) if chunk.object == "error" else chunk.error
        return chat_decoder.Chunk(choices, chunk.id, chunk.usage, error)

    def read_fault(self, data: bytes) -> Fault:
        return read_error(data)


def _plain(said: Said) -> chat_answer.Said:
    plain = chat_answer.Said()
    if isinstance(said.content, str):
        plain.content = said.content
    elif said.content:
        plain.content = "".join(one.text or "" for one in said.content if one.type == "text")
        plain.reasoning = "".join(one.thought for one in said.content)
        plain.signature = "".join(one.signature or "" for one in said.content)
    if said.tool_calls:
        plain.tool_calls = [
            chat_answer.Call(
                one.index,
                one.own_id,
                chat_answer.Function(one.function.name, arguments_text(one.function.arguments)),
            )
            for one in said.tool_calls
        ]
    return plain


class MistralEncoder:
    """Is an EventEncoder. The last chunk has the finish reason and the usage; a tool call comes whole, in one chunk.

    Mistral's clients do not put calls together.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._head = b""
        self._finish = Finish("stop")
        self._tier = ""
        self._usage: Usage | None = None
        self._calls = 0
        self._call: ToolCall | None = None
        self._arguments: list[str] = []

    def encode(self, event: Event) -> bytes:
        match event:
            case TextDelta() | RefusalDelta():
                return self._delta(b'{"content":' + _encode(event.text) + b"}")
            case ReasoningDelta():
                return self._delta(_thinking(event.text))
            case ReasoningSealed(signature=signature) if signature:
                return self._delta(_thinking("", signature))
            case ArgumentsDelta():
                self._arguments.append(event.text)
            case ItemBegun(item=ToolCall() as call):
                self._call = call
            case ItemEnded() if self._call is not None:
                return self._called(self._call)
            case Begun():
                return self._begin(event)
            case UsageTold():
                self._usage = event.usage
            case Finished():
                self._finish, self._tier = event.finish, event.service_tier
            case _:
                pass
        return b""

    def end(self) -> bytes:
        choice: Json = {
            "index": 0,
            "delta": {"content": ""},
            "finish_reason": self._finish.reason,
            "native_finish_reason": self._finish.native,
        }
        body: dict[str, Any] = {"choices": [choice]}
        usage = usage_object(self._usage or Usage(), self._tier)
        if usage:
            body["usage"] = usage
        return self._head + b"," + _encode(body)[1:] + b"\n\ndata: [DONE]\n\n"

    def problem(self, problem: Problem) -> bytes:
        """The SDK takes any chunk without choices for invalid, and says so."""
        return b"data: " + encode_error(problem) + b"\n\n"

    def _begin(self, event: Begun) -> bytes:
        view = self._view
        fixed = {
            "id": event.id or view.id,
            "object": "chat.completion.chunk",
            "created": view.time_ns // 1_000_000_000,
            "model": view.model,
        }
        self._head = b"data: " + _encode(fixed)[:-1]
        return self._delta(b'{"role":"assistant","content":""}')

    def _called(self, call: ToolCall) -> bytes:
        whole = ToolCall(call.id, call.name, "".join(self._arguments) or "{}")
        told = call_object(whole, self._calls)
        self._calls += 1
        self._call = None
        self._arguments.clear()
        return self._delta(_encode({"tool_calls": [told]}))

    def _delta(self, delta: bytes) -> bytes:
        return self._head + b',"choices":[{"index":0,"delta":' + delta + b',"finish_reason":null}]}\n\n'


def _thinking(text: str, signature: str = "") -> bytes:
    chunk: Json = {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
    if signature:
        chunk["signature"] = signature
    return _encode({"content": [chunk]})


class MistralReader(ChunkReader):
    """The native stream: OpenAI's, but that an error is `{"object": "error", ...}` and usage always comes."""

    def __init__(self, model: str, *, choices: int) -> None:
        super().__init__(model, choices=choices, withhold_usage=False)

    def read(self, event: bytes) -> StreamEvent:
        if b'"error"' in event:
            data = sse_payload(event)
            try:
                chunk = _decode(data)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return super().read(event)  # it says what is wrong
            if chunk.object == "error" or present(chunk.error) is not None:
                return StreamEvent(event, fault=read_error(data))
        return super().read(event)

    def problem(self, problem: Problem) -> bytes:
        return b"data: " + encode_error(problem) + b"\n\n"
