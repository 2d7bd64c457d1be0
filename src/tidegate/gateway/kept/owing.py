"""What a response in the background owes: charged as reserved when it is made, settled once when its usage is told.

Who hears it first (a client that asks again, or the watch) settles it. It leaves one UsageEvent, dated when it was made,
with an id that is fixed beforehand: written again after a crash, the ledger takes it once.
"""

import logging
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tidegate.core.decision import AttemptRecord, Decision
from tidegate.core.usage import Price, Usage, UsageEvent
from tidegate.decide.compiled import CompiledTarget
from tidegate.decide.cost import cost_nano
from tidegate.gateway.access_log import access_line
from tidegate.gateway.record import CallRecord
from tidegate.gateway.runtime import Runtime
from tidegate.ledger.record import SpoolRecord
from tidegate.ledger.spool import SpoolFull
from tidegate.state.memory import Grant
from tidegate.state.owned import NoRoom, Owned

LOOK_SECONDS: Final = 60.0
"""After so long without a client's asking, the watch asks for the first time."""

log = logging.getLogger(__name__)


class Debt(Struct):
    """The details of a response that runs in the background, or ran and is not settled."""

    event_id: str
    """Of the UsageEvent and Decision that it leaves: the same however often it is tried."""
    call_id: str
    """Of the call that made it."""
    charged_nano: int
    team: str
    key: str
    """As in a UsageEvent."""
    upstream: str
    """The upstream's model."""
    price: Price | None
    """As it was when it was made; None: unknown."""
    snapshot: str
    tags: dict[str, str] = {}


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Debt).decode


def debt_of(one: Owned) -> Debt | None:
    """None where nothing is owed, or another version wrote it."""
    if not one.details:
        return None
    try:
        return _decode(one.details)
    except msgspec.DecodeError:
        return None


def owe(runtime: Runtime, record: CallRecord, one: Owned, target: CompiledTarget, grant: Grant) -> None:
    """`grant` is about to be charged as reserved."""
    consumer = record.consumer
    debt = Debt(
        runtime.ids.next(),
        record.id,
        grant.money_nano,
        consumer.team,
        record.key,
        target.spec.model,
        target.spec.price,
        record.snapshot,
        consumer.tags,
    )
    if put(runtime, replace(one, details=_encode(debt))):
        runtime.debts.put(one.owner, one.id, grant, runtime.clock.monotonic() + LOOK_SECONDS)


def pay(runtime: Runtime, one: Owned, usage: Usage) -> None:
    """Its upstream has told what it used. Without room for the record it stays owed, and the watch tries again."""
    debt = debt_of(one)
    found = runtime.debts.find(one.owner, one.id)
    if debt is None or found is None or usage.source != "reported" or not usage.plausible or not runtime.spool.ready:
        return
    cost = None if debt.price is None else cost_nano(usage, debt.price)
    event = _event(one, debt, usage, cost, runtime.clock.now_ns())
    try:
        runtime.spool.append(SpoolRecord(event, _decision(one, debt, event)))
    except SpoolFull:
        return
    runtime.debts.take(one.owner, one.id)
    if cost is not None:
        _correct(runtime, one, found.grant, usage, cost - debt.charged_nano)
    put(runtime, replace(one, details=b""))
    runtime.metrics.call(event, known_model=event.model in runtime.compiled.routes)
    consumer = runtime.compiled.consumer(one.owner)
    if runtime.access_log is not None and (consumer is None or consumer.log):
        runtime.access_log.write(access_line(event, event.id, ""))


def forget(runtime: Runtime, one: Owned) -> None:
    """What it used will never be known: it stays charged as reserved."""
    runtime.debts.take(one.owner, one.id)
    put(runtime, replace(one, details=b""))


def put(runtime: Runtime, one: Owned) -> bool:
    try:
        runtime.owned.put(one)
    except (NoRoom, ValueError) as error:
        log.warning("what response %s owes cannot be recorded: %s", one.id, error)
        return False
    return True


def _correct(runtime: Runtime, one: Owned, grant: Grant | None, usage: Usage, change_nano: int) -> None:
    """The budgets of the time when it was made."""
    consumer = runtime.compiled.consumer(one.owner)
    if grant is not None:
        runtime.state.correct(grant, tokens=usage.total, money_nano=grant.money_nano + change_nano)
    elif consumer is not None:
        buckets, _ = consumer.buckets_of.get(one.model) or consumer.buckets_of[""]
        runtime.state.amend(buckets, one.created_ns, change_nano)


def _event(one: Owned, debt: Debt, usage: Usage, cost: int | None, now_ns: int) -> UsageEvent:
    return UsageEvent(
        debt.event_id,
        one.created_ns,
        debt.team,
        one.owner,
        debt.key,
        one.model,
        one.provider,
        debt.upstream,
        "background",
        "openai-responses",
        200,
        "ok",
        "",
        False,
        1,
        usage,
        cost,
        0 if cost is None else cost - debt.charged_nano,
        "" if debt.price is None else debt.price.version,
        None,
        max(0, now_ns - one.created_ns) // 1_000_000,
        debt.snapshot,
        debt.tags,
    )


def _decision(one: Owned, debt: Debt, event: UsageEvent) -> Decision:
    reason = f"response {one.id} of call {debt.call_id} is done: what was charged as reserved is corrected"
    attempt = AttemptRecord("", one.provider, one.credential, 0.0, float(event.total_ms), 200, "ok", "")
    return Decision(debt.event_id, debt.snapshot, "ok", "", reason, one.model, one.model, "", [], [], [attempt], [])
