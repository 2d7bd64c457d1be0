"""Responses in the background that no client asks for again: asked for at their provider until they tell what they used.

With the credential that made them, ever more rarely, over restarts. What is not told within two days stays charged as
reserved.
"""

import logging
from collections.abc import Set
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from tidegate.dialects.dialect import UnreadableAnswer
from tidegate.dialects.registry import DIALECTS, spoken_to
from tidegate.gateway.kept import owing
from tidegate.gateway.kept.errand import Errand, Told
from tidegate.gateway.runtime import Runtime
from tidegate.gateway.upstreams import Credential
from tidegate.state.debts import OpenDebt
from tidegate.state.owned import Owned

_MOST_SECONDS: Final = 3_600.0
"""Between two looks at one."""
_LONGEST_NS: Final = 2 * 86_400 * 1_000_000_000
_MOST_ERRANDS: Final = 8
_UNDONE: Final = frozenset(("queued", "in_progress"))
_DIALECT: Final = "openai-responses"

log = logging.getLogger(__name__)


class _Response(Struct):
    status: str = ""


_decode = msgspec.json.Decoder(_Response).decode


class ResponseWatch:
    """One per worker. What is open is `Runtime.debts`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._errands: set[Errand] = set()

    def open_events(self) -> list[str]:
        """The ids of the UsageEvents that are still due, as far as the registry knows."""
        return [debt.event_id for one in self._runtime.owned if (debt := _owed(one)) is not None]

    def restore(self, recorded: Set[str]) -> None:
        """After a start. `recorded`: of the open events those that the ledger has; their debts are paid."""
        runtime = self._runtime
        for one in sorted(runtime.owned, key=lambda one: one.created_ns):
            debt = _owed(one)
            if debt is None:
                continue
            if debt.event_id in recorded:
                owing.forget(runtime, one)
            else:
                runtime.debts.put(one.owner, one.id, None, runtime.clock.monotonic() + owing.LOOK_SECONDS)

    def tick(self) -> None:
        """To be called every second or so."""
        runtime = self._runtime
        if not runtime.spool.ready:
            return
        for found in runtime.debts.due(runtime.clock.monotonic()):
            if len(self._errands) >= _MOST_ERRANDS:
                return
            self._look(found)

    def close(self) -> None:
        for errand in list(self._errands):
            errand.cancel()

    def _look(self, found: OpenDebt) -> None:
        runtime, (owner, name) = self._runtime, found.key
        found.look_at = runtime.clock.monotonic() + min(_MOST_SECONDS, owing.LOOK_SECONDS * 2.0**found.looks)
        found.looks += 1
        one = runtime.owned.find(owner, "response", name)
        if one is None or owing.debt_of(one) is None:
            runtime.debts.take(owner, name)
        elif runtime.clock.now_ns() - one.created_ns > _LONGEST_NS:
            log.warning(
                "what response %s of %s used was not told in two days: it stays charged as reserved", name, owner
            )
            owing.forget(runtime, one)
        else:
            self._ask(found, one)

    def _ask(self, found: OpenDebt, one: Owned) -> None:
        asked = self._asked(one)
        if asked is None:
            return  # the configuration has lost it, perhaps for a while
        credential, head = asked

        def done(told: Told) -> None:
            self._errands.discard(errand)
            found.asking = False
            try:
                self._told(one, told)
            except Exception:
                log.exception("response %s could not be looked after", one.id)

        errand = Errand(done)
        self._errands.add(errand)
        found.asking = True
        errand.go(credential, head + credential.defaults, replayable=True)

    def _asked(self, one: Owned) -> tuple[Credential, bytes] | None:
        provider = next((spec for spec in self._runtime.snapshot.providers if spec.name == one.provider), None)
        debt = owing.debt_of(one)
        if provider is None or debt is None:
            return None
        try:
            credential = self._runtime.upstreams.credential(one.provider, one.credential)
        except KeyError:
            return None
        serving = spoken_to(_DIALECT, provider.dialect, provider.quirks, debt.upstream)
        if serving.family != DIALECTS[_DIALECT].family:
            return None
        return credential, credential.head(serving, "response_read", "/" + quote(one.id, safe=""), False)

    def _told(self, one: Owned, told: Told) -> None:
        """Its registry line may have changed while it was asked for."""
        runtime = self._runtime
        now = runtime.owned.find(one.owner, "response", one.id)
        if now is None or owing.debt_of(now) is None:
            runtime.debts.take(one.owner, one.id)
        elif told.status == 404:
            owing.forget(runtime, now)
        elif told.status == 200 and not _runs(told.body):
            self._ended(now, told.body)

    def _ended(self, one: Owned, body: bytes) -> None:
        try:
            usage = DIALECTS[_DIALECT].read_answer("chat", body).usage
        except UnreadableAnswer:
            return
        if usage.source == "reported":
            owing.pay(self._runtime, one, usage)
        else:
            owing.forget(self._runtime, one)  # it has failed, or was cancelled: more will not be said


def _owed(one: Owned) -> owing.Debt | None:
    return owing.debt_of(one) if one.kind == "response" else None


def _runs(body: bytes) -> bool:
    """True too where that cannot be read."""
    try:
        return _decode(body).status in _UNDONE
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True
