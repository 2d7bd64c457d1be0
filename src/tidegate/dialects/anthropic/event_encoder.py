"""Canonical events, to a client's stream of message events.

Every frame has its `event:` line. A block begins with its first delta, when it is known what it is; no delta comes after
its stop. The stop reason with the usage and the end marker wait for `end`.
"""

from typing import Any

import msgspec

from tidegate.core.problem import Problem
from tidegate.core.usage import UNKNOWN_USAGE
from tidegate.core.view import View
from tidegate.dialects.anthropic.answer import citation_object, stop_fields
from tidegate.dialects.anthropic.errors import error_frame
from tidegate.dialects.anthropic.events import END_MARKER
from tidegate.dialects.anthropic.thoughts import ORIGIN, call_seal, signature_of
from tidegate.dialects.anthropic.usage import usage_object
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

Json = dict[str, Any]

_encode = msgspec.json.Encoder().encode


class MessageEncoder:
    """Is an EventEncoder."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._begun: Begun | None = None
        """Waits for the usage of the prompt, which the first event has where it is known."""
        self._usage = UNKNOWN_USAGE
        self._finish = Finish("stop")
        self._index = 0
        self._open = False
        self._thought: Reasoning | None = None
        self._sealed_yet = False
        self._refused = False

    def encode(self, event: Event) -> bytes:
        match event:
            case Begun():
                self._begun = event
                return b""
            case UsageTold():
                self._usage = event.usage
                return b""
            case _:
                return self._start() + self._encoded(event)

    def end(self) -> bytes:
        usage = usage_object(self._usage)
        body = {"delta": stop_fields(self._finish, refused=self._refused), "usage": usage}
        return self._start() + self._stop() + _frame("message_delta", body) + END_MARKER

    def problem(self, problem: Problem) -> bytes:
        return error_frame(problem)

    def _encoded(self, event: Event) -> bytes:
        match event:
            case TextDelta():
                return self._text(event.text)
            case ArgumentsDelta():
                return self._delta({"type": "input_json_delta", "partial_json": event.text})
            case ReasoningDelta():
                begun = self._opened({"type": "thinking", "thinking": "", "signature": ""})
                return begun + self._delta({"type": "thinking_delta", "thinking": event.text})
            case ReasoningSealed():
                return self._sealed(event)
            case RefusalDelta():
                self._refused = True
                return self._text(event.text)
            case CitationAdded():
                begun = self._opened({"type": "text", "text": ""})
                return begun + self._delta({"type": "citations_delta", "citation": citation_object(event.citation)})
            case ItemBegun():
                return self._item(event)
            case ItemEnded():
                return self._ended()
            case Finished():
                self._finish = event.finish
            case _:
                pass
        return b""

    def _start(self) -> bytes:
        begun, self._begun = self._begun, None
        if begun is None:
            return b""
        message: Json = {
            "id": begun.id or self._view.id,
            "type": "message",
            "role": "assistant",
            "model": self._view.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": usage_object(self._usage),
        }
        return _frame("message_start", {"message": message})

    def _item(self, event: ItemBegun) -> bytes:
        item = event.item
        if isinstance(item, Reasoning):
            self._thought, self._sealed_yet = item, False
            return b""
        if not isinstance(item, ToolCall):
            return b""
        sealed = call_seal(item)
        before = self._opened({"type": "redacted_thinking", "data": sealed}) + self._stop() if sealed else b""
        return before + self._opened({"type": "tool_use", "id": item.id, "name": item.name, "input": {}})

    def _text(self, text: str) -> bytes:
        return self._opened({"type": "text", "text": ""}) + self._delta({"type": "text_delta", "text": text})

    def _sealed(self, event: ReasoningSealed) -> bytes:
        """Only a thought that was told in words, or that Anthropic signed, is a block of words."""
        begun = self._thought or Reasoning()
        self._sealed_yet = True
        whole = Reasoning("", event.signature, event.encrypted, begun.summary, begun.origin, begun.id)
        opaque = signature_of(whole)
        if self._open or (begun.origin == ORIGIN and event.signature):
            opened = self._opened({"type": "thinking", "thinking": "", "signature": ""})
            return opened + self._delta({"type": "signature_delta", "signature": opaque})
        return self._opened({"type": "redacted_thinking", "data": opaque})

    def _ended(self) -> bytes:
        """Also what nobody signed has a signature: by it the gateway knows again what is not Anthropic's."""
        begun = self._thought
        if begun is None or self._sealed_yet or not self._open or begun.origin == ORIGIN:
            return self._stop()
        return self._sealed(ReasoningSealed(0)) + self._stop()

    def _opened(self, block: Json) -> bytes:
        if self._open:
            return b""
        self._open = True
        return _frame("content_block_start", {"index": self._index, "content_block": block})

    def _delta(self, delta: Json) -> bytes:
        return _frame("content_block_delta", {"index": self._index, "delta": delta})

    def _stop(self) -> bytes:
        self._thought = None
        if not self._open:
            return b""
        self._open = False
        self._index += 1
        return _frame("content_block_stop", {"index": self._index - 1})


def _frame(name: str, body: Json) -> bytes:
    return f'event: {name}\ndata: {{"type":"{name}",'.encode() + _encode(body)[1:] + b"\n\n"
