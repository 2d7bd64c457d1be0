"""Chat with an upstream that can only stream, or cannot: the client still gets the shape that it asked for."""

from tidegate.core.problem import Problem
from tidegate.core.view import View
from tidegate.dialects.canon import Answer as CanonicalAnswer
from tidegate.dialects.canon import Event
from tidegate.dialects.dialect import Answer, ChatCodec, Dialect, StreamReader
from tidegate.dialects.folding import Fold, explode
from tidegate.dialects.translation import TranslatingReader, Translation


class Folding(Translation):
    """The upstream streams, the client wants the whole answer. Is a Relay, for dialects of one family too. Stateless."""

    def __init__(self, client: Dialect, client_chat: ChatCodec, upstream: Dialect, upstream_chat: ChatCodec) -> None:
        super().__init__(client, client_chat, upstream, upstream_chat, stream=True)

    def stream_reader(self, view: View) -> StreamReader:
        """Its events have no bytes until the last, which has the client's whole answer."""
        return TranslatingReader(self._upstream.event_decoder(), _FoldingEncoder(self._client, view), view)


class Exploding(Translation):
    """The upstream answers whole, the client wants a stream. Is a Relay, for dialects of one family too. Stateless."""

    def __init__(self, client: Dialect, client_chat: ChatCodec, upstream: Dialect, upstream_chat: ChatCodec) -> None:
        super().__init__(client, client_chat, upstream, upstream_chat, stream=False)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        """The client's whole stream, its end marker included. Raises UnreadableAnswer."""
        assert answer.canonical is not None  # noqa: S101 - read_answer of this class has set it
        reader = TranslatingReader(_Exploded(answer.canonical), self._client.event_encoder(view), view)
        return reader.end_marker() or b""


class _Exploded:
    """Is an EventDecoder, of a stream that is known to its end."""

    def __init__(self, answer: CanonicalAnswer) -> None:
        self._events = explode(answer)

    def decode(self, frame: bytes) -> list[Event]:
        return []

    def end(self) -> list[Event]:
        return self._events


class _FoldingEncoder:
    """Is an EventEncoder, of one piece."""

    def __init__(self, client: ChatCodec, view: View) -> None:
        self._client = client
        self._view = view
        self._fold = Fold()

    def encode(self, event: Event) -> bytes:
        self._fold.add(event)
        return b""

    def end(self) -> bytes:
        return self._client.encode_answer(self._fold.answer(), self._view)

    def problem(self, problem: Problem) -> bytes:
        """Nothing has gone to the client: the call may still be served elsewhere."""
        return b""
