"""What a session consumes: a reservation ahead of each response, and for each its own UsageEvent and Decision.

The session itself holds a request and a place of `concurrent` for its life. Money and tokens are reserved response by
response: one reservation is always held ahead, because the upstream may begin a response without being asked (it hears the
speaker fall silent). Who may call what, and at which limits, is asked again at each reservation, by the configuration of
that moment.
"""

from copy import copy
from typing import Final

from msgspec import Struct

from tidegate.core.claims import ClaimKind, Claims, Refusal
from tidegate.core.decision import AttemptRecord
from tidegate.core.problem import Problem
from tidegate.core.usage import UNKNOWN_USAGE, Outcome, Usage
from tidegate.core.view import View
from tidegate.decide.admit import Admission, admit, refusal_problem
from tidegate.decide.compiled import DEFAULT_MAX_OUTPUT
from tidegate.decide.route import Candidate
from tidegate.gateway.credentials.identity import UNKNOWN_KEY
from tidegate.gateway.record import CallRecord, End
from tidegate.gateway.runtime import Runtime
from tidegate.state.memory import Grant

SESSION_CLAIMS: Final[frozenset[ClaimKind]] = frozenset(("requests", "concurrency"))
RESPONSE_CLAIMS: Final[frozenset[ClaimKind]] = frozenset(("tokens", "money"))
_LEASE_MARGIN: Final = 60.0
_MOST_RUNNING: Final = 64
"""Responses at once. Upstreams allow fewer."""
_NOTHING_USED: Final = Usage(source="reported")


class Reservation(Struct):
    grant: Grant
    claims: Claims


class _Running(Struct):
    record: CallRecord
    reservation: Reservation | None


def part_of(claims: Claims, kinds: frozenset[ClaimKind]) -> Claims:
    kept = [
        (bucket, amount) for bucket, amount in zip(claims.buckets, claims.amounts, strict=True) if bucket.kind in kinds
    ]
    return Claims(tuple(bucket for bucket, _ in kept), [amount for _, amount in kept])


def lease_of(runtime: Runtime) -> float:
    """Seconds for which a session can hold anything."""
    return runtime.snapshot.server.session_timeout + runtime.snapshot.server.drain_timeout + _LEASE_MARGIN


