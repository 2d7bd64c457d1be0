"""An upstream's stream of partial answers, to canonical events.

Source: `google.genai.types.GenerateContentResponse` of the official SDK. Function calls come whole,
the end is that of the body.
"""

from tidegate.dialects.canon import (
    ArgumentsDelta,
    Begun,
    Citation,
    CitationAdded,
    Ended,
    Event,
    Failed,
    Finish,
    Finished,
    ItemBegun,
    ItemEnded,
    Message,
    OutputItem,
    Reasoning,
    ReasoningDelta,
    ReasoningSealed,
    TextDelta,
    ToolCall,
    UsageTold,
)
from tidegate.dialects.fields import present
from tidegate.dialects.gemini.chat_answer import (
    Candidate,
    Content,
    Part,
    blocked,
    call_of,
    check_part,
    citations_of,
    finish_of,
    read_response,
)
from tidegate.dialects.gemini.errors import read_error
from tidegate.dialects.gemini.signatures import ORIGIN
from tidegate.dialects.gemini.usage import tier_of, usage_of
from tidegate.wire.sse import sse_data


class ChunkDecoder:
    """Is an EventDecoder. Remembers the open item and what was begun, nothing of the contents."""

    def __init__(self) -> None:
        self._begun = False
        self._finish: Finish | None = None
        self._tier = ""
        self._calls = 0
        self._next = 0
        self._open: OutputItem | None = None
        self._id = ""

    def decode(self, frame: bytes) -> list[Event]:
        """One SSE event. Raises UnreadableAnswer."""
        data = sse_data(frame)
        if not data:
            return []
        chunk = read_response(data)
        if present(chunk.error) is not None:
            return [Failed(read_error(data))]
        events: list[Event] = []
        if not self._begun:
            self._begun = True
            self._id = chunk.response_id or ""
            events.append(Begun(self._id))
        if present(chunk.usage_metadata) is not None:
            self._tier = tier_of(chunk.usage_metadata) or self._tier
            events.append(UsageTold(usage_of(chunk.usage_metadata)))
        if self._finish is not None:
            return events
        for candidate in chunk.candidates or ():
            if not candidate.index:
                self._candidate(candidate, events)
        if not chunk.candidates and chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason:
            self._finished(blocked(chunk.prompt_feedback), events)
        return events

    def end(self) -> list[Event]:
        return [] if self._finish is None else [Ended()]

    def _candidate(self, candidate: Candidate, events: list[Event]) -> None:
        if self._finish is not None:
            return
        for part in (candidate.content or Content()).parts or ():
            self._part(part, events)
        for told in citations_of(candidate):
            # Where in the text they stand would be known only of a text that was kept.
            self._in(Message, events)
            events.append(CitationAdded(self._next - 1, Citation(told.uri or "", told.title or "")))
        if candidate.finish_reason is not None:
            called = self._calls > 0
            self._finished(finish_of(candidate.finish_reason, candidate.finish_message, called=called), events)

    def _finished(self, finish: Finish, events: list[Event]) -> None:
        self._close(events)
        self._finish = finish
        events.append(Finished(finish, self._tier))

    def _part(self, part: Part, events: list[Event]) -> None:
        check_part(part)
        signature = part.thought_signature or ""
        if part.function_call is not None:
            call = call_of(part.function_call, signature, self._id, self._calls)
            self._calls += 1
            self._begin(ToolCall(call.id, call.name, "", signature=signature), events)
            events.append(ArgumentsDelta(self._next - 1, call.arguments))
            self._close(events)
        elif part.thought:
            self._in(Reasoning, events)
            if part.text:
                events.append(ReasoningDelta(self._next - 1, part.text))
            if signature:
                events.append(ReasoningSealed(self._next - 1, signature))
                self._close(events)
        else:
            if part.text:
                self._in(Message, events)
                events.append(TextDelta(self._next - 1, part.text))
            if signature:
                # It signs the text: the hub's texts bear none, so it stands as a thought without words.
                self._begin(Reasoning(origin=ORIGIN), events)
                events.append(ReasoningSealed(self._next - 1, signature))
                self._close(events)

    def _in(self, kind: type[Message] | type[Reasoning], events: list[Event]) -> None:
        """Opens an item of this kind unless one is open."""
        if not isinstance(self._open, kind):
            item = Message("assistant", []) if kind is Message else Reasoning(summary=True, origin=ORIGIN)
            self._begin(item, events)

    def _begin(self, item: OutputItem, events: list[Event]) -> None:
        self._close(events)
        self._open = item
        events.append(ItemBegun(self._next, item))
        self._next += 1

    def _close(self, events: list[Event]) -> None:
        if self._open is not None:
            events.append(ItemEnded(self._next - 1))
            self._open = None
