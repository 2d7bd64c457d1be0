"""One call of one upstream: whatever a dialect makes of the end of an answer, the owner is told once."""

from typing import Any, cast

import pytest

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.decide.route import Candidate
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import Answer, Dialect, RefusedAnswer, Relay, UnreadableAnswer
from tidegate.dialects.ollama import Ollama
from tidegate.dialects.openai import OpenAI
from tidegate.dialects.registry import DIALECTS, relay_between
from tidegate.gateway.attempts.attempt import Attempt, StreamAttempt, UnaryAttempt, UpstreamFault
from tidegate.gateway.attempts.passing import MediaStreamAttempt
from tidegate.wire.client import Failure
from tidegate.wire.server import Exchange

SILENT = b'{"model":"m","message":null,"done":true,"done_reason":"stop"}'
SPOKEN = (
    b'{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"audio/L16;rate=24000","data":"AAAA"}}]},'
    b'"finishReason":"STOP"}]}'
)
CHAT = b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}'


class Owner:
    """Hears what an attempt has to tell."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def first_byte(self, attempt: Attempt) -> None: ...

    def answered(self, attempt: UnaryAttempt, usage: Usage, body: bytes) -> None:
        self.heard.append("answered")

    def faulted(self, attempt: Attempt, fault: UpstreamFault) -> None:
        self.heard.append(fault.kind)

    def committed(self, attempt: StreamAttempt) -> Exchange:
        raise AssertionError("there was nothing to commit")

    def settle_stream(self, attempt: StreamAttempt, problem: Problem | None, detail: str) -> None: ...

    def broken(self) -> None:
        self.heard.append("broken")


class Faulty(OpenAI):
    """A dialect that fails with `error` at an answer's end."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        raise self._error

    def stream_reader(self, view: View) -> Any:
        reader = super().stream_reader(view)
        cast("Any", reader).end_marker = self._fail
        return reader

    def _fail(self) -> bytes:
        raise self._error


class Open:
    """A client's answer under way."""

    def __init__(self) -> None:
        self.written = b""
        self.finished = False

    def write(self, data: bytes) -> None:
        self.written += data

    def finish(self) -> None:
        self.finished = True


def no_candidate() -> Candidate:
    return cast("Candidate", None)


def whole(owner: Owner, dialect: Dialect, relay: Relay, view: View, body: bytes) -> None:
    attempt = UnaryAttempt(owner, no_candidate(), dialect, relay, view)
    attempt.on_head(200, [(b"content-type", b"application/json")])
    attempt.on_data(body)
    attempt.on_end()


def test_an_answer_that_cannot_be_put_into_the_clients_form_is_malformed() -> None:
    """Ollama's `/api/generate` reads the answer of `/api/chat` again when it encodes it."""
    owner, ollama = Owner(), Ollama()
    found = ollama.match_path(b"/api/generate", b"")
    assert found is not None
    view = ollama.read(found[0], b'{"model":"m","prompt":"Hi","stream":false}', found[1])
    whole(owner, ollama, ollama, view, SILENT)
    assert owner.heard == ["malformed"]


@pytest.mark.parametrize("error", [UnreadableAnswer("no"), RecursionError("deep"), KeyError("bug")])
def test_nothing_that_a_dialect_raises_at_the_end_escapes(error: Exception) -> None:
    for stream in (False, True):
        owner, faulty = Owner(), Faulty(error)
        view = faulty.read("chat", CHAT)
        if stream:
            attempt = StreamAttempt(owner, no_candidate(), faulty, faulty, view)
            attempt.on_head(200, [(b"content-type", b"text/event-stream")])
            attempt.on_end()
        else:
            whole(owner, faulty, faulty, view, b'{"choices":[]}')
        assert owner.heard == ["malformed"]


def test_an_answer_is_told_with_its_body() -> None:
    owner, openai = Owner(), OpenAI()
    whole(owner, openai, openai, openai.read("chat", CHAT), b'{"choices":[]}')
    assert owner.heard == ["answered"]


def test_a_stream_whose_end_failed_is_not_left_open() -> None:
    """Its accounting raised, and the wire says so: nobody else would close the client's answer."""
    owner, openai = Owner(), OpenAI()
    view = openai.read("chat", CHAT)
    attempt = StreamAttempt(owner, no_candidate(), openai, openai, view)
    attempt.exchange, attempt.over = cast("Exchange", object()), True
    attempt.on_failure(Failure("protocol", "a bug", answered=True))
    assert owner.heard == ["broken"]


@pytest.mark.parametrize("begun", [False, True])
def test_a_refusal_at_the_end_of_a_stream(begun: bool) -> None:
    """Before anything went out it is an answer like any other; after that the client sees it in the stream."""
    refusal = RefusedAnswer(Fault("", "moderation_blocked", "Not this."), Usage())
    owner, faulty, client = Owner(), Faulty(refusal), Open()
    attempt = StreamAttempt(owner, no_candidate(), faulty, faulty, faulty.read("chat", CHAT))
    attempt.on_head(200, [(b"content-type", b"text/event-stream")])
    if begun:
        attempt.exchange = cast("Exchange", client)
    attempt.on_end()
    assert owner.heard == ([] if begun else ["status"])
    assert (b"moderation_blocked" in client.written, client.finished) == (begun, begun)


@pytest.mark.parametrize("native", [False, True])
def test_a_stream_that_was_answered_whole(native: bool) -> None:
    """Only natively is it what the client may be given in place of a stream."""
    gemini, openai = DIALECTS["gemini"], OpenAI()
    relay = openai if native else relay_between("openai", gemini, "speech")
    assert relay is not None
    view = openai.read("speech", b'{"model":"m","input":"Hi","stream_format":"sse","response_format":"pcm"}')
    owner = Owner()
    attempt = MediaStreamAttempt(owner, no_candidate(), openai if native else gemini, relay, view)
    attempt.on_head(200, [(b"content-type", b"application/json")])
    attempt.on_data(SPOKEN)
    attempt.on_end()
    assert owner.heard == (["answered"] if native else ["malformed"])
