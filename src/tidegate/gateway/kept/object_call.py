"""One client's request for what a provider keeps: it claims, asks the provider, answers, and is recorded.

An ObjectCall costs nothing: it counts as a request. What a batch computes is settled and recorded when the batch has ended
(`batch_watch`).
"""

import logging
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from tidegate.core.claims import Claims, Refusal
from tidegate.core.decision import AttemptRecord
from tidegate.core.problem import Problem
from tidegate.core.usage import Outcome, Usage
from tidegate.decide.admit import refusal_problem
from tidegate.decide.compiled import CompiledConsumer
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.gateway.attempts.attempt import UpstreamFault
from tidegate.gateway.faults import client_problem, fault_name, passes_through
from tidegate.gateway.headers import answer_head, content_type, passed_back, problem_headers, upstream_headers
from tidegate.gateway.kept.batch_watch import BatchWatch
from tidegate.gateway.kept.errand import Errand, Taker, Told
from tidegate.gateway.kept.object_paths import ObjectAsked
from tidegate.gateway.record import CallRecord, End
from tidegate.gateway.runtime import Runtime
from tidegate.gateway.upstreams import Credential
from tidegate.state.memory import Grant
from tidegate.wire.message import Headers, encode_headers
from tidegate.wire.server import Exchange

_LEASE: Final = 900.0
_SLICE_SECONDS: Final = 0.004
_JSON: Final = "content-type: application/json\r\n"
_CLIENT_GONE: Final = 499
_NOTHING_USED: Final = Usage(source="reported")

log = logging.getLogger(__name__)


class Place(Protocol):
    """A credential of a provider."""

    @property
    def provider(self) -> str: ...

    @property
    def credential(self) -> str: ...


