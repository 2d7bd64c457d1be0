"""Canonical events, to a client's stream of Responses events.

Every event has its type and a dense sequence number; what belongs together has the same item id. The last event repeats the
whole output, so finished items are held until then, up to a bound.

Source: `openai.types.responses.response_stream_event` of the official SDK.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

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
    Message,
    Reasoning,
    ReasoningDelta,
    ReasoningSealed,
    RefusalDelta,
    TextDelta,
    ToolCall,
    UsageTold,
)
from tidegate.dialects.dialect import UnreadableAnswer
from tidegate.dialects.responses.conversation import may_be_kept
from tidegate.dialects.responses.faults import error_event
from tidegate.dialects.responses.response import (
    Json,
    Names,
    Shell,
    annotation,
    call_item,
    message_item,
    reasoning_item,
    refusal_part,
    signature_item,
    text_part,
)

MAX_HELD: Final = 16 * 1024 * 1024
"""Characters of an answer that the last event repeats."""
_ITEM_OVERHEAD: Final = 256

_encode = msgspec.json.encode


class _Open:
    """The item under way: its id and index, what its open part is called, and its text so far."""

    def __init__(self, item: Message | Reasoning | ToolCall, own: str, place: int) -> None:
        self.item = item
        self.id = own
        self.place = place
        self.parts: list[Json] = []
        self.kind = ""
        """Of the open part: an event's name without `.delta`; "" where none is open."""
        self.pieces: list[str] = []
        self.length = 0
        self.annotations: list[Json] = []
        self.delta_head = b""
        self.delta_tail = b""
        self.ended = False

    def text(self) -> str:
        return "".join(self.pieces)


_TEXT: Final = "response.output_text"
_REFUSAL: Final = "response.refusal"
_THOUGHT: Final = "response.reasoning_text"
_SUMMARY: Final = "response.reasoning_summary_text"
_ARGUMENTS: Final = "response.function_call_arguments"
_INPUT: Final = "response.custom_tool_call_input"


