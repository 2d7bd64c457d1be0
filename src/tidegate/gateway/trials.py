"""Which upstream a call tries next: candidates of its model, then of its fallbacks, each with what has been tried."""

from typing import Final

from tidegate.core.problem import Problem
from tidegate.core.view import View
from tidegate.decide.admit import Admission
from tidegate.decide.fault import Blame, may_have_ended
from tidegate.decide.route import (
    Asking,
    Candidate,
    CandidateKey,
    no_target_problem,
    pinned_elsewhere_problem,
    route,
)
from tidegate.gateway.attempts.attempt import UpstreamFault
from tidegate.gateway.faults import retry_after
from tidegate.gateway.headers import header_value
from tidegate.gateway.record import CallRecord
from tidegate.gateway.runtime import Runtime
from tidegate.state.health import TargetKey
from tidegate.wire.message import Headers

_BACKOFF_FIRST: Final = 0.1
_BACKOFF_MOST: Final = 2.0


class Trials:
    """Of one call. `route` is the one under way: a fallback's once its own targets are through."""

    __slots__ = (
        "_admission",
        "_fallbacks",
        "_headers",
        "_latest",
        "_record",
        "_ruled_out",
        "_runtime",
        "_tried",
        "_upstreams",
        "_view",
        "left",
        "route",
    )

    def __init__(
        self, runtime: Runtime, view: View, admission: Admission, record: CallRecord, headers: Headers
    ) -> None:
        self.route = admission.route
        self.left = admission.route.spec.routing.attempts
        self._runtime = runtime
        self._upstreams = runtime.upstreams
        self._view = view
        self._admission = admission
        self._record = record
        self._headers = headers
        self._fallbacks = [one for one in admission.route.fallbacks if one.name in record.consumer.models]
        self._tried: dict[CandidateKey, int] = {}
        self._ruled_out: dict[TargetKey, str] = {}
        self._latest: list[Candidate] = []

    def choose(self) -> Candidate | None:
        """The best candidate that has been tried least, of this model or of its next fallback."""
        while True:
            if self.left > 0:
                candidates = self._latest = self._candidates()
                self._record.considered(self.route.name, candidates)
                best = candidates[0] if candidates else None
                if best is not None and not best.excluded:
                    return best
            if not self._fallbacks:
                return None
            self._fall_back()

    def wait_before(self, candidate: Candidate) -> float:
        """Seconds: exponential with jitter, so that callers of one failing target do not come back together."""
        tried = self._tried.get(candidate.key, 0)
        if not tried:
            return 0.0
        most = min(_BACKOFF_MOST, _BACKOFF_FIRST * 2.0 ** (tried - 1))
        return most * self._runtime.rng.uniform(0.5, 1.0)

    def count(self, candidate: Candidate) -> None:
        """It is tried now."""
        self._tried[candidate.key] = self._tried.get(candidate.key, 0) + 1
        self.left -= 1
        self._record.attempts_made += 1

    def rule_out(self, candidate: Candidate, reason: str) -> None:
        """Its target has shown that it cannot serve this very call."""
        self._ruled_out[candidate.target.key] = reason

    def hold_against(self, blame: Blame, candidate: Candidate, fault: UpstreamFault) -> None:
        """What a fault makes rest."""
        health = self._runtime.health
        provider, model = candidate.target.provider.name, candidate.target.spec.model
        if blame is Blame.TARGET:
            health.failed(candidate.health, self.route.spec.routing.breaker)
        elif blame is Blame.CREDENTIAL:
            if not self.renews(candidate, fault):
                health.bench((provider, candidate.credential))
        elif blame is Blame.CREDENTIAL_MODEL:
            wait = retry_after(fault, self._runtime.clock.now_ns())
            health.cool_down(provider, candidate.credential, model, wait)
        elif blame is Blame.CONTEXT_LENGTH:
            # Nothing of the same size or smaller will take it either.
            self._admission.needed_tokens = max(
                self._admission.needed_tokens, (candidate.target.spec.context_window or 0) + 1
            )
            self.rule_out(candidate, "the prompt is too long for it")

    def renews(self, candidate: Candidate, fault: UpstreamFault) -> bool:
        """Whether the credential will show something else the next time."""
        credential = self._upstreams.credential(candidate.target.provider.name, candidate.credential)
        return may_have_ended(fault.status, fault.told.code) and credential.renews()

    def none_left(self) -> Problem:
        """Why there is no candidate, where none was tried."""
        candidates, pin = self._record.candidates, self._view.pin
        if pin is not None and not any(one.target.has(pin.provider, pin.credential) for one in candidates):
            return pinned_elsewhere_problem(self._view.model, pin)
        return no_target_problem(self._view.model, candidates)

    def _candidates(self) -> list[Candidate]:
        runtime, on = self._runtime, self.route.spec.routing.hash_on
        asking = Asking(
            self._view,
            self._admission,
            self._record.consumer.name,
            runtime.turn(self.route.name),
            header_value(self._headers, on.header.encode()) if on.by == "header" else b"",
            self._tried,
            self._ruled_out,
            self._view.pin,
        )
        return route(asking, self.route, runtime.health, runtime.rng)

    def _fall_back(self) -> None:
        to = self._fallbacks.pop(0)
        reasons = [f"{one.target.name}: {one.excluded}" for one in self._latest if one.excluded]
        why = "; ".join(reasons) or "its attempts are used up"
        self._record.notes.append(f"fell back from {self.route.name} to {to.name} ({why})")
        self.route = self._record.route = to
        self.left = to.spec.routing.attempts
