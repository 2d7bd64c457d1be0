"""Batches under way: what they hold of budgets, when they were looked at, and their settlement when they have ended.

A batch is seen to have ended when a client asks for it, or when the watch does. Its answers are then read once, as a stream;
it is settled and leaves one UsageEvent and one Decision. After a crash in between the same record is written again under the
same id, which the ledger takes once.
"""

import logging
from collections.abc import Callable, Iterator, Set
from typing import Final, Literal

import msgspec
from msgspec import Raw

from tidegate.core.claims import Claims, Refusal
from tidegate.dialects.dialect import UnreadableAnswer
from tidegate.gateway.access_log import access_line
from tidegate.gateway.kept.batch_answers import PATHS, AnswerLines, BatchState, read_state
from tidegate.gateway.kept.batch_plan import BatchDetails, Plan, claims_of, details_of, encode_details
from tidegate.gateway.kept.batch_record import Bill, charge_of, record_of
from tidegate.gateway.kept.errand import Errand, Told
from tidegate.gateway.runtime import Runtime
from tidegate.ledger.spool import SpoolFull
from tidegate.state.memory import Grant
from tidegate.state.owned import Kind, NoRoom, Owned

LOOK_SECONDS: Final = 60.0
LEASE_SECONDS: Final = 9 * 86_400.0
_LONGEST_NS: Final = 8 * 86_400 * 1_000_000_000
"""Providers take a day at most. After this what a batch used is taken as unknown."""
_MOST_ERRANDS: Final = 8

log = logging.getLogger(__name__)

Key = tuple[str, Kind, str]
"""(owner, kind, id)."""
Standing = Literal["settled", "running", "unread"]
"""unread: it may have ended, and what it used could not be read yet."""


class _Open:
    """A batch that is not settled."""

    __slots__ = ("grant", "key", "look_at", "metering", "waiting")

    def __init__(self, key: Key, grant: Grant | None, look_at: float) -> None:
        self.key = key
        self.grant = grant
        self.look_at = look_at
        self.metering = False
        self.waiting: list[Callable[[Standing], None]] = []


