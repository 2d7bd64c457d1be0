"""What is known of a call, from its first byte to its record: one UsageEvent and one Decision, kept together.

Owns pricing and settlement at the end of a call; decides nothing about where it goes.
"""

from operator import attrgetter
from typing import Final

from msgspec import Struct

from tidegate.core.claims import Claims, Refusal
from tidegate.core.decision import AttemptRecord, CandidateRecord, ClaimRecord, Decision
from tidegate.core.usage import UNKNOWN_USAGE, Outcome, Usage, UsageEvent
from tidegate.core.view import FREE, UNMETERED, Operation, View
from tidegate.decide.admit import Admission
from tidegate.decide.compiled import CompiledConsumer, CompiledRoute
from tidegate.decide.cost import by_request_alone, cost_nano
from tidegate.decide.route import Candidate
from tidegate.dialects.dialect import Dialect
from tidegate.gateway.access_log import access_line
from tidegate.gateway.attempts.attempt import Attempt
from tidegate.gateway.headers import request_id
from tidegate.gateway.runtime import Runtime
from tidegate.ledger.record import SpoolRecord
from tidegate.ledger.spool import SpoolFull
from tidegate.state.memory import Grant
from tidegate.wire.message import Request

MAY_HAVE_COST: Final = frozenset(("first-byte-timeout", "idle-timeout", "total-timeout", "reset", "malformed"))
"""Faults after which an upstream may have served the call, and charged for it, all the same."""
_MAX_DETAIL: Final = 300
_NO_CLAIMS: Final = Claims((), [])
_key, _kind, _limit = attrgetter("key"), attrgetter("kind"), attrgetter("limit")


class End(Struct):
    """How a call ended. `usage` with no `candidate`: nothing that has a price was used."""

    status: int
    outcome: Outcome
    code: str = ""
    reason: str = ""
    usage: Usage = UNKNOWN_USAGE
    candidate: Candidate | None = None


