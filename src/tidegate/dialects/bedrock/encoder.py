"""Canonical events to a client's ConverseStream.

Source: `ConverseStreamOutput` of botocore's model of bedrock-runtime. A block is begun by `contentBlockStart` only where it
is a tool call: botocore refuses an empty `start`.
"""

from typing import Any

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.dialects.bedrock.answer import METRICS, beside_the_reason, stop_reason, tier_object
from tidegate.dialects.bedrock.blocks import citation_object
from tidegate.dialects.bedrock.errors import encode_exception
from tidegate.dialects.bedrock.frames import event_frame
from tidegate.dialects.bedrock.thoughts import CLAUDES, call_content, sealed_blob, sealed_signature
from tidegate.dialects.bedrock.usage import usage_object
from tidegate.dialects.canon import (
    ArgumentsDelta,
    Begun,
    CitationAdded,
    Event,
    Finish,
    Finished,
    ItemBegun,
    ItemEnded,
    OutputItem,
    Reasoning,
    ReasoningDelta,
    ReasoningSealed,
    RefusalDelta,
    TextDelta,
    ToolCall,
    UsageTold,
)

Json = dict[str, Any]


class StreamEncoder:
    """Is an EventEncoder. A block has its index from its first frame on: items without content are no blocks."""

    def __init__(self) -> None:
        self._finish = Finish("stop")
        self._tier = ""
        self._usage: Usage | None = None
        self._item: OutputItem | None = None
        self._block = -1
        self._is_begun = False
        self._is_sealed = False
        self._has_arguments = False

    def encode(self, event: Event) -> bytes:
        match event:
            case TextDelta() | RefusalDelta():
                return self._delta({"text": event.text})
            case ArgumentsDelta():
                self._has_arguments = True
                return self._delta({"toolUse": {"input": event.text}})
            case ReasoningDelta():
                return self._delta({"reasoningContent": {"text": event.text}})
            case ReasoningSealed():
                return self._seal(event)
            case CitationAdded():
                return self._delta({"citation": citation_object(event.citation)})
            case ItemBegun():
                return self._begin(event.item)
            case ItemEnded():
                return self._end_block()
            case Begun():
                return event_frame("messageStart", {"role": "assistant"})
            case UsageTold():
                self._usage = event.usage
            case Finished():
                self._finish, self._tier = event.finish, event.service_tier
            case _:
                pass
        return b""

    def end(self) -> bytes:
        stop: Json = {"stopReason": stop_reason(self._finish)}
        more = beside_the_reason(self._finish)
        if more:
            stop["additionalModelResponseFields"] = more
        told: Json = {"metrics": METRICS}
        if self._usage is not None and self._usage.source != "unknown":
            told["usage"] = usage_object(self._usage)
        if self._tier:
            told["serviceTier"] = tier_object(self._tier)
        return event_frame("messageStop", stop) + event_frame("metadata", told)

    def problem(self, problem: Problem) -> bytes:
        return encode_exception(problem)

    def _begin(self, item: OutputItem) -> bytes:
        self._item, self._is_begun, self._is_sealed, self._has_arguments = item, False, False, False
        if not isinstance(item, ToolCall):
            return b""
        seal = call_content(item)
        out = b"" if seal is None else self._delta({"reasoningContent": seal}) + self._end_frame()
        self._is_begun = False
        self._open()
        start = {"toolUse": {"toolUseId": item.id, "name": item.name}}
        return out + event_frame("contentBlockStart", {"start": start, "contentBlockIndex": self._block})

    def _delta(self, delta: Json) -> bytes:
        self._open()
        return event_frame("contentBlockDelta", {"delta": delta, "contentBlockIndex": self._block})

    def _seal(self, event: ReasoningSealed) -> bytes:
        """The proof of a thought without text stands in its place: a signature alone is none of Bedrock's."""
        self._is_sealed = True
        begun = self._item if isinstance(self._item, Reasoning) else Reasoning()
        whole = Reasoning("", event.signature, event.encrypted, begun.summary, begun.origin, begun.id)
        if self._is_begun or (begun.origin in CLAUDES and event.signature):
            return self._delta({"reasoningContent": {"signature": sealed_signature(whole)}})
        return self._delta({"reasoningContent": {"redactedContent": sealed_blob(whole)}})

    def _open(self) -> None:
        if not self._is_begun:
            self._is_begun = True
            self._block += 1

    def _end_block(self) -> bytes:
        if not self._is_begun:
            return b""
        out = b""
        if isinstance(self._item, ToolCall) and not self._has_arguments:
            out = self._delta({"toolUse": {"input": "{}"}})  # clients parse what they have collected as JSON
        if isinstance(self._item, Reasoning) and not self._is_sealed and self._item.origin not in CLAUDES:
            out = self._seal(ReasoningSealed(0))  # by it the gateway knows again what is not Bedrock's
        self._is_begun = False
        return out + self._end_frame()

    def _end_frame(self) -> bytes:
        return event_frame("contentBlockStop", {"contentBlockIndex": self._block})
