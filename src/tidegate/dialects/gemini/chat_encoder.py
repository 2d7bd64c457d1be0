"""Canonical events, to a client's stream of partial answers: SSE or the elements of an array.

A function call has its arguments whole, so they are gathered until the call ends.
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
from tidegate.dialects.gemini.chat_answer import call_part, citation, finish_members, thought_part
from tidegate.dialects.gemini.frames import Framer
from tidegate.dialects.gemini.signatures import ORIGIN
from tidegate.dialects.gemini.usage import usage_metadata

Json = dict[str, Any]

_encode = msgspec.json.Encoder().encode


class ChunkEncoder:
    """Is an EventEncoder."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._framer = Framer(view.form)
        self._fixed = b""
        self._finish = Finish("stop")
        self._tier = ""
        self._usage: Usage | None = None
        self._call: ToolCall | None = None
        self._arguments: list[str] = []
        self._broken = ""
        self._thought = Reasoning()
        self._worded = False

    def encode(self, event: Event) -> bytes:
        match event:
            case TextDelta() | RefusalDelta():
                return self._part({"text": event.text})
            case ReasoningDelta():
                self._worded = True
                return self._part({"text": event.text, "thought": True})
            case ReasoningSealed():
                return self._sealed(event)
            case ArgumentsDelta():
                self._arguments.append(event.text)
            case ItemBegun() | ItemEnded():
                return self._item(event)
            case CitationAdded():
                # The SDK's chats throw away a turn in which a chunk has no part.
                cited = {"citationMetadata": {"citations": [citation(event.citation)]}}
                return self._candidate({"content": {"parts": [{"text": ""}], "role": "model"}, **cited})
            case Begun():
                self._fixed = _encode({"modelVersion": self._view.model, "responseId": event.id or self._view.id})[1:]
            case UsageTold():
                self._usage = event.usage
            case Finished():
                self._finish, self._tier = event.finish, event.service_tier
            case _:
                pass
        return b""

    def end(self) -> bytes:
        content: Json = {"parts": [{"text": ""}], "role": "model"}
        body: Json = {"candidates": [{"content": content, **finish_members(self._finish, self._broken), "index": 0}]}
        if self._usage is not None and self._usage.source != "unknown":
            body["usageMetadata"] = usage_metadata(self._usage, self._tier)
        return self._whole(body) + self._framer.end()

    def problem(self, problem: Problem) -> bytes:
        return self._framer.problem(problem)

    def _item(self, event: ItemBegun | ItemEnded) -> bytes:
        if isinstance(event, ItemBegun):
            if isinstance(event.item, ToolCall):
                self._call, self._arguments = event.item, [event.item.arguments]
            elif isinstance(event.item, Reasoning):
                self._thought, self._worded = event.item, False
            return b""
        call, self._call = self._call, None
        if call is None:
            return b""
        part = call_part(ToolCall(call.id, call.name, "".join(self._arguments), signature=call.signature))
        self._arguments = []
        if part is None:
            self._broken = call.name
            return b""
        return self._part(part)

    def _sealed(self, event: ReasoningSealed) -> bytes:
        begun = self._thought
        if begun.origin == ORIGIN and not self._worded:
            return self._part({"text": "", "thoughtSignature": event.signature})
        seal = Reasoning(signature=event.signature, encrypted=event.encrypted, origin=begun.origin, id=begun.id)
        return self._part(thought_part(seal))

    def _part(self, part: Json) -> bytes:
        return self._candidate({"content": {"parts": [part], "role": "model"}})

    def _candidate(self, candidate: Json) -> bytes:
        return self._whole({"candidates": [{**candidate, "index": 0}]})

    def _whole(self, body: Json) -> bytes:
        return self._framer.frame(_encode(body)[:-1] + b"," + self._fixed)
