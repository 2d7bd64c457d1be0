"""What every call of a worker needs, in one place, and the swap of one Snapshot for another."""

import asyncio
import random
from collections.abc import Iterator

from tidegate.core.clock import Clock
from tidegate.core.snapshot import Snapshot
from tidegate.decide.compiled import Compiled
from tidegate.gateway.access_log import AccessLog
from tidegate.gateway.credentials.signed_access import SignedAccess
from tidegate.gateway.ids import CallIds
from tidegate.gateway.metrics import Metrics, Sample
from tidegate.gateway.remote_media import RemoteMedia
from tidegate.gateway.upstreams import Upstreams
from tidegate.ledger.spool import Spool
from tidegate.state.answers import KeptAnswers
from tidegate.state.debts import Debts
from tidegate.state.health import Health
from tidegate.state.makers import Makers
from tidegate.state.memory import MemoryState
from tidegate.state.owned import OwnedObjects


class Runtime:
    """Mutable only by `swap`; a call takes what it needs at its start and keeps it to its end."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        snapshot: Snapshot,
        compiled: Compiled,
        state: MemoryState,
        health: Health,
        spool: Spool,
        upstreams: Upstreams,
        metrics: Metrics,
        access_log: AccessLog | None,
        rng: random.Random,
        owned: OwnedObjects | None = None,
    ) -> None:
        self.loop = loop
        self.clock = clock
        self.snapshot = snapshot
        self.compiled = compiled
        self.state = state
        self.health = health
        self.spool = spool
        self.upstreams = upstreams
        self.metrics = metrics
        self.access_log = access_log
        self.rng = rng
        self.ids = CallIds()
        self.answers = KeptAnswers(clock)
        self.makers = Makers()
        self.debts = Debts()
        self.remote_media = RemoteMedia(loop, clock, snapshot.server.remote_media)
        self.owned = OwnedObjects(clock) if owned is None else owned
        self.signed_access = SignedAccess.of(snapshot)
        self._turns: dict[str, int] = {}
        self.ready = False
        """`/readyz`: a snapshot is loaded and the worker is not draining."""

    def turn(self, model: str) -> int:
        """Counts a model's calls, for round-robin. Models come from the configuration: their number is bounded."""
        turn = self._turns[model] = self._turns.get(model, -1) + 1
        return turn

    def swap(self, snapshot: Snapshot, compiled: Compiled, upstreams: Upstreams) -> None:
        """From here on new calls see `snapshot`. Counters of buckets that both have go on.

        Raises SecretMissing, and then nothing has changed.
        """
        self.signed_access = SignedAccess.of(snapshot)
        retired = self.upstreams
        self.snapshot = snapshot
        self.compiled = compiled
        self.upstreams = upstreams
        self.remote_media.configure(snapshot.server.remote_media)
        self.state.retain(compiled.bucket_keys)
        self.health.retain(compiled.target_keys)
        retired.retire(upstreams)

    def render_metrics(self, client_connections: int) -> bytes:
        return self.metrics.render(self._samples(client_connections))

    def state_report(self) -> dict[str, object]:
        """For people and tests: every bucket, what is reserved, what is unwell."""
        return {
            "snapshot": self.snapshot.version,
            "calls_in_flight": self.metrics.in_flight,
            "reserved": self.state.reserved_total(),
            "buckets": [
                {
                    "key": level.bucket.key,
                    "kind": level.bucket.kind,
                    "limit": level.bucket.limit,
                    "used": level.used,
                    "resets_at_unix_ms": level.resets_at_ns // 1_000_000,
                }
                for level in self.state.levels(self.compiled.buckets)
            ],
            "open_circuits": list(self.health.open_circuits()),
            "spool": {"ready": self.spool.ready, "reason": self.spool.reason},
        }

    def _samples(self, client_connections: int) -> Iterator[Sample]:
        for level in self.state.levels(self.compiled.buckets):
            labels = (("bucket", level.bucket.key), ("kind", level.bucket.kind))
            yield "tidegate_bucket_used", labels, level.used
            yield "tidegate_bucket_limit", labels, level.bucket.limit
        yield "tidegate_reserved", (), self.state.reserved_total()
        for circuit in self.health.open_circuits():
            yield "tidegate_breaker_open", (("target", circuit),), 1
        connections: dict[str, tuple[int, int]] = {}
        for provider, opened, idle in self.upstreams.connections():
            before = connections.get(provider, (0, 0))
            connections[provider] = (before[0] + opened, before[1] + idle)
        for provider, (opened, idle) in connections.items():
            yield "tidegate_upstream_connections", (("provider", provider), ("state", "open")), opened
            yield "tidegate_upstream_connections", (("provider", provider), ("state", "idle")), idle
        yield "tidegate_client_connections", (), client_connections
        for outcome, count in self.remote_media.counts.items():
            yield "tidegate_remote_files_total", (("outcome", outcome),), count
        yield "tidegate_spool_ready", (), int(self.spool.ready)
        yield "tidegate_snapshot_info", (("version", self.snapshot.version),), 1
