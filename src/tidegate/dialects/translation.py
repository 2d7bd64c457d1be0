"""A call between two dialects: client → hub → upstream, and the answer back, event by event."""

from msgspec.structs import replace

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import Kept, Operation, Reference, View
from tidegate.dialects.canon import (
    ArgumentsDelta,
    Ended,
    Event,
    Failed,
    Finished,
    ItemBegun,
    Reasoning,
    ReasoningDelta,
    ReasoningSealed,
    RefusalDelta,
    Request,
    TextDelta,
    ToolCall,
    UsageTold,
)
from tidegate.dialects.dialect import (
    Answer,
    ChatCodec,
    Dialect,
    EventDecoder,
    EventEncoder,
    Splitter,
    StreamEvent,
    StreamReader,
    UnreadableRequest,
    UpstreamModel,
)
from tidegate.dialects.remote import NeedsBytes, put_bytes, remote_files
from tidegate.dialects.single_calls import FirstCallAlone
from tidegate.dialects.tool_names import restore_name

_DELTAS = (TextDelta, ReasoningDelta, ArgumentsDelta, RefusalDelta, ReasoningSealed, Finished)
_TEXTS = (TextDelta, ReasoningDelta, ArgumentsDelta, RefusalDelta)
_STREAM_BROKEN = Problem(status=502, code="upstream_error", message="The upstream reported an error in its stream.")


class Translation:
    """Chat between a client's dialect and another of the upstream. Is a Relay. Stateless.

    `stream`: what the upstream is asked for, where that is not what the client asked for.
    """

    def __init__(
        self,
        client: Dialect,
        client_chat: ChatCodec,
        upstream: Dialect,
        upstream_chat: ChatCodec,
        *,
        stream: bool | None = None,
    ) -> None:
        self._stream = stream
        self._client = client_chat
        self._upstream = upstream_chat
        self._upstream_dialect = upstream
        self.native = False
        self.upstream_media = upstream.upstream_media
        self.stream_head = client.stream_head

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        request = self._client.decode_request(view)
        if self._stream is not None:
            request.stream = self._stream
        if view.fetched:
            put_bytes(request.items, view.fetched)
        if request.max_output_tokens is None:
            request.max_output_tokens = output_cap
        if upstream.max_output_tokens is not None and request.max_output_tokens is not None:
            # A client that means another model's bound (Claude Code asks for 32000) would be refused.
            request.max_output_tokens = min(request.max_output_tokens, upstream.max_output_tokens)
        try:
            body = self._upstream.encode_request(request, upstream)
        except NeedsBytes as error:
            wanted = remote_files(request.items, error.kinds)
            raise NeedsBytes(_told_of_messages(error.problem, request).problem, wanted=wanted) from error
        except UnreadableRequest as error:
            raise _told_of_messages(error.problem, request) from error
        view.dropped = tuple(dict.fromkeys(request.dropped))
        view.renamed_tools = request.renamed
        view.first_call_alone = request.first_call_alone
        where = request.called("messages")
        view.refers = tuple(Reference("sealed", text, where) for text in reversed(request.sealed))
        return body

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        answer = self._upstream.decode_answer(body)
        return Answer({}, answer.usage, answer)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        assert answer.canonical is not None  # noqa: S101 - read_answer of this class has set it
        if view.first_call_alone:
            first = FirstCallAlone()
            answer.canonical.items = first.items(answer.canonical.items)
            view.calls_left_out = first.calls_left_out
        view.left = tuple(
            ("sealed", item.encrypted)
            for item in answer.canonical.items
            if isinstance(item, Reasoning) and item.encrypted
        )
        if view.renamed_tools:
            for item in answer.canonical.items:
                restore_name(item, view.renamed_tools)
        return self._client.encode_answer(answer.canonical, view)

    def stream_reader(self, view: View) -> StreamReader:
        return TranslatingReader(self._upstream.event_decoder(), self._client.event_encoder(view), view)

    def splitter(self) -> Splitter:
        return self._upstream_dialect.splitter()


def _told_of_messages(problem: Problem, request: Request) -> UnreadableRequest:
    """Encoders that know no more of an item than that it is in the history call that `messages`: the client may not."""
    if problem.field != "messages":
        return UnreadableRequest(problem)
    return UnreadableRequest(replace(problem, field=request.names.get("items", request.called("messages"))))


class TranslatingReader:
    """Is a StreamReader. Holds one frame's events at a time, and what the two codecs must remember."""

    def __init__(self, decoder: EventDecoder, encoder: EventEncoder, view: View) -> None:
        self.usage: Usage | None = None
        self.content_events = 0
        self.content_bytes = 0
        self._decoder = decoder
        self._encoder = encoder
        self._renamed = view.renamed_tools
        self._first = FirstCallAlone() if view.first_call_alone else None
        self._view = view

    def read(self, event: bytes) -> StreamEvent:
        """One whole frame of the upstream. Raises UnreadableAnswer."""
        return self._told(self._decoder.decode(event))

    def end_marker(self) -> bytes | None:
        told = self._told(self._decoder.end())
        return told.bytes if told.done else None

    def problem(self, problem: Problem) -> bytes:
        return self._encoder.problem(problem)

    def _told(self, events: list[Event]) -> StreamEvent:
        told = StreamEvent(b"")
        out: list[bytes] = []
        for event in events:
            if isinstance(event, UsageTold):
                self.usage = event.usage
            elif isinstance(event, Failed):
                told.fault = event.fault
                message = event.fault.message or _STREAM_BROKEN.message
                out.append(self._encoder.problem(Problem(status=502, code="upstream_error", message=message)))
                break
            elif isinstance(event, Ended):
                told.done = True
                out.append(self._encoder.end())
                break
            elif isinstance(event, _DELTAS) or (isinstance(event, ItemBegun) and isinstance(event.item, ToolCall)):
                told.content = True
                self.content_events += 1
                if isinstance(event, _TEXTS):
                    text = event.text
                    self.content_bytes += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
                if self._renamed and isinstance(event, ItemBegun):
                    restore_name(event.item, self._renamed)
                elif isinstance(event, ReasoningSealed) and event.encrypted:
                    sealed: Kept = ("sealed", event.encrypted)
                    self._view.left += (sealed,)
            if self._first is None:
                out.append(self._encoder.encode(event))
            elif (kept := self._first.event(event)) is not None:
                out.append(self._encoder.encode(kept))
        if self._first is not None:
            self._view.calls_left_out = self._first.calls_left_out
        told.bytes = b"".join(out)
        return told
