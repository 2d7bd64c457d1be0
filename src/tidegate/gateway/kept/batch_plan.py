"""What a batch comes to, as the registry holds it from its placing to its end."""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from tidegate.core.claims import Bucket, Claims
from tidegate.core.usage import Price
from tidegate.decide.compiled import CompiledConsumer
from tidegate.state.owned import MAX_DETAILS_BYTES, Owned


class Share(Struct):
    """What of a batch is for one model."""

    model: str
    """The public name."""
    upstream: str
    price: Price | None
    """As it was when that was placed; None: unknown."""
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

    first_line: int = 1
    """Of the file, that is not empty."""

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


TIER: Final = "batch"
"""Whatever tier the answers name: that of a batch is chosen by making one."""
_MOST_FIELDS: Final = 24
_SHORT: Final = 256

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
decode_details = msgspec.json.Decoder(BatchDetails).decode


def encode_details(details: BatchDetails) -> bytes:
    """Within `MAX_DETAILS_BYTES`, given a plan that is."""
    encoded = _encode(details)
    if len(encoded) <= MAX_DETAILS_BYTES:
        return encoded
    return _encode(replace(details, object=shortened(details.object)))


def shortened(described: Raw) -> Raw:
    """Of an object as its provider described it, what is short: clients may give it metadata and a name of any length."""
    try:
        fields = _decode_object(described)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Raw(b"{}")
    kept = [(name, value) for name, value in fields.items() if len(name) + len(bytes(value)) <= _SHORT]
    return Raw(_encode(dict(kept[:_MOST_FIELDS])))


def price_in_batch(price: Price | None) -> Price | None:
    """Of a target's price what a batch is charged by."""
    if price is None:
        return None
    return replace(price, tiers=(), service={name: tier for name, tier in price.service.items() if name == TIER})


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