class CallRecord:
    """Filled in as the call goes on; `keep` ends it."""

    __slots__ = (
        "attempts",
        "attempts_made",
        "candidates",
        "claims",
        "client",
        "considered_for",
        "consumer",
        "dialect",
        "first_byte_at",
        "id",
        "key",
        "notes",
        "operation",
        "refused",
        "request_id",
        "route",
        "snapshot",
        "started_at",
        "time_ns",
    )

    def __init__(
        self,
        runtime: Runtime,
        dialect: Dialect,
        operation: Operation,
        consumer: CompiledConsumer,
        digest: bytes,
        request: Request,
    ) -> None:
        self.id = runtime.ids.next()
        self.request_id = request_id(request.header(b"x-request-id"), self.id)
        self.client = request.peer
        self.dialect = dialect
        self.operation: Operation = operation
        self.consumer = consumer
        self.key = digest[:6].hex()
        self.snapshot = runtime.snapshot.version
        self.started_at = runtime.clock.monotonic()
        self.time_ns = runtime.clock.now_ns()
        self.first_byte_at = 0.0
        self.route: CompiledRoute | None = None
        self.claims = _NO_CLAIMS
        self.candidates: list[Candidate] = []
        self.attempts: list[AttemptRecord] = []
        self.notes: list[str] = []
        self.attempts_made = 0
        self.considered_for = ""
        self.refused: Refusal | None = None

    def admitted(self, admission: Admission) -> None:
        self.route = admission.route
        self.claims = admission.claims
        rule = admission.rule
        if rule is not None:
            to = f"model {rule.model}" if rule.model else f"provider {rule.provider}"
            self.notes.append(f"policy {rule.policy}: region {rule.region} goes to {to}")
        if admission.output_cap is not None:
            self.notes.append(
                f"the client set no bound on the output: {admission.output_cap} tokens set for the budget"
            )

        if admission.search_cap is not None:
            self.notes.append(f"the client set no bound on searches: {admission.search_cap} set for the budget")

    def considered(self, model: str, candidates: list[Candidate]) -> None:
        """The candidates of each model as they stood before its first attempt; the attempts tell what came after."""
        if self.considered_for != model:
            self.considered_for = model
            self.candidates = self.candidates + candidates if self.candidates else candidates

    def attempt(self, attempt: Attempt, outcome: str, detail: str, now: float) -> None:
        target, started = attempt.candidate.target, attempt.started - self.started_at
        self.attempts.append(
            AttemptRecord(
                target.name,
                target.provider.name,
                attempt.candidate.credential,
                round(started * 1000, 3),
                round((now - self.started_at) * 1000, 3),
                attempt.status,
                outcome,
                detail[:_MAX_DETAIL],
            )
        )

    def failed_usage(self) -> Usage:
        """Of a call that no upstream answered: nothing, unless one may have served it unseen; then unknown."""
        uncertain = any(one.outcome in MAY_HAVE_COST for one in self.attempts)
        return UNKNOWN_USAGE if uncertain else Usage(source="reported")

    def keep(self, runtime: Runtime, view: View | None, grant: Grant | None, end: End) -> int | None:
        """Prices, settles, records, counts. Returns the cost in nano-USD; None if it is unknown.

        When this returns the record survives the process: only then may the last byte of the answer be sent.
        """
        if not end.usage.plausible:
            # Charged, it would refund a budget or empty it; the record keeps what the upstream said, as it said it.
            end.usage = Usage(raw=end.usage.raw)
            self.notes.append("the upstream's usage is out of all reason: taken as unknown")
        if view is not None and view.calls_left_out:
            self.notes.append(f"one tool call was asked for: {view.calls_left_out} more of the answer left out")
        cost, charged = self._settled(runtime, grant, end, 1 if view is None else view.requests)
        now = runtime.clock.monotonic()
        event = self._event(view, end, cost, charged, now)
        try:
            runtime.spool.append(SpoolRecord(event, self._decision(grant, end, event.model)))
        except SpoolFull:
            runtime.metrics.records_lost += 1  # the reserve kept while the spool is `ready` makes this the last resort
        runtime.metrics.call(event, known_model=event.model in runtime.compiled.routes)
        if runtime.access_log is not None and self.consumer.log:
            runtime.access_log.write(access_line(event, self.request_id, self.client))
        return cost

    def _settled(self, runtime: Runtime, grant: Grant | None, end: End, requests: int) -> tuple[int | None, int]:
        """(cost, charged to budgets). An unknown cost is charged as reserved where an upstream answered."""
        usage, candidate = end.usage, end.candidate
        if candidate is None or self.operation in FREE:
            cost = None if usage.source == "unknown" else 0
            if grant is not None:
                runtime.state.release(grant)
            return cost, 0
        price = candidate.target.spec.price
        known = usage.source != "unknown" or (self.operation in UNMETERED and end.outcome == "ok")
        cost = None
        if price is not None and known and (usage.source != "unknown" or by_request_alone(price)):
            cost = cost_nano(usage, price, requests)
        if grant is None:
            return cost, 0
        if cost is not None and usage.source == "estimated" and 0 < grant.money_nano < cost:
            cost = grant.money_nano  # the worst case: what is guessed above it is a bad guess
        charged = grant.money_nano if cost is None else cost
        unsaid = usage.source == "unknown" or (usage.units is not None and usage.units.work and not usage.total)
        tokens = None if unsaid else usage.total
        runtime.state.settle(grant, tokens=tokens, money_nano=charged)
        return cost, charged

    def _event(self, view: View | None, end: End, cost: int | None, charged: int, now: float) -> UsageEvent:
        target = None if end.candidate is None else end.candidate.target
        price = None if target is None else target.spec.price
        started = self.started_at
        return UsageEvent(
            self.id,
            self.time_ns,
            self.consumer.team,
            self.consumer.name,
            self.key,
            "" if view is None else view.model[:200],
            "" if target is None else target.provider.name,
            "" if target is None else target.spec.model,
            self.operation,
            self.dialect.name,
            end.status,
            end.outcome,
            end.code,
            False if view is None else view.stream,
            len(self.attempts),
            end.usage,
            cost,
            charged,
            "" if price is None else price.version,
            round((self.first_byte_at - started) * 1000) if self.first_byte_at else None,
            round((now - started) * 1000),
            self.snapshot,
            self.consumer.tags,
        )

    def _used(self, grant: Grant | None) -> list[int]:
        """How full each claim's bucket was; -1 where it was not looked at."""
        if grant is not None:
            return grant.used
        refused = self.refused
        if refused is None:
            return [-1] * len(self.claims.buckets)
        return [refused.used if bucket is refused.bucket else -1 for bucket in self.claims.buckets]

    def _decision(self, grant: Grant | None, end: End, model: str) -> Decision:
        route = self.route
        used = self._used(grant)
        claims = self.claims
        buckets = claims.buckets
        return Decision(
            self.id,
            self.snapshot,
            end.outcome,
            end.code,
            end.reason[:_MAX_DETAIL],
            model,
            "" if route is None else route.name,
            "" if route is None else route.spec.routing.strategy,
            list(map(ClaimRecord, map(_key, buckets), map(_kind, buckets), claims.amounts, map(_limit, buckets), used)),
            [
                CandidateRecord(
                    one.target.name,
                    one.target.provider.name,
                    one.target.spec.model,
                    one.target.spec.priority,
                    one.score,
                    one.excluded,
                )
                for one in self.candidates
            ],
            self.attempts,
            self.notes,
        )
