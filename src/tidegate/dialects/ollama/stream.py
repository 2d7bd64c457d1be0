"""Ollama's stream of JSON lines: to canonical events, from them, and the native relay.

Source: `ChatResponse` of the official `ollama` SDK.
"""

from typing import Final

import msgspec
from msgspec import Raw

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.canon import (
    ArgumentsDelta,
    Begun,
    Ended,
    Event,
    Failed,
    Fault,
    Finish,
    Finished,
    ItemBegun,
    ItemEnded,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCall,
    UsageTold,
)
from tidegate.dialects.dialect import StreamEvent, UnreadableAnswer
from tidegate.dialects.ollama.answer import Json, Line, call_object, call_of, decode_line, ending, finish_of, head, said
from tidegate.dialects.ollama.answer import usage_of as usage_of_line
from tidegate.dialects.ollama.errors import encode_error
from tidegate.dialects.ollama.request_in import ORIGIN
from tidegate.dialects.open_item import OpenItem

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


def _read(line: bytes) -> Line:
    """Raises UnreadableAnswer."""
    try:
        return decode_line(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableAnswer(f"a line of the stream is not what the dialect promises: {error}") from error


class LineDecoder:
    """Is an EventDecoder."""

    def __init__(self) -> None:
        self._begun = False
        self._calls = 0
        self._items = OpenItem()

    def decode(self, frame: bytes) -> list[Event]:
        """One line. Raises UnreadableAnswer."""
        line = _read(frame)
        if line.error is not None:
            return [Failed(Fault("", "", line.error))]
        events: list[Event] = []
        if not self._begun:
            self._begun = True
            events.append(Begun(""))
        if line.message is not None:
            self._said(line, events)
        if line.done:
            self._items.close(events)
            events += [UsageTold(usage_of_line(line)), Finished(finish_of(line, called=self._calls > 0)), Ended()]
        return events

    def end(self) -> list[Event]:
        return []

    def _said(self, line: Line, events: list[Event]) -> None:
        message = line.message
        if message is None:
            return
        if message.thinking:
            events.append(ReasoningDelta(self._items.reasoning(ORIGIN, events), message.thinking))
        if message.content:
            events.append(TextDelta(self._items.message(events), message.content))
        for told in message.tool_calls or ():
            call = call_of(told, self._calls, line)
            self._calls += 1
            index = self._items.begin(ToolCall(call.id, call.name, ""), events)
            events.append(ArgumentsDelta(index, call.arguments))
            self._items.close(events)


class LineEncoder:
    """Is an EventEncoder. A tool call comes whole, as an object; the last line has the reason and the counts."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._head = head(view)
        self._finish = Finish("stop")
        self._usage = Usage()
        self._calls = 0
        self._call: ToolCall | None = None
        self._arguments: list[str] = []

    def encode(self, event: Event) -> bytes:
        match event:
            case TextDelta() | RefusalDelta():
                return self._line(said(self._view, event.text))
            case ReasoningDelta():
                return self._line(said(self._view, "", event.text))
            case ItemBegun(item=ToolCall() as call):
                self._call = call
            case ArgumentsDelta():
                self._arguments.append(event.text)
            case ItemEnded() if self._call is not None:
                return self._called(self._call)
            case UsageTold():
                self._usage = event.usage
            case Finished():
                self._finish = event.finish
            case _:
                pass
        return b""

    def end(self) -> bytes:
        return _encode(self._head | said(self._view, "") | ending(self._finish, self._usage)) + b"\n"

    def problem(self, problem: Problem) -> bytes:
        return encode_error(problem) + b"\n"

    def _called(self, call: ToolCall) -> bytes:
        call.arguments = "".join(self._arguments)
        told = call_object(call, self._calls)
        self._call = None
        self._arguments.clear()
        self._calls += 1
        return self._line(said(self._view, "", calls=[told]))

    def _line(self, told: Json) -> bytes:
        return _encode(self._head | told | {"done": False}) + b"\n"


_MODEL: Final = b'{"model":'


class LineReader:
    """Is a StreamReader, natively: every line with the public model name, nothing kept but the counts of the last."""

    def __init__(self, model: str) -> None:
        self.usage: Usage | None = None
        self.content_events = 0
        self.content_bytes = 0
        self._model = _MODEL + _encode(model)
        self._upstream_model = b""

    def read(self, event: bytes) -> StreamEvent:
        """One line, its LF included. Raises UnreadableAnswer."""
        line = _read(event)
        if line.error is not None:
            return StreamEvent(event, fault=Fault("", "", line.error))
        renamed = self._renamed(event)
        if line.done:
            usage = usage_of_line(line)
            self.usage = usage if usage.source == "reported" else None
            return StreamEvent(renamed, content=True, done=True)
        message = line.message
        content = message is not None and bool(message.content or message.thinking or message.tool_calls)
        self.content_events += content
        return StreamEvent(renamed, content=content)

    def end_marker(self) -> bytes | None:
        """Without its last line it is not complete."""
        return None

    def problem(self, problem: Problem) -> bytes:
        return encode_error(problem) + b"\n"

    def _renamed(self, event: bytes) -> bytes:
        known = self._upstream_model
        if known and event.startswith(known):
            return self._model + event[len(known) :]
        fields = _decode_object(event)
        model = fields.get("model")
        if model is None:
            return event
        self._upstream_model = _MODEL + bytes(model)
        fields["model"] = Raw(self._model[len(_MODEL) :])
        return _encode(fields) + b"\n"
