"""One admitted call: attempts until the first content byte, the answer, the settlement, the record.

A Call is a state machine driven by callbacks of the wire. Whatever ends it (answer, refusal, fault, disconnect), it settles
its grant and leaves one UsageEvent and one Decision, before the last byte of the answer is sent.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from tidegate.core.money import usd_from_nano
from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import OPAQUE, FetchedBytes, View
from tidegate.decide.admit import Admission
from tidegate.decide.fault import Blame, blame_of, retryable
from tidegate.decide.route import (
    Candidate,
)
from tidegate.dialects.counting import CountsTokens, estimated_tokens
from tidegate.dialects.dialect import FORM_HEADS, Relay, UnreadableRequest
from tidegate.dialects.remote import NeedsBytes
from tidegate.gateway.attempts.attempt import Attempt, UpstreamFault
from tidegate.gateway.attempts.kinds import AttemptKind, attempt_kind
from tidegate.gateway.attempts.reshaping import reshaping_kind
from tidegate.gateway.faults import (
    FAILED,
    client_problem,
    fault_name,
    passes_through,
    translated_problem,
)
from tidegate.gateway.headers import (
    answer_head,
    content_type,
    passed_back,
    problem_headers,
    utilisation,
)
from tidegate.gateway.kept.affinity import leads_elsewhere, remember
from tidegate.gateway.kept.kept_responses import keep
from tidegate.gateway.kept.stored_responses import account
from tidegate.gateway.outgoing import encoded, upstream_head
from tidegate.gateway.record import CallRecord, End
from tidegate.gateway.remote_media import Fetching
from tidegate.gateway.runtime import Runtime
from tidegate.gateway.trials import Trials
from tidegate.state.memory import Grant
from tidegate.wire.server import Exchange

_JSON: Final = "content-type: application/json\r\n"
_CLIENT_GONE: Final = 499
_NOTHING_USED: Final = Usage(source="reported")

log = logging.getLogger(__name__)


class Call:
    """Owner of its attempts and listener of its exchange. Made by `begin`."""

    __slots__ = (
        "_admission",
        "_attempt",
        "_deadline",
        "_exchange",
        "_fault",
        "_fetching",
        "_grant",
        "_record",
        "_runtime",
        "_timer",
        "_trials",
        "_unfetched",
        "_unhonoured",
        "_upstreams",
        "_view",
    )

    def __init__(
        self,
        runtime: Runtime,
        exchange: Exchange,
        view: View,
        admission: Admission,
        grant: Grant,
        record: CallRecord,
    ) -> None:
        self._runtime = runtime
        self._exchange = exchange
        self._view = view
        self._admission = admission
        self._grant = grant
        self._record = record
        self._trials = Trials(runtime, view, admission, record, exchange.request.headers)
        self._upstreams = runtime.upstreams
        self._deadline = record.started_at + admission.route.deadline
        self._attempt: Attempt | None = None
        self._fault: tuple[UpstreamFault, Candidate, bool] | None = None
        self._unhonoured: Problem | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fetching: Fetching | None = None
        self._unfetched: Problem | None = None

    def start(self) -> None:
        """The first attempt. The exchange must have this call as its listener."""
        self._next(retry=False)

    def abandon(self) -> None:
        """A bug has ended it before it could: what it holds is settled and recorded, whatever the upstream still does."""
        attempt = self._attempt
        if attempt is not None:
            attempt.cancel()
        if self._fetching is not None:
            self._fetching.cancel()
        if self._grant.open:
            candidate = None if attempt is None else attempt.candidate
            self._end(End(500, "failed", code="internal_error", reason="the gateway failed", candidate=candidate))

    def broken(self) -> None:
        """A bug has ended an attempt halfway: what is still open of the call is closed, its client does not wait on."""
        self.abandon()
        exchange = self._exchange
        if exchange.started:
            exchange.abort()
        else:
            exchange.respond(
                FAILED.status, self._head(None, _JSON).encode(), self._record.dialect.encode_problem(FAILED)
            )

    # The client, through the exchange.

    def on_disconnect(self) -> None:
        """The client is gone: stop the upstream, settle what was used."""
        attempt = self._attempt
        if self._timer is not None:
            self._timer.cancel()
        if self._fetching is not None:
            self._fetching.cancel()
        if attempt is None:
            used = self._record.failed_usage()
            self._end(End(_CLIENT_GONE, "cancelled", reason="the client left between two attempts", usage=used))
            return
        attempt.cancel()
        self._remember(attempt)
        self._over(attempt, "cancelled", "the client disconnected")
        self._end(
            End(
                _CLIENT_GONE,
                "cancelled",
                reason="the client disconnected; the upstream was stopped",
                usage=attempt.partial_usage(),
                candidate=attempt.candidate,
            )
        )

    def on_pause(self) -> None:
        if self._attempt is not None:
            self._attempt.pause()

    def on_resume(self) -> None:
        if self._attempt is not None:
            self._attempt.resume()

    # The upstream, through an attempt.

    def first_byte(self, attempt: Attempt) -> None:
        runtime = self._runtime
        now = runtime.clock.monotonic()
        self._record.first_byte_at = now
        runtime.health.first_byte(attempt.candidate.health, now - attempt.started)

    def answered(self, attempt: Attempt, usage: Usage, body: bytes) -> None:
        self._succeeded(attempt)
        self._remember(attempt)
        cost = self._end(End(200, "ok", usage=usage, candidate=attempt.candidate))
        told = "unknown" if cost is None else usd_from_nano(cost)
        head = f"{self._head(attempt.candidate, self._kind(attempt, _JSON))}x-tidegate-cost-usd: {told}\r\n"
        self._keep()
        self._exchange.respond(200, head.encode() + attempt.passed_back(), body)

    def committed(self, attempt: Attempt) -> Exchange:
        exchange = self._exchange
        self._remember(attempt)
        usual = FORM_HEADS.get(self._view.form) or attempt.relay.stream_head
        head = self._head(attempt.candidate, self._kind(attempt, usual))
        exchange.start(attempt.status, head.encode() + attempt.passed_back())
        return exchange

    def _kind(self, attempt: Attempt, usual: str) -> str:
        """The line that says an answer's content type."""
        if attempt.relay.native and self._view.operation in OPAQUE:
            return content_type(attempt.headers)
        told = self._view.answer_media
        return f"content-type: {told}\r\n" if told else usual

    def settle_stream(self, attempt: Attempt, problem: Problem | None, detail: str) -> None:
        if attempt is not self._attempt:
            self.broken()
            return
        usage = attempt.partial_usage()
        self._remember(attempt)
        if problem is None:
            self._succeeded(attempt)
            self._end(End(200, "ok", usage=usage, candidate=attempt.candidate))
            self._keep()
            return
        self._over(attempt, "cut", detail)
        self._runtime.health.failed(attempt.candidate.health, self._trials.route.spec.routing.breaker)
        self._end(End(200, "cut", code=problem.code, reason=detail, usage=usage, candidate=attempt.candidate))

    def _keep(self) -> None:
        if self._view.kept:
            keep(self._runtime.answers, self._record.consumer.name, self._view)

    def _remember(self, attempt: Attempt) -> None:
        if self._view.left:
            remember(self._runtime, self._record.consumer.name, self._view, attempt.candidate)

    def faulted(self, attempt: Attempt, fault: UpstreamFault) -> None:
        """Nothing has gone to the client yet: hold it against who is at fault, then try elsewhere or tell the client."""
        if attempt is not self._attempt:
            self.broken()
            return
        blame = self._blamed(attempt, fault)
        self._over(attempt, fault_name(fault), fault.detail)
        self._trials.hold_against(blame, attempt.candidate, fault)
        self._fault = (fault, attempt.candidate, attempt.relay.native and not fault.told.foreign)
        routing = self._trials.route.spec.routing
        if retryable(fault.kind, fault.status, blame, routing.retry_on):
            self._whole(partial(self._next, retry=True))
        else:
            self._whole(self._give_up)

    def _whole(self, act: Callable[[], None]) -> None:
        """What nobody above would end the call for: a timer, or the wire that has told of a failure."""
        try:
            act()
        except Exception:
            log.exception("a call failed between two attempts")
            self.broken()

    def _blamed(self, attempt: Attempt, fault: UpstreamFault) -> Blame:
        view, blame = self._view, blame_of(fault.kind, fault.status, fault.told.code)
        if fault.status == 404 and (view.suffix or view.path):
            return Blame.NOBODY  # what the client itself put into the path may be what is not there
        if view.operation != "passthrough" or fault.kind != "status" or fault.status >= 500:
            return blame
        self._trials.renews(attempt.candidate, fault)
        # At a path of its own choice, a key may also lack a right that no other call needs.
        return blame if blame is Blame.CREDENTIAL_MODEL else Blame.NOBODY

    # Attempts.

    def _next(self, *, retry: bool) -> None:
        """Calls the best candidate that has been tried least, of this model or of its next fallback; or gives up."""
        runtime = self._runtime
        if retry and not runtime.health.may_retry(runtime.snapshot.server.retry_share):
            self._record.notes.append("not retried: the budget of retries is spent")
            self._give_up()
            return
        candidate = self._trials.choose()
        if candidate is None:
            self._give_up()
            return
        wait = self._trials.wait_before(candidate)
        if runtime.clock.monotonic() + wait >= self._deadline:
            self._record.notes.append("not retried: the deadline is too near")
            self._give_up()
        elif wait:
            self._timer = runtime.loop.call_later(wait, self._whole, partial(self._try, candidate))
        else:
            self._try(candidate)

    def _try(self, candidate: Candidate) -> None:
        runtime, view, target = self._runtime, self._view, candidate.target
        self._timer = None
        try:
            outgoing = encoded(
                view, target, output_cap=self._admission.output_cap, strict=self._trials.route.spec.strict
            )
        except NeedsBytes as needs:
            self._fetch(candidate, needs)
            return
        except UnreadableRequest as error:
            self._cannot_honour(candidate, error.problem)
            return
        if view.refers and not outgoing.relay.native and view.pin is None and self._leads_elsewhere(candidate):
            self._next(retry=False)
            return
        self._trials.count(candidate)
        credential = self._upstreams.credential(target.provider.name, candidate.credential)
        kind = self._kind_of_attempt(outgoing.relay) if outgoing.stream == view.stream else reshaping_kind(view)
        attempt = kind(self, candidate, outgoing.dialect, outgoing.relay, view)
        now = attempt.started = runtime.clock.monotonic()
        self._attempt = attempt
        runtime.health.started(candidate.health, view.estimated_input_tokens)
        body = outgoing.body
        head = upstream_head(
            view, self._exchange.request, credential, outgoing, self._framing(body), runtime.clock.now_ns()
        )
        replayable = "connect" in self._trials.route.spec.routing.retry_on
        left = self._deadline - now
        if credential.proofs is None:
            attempt.wire = credential.pool.send(head, body, attempt, replayable=replayable, total=left)
        else:
            attempt.wire = credential.proofs.send(
                credential.pool, head, body, attempt, replayable=replayable, total=left
            )
        if not self._exchange.writable and not self._exchange.closed:
            attempt.pause()

    def _leads_elsewhere(self, candidate: Candidate) -> bool:
        view = self._view
        if not leads_elsewhere(self._runtime, self._record.consumer.name, view, candidate, self._trials.route):
            return False
        because = "" if view.pin is None else view.pin.because
        self._record.notes.append(
            f"{candidate.target.name} with credential {candidate.credential} not tried: {because}"
        )
        return True

    def _framing(self, body: bytes) -> bytes:
        """The end of the upstream's head."""
        return b"content-length: %d\r\n\r\n" % len(body)

    def _kind_of_attempt(self, relay: Relay) -> AttemptKind:
        return attempt_kind(self._view, native=relay.native)

    def _fetch(self, candidate: Candidate, needs: NeedsBytes) -> None:
        """This upstream takes bytes where the client gave URLs: the call waits for them, once."""
        media, view = self._runtime.remote_media, self._view
        if not media.spec.enabled or not needs.wanted or needs.wanted.keys() <= view.fetched.keys():
            self._cannot_honour(candidate, needs.problem)
        elif self._unfetched is not None:
            self._cannot_honour(candidate, self._unfetched)
        else:
            self._record.notes.append(f"{len(needs.wanted)} files by URL fetched for {candidate.target.name}")
            left = self._deadline - self._runtime.clock.monotonic()
            self._fetching = media.fetch(needs, left, partial(self._fetched, candidate))

    def _fetched(self, candidate: Candidate, told: Mapping[str, FetchedBytes] | Problem) -> None:
        self._fetching = None
        if isinstance(told, Problem):
            self._unfetched = told
            self._whole(partial(self._cannot_honour, candidate, told))
        else:
            self._view.fetched = {**self._view.fetched, **told}
            self._whole(partial(self._next, retry=False))

    def _cannot_honour(self, candidate: Candidate, problem: Problem) -> None:
        """This upstream would have to leave out something that matters: another may not."""
        self._unhonoured = problem
        self._record.notes.append(f"{candidate.target.name} not tried: {problem.message}")
        self._trials.rule_out(candidate, problem.message)
        self._next(retry=False)

    def _succeeded(self, attempt: Attempt) -> None:
        self._over(attempt, "ok", "")
        health = self._runtime.health
        health.succeeded(attempt.candidate.health)
        share = utilisation(attempt.headers) if attempt.candidate.target.spec.provisioned else None
        if share is not None:
            health.utilised(attempt.candidate.health, share)

    def _over(self, attempt: Attempt, outcome: str, detail: str) -> None:
        """One attempt has ended, however."""
        runtime = self._runtime
        self._attempt = None
        attempt.resume()  # what is left of its answer must be read, or its connection never comes back
        attempt.wire = None  # no cycle outlives a call: what is freed at once is reused while the caches hold it
        runtime.health.ended(attempt.candidate.health, self._view.estimated_input_tokens)
        runtime.metrics.attempt(attempt.candidate.target.provider.name, outcome)
        self._record.attempt(attempt, outcome, detail, runtime.clock.monotonic())

    # Ends.

    def _give_up(self) -> None:
        """No candidate is left. What the last upstream said goes to the client, if it said anything."""
        if self._fault is None:
            if self._unhonoured is not None and self._view.operation == "token_count":
                self._estimate(self._unhonoured)
                return
            self._fail(self._unhonoured or self._trials.none_left())
            return
        fault, candidate, native = self._fault
        if not passes_through(fault):
            self._fail(client_problem(fault, candidate.target.label, self._runtime.clock.now_ns()))
            return
        if not native:
            problem = translated_problem(fault, self._runtime.clock.now_ns())
            self._fail(problem, "upstream_error", fault.usage, None if fault.usage is None else candidate)
            return
        used = self._record.failed_usage()  # an attempt before it may have cost something
        self._end(End(fault.status, "failed", code="upstream_error", reason=fault.detail, usage=used))
        head = self._head(candidate, content_type(fault.headers)).encode() + passed_back(fault.headers)
        self._exchange.respond(fault.status, head, fault.body)

    def _estimate(self, problem: Problem) -> None:
        """No upstream of this model counts tokens for such a client."""
        dialect = self._record.dialect
        if not isinstance(dialect, CountsTokens):
            self._fail(problem)
            return
        self._end(End(200, "ok", reason="estimated: " + problem.message, usage=_NOTHING_USED))
        head = self._head(None, _JSON + "x-tidegate-estimated: true\r\n")
        self._exchange.respond(200, head.encode(), dialect.encode_count(estimated_tokens(self._view)))

    def _fail(
        self, problem: Problem, code: str = "", usage: Usage | None = None, candidate: Candidate | None = None
    ) -> None:
        """`code` for the records, where the problem's own is an upstream's word. `usage`: of a `candidate` that refused."""
        code, used = code or problem.code, self._record.failed_usage() if usage is None else usage
        self._end(End(problem.status, "failed", code=code, reason=problem.message, usage=used, candidate=candidate))
        head = self._head(None, _JSON) + problem_headers(problem, self._record.dialect)
        self._exchange.respond(problem.status, head.encode(), self._record.dialect.encode_problem(problem))

    def _end(self, end: End) -> int | None:
        """Settles and records, before the last byte is sent. Returns the cost in nano-USD; None if unknown."""
        view = self._view
        if view.about or view.background:
            account(self._runtime, self._record, view, self._grant, end)
        self._runtime.metrics.in_flight -= 1
        self._exchange.listener = None
        return self._record.keep(self._runtime, self._view, self._grant, end)

    def _head(self, candidate: Candidate | None, content_type: str) -> str:
        if self._view.dropped:
            content_type += f"x-tidegate-dropped: {', '.join(self._view.dropped)}\r\n"
        return content_type + answer_head(
            self._record,
            "" if candidate is None else candidate.target.label,
            self._runtime.state.remaining(self._grant.counters),
            self._runtime.clock.now_ns(),
        )
