"""Between the types of `core` and the rows of the tables: pure, and the only place that knows both."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tidegate.core.decision import Decision
from tidegate.core.usage import Usage, UsageEvent
from tidegate.store.schema import GRAIN_NS

log = logging.getLogger("tidegate.store")

MOST_NANO = 10**15
"""A million USD for one call: a cost above it is taken for an upstream's nonsense, and kept as unknown."""
MOST_TOKENS = 10**12

EVENT_COLUMNS = (
    *(
        "id",
        "time_ns",
        "team",
        "consumer",
        "key",
        "model",
        "provider",
        "upstream_model",
        "operation",
        "dialect",
        "status",
    ),
    *("outcome", "code", "stream", "attempts", "input_tokens", "cached_input_tokens", "output_tokens", "usage"),
    *("cost_nano", "charged_nano", "price_version", "first_byte_ms", "total_ms", "snapshot", "tags"),
)
ROLLUP_DIMENSIONS = (
    *("team", "consumer", "key", "model", "provider", "upstream_model", "operation", "dialect", "status", "outcome"),
)
MEASURES = (
    *(
        "requests",
        "refused",
        "input_tokens",
        "cached_input_tokens",
        "output_tokens",
        "cost_nano",
        "unknown_cost_requests",
    ),
)

_pack = msgspec.msgpack.Encoder().encode
_unpack_usage = msgspec.msgpack.Decoder(Usage).decode
_unpack_decision = msgspec.msgpack.Decoder(Decision).decode
_pack_tags = msgspec.json.Encoder().encode
_unpack_tags = msgspec.json.Decoder(dict[str, str]).decode


def event_row(event: UsageEvent) -> tuple[Any, ...]:
    """In the order of EVENT_COLUMNS. Amounts are bounded; the usage as the upstream told it stays in `usage`."""
    usage = event.usage
    cost = event.cost_nano
    if cost is not None and abs(cost) > MOST_NANO:
        log.warning("call %s: a cost of %d nano-USD is out of all reason and was recorded as unknown", event.id, cost)
        cost = None
    return (
        *(event.id, event.time_ns, event.team, event.consumer, event.key, event.model, event.provider),
        *(event.upstream_model, event.operation, event.dialect, event.status, event.outcome, event.code),
        *(int(event.stream), event.attempts),
        *(_bounded(usage.input_total, MOST_TOKENS), _bounded(usage.cached, MOST_TOKENS)),
        *(_bounded(usage.output_total, MOST_TOKENS), _pack(usage)),
        *(cost, _bounded(event.charged_nano, MOST_NANO), event.price_version, event.first_byte_ms, event.total_ms),
        *(event.snapshot, _pack_tags(event.tags).decode() if event.tags else None),
    )


def event_of(row: Sequence[Any]) -> UsageEvent:
    """The event of a row in the order of EVENT_COLUMNS."""
    fields = dict(zip(EVENT_COLUMNS, row, strict=True))
    for derived in ("input_tokens", "cached_input_tokens", "output_tokens"):
        del fields[derived]
    fields["stream"] = bool(fields["stream"])
    fields["usage"] = _unpack_usage(fields["usage"])
    fields["tags"] = _unpack_tags(fields["tags"]) if fields["tags"] else {}
    return UsageEvent(**fields)


def decision_blob(decision: Decision) -> bytes:
    return _pack(decision)


def decision_of(blob: bytes) -> Decision:
    return _unpack_decision(blob)


def rollup_rows(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Event rows folded to (slot, dimensions, measures), sorted by key."""
    at = {name: EVENT_COLUMNS.index(name) for name in EVENT_COLUMNS}
    dimensions = [at[name] for name in ROLLUP_DIMENSIONS]
    inputs, cached, outputs, cost = (
        at[name] for name in ("input_tokens", "cached_input_tokens", "output_tokens", "cost_nano")
    )
    sums: dict[tuple[Any, ...], list[int]] = {}
    for row in rows:
        key = (row[at["time_ns"]] // GRAIN_NS, *[row[index] for index in dimensions])
        total = sums.setdefault(key, [0] * len(MEASURES))
        refused = row[at["outcome"]] == "refused"
        total[0] += not refused
        total[1] += refused
        total[2] += row[inputs]
        total[3] += row[cached]
        total[4] += row[outputs]
        total[5] += row[cost] or 0
        total[6] += row[cost] is None and not refused
    return sorted((*key, *total) for key, total in sums.items())


def spend_rows(rows: Iterable[Sequence[Any]]) -> list[tuple[str, str, int, int]]:
    """Event rows folded to (scope, name, slot, charged nano-USD), sorted by key."""
    time_ns, charged = EVENT_COLUMNS.index("time_ns"), EVENT_COLUMNS.index("charged_nano")
    scopes = (("consumer", EVENT_COLUMNS.index("consumer")), ("team", EVENT_COLUMNS.index("team")))
    sums: dict[tuple[str, str, int], int] = {}
    for row in rows:
        if not row[charged]:
            continue
        for scope, index in scopes:
            key = (scope, row[index], row[time_ns] // GRAIN_NS)
            sums[key] = sums.get(key, 0) + row[charged]
    return sorted((*key, nano) for key, nano in sums.items())


def _bounded(amount: int, most: int) -> int:
    return max(-most, min(amount, most))