class ObjectCall:
    """Listener of its exchange. Exactly one of `answer`, `refuse`, `pass_fault` and the end of `pass_on` ends it."""

    def __init__(
        self,
        runtime: Runtime,
        watch: BatchWatch,
        exchange: Exchange,
        asked: ObjectAsked,
        consumer: CompiledConsumer,
        digest: bytes,
    ) -> None:
        self.runtime = runtime
        self.watch = watch
        self.exchange = exchange
        self.asked = asked
        self.consumer = consumer
        self.digest = digest
        self.record = CallRecord(runtime, asked.dialect, "object", consumer, digest, exchange.request)
        self.making = False
        """The provider is asked to make or remove something: that is heard to its end, even if the client leaves."""
        self._grant: Grant | None = None
        self._errand: Errand | None = None
        self._label = ""
        self._over = False

    def claim(self) -> bool:
        """Takes a request's place under the consumer's limits; False where it has been refused."""
        buckets, kinds = self.consumer.buckets_of[""]
        claims = Claims(buckets, [int(kind in ("requests", "concurrency")) for kind in kinds])
        self.record.claims = claims
        taken = self.runtime.state.take(claims, _LEASE)
        self.runtime.metrics.in_flight += 1
        if isinstance(taken, Refusal):
            self.record.refused = taken
            self.refuse(refusal_problem(taken, self.record.time_ns))
            return False
        self._grant = taken
        self.exchange.listener = self
        return True

    def guarded(self, act: Callable[[], None]) -> None:
        """A request that cannot be read is refused; a bug ends this call and no other."""
        try:
            act()
        except UnreadableRequest as error:
            self.refuse(error.problem)
        except Exception:
            log.exception("a request for what a provider keeps failed")
            self.refuse(
                Problem(
                    status=500, code="internal_error", message="The gateway failed to serve this. Its log says why."
                ),
                "failed",
            )

    def in_slices(self, work: Iterator[None], then: Callable[[], None]) -> None:
        """Does a long piece of work a few milliseconds at a time, so that other calls go on; then `then`."""
        runtime = self.runtime

        def turn() -> None:
            if self.exchange.closed:
                return
            until = runtime.clock.monotonic() + _SLICE_SECONDS
            for _ in work:
                if runtime.clock.monotonic() >= until:
                    runtime.loop.call_soon(self.guarded, turn)
                    return
            then()

        self.guarded(turn)

    # The client, through the exchange.

    def on_disconnect(self) -> None:
        if self.making:
            return
        if self._errand is not None:
            self._errand.cancel()
        self._end(End(_CLIENT_GONE, "cancelled", reason="the client disconnected", usage=_NOTHING_USED))

    def on_pause(self) -> None:
        if self._errand is not None and self._errand.wire is not None:
            self._errand.wire.pause()

    def on_resume(self) -> None:
        if self._errand is not None and self._errand.wire is not None:
            self._errand.wire.resume()

    # The provider.

    def ask(
        self,
        place: Place,
        method: bytes,
        path: str,
        then: Callable[[Told], None],
        *,
        body: bytes = b"",
        media: bytes = b"",
        taker: Taker | None = None,
    ) -> None:
        """`then` hears the answer, whatever it is."""
        credential = self.credential(place)
        self._label = place.provider
        started = self.runtime.clock.monotonic()
        self.record.attempts_made += 1

        def done(told: Told) -> None:
            self._errand = None
            self._note(place, started, told)
            if not self._over:
                self.guarded(lambda: then(told))

        self._errand = Errand(done, taker)
        request, dialect = self.exchange.request, self.asked.dialect
        lacking = [pair for pair in dialect.default_headers() if request.header(pair[0]) is None]
        own = upstream_headers(request) + upstream_headers(request, dialect.native_headers) + encode_headers(lacking)
        self._errand.send(credential, method, path, own=own, body=body, media=media)

    def credential(self, place: Place) -> Credential:
        """Raises UnreadableRequest where the configuration has lost it."""
        try:
            return self.runtime.upstreams.credential(place.provider, place.credential)
        except KeyError:
            message = f"Provider {place.provider} with credential {place.credential} is no longer configured here."
            raise UnreadableRequest(Problem(status=404, code="not_found", message=message)) from None

    def pass_on(
        self, place: Place, path: str, method: bytes = b"GET", *, body: bytes = b"", media: bytes = b""
    ) -> None:
        """Gives an upstream's body to the client as it comes."""
        self.ask(place, method, path, self._passed, body=body, media=media, taker=self)

    def begin(self, headers: Headers) -> None:
        self.record.first_byte_at = self.runtime.clock.monotonic()
        self.exchange.start(200, self._head(content_type(headers)) + passed_back(headers))

    def take(self, data: bytes) -> None:
        self.exchange.write(data)

    def _passed(self, told: Told) -> None:
        if told.status == 200:
            self._end(End(200, "ok", usage=_NOTHING_USED))
            self.exchange.finish()
        elif not self.exchange.started:
            self.pass_fault(told)
        else:
            reason = "" if told.failure is None else told.failure.message
            self._end(End(200, "cut", code="upstream_error", reason=reason, usage=_NOTHING_USED))
            self.exchange.abort()

    # Ends.

    def answer(self, body: bytes, headers: Headers | None = None) -> None:
        if self._end(End(200, "ok", usage=_NOTHING_USED)):
            self.exchange.respond(200, self._head(_JSON) + passed_back(headers or []), body)

    def refuse(self, problem: Problem, outcome: Outcome = "refused") -> None:
        end = End(problem.status, outcome, code=problem.code, reason=problem.message, usage=_NOTHING_USED)
        if self._end(end):
            dialect = self.asked.dialect
            head = self._head(_JSON) + problem_headers(problem, dialect).encode()
            self.exchange.respond(problem.status, head, dialect.encode_problem(problem))

    def pass_fault(self, told: Told) -> None:
        """An upstream's error as it is; one of the gateway's own credential, or of the wire, as the gateway's."""
        fault = _fault(told, self.asked.dialect.read_fault(told.status, told.body) if told.status else _NO_FAULT)
        if not passes_through(fault):
            self.refuse(client_problem(fault, self._label, self.runtime.clock.now_ns()), "failed")
            return
        if self._end(End(told.status, "failed", code="upstream_error", reason=fault.detail, usage=_NOTHING_USED)):
            head = self._head(content_type(told.headers)) + passed_back(told.headers)
            self.exchange.respond(told.status, head, told.body)

    def _note(self, place: Place, started: float, told: Told) -> None:
        record = self.record
        fault = "ok" if told.status == 200 else fault_name(_fault(told, _NO_FAULT))
        self.runtime.metrics.attempt(place.provider, fault)
        began, now = started - record.started_at, self.runtime.clock.monotonic() - record.started_at
        detail = "" if told.failure is None else told.failure.message[:300]
        record.attempts.append(
            AttemptRecord(
                "",
                place.provider,
                place.credential,
                round(began * 1000, 3),
                round(now * 1000, 3),
                told.status,
                fault,
                detail,
            )
        )

    def _head(self, kind: str) -> bytes:
        runtime = self.runtime
        grant = self._grant  # once there is one, by its counters: a reload may have put others in their place
        counters = runtime.state.counters(self.consumer.buckets) if grant is None else grant.counters
        head = answer_head(self.record, self._label, runtime.state.remaining(counters), runtime.clock.now_ns())
        return (kind + head).encode()

    def _end(self, end: End) -> bool:
        """Settles and records; whether it was still open."""
        if self._over:
            return False
        self._over = True
        self.runtime.metrics.in_flight -= 1
        self.exchange.listener = None
        self.record.keep(self.runtime, None, self._grant, end)
        return True


_NO_FAULT: Final = Fault("", "", "")


def _fault(told: Told, read: Fault) -> UpstreamFault:
    if told.failure is not None:
        return UpstreamFault(told.failure.kind, told.status, told.headers, b"", read, told.failure.message)
    return UpstreamFault("status", told.status, told.headers, told.body, read, read.message)
