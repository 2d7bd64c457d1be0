"""What a batch comes to, as the registry holds it from its placing to its end."""

from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct

from tidegate.core.claims import Bucket, Claims
from tidegate.core.usage import Price
from tidegate.decide.compiled import CompiledConsumer
from tidegate.state.owned import Owned


class Share(Struct):
    """What of a batch is for one model."""

    model: str
    """The public name."""
    upstream: str
    price: Price | None
    """As it was when the batch was placed; None: unknown."""
    requests: int = 0
    tokens: int = 0
    """Estimated input, and the output that is allowed."""
    worst_nano: int = 0


class Plan(Struct):
    """What a batch comes to."""

    endpoint: str
    """As the client writes it: `/v1/chat/completions`."""
    shares: list[Share]
    bounded: bool
    """Every request has a bound on its output, set by us where the client set none, so that a hard budget holds."""

    @property
    def requests(self) -> int:
        return sum(one.requests for one in self.shares)


class BatchDetails(Struct):
    """What the registry holds of a batch beside where it is."""

    object: Raw
    """As the provider described it last."""
    plan: Plan
    event_id: str
    """Of the UsageEvent and Decision that it leaves: the same however often it is tried."""
    team: str
    key: str
    """As in a UsageEvent."""
    reserved_nano: int
    tags: dict[str, str] = {}
    outputs: list[str] = []
    """Files with its answers."""
    metered: bool = False
    """Its UsageEvent is written."""


decode_details = msgspec.json.Decoder(BatchDetails).decode
encode_details = msgspec.json.Encoder().encode


def details_of(batch: Owned) -> BatchDetails:
    return decode_details(batch.details)


def claims_of(consumer: CompiledConsumer, plan: Plan, *, money_alone: bool = False) -> Claims:
    """Every request and its estimated tokens count, and the worst cost of all; it holds no place of a call in flight."""
    amounts: dict[str, int] = {}
    buckets: dict[str, Bucket] = {}
    for share in plan.shares:
        by_kind = {"requests": share.requests, "tokens": share.tokens, "money": share.worst_nano, "concurrency": 0}
        for bucket in _buckets(consumer, share.model):
            if bucket.kind == "money" or not money_alone:
                buckets[bucket.key] = bucket
                amounts[bucket.key] = amounts.get(bucket.key, 0) + by_kind[bucket.kind]
    return Claims(tuple(buckets.values()), list(amounts.values()))


def _buckets(consumer: CompiledConsumer, model: str) -> Iterable[Bucket]:
    return (consumer.buckets_of.get(model) or consumer.buckets_of[""])[0]