class ResponseEncoder:
    """Is an EventEncoder."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._sequence = 0
        self._shell: Shell | None = None
        self._output: list[bytes] = []
        self._held = 0
        self._open: _Open | None = None
        self._finish = Finish("stop")
        self._tier = ""
        self._usage: Usage | None = None

    def encode(self, event: Event) -> bytes:
        """Raises UnreadableAnswer for an answer that is too long to be repeated at its end."""
        match event:
            case TextDelta():
                return self._delta(_TEXT, event.text)
            case ArgumentsDelta():
                return self._delta(self._call_kind(), event.text)
            case ReasoningDelta():
                return self._delta(self._thought_kind(), event.text)
            case RefusalDelta():
                return self._delta(_REFUSAL, event.text)
            case CitationAdded():
                return self._cited(event)
            case ReasoningSealed():
                self._seal(event)
            case ItemBegun():
                return self._begin(event.item)
            case ItemEnded():
                return self._end_item()
            case Begun():
                return self._start()
            case UsageTold():
                self._usage = event.usage
            case Finished():
                self._finish, self._tier = event.finish, event.service_tier
                return self._close_item(self._status())
            case _:
                pass
        return b""

    def end(self) -> bytes:
        out = self._start() if self._shell is None else b""
        out += self._close_item(self._status())
        cut = self._status() == "incomplete"
        shell = self._begun()
        response = shell.ended(self._whole_output(), self._finish, self._usage, self._tier)
        self._view.kept = response if may_be_kept(self._view) else b""
        return out + self._event("response.incomplete" if cut else "response.completed", {"response": Raw(response)})

    def problem(self, problem: Problem) -> bytes:
        if self._shell is None:
            return error_event(problem, self._sequence)
        response = self._shell.failed(self._whole_output(), problem, self._usage)
        return self._event("response.failed", {"response": Raw(response)})

    # Events.

    def _event(self, name: str, members: Json) -> bytes:
        told = _encode({"type": name, "sequence_number": self._sequence, **members})
        self._sequence += 1
        return b"event: " + name.encode() + b"\ndata: " + told + b"\n\n"

    def _start(self) -> bytes:
        self._shell = Shell(self._view, Names(self._view))
        began: Json = {"response": Raw(self._shell.began())}
        return self._event("response.created", began) + self._event("response.in_progress", began)

    def _begun(self) -> Shell:
        if self._shell is None:
            raise UnreadableAnswer("the stream has content before its beginning")
        return self._shell

    def _begin(self, item: Message | Reasoning | ToolCall) -> bytes:
        self._begun()
        out = self._close_item("completed")
        if isinstance(item, ToolCall) and item.signature:
            out += self._signature(item)
        own = self._own(item)
        opened = self._open = _Open(item, own, len(self._output))
        begun = self._item_object(opened, "in_progress")
        out += self._event("response.output_item.added", {"output_index": opened.place, "item": begun})
        if isinstance(item, ToolCall):
            self._open_part(opened, self._call_kind())
        return out

    def _signature(self, call: ToolCall) -> bytes:
        place = len(self._output)
        item = _encode(signature_item(self._own(Reasoning()), call))
        out = self._event("response.output_item.added", {"output_index": place, "item": Raw(item)})
        return out + self._item_done(place, item)

    def _own(self, item: Message | Reasoning | ToolCall) -> str:
        return self._begun().names.item(item, len(self._output))

    def _delta(self, kind: str, text: str) -> bytes:
        opened = self._opened()
        out = b"" if opened.kind == kind else self._close_part(opened) + self._open_part(opened, kind)
        opened.pieces.append(text)
        opened.length += len(text)
        self._hold(len(text))
        sequence, self._sequence = self._sequence, self._sequence + 1
        return out + opened.delta_head + b"%d" % sequence + opened.delta_tail + _encode(text) + _ENDS[kind]

    def _opened(self) -> _Open:
        if self._open is None or self._open.ended:
            raise UnreadableAnswer("the stream has content outside of an item")
        return self._open

    def _call_kind(self) -> str:
        item = self._opened().item
        return _INPUT if isinstance(item, ToolCall) and item.custom else _ARGUMENTS

    def _thought_kind(self) -> str:
        item = self._opened().item
        return _SUMMARY if isinstance(item, Reasoning) and item.summary else _THOUGHT

    def _cited(self, event: CitationAdded) -> bytes:
        opened = self._opened()
        out = b"" if opened.kind == _TEXT else self._close_part(opened) + self._open_part(opened, _TEXT)
        told = annotation(event.citation, opened.length)
        members = {**self._at(opened), "annotation_index": len(opened.annotations), "annotation": told}
        opened.annotations.append(told)
        return out + self._event("response.output_text.annotation.added", members)

    def _seal(self, event: ReasoningSealed) -> None:
        item = self._opened().item
        if isinstance(item, Reasoning):
            item.signature += event.signature
            item.encrypted += event.encrypted

    # Parts.

    def _at(self, opened: _Open) -> Json:
        """Where an event of the open part belongs."""
        at: Json = {"item_id": opened.id, "output_index": opened.place}
        if opened.kind == _SUMMARY:
            at["summary_index"] = len(opened.parts)
        elif opened.kind not in (_ARGUMENTS, _INPUT):
            at["content_index"] = len(opened.parts)
        return at

    def _open_part(self, opened: _Open, kind: str) -> bytes:
        opened.kind = kind
        opened.pieces, opened.length, opened.annotations = [], 0, []
        at = self._at(opened)
        name = kind.encode() + b".delta"
        opened.delta_head = b"event: " + name + b'\ndata: {"type":"' + name + b'","sequence_number":'
        opened.delta_tail = b"," + _encode(at)[1:-1] + b',"delta":'
        if kind not in _PART_EVENTS:
            return b""
        return self._event(_PART_EVENTS[kind] + ".added", {**at, "part": _part(kind, "", [])})

    def _close_part(self, opened: _Open) -> bytes:
        kind, at = opened.kind, self._at(opened)
        if not kind:
            return b""
        text = opened.text()
        if kind in (_ARGUMENTS, _INPUT):
            member = "arguments" if kind == _ARGUMENTS else "input"
            return self._event(kind + ".done", {**at, member: text})
        done: Json = {**at, "refusal" if kind == _REFUSAL else "text": text}
        if kind == _TEXT:
            done["logprobs"] = []
        part = _part(kind, text, opened.annotations)
        out = self._event(kind + ".done", done)
        out += self._event(_PART_EVENTS[kind] + ".done", {**at, "part": part})
        opened.parts.append(part)
        opened.kind = ""
        return out

    def _end_item(self) -> bytes:
        """Its content is whole; whether it was cut short shows when the next item begins, or the answer ends."""
        opened = self._open
        if opened is None or opened.ended:
            return b""
        out = b""
        if opened.kind == _ARGUMENTS and not opened.pieces:
            out += self._delta(_ARGUMENTS, "{}")  # what has no arguments is still the text of an object
        out += self._close_part(opened)
        opened.ended = True
        return out

    def _close_item(self, status: str) -> bytes:
        opened = self._open
        if opened is None:
            return b""
        out = self._end_item()
        item = _encode(self._item_object(opened, status))
        self._open = None
        return out + self._item_done(opened.place, item)

    def _item_done(self, place: int, item: bytes) -> bytes:
        self._hold(_ITEM_OVERHEAD)
        self._output.append(item)
        return self._event("response.output_item.done", {"output_index": place, "item": Raw(item)})

    def _status(self) -> str:
        return "incomplete" if self._finish.reason in ("length", "content_filter") else "completed"

    def _item_object(self, opened: _Open, status: str) -> Json:
        item = opened.item
        if isinstance(item, Message):
            return message_item(opened.id, opened.parts, status)
        if isinstance(item, ToolCall):
            return call_item(opened.id, item, self._begun().names, opened.text(), status)
        told = reasoning_item(opened.id, item)
        if opened.parts:
            told["summary" if item.summary else "content"] = opened.parts
        return told

    def _hold(self, size: int) -> None:
        self._held += size
        if self._held > MAX_HELD:
            raise UnreadableAnswer(f"the answer is longer than {MAX_HELD} characters")

    def _whole_output(self) -> bytes:
        return b"[" + b",".join(self._output) + b"]"


_PART_EVENTS: Final = {
    _TEXT: "response.content_part",
    _REFUSAL: "response.content_part",
    _THOUGHT: "response.content_part",
    _SUMMARY: "response.reasoning_summary_part",
}
_ENDS: Final = {
    _TEXT: b',"logprobs":[]}\n\n',
    _REFUSAL: b"}\n\n",
    _THOUGHT: b"}\n\n",
    _SUMMARY: b"}\n\n",
    _ARGUMENTS: b"}\n\n",
    _INPUT: b"}\n\n",
}


def _part(kind: str, text: str, annotations: list[Json]) -> dict[str, Any]:
    if kind == _TEXT:
        return text_part(text, annotations)
    if kind == _REFUSAL:
        return refusal_part(text)
    return {"type": "summary_text" if kind == _SUMMARY else "reasoning_text", "text": text}
