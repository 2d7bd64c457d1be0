"""The explainable record of why a call was allowed, refused and routed as it was."""

from msgspec import Struct


class CandidateRecord(Struct, frozen=True, array_like=True):
    """One target as the router saw it. `excluded` is "" for a candidate that could be called."""

    target: str
    provider: str
    upstream_model: str
    priority: int
    score: float
    excluded: str


class AttemptRecord(Struct, frozen=True, array_like=True):
    """One call of an upstream. `outcome`: ok, or the fault's name; times in ms from the call's arrival."""

    target: str
    provider: str
    credential: str
    started_ms: float
    ended_ms: float
    status: int
    outcome: str
    detail: str


class ClaimRecord(Struct, frozen=True, array_like=True):
    """One claim: what was asked, and how full the bucket was before."""

    bucket: str
    kind: str
    amount: int
    limit: int
    used: int


class Decision(Struct, frozen=True, array_like=True):
    """Stored beside its UsageEvent under the same id."""

    id: str
    snapshot: str
    outcome: str
    code: str
    reason: str
    """One sentence for people."""
    model: str
    routed_model: str
    """Differs from `model` after a fallback or an endpoint rule."""
    strategy: str
    claims: list[ClaimRecord]
    candidates: list[CandidateRecord]
    attempts: list[AttemptRecord]
    notes: list[str] = []