class Meter:
    """Each method that reserves answers a Problem where that is refused; the refusal has been recorded then."""

    def __init__(
        self,
        runtime: Runtime,
        record: CallRecord,
        view: View,
        grant: Grant,
        first: Reservation,
        candidate: Candidate,
        key: bytes,
        region: str | None,
    ) -> None:
        self._runtime = runtime
        self._record = record
        self._view = view
        self._grant = grant
        self._candidate = candidate
        self._key = key
        self._region = region
        self._held = [first]
        self._asked = 0
        self._running: dict[str, _Running] = {}
        self._records = 0
        self._over = False
        self._default = DEFAULT_MAX_OUTPUT if record.route is None else record.route.max_output
        self.bound: int | None = None
        """Of the output of a response whose own event sets none; None: the session sets none."""
        self.cap: int | None = None
        """What must be set upstream as the bound where there is none: a hard budget is in scope."""
        runtime.health.started(candidate.health, 0)

    @property
    def session(self) -> str:
        return self._record.id

    @property
    def busy(self) -> bool:
        """A response is under way, or asked for."""
        return bool(self._running or self._asked)

    def next_id(self) -> str:
        return self._runtime.ids.next()

    def ask(self, bound: int | None) -> Problem | None:
        """The client wants a response: reserved for now, by its bound."""
        if self._asked + len(self._running) >= _MOST_RUNNING:
            return Problem(
                status=429, code="rate_limit_exceeded", message=f"{_MOST_RUNNING} responses run at once here."
            )
        if len(self._held) > self._asked:
            self._give_back()
        problem = self._hold(bound if bound is not None else self.bound)
        if problem is None:
            self._asked += 1
        return problem

    def unasked(self) -> None:
        """The upstream refused some event, perhaps the one that asked. If not, the response reserves when it begins."""
        if self._asked:
            self._asked -= 1
            if len(self._held) > max(1, self._asked):
                self._give_back()

    def rebind(self, bound: int | None) -> Problem | None:
        """The session has another bound from now on."""
        before, self.bound = self.bound, bound
        if bound == before or len(self._held) <= self._asked:
            return None
        self._give_back()
        problem = self._hold(bound)
        if problem is not None:
            self.bound = before
        return problem

    def widen(self, bound: int | None) -> Problem | None:
        """The client asks for a larger bound. A smaller one counts when the upstream has taken it."""
        most = self.bound if self.bound is not None else self._default
        return None if bound is None or bound <= most else self.rebind(bound)

    def created(self, name: str) -> Problem | None:
        """A response has begun upstream."""
        if name in self._running:
            return None
        if self._asked:
            self._asked -= 1
        problem = None if self._held else self._hold(self.bound)
        reservation = self._held.pop(0) if self._held else None
        self._running[name] = _Running(self._begun(reservation), reservation)
        return problem

    def first_byte(self, name: str) -> None:
        running = self._running.get(name)
        if running is not None and not running.record.first_byte_at:
            running.record.first_byte_at = self._runtime.clock.monotonic()

    def done(self, name: str, usage: Usage, status: str) -> Problem | None:
        """A response is over; the next one is reserved for."""
        running = self._running.pop(name, None)
        if running is None:
            self.created(name)
            running = self._running.pop(name)
        if usage.source == "reported":
            self._view.estimated_input_tokens = usage.total  # the next one reads all of it again
        outcome: Outcome = "failed" if status == "failed" else "ok"
        self._keep(
            running, End(200, outcome, reason=f"response {status or 'done'}", usage=usage, candidate=self._candidate)
        )
        return self._hold(self.bound) if not self._held and not self._running else None

    def aside(self, usage: Usage, reason: str) -> None:
        """Something that the upstream bills beside the responses, at a price that is not known here."""
        record = self._begun(None)
        record.notes.append(reason)
        self._keep(
            _Running(record, None), End(200, "ok", reason=reason, usage=Usage(raw=usage.raw), candidate=self._candidate)
        )

    def end(self, outcome: Outcome, reason: str) -> None:
        """The session is over. A response in the middle is charged as reserved: nobody tells what it used."""
        if self._over:
            return
        self._over = True
        runtime = self._runtime
        while self._asked:
            self.created(f"asked {self._asked}")
        status = 499 if outcome == "cancelled" else 200
        cut = "cut" if outcome == "ok" else outcome
        for running in self._running.values():
            self._keep(running, End(status, cut, reason=reason, usage=UNKNOWN_USAGE, candidate=self._candidate))
        self._running.clear()
        while self._held:
            self._give_back()
        if self._records:
            runtime.state.release(self._grant)
        else:
            self._view.requests = 0
            end = End(101, outcome, reason=reason, usage=_NOTHING_USED, candidate=self._candidate)
            self._record.keep(runtime, self._view, self._grant, end)
        runtime.health.ended(self._candidate.health, 0)
        runtime.metrics.in_flight -= 1

    # Inside.

    def _hold(self, bound: int | None) -> Problem | None:
        taken = self._reserve(bound)
        if isinstance(taken, Problem):
            return taken
        self._held.append(taken)
        return None

    def _reserve(self, bound: int | None) -> Reservation | Problem:
        runtime, view = self._runtime, self._view
        consumer = runtime.compiled.consumer_for(self._key)
        view.max_output_tokens = bound
        admission = UNKNOWN_KEY if consumer is None else admit(view, consumer, runtime.compiled, self._region)
        if isinstance(admission, Problem):
            self._refused(None, admission, None)
            return admission
        self.cap = admission.route.max_output if admission.hard_budget else None
        claims = part_of(admission.claims, RESPONSE_CLAIMS)
        taken = runtime.state.take(claims, lease_of(runtime))
        if isinstance(taken, Refusal):
            problem = refusal_problem(taken, runtime.clock.now_ns())
            self._refused(taken, problem, admission)
            return problem
        return Reservation(taken, claims)

    def _refused(self, refusal: Refusal | None, problem: Problem, admission: Admission | None) -> None:
        record = self._begun(None)
        record.refused = refusal
        if admission is not None:
            record.claims = part_of(admission.claims, RESPONSE_CLAIMS)
        end = End(problem.status, "refused", code=problem.code, reason=problem.message, usage=_NOTHING_USED)
        record.keep(self._runtime, self._view, None, end)

    def _give_back(self) -> None:
        self._runtime.state.release(self._held.pop().grant)

    def _begun(self, reservation: Reservation | None) -> CallRecord:
        """The record of a further response; the first one has the session's own."""
        self._records += 1
        runtime, session = self._runtime, self._record
        record = session if self._records == 1 else copy(session)
        if record is not session:
            record.id = runtime.ids.next()
            record.attempts = []
        record.notes = [*session.notes, f"{self._records} of session {session.id}"]
        record.claims = Claims((), []) if reservation is None else reservation.claims
        record.time_ns = runtime.clock.now_ns()
        record.started_at = runtime.clock.monotonic()
        record.first_byte_at = 0.0
        return record

    def _keep(self, running: _Running, end: End) -> None:
        record, target = running.record, self._candidate.target
        took = round((self._runtime.clock.monotonic() - record.started_at) * 1000, 3)
        record.attempts = [
            *record.attempts,
            AttemptRecord(
                target.name, target.provider.name, self._candidate.credential, 0.0, took, 200, end.outcome, end.reason
            ),
        ]
        grant = None if running.reservation is None else running.reservation.grant
        record.keep(self._runtime, self._view, grant, end)