class BatchWatch:
    """One per worker."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._open: dict[Key, _Open] = {}
        self._errands: set[Errand] = set()

    def open_events(self) -> list[str]:
        """The ids of the UsageEvents that are still due, as far as the registry knows."""
        return [details.event_id for _, details in self._unsettled()]

    def restore(self, recorded: Set[str]) -> None:
        """After a start: what the batches that are not settled have reserved is held again.

        `recorded`: of the open events those that the ledger has. Their batches are settled: a crash came before that was
        in the registry.
        """
        for one, details in self._unsettled():
            if details.event_id in recorded:
                details.metered = True
                self._keep(one, details)
                continue
            taken = self.take(one.owner, details.plan, anew=True)
            self.watch(one, taken if isinstance(taken, Grant) else None)

    def _unsettled(self) -> Iterator[tuple[Owned, BatchDetails]]:
        for one in self._runtime.owned:
            if one.kind not in PATHS:
                continue
            try:
                details = details_of(one)
            except msgspec.DecodeError:
                # Written by another version, perhaps: the gateway serves all the same.
                log.exception("batch %s of %s cannot be read: it is not metered", one.id, one.owner)
                continue
            if not details.metered:
                yield one, details

    def take(self, owner: str, plan: Plan, *, anew: bool = False) -> Grant | Refusal | None:
        """What a batch holds until it is settled. `anew`: after a restart, whatever else has been taken meanwhile."""
        consumer = self._runtime.compiled.consumer(owner)
        if consumer is None:
            return None
        claims = claims_of(consumer, plan, money_alone=anew)
        return self._runtime.state.take(claims, LEASE_SECONDS, anew=anew)

    def watch(self, one: Owned, grant: Grant | None) -> None:
        key = (one.owner, one.kind, one.id)
        self._open[key] = _Open(key, grant, self._runtime.clock.monotonic() + LOOK_SECONDS)

    def when_settled(self, one: Owned, then: Callable[[Standing], None]) -> None:
        """`then` hears how it stands: at once where it is settled, else when its provider has been asked, and its answers
        have been read if it has ended."""
        found = self._open.get((one.owner, one.kind, one.id))
        if found is None:
            then("settled")
            return
        found.waiting.append(then)
        self._look(found)

    def seen(self, one: Owned, body: bytes) -> Owned:
        """A provider has described a batch: its outputs are its owner's, and if it has ended it is settled."""
        try:
            state = read_state(one.kind, body)
        except UnreadableAnswer:
            return one
        details = details_of(one)
        details.object, details.outputs = Raw(body), state.outputs
        one = self._keep(one, details)
        for name in state.outputs:
            self._own(one, name)
        found = self._open.get((one.owner, one.kind, one.id))
        if found is not None and state.ended and not found.metering:
            self._meter(found, one, details, state)
        return one

    def tick(self) -> None:
        """To be called every second or so: looks at those that nobody has asked for lately."""
        now = self._runtime.clock.monotonic()
        for found in list(self._open.values()):
            if len(self._errands) >= _MOST_ERRANDS:
                return
            if found.look_at <= now and not found.metering:
                self._look(found)

    def close(self) -> None:
        for errand in self._errands:
            errand.cancel()

    # Looking.

    def _look(self, found: _Open) -> None:
        runtime = self._runtime
        found.look_at = runtime.clock.monotonic() + LOOK_SECONDS
        if found.metering:
            return
        owner, kind, name = found.key
        one = runtime.owned.find(owner, kind, name)
        if one is None or runtime.clock.now_ns() - one.created_ns > _LONGEST_NS:
            self._settle(found, one, None, "lost")
            return

        def then(told: Told) -> None:
            if told.status == 200:
                self.seen(one, told.body)
            elif told.status == 404:
                self._settle(found, one, None, "lost")
            if not found.metering:  # else it is told when that is done
                self._tell(found, "running" if told.status == 200 and _runs(one, told.body) else "unread")

        self._ask(one, f"{PATHS[one.kind]}/{one.id}", then)

    def _ask(self, one: Owned, path: str, then: Callable[[Told], None], lines: AnswerLines | None = None) -> None:
        try:
            credential = self._runtime.upstreams.credential(one.provider, one.credential)
            head = credential.object_head(b"GET", path)
        except KeyError:  # the configuration has lost it, or gives it a dialect whose providers keep nothing
            then(Told(0, [], b""))
            return

        def done(told: Told) -> None:
            self._errands.discard(errand)
            try:
                then(told)
            except Exception:
                log.exception("batch %s could not be looked after", one.id)
                found = self._open.get((one.owner, one.kind, one.id))
                if found is not None:
                    found.metering = False
                    self._tell(found, "unread")  # a bug ends what waits for it, and leaves it not waiting

        errand = Errand(done, lines)
        self._errands.add(errand)
        errand.go(credential, head + credential.defaults, replayable=True)

    # Settling.

    def _meter(self, found: _Open, one: Owned, details: BatchDetails, state: BatchState) -> None:
        if not self._runtime.spool.ready:
            return
        bill = Bill(details.plan)
        if not state.answers:
            self._settle(found, one, bill, state.status)
            return
        found.metering = True
        lines = AnswerLines(one.kind, details.plan.endpoint, bill.add)

        def then(told: Told) -> None:
            found.metering = False
            if told.status == 200:
                lines.end()
                if lines.broken:
                    log.warning("what batch %s used is unknown: %s", one.id, lines.broken)
                self._settle(found, one, None if lines.broken else bill, state.status)
            elif told.status == 404:
                self._settle(found, one, None, state.status)
            else:
                self._tell(found, "unread")  # the next look tries again

        self._ask(one, state.answers, then, lines)

    def _settle(self, found: _Open, one: Owned | None, bill: Bill | None, status: str) -> None:
        runtime = self._runtime
        self._open.pop(found.key, None)
        charge = charge_of(bill)
        if found.grant is not None:
            runtime.state.settle(found.grant, tokens=charge.tokens, money_nano=charge.money_nano)
        if one is not None:
            one = runtime.owned.find(one.owner, one.kind, one.id) or one
            details = details_of(one)
            self._write(found.grant, one, details, bill, status)
            details.metered = True
            self._keep(one, details)
        self._tell(found, "settled")

    def lose(self, one: Owned, details: BatchDetails, grant: Grant | None, status: str) -> None:
        """Of a batch that may run without being in the registry: its record, with an unknown cost."""
        self._write(grant, one, details, None, status)

    def _write(self, grant: Grant | None, one: Owned, details: BatchDetails, bill: Bill | None, status: str) -> None:
        runtime = self._runtime
        claims = Claims((), []) if grant is None else Claims(grant.counters.buckets, grant.amounts)
        record = record_of(one, details, bill, status, claims, runtime.clock.now_ns(), runtime.snapshot.version)
        try:
            runtime.spool.append(record)
        except SpoolFull:
            runtime.metrics.records_lost += 1
        event = record.event
        runtime.metrics.call(event, known_model=event.model in runtime.compiled.routes)
        consumer = runtime.compiled.consumer(one.owner)
        if runtime.access_log is not None and (consumer is None or consumer.log):
            runtime.access_log.write(access_line(event, event.id, ""))

    @staticmethod
    def _tell(found: _Open, standing: Standing) -> None:
        waiting, found.waiting = found.waiting, []
        for then in waiting:
            then(standing)

    # The registry.

    def _own(self, one: Owned, name: str) -> None:
        """A file that a batch has made."""
        if self._runtime.owned.find(one.owner, "file", name) is not None:
            return
        told = {
            "id": name,
            "object": "file",
            "bytes": 0,
            "created_at": self._runtime.clock.now_ns() // 1_000_000_000,
            "filename": f"{one.id}_output.jsonl",
            "purpose": "batch_output",
            "status": "processed",
        }
        details = msgspec.json.encode({"object": told, "batch": one.id})
        self._put(
            Owned(
                kind="file",
                id=name,
                owner=one.owner,
                provider=one.provider,
                credential=one.credential,
                created_ns=self._runtime.clock.now_ns(),
                model=one.model,
                purpose="batch_output",
                details=details,
            )
        )

    def _keep(self, one: Owned, details: BatchDetails) -> Owned:
        encoded = encode_details(details)
        if encoded == one.details:
            return one
        changed = msgspec.structs.replace(one, details=encoded)
        return changed if self._put(changed) else one

    def _put(self, one: Owned) -> bool:
        try:
            self._runtime.owned.put(one)
        except (NoRoom, ValueError) as error:
            log.warning("%s %s could not be registered: %s", one.kind, one.id, error)
            return False
        return True


def _runs(one: Owned, body: bytes) -> bool:
    try:
        return not read_state(one.kind, body).ended
    except UnreadableAnswer:
        return False
