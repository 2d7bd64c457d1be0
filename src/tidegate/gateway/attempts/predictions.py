"""Attempts at predictive models: rows are counted before the call, so their answers need not say what was used."""

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.decide.route import Candidate
from tidegate.dialects.dialect import Dialect, Relay, UnreadableAnswer
from tidegate.dialects.predictive import JSON_LENGTH
from tidegate.gateway.attempts.attempt import MAX_ANSWER_BYTES, AttemptOwner, UnaryAttempt
from tidegate.gateway.attempts.passing import PassingAttempt
from tidegate.gateway.headers import header_value
from tidegate.wire.message import Headers, encode_headers


def _rows(view: View) -> Usage:
    return Usage(input=view.estimated_input_tokens, source="reported")


class TensorAttempt(UnaryAttempt):
    """An answer is JSON, with bytes of tensors behind it where a header says how long it is."""

    __slots__ = ("_json_bytes",)

    def __init__(self, owner: AttemptOwner, candidate: Candidate, dialect: Dialect, relay: Relay, view: View) -> None:
        super().__init__(owner, candidate, dialect, relay, view)
        self._json_bytes = -1
        """Of the client's answer; -1 where it is JSON alone."""

    def on_end(self) -> None:
        if self.status != 200:
            self.status_fault()
            return
        body = self.taken_in(self._client_body)
        if body is not None:
            self.owner.answered(self, _rows(self.view), body)

    def passed_back(self) -> bytes:
        block = super().passed_back()
        return block if self._json_bytes < 0 else block + encode_headers([(JSON_LENGTH, b"%d" % self._json_bytes)])

    def _client_body(self) -> bytes:
        """Raises UnreadableAnswer."""
        told, body = header_value(self.headers, JSON_LENGTH), self.body()
        if told and not (told.isdigit() and len(told) < 19 and int(told) <= len(body)):
            raise UnreadableAnswer("the answer's inference-header-content-length is not within the answer")
        length = int(told) if told else len(body)
        answer = self.relay.read_answer(self.view.operation, body[:length])
        head = self.relay.encode_answer(answer, self.view)  # it has another name of the model, so another length
        if not told:
            return head
        self._json_bytes = len(head)
        return head + body[length:]


class PredictionAttempt(PassingAttempt):
    """An answer of any kind. One that says its length is taken whole, so that it can be tried again; others pass by."""

    __slots__ = ("_whole",)

    def __init__(self, owner: AttemptOwner, candidate: Candidate, dialect: Dialect, relay: Relay, view: View) -> None:
        super().__init__(owner, candidate, dialect, relay, view)
        self._whole = False

    def partial_usage(self) -> Usage:
        return _rows(self.view)

    def on_head(self, status: int, headers: Headers) -> None:
        super().on_head(status, headers)
        length = header_value(headers, b"content-length")
        self._whole = status == 200 and bool(length) and int(length) <= MAX_ANSWER_BYTES

    def on_data(self, data: bytes) -> None:
        if not self._whole:
            super().on_data(data)
            return
        if not self.parts:
            self.owner.first_byte(self)
        self.collect(data, MAX_ANSWER_BYTES)

    def on_end(self) -> None:
        """A model may well say nothing."""
        if self.status == 200 and self.exchange is None:
            self.owner.answered(self, _rows(self.view), self.body())
        else:
            super().on_end()
