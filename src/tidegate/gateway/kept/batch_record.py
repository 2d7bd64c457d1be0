"""What an ended batch used, priced line by line, and the one UsageEvent and Decision that it leaves."""

from typing import Final

from msgspec import Struct
from msgspec.structs import fields, replace

from tidegate.core.claims import Claims
from tidegate.core.decision import AttemptRecord, CandidateRecord, ClaimRecord, Decision
from tidegate.core.usage import UNKNOWN_USAGE, Outcome, Price, Units, Usage, UsageEvent
from tidegate.decide.cost import by_request_alone, cost_nano
from tidegate.gateway.kept.batch_answers import LineUsage
from tidegate.gateway.kept.batch_plan import TIER, BatchDetails, Plan, Share
from tidegate.ledger.record import SpoolRecord
from tidegate.state.owned import Owned

_COUNTS: Final = tuple(one.name for one in fields(Usage) if one.type is int)
_UNITS: Final = tuple(one.name for one in fields(Units))
UNSEEN: Final = "perhaps under way, its answer was lost"
UNREGISTERED: Final = "under way, not in the registry"
_OUTCOMES: Final[dict[str, Outcome]] = {
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "cut",
    UNSEEN: "failed",
    UNREGISTERED: "cut",
}


class Bill:
    """Adds up lines; constant in size."""

    def __init__(self, plan: Plan) -> None:
        self._shares = plan.shares
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._units = dict.fromkeys(_UNITS, 0)
        self.lines = 0
        self.unknown = 0
        """Lines whose cost is not known."""
        self.unreported = 0
        """Lines that do not say what was used."""
        self._nano = 0

    def add(self, line: LineUsage) -> None:
        self.lines += 1
        share = self._share(line.model)
        cost = None if share is None else line_cost(line.usage, share.price)
        if cost is None:
            self.unknown += 1
        else:
            self._nano += cost
        if line.usage.source == "unknown":
            self.unreported += 1
        for name in _COUNTS:
            self._counts[name] += getattr(line.usage, name)
        if line.usage.units is not None:
            for name in _UNITS:
                self._units[name] += getattr(line.usage.units, name)

    @property
    def cost_nano(self) -> int | None:
        return None if self.unknown else self._nano

    @property
    def usage(self) -> Usage:
        if self.unreported:
            return UNKNOWN_USAGE
        units = Units(**self._units) if any(self._units.values()) else None
        total = replace(Usage(source="reported", units=units, tier=TIER), **self._counts)
        return total if total.plausible else UNKNOWN_USAGE

    def _share(self, model: str) -> Share | None:
        """Upstreams answer with the version that an alias stood for."""
        if len(self._shares) == 1:
            return self._shares[0]
        fitting = [one for one in self._shares if model.startswith(one.upstream)]
        return max(fitting, key=lambda one: len(one.upstream), default=None)


def line_cost(usage: Usage, price: Price | None) -> int | None:
    """None: unknown."""
    if price is None or (usage.source == "unknown" and not by_request_alone(price)):
        return None
    return cost_nano(replace(usage, tier=TIER), price)


def record_of(
    batch: Owned, details: BatchDetails, bill: Bill | None, status: str, claims: Claims, now_ns: int, snapshot: str
) -> SpoolRecord:
    """`bill` None: what was used cannot be known. `claims`: what it held."""
    plan, shares = details.plan, details.plan.shares
    cost = None if bill is None else bill.cost_nano
    models = {one.model for one in shares}
    upstreams = {one.upstream for one in shares}
    versions = {one.price.version for one in shares if one.price}
    done = "an unknown number" if bill is None else str(bill.lines)
    total_ms = max(0, now_ns - batch.created_ns) // 1_000_000
    event = UsageEvent(
        details.event_id,
        batch.created_ns,
        details.team,
        batch.owner,
        details.key,
        shares[0].model if len(models) == 1 else "",
        batch.provider,
        shares[0].upstream if len(upstreams) == 1 else "",
        "batch",
        "anthropic" if batch.kind == "message_batch" else "openai",
        200,
        _OUTCOMES.get(status, "ok"),
        "",
        False,
        1,
        UNKNOWN_USAGE if bill is None else bill.usage,
        cost,
        details.reserved_nano if cost is None else cost,
        versions.pop() if len(versions) == 1 else "",
        None,
        total_ms,
        snapshot,
        details.tags,
    )
    decision = Decision(
        details.event_id,
        snapshot,
        event.outcome,
        "",
        f"batch {batch.id} is {status}: {done} of {plan.requests} requests were answered",
        event.model,
        event.model,
        "",
        [
            ClaimRecord(bucket.key, bucket.kind, amount, bucket.limit, -1)
            for bucket, amount in zip(claims.buckets, claims.amounts, strict=True)
        ],
        [CandidateRecord(one.upstream, batch.provider, one.upstream, 0, 0.0, "") for one in shares],
        [AttemptRecord("", batch.provider, batch.credential, 0.0, float(total_ms), 200, "ok", "")],
        [f"{one.model}: {one.requests} requests, about {one.tokens} tokens" for one in shares],
    )
    return SpoolRecord(event, decision)


class Charge(Struct):
    """What to settle against budgets and token limits; None: as reserved."""

    tokens: int | None
    money_nano: int | None


def charge_of(bill: Bill | None) -> Charge:
    if bill is None:
        return Charge(None, None)
    usage = bill.usage
    return Charge(None if usage.source == "unknown" else usage.total, bill.cost_nano)
