"""Canonical events, to a client's stream of chat completion chunks.

Tool-call indexes are dense, ids and names come once, exactly one chunk has a finish reason, and every chunk has the same id.
"""

from typing import Any

import msgspec

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.canon import (
    ArgumentsDelta,
    Begun,
    CitationAdded,
    Event,
    Finish,
    Finished,
    ItemBegun,
    ItemEnded,
    Reasoning,
    ReasoningDelta,
    ReasoningSealed,
    RefusalDelta,
    TextDelta,
    ToolCall,
    UsageTold,
)
from tidegate.dialects.openai.chat_answer import annotation, call_object, reasoning_detail, usage_object
from tidegate.dialects.openai.errors import encode_error

_encode = msgspec.json.Encoder().encode


class ChunkEncoder:
    """Is an EventEncoder."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._head = b""
        self._tail = (
            b',"finish_reason":null}],"usage":null}\n\n' if view.usage_asked else b',"finish_reason":null}]}\n\n'
        )
        self._finish = Finish("stop")
        self._tier = ""
        self._usage: Usage | None = None
        self._calls = 0
        self._thoughts = 0
        self._thought: Reasoning | None = None

    def encode(self, event: Event) -> bytes:
        match event:
            case TextDelta():
                return self._chunk(b'{"content":' + _encode(event.text) + b"}")
            case ArgumentsDelta():
                return self._arguments(event)
            case ReasoningDelta() | ReasoningSealed():
                return self._reasoning(event)
            case RefusalDelta():
                return self._chunk(b'{"refusal":' + _encode(event.text) + b"}")
            case CitationAdded():
                return self._delta({"annotations": [annotation(event.citation)]})
            case ItemBegun() | ItemEnded():
                return self._item(event)
            case Begun():
                self._begin(event)
                return self._chunk(b'{"role":"assistant","content":""}')
            case UsageTold():
                self._usage = event.usage
            case Finished():
                self._finish, self._tier = event.finish, event.service_tier
            case _:
                pass
        return b""

    def _item(self, event: ItemBegun | ItemEnded) -> bytes:
        if isinstance(event, ItemEnded):
            self._thoughts += self._thought is not None
            self._thought = None
        elif isinstance(event.item, ToolCall):
            return self._call_begun(event.item)
        elif isinstance(event.item, Reasoning):
            self._thought = event.item
        return b""

    def end(self) -> bytes:
        finish = self._finish
        choice: dict[str, Any] = {
            "index": 0,
            "delta": {},
            "finish_reason": finish.reason,
            "native_finish_reason": finish.native,
        }
        body: dict[str, Any] = {"choices": [choice]}
        if self._tier:
            body["service_tier"] = self._tier
        if self._view.usage_asked:
            body["usage"] = None
        out = self._whole(body)
        if self._view.usage_asked and self._usage is not None and self._usage.source != "unknown":
            out += self._whole({"choices": [], "usage": usage_object(self._usage)})
        return out + b"data: [DONE]\n\n"

    def problem(self, problem: Problem) -> bytes:
        return b"data: " + encode_error(problem) + b"\n\n"

    def _begin(self, event: Begun) -> None:
        view = self._view
        fixed = {
            "id": event.id or view.id,
            "object": "chat.completion.chunk",
            "created": view.time_ns // 1_000_000_000,
            "model": view.model,
        }
        self._head = b"data: " + _encode(fixed)[:-1]

    def _call_begun(self, call: ToolCall) -> bytes:
        told = {"index": self._calls, **call_object(call)}
        self._calls += 1
        return self._delta({"tool_calls": [told]})

    def _arguments(self, event: ArgumentsDelta) -> bytes:
        return self._chunk(
            b'{"tool_calls":[{"index":%d,"function":{"arguments":' % (self._calls - 1) + _encode(event.text) + b"}}]}"
        )

    def _reasoning(self, event: ReasoningDelta | ReasoningSealed) -> bytes:
        """`reasoning_details` of one index belong together: the text in pieces, then what proves it."""
        begun = self._thought or Reasoning()
        piece = Reasoning(origin=begun.origin, id=begun.id, summary=begun.summary)
        if isinstance(event, ReasoningSealed):
            piece.signature, piece.encrypted, piece.summary = event.signature, event.encrypted, False
            return self._delta({"reasoning_details": [reasoning_detail(piece, self._thoughts)]})
        piece.text = event.text
        detail = reasoning_detail(piece, self._thoughts)
        return self._delta({"reasoning": event.text, "reasoning_content": event.text, "reasoning_details": [detail]})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return self._chunk(_encode(delta))

    def _chunk(self, delta: bytes) -> bytes:
        return self._head + b',"choices":[{"index":0,"delta":' + delta + self._tail

    def _whole(self, body: dict[str, Any]) -> bytes:
        return self._head + b"," + _encode(body)[1:] + b"\n\n"
