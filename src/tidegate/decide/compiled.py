"""A Snapshot made ready for look-ups: built once per snapshot, so that a call does dictionary look-ups only."""

from collections.abc import Iterable, Mapping
from typing import Final

from tidegate.core.claims import Bucket, ClaimKind
from tidegate.core.snapshot import (
    ConsumerSpec,
    EndpointRule,
    ModelSpec,
    ProviderSpec,
    RoutingSpec,
    Snapshot,
    TargetSpec,
)
from tidegate.core.usage import Price, Rates
from tidegate.decide.cost import dearest_input, dearest_output
from tidegate.dialects.dialect import UpstreamModel

DEFAULT_MAX_OUTPUT = 4096
"""Reserved, and under a hard budget set upstream, where neither the client nor the model says how long an answer may be."""


_WIDEST_CONTEXT = 1_050_000
"""Of the models whose upstreams keep conversations: assumed of those that do not say theirs (`contextWindow`)."""


class CompiledTarget:
    """A target with its provider, and what the provider's dialect must know of it."""

    __slots__ = ("key", "label", "name", "provider", "spec", "streams", "upstream")

    def __init__(self, model: ModelSpec, spec: TargetSpec, provider: ProviderSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self.provider = provider
        self.upstream = UpstreamModel(spec.model, provider.quirks, model.max_output_tokens)
        self.streams = True if "stream-only" in provider.quirks else False if "no-stream" in provider.quirks else None
        """Whether it streams every chat or none; None: as it is asked."""
        self.key = (model.name, spec.name)
        self.label = f"{spec.provider}/{spec.model}" if spec.model else spec.provider

    def has(self, provider: str, credential: str) -> bool:
        return self.provider.name == provider and any(one.id == credential for one in self.provider.credentials)


class CompiledRoute:
    """A Model's targets, and the worst that a call of it (fallbacks included) may cost."""

    __slots__ = (
        "context",
        "deadline",
        "dearest_input",
        "dearest_output",
        "fallbacks",
        "max_output",
        "name",
        "per_request_nano",
        "priced",
        "priorities",
        "spec",
        "targets",
        "unit_prices",
    )

    def __init__(self, spec: ModelSpec, providers: Mapping[str, ProviderSpec]) -> None:
        self.spec = spec
        self.name = spec.name
        self.targets = tuple(CompiledTarget(spec, one, providers[one.provider]) for one in spec.targets)
        self.priorities = tuple(sorted({one.spec.priority for one in self.targets}))
        self.fallbacks: tuple[CompiledRoute, ...] = ()
        self.deadline = spec.routing.deadline or max(one.provider.timeouts.total for one in self.targets)
        """Seconds for the whole call, all attempts."""
        self.context = _widest(self.targets)
        """The most input that a call of it can have, fallbacks included: reserved where the upstream alone knows it."""
        self.max_output = spec.max_output_tokens or DEFAULT_MAX_OUTPUT
        self.priced = False
        self.dearest_input = self.dearest_output = self.per_request_nano = 0
        self.unit_prices: tuple[Price, ...] = ()
        """Of all targets, fallbacks included, those that charge for more than tokens."""

    def link(self, routes: Mapping[str, "CompiledRoute"]) -> None:
        """Resolves fallbacks (of fallbacks too, each once), then what the dearest of all targets costs."""
        found: dict[str, CompiledRoute] = {}
        waiting = list(self.spec.routing.fallbacks)
        while waiting:
            name = waiting.pop(0)
            if name == self.name or name in found or name not in routes:
                continue
            found[name] = routes[name]
            waiting.extend(routes[name].spec.routing.fallbacks)
        self.fallbacks = tuple(found.values())
        self.context = max(_widest(route.targets) for route in (self, *self.fallbacks))
        prices = [
            target.spec.price for route in (self, *self.fallbacks) for target in route.targets if target.spec.price
        ]
        self.priced = bool(prices)
        self.dearest_input = max(map(dearest_input, prices), default=0)
        self.dearest_output = max(map(dearest_output, prices), default=0)
        self.per_request_nano = max((price.per_request_nano for price in prices), default=0)
        self.unit_prices = tuple(price for price in prices if price.units or price.per_request_nano)


def _widest(targets: Iterable[CompiledTarget]) -> int:
    return max((one.spec.context_window or _WIDEST_CONTEXT for one in targets), default=0)


_NOTHING: Final = Price(rates=Rates(input=0, output=0), version="free")


class Account:
    """A provider whose every path may be called, past all Models. Its routes have one target and are tried once."""

    __slots__ = ("_reading", "_routes", "_unpriced", "provider")

    def __init__(self, provider: ProviderSpec, models: Iterable[ModelSpec]) -> None:
        """What a call costs is known where it names an upstream model that is a target of `models`."""
        self.provider = provider
        targets = [one for model in models for one in model.targets if one.provider == provider.name]
        self._routes = {one.model: _account_route(provider, one.model, one.price) for one in targets}
        self._unpriced = _account_route(provider, "", None)
        self._reading = _account_route(provider, "", _NOTHING)

    @property
    def key(self) -> tuple[str, str]:
        """The TargetKey of all its routes."""
        return self._unpriced.targets[0].key

    def route(self, upstream_model: str, *, reads: bool) -> CompiledRoute:
        """`reads`: the call only asks for what is there, which no provider charges for."""
        return self._reading if reads else self._routes.get(upstream_model, self._unpriced)


def _account_route(provider: ProviderSpec, upstream_model: str, price: Price | None) -> CompiledRoute:
    target = TargetSpec(name=provider.name, provider=provider.name, model=upstream_model, price=price)
    spec = ModelSpec(
        name=f"passthrough/{provider.name}",
        task="passthrough",
        targets=(target,),
        routing=RoutingSpec(attempts=1, retry_on=frozenset({"connect"})),
    )
    route = CompiledRoute(spec, {provider.name: provider})
    route.link({})
    return route


class CompiledConsumer:
    """A consumer with its buckets; equal buckets are one object everywhere."""

    __slots__ = (
        "buckets",
        "buckets_of",
        "endpoint_rules",
        "hard_budget",
        "log",
        "models",
        "name",
        "passthrough",
        "region",
        "shared_objects",
        "tags",
        "team",
    )

    def __init__(self, spec: ConsumerSpec, intern: dict[str, Bucket]) -> None:
        self.name = spec.name
        self.team = spec.team
        self.models = spec.models
        self.passthrough = spec.passthrough
        self.shared_objects = spec.shared_objects
        self.buckets = _interned(spec.buckets, intern)
        self.buckets_of = {"": _with_kinds(self.buckets)}
        """What a call of a model claims from; "" is any model without buckets of its own."""
        for name, buckets in spec.model_buckets:
            self.buckets_of[name] = _with_kinds(self.buckets + _interned(buckets, intern))
        self.hard_budget = any(one.kind == "money" and not one.soft for one in self.buckets)
        self.region = spec.region
        self.endpoint_rules: tuple[EndpointRule, ...] = spec.endpoint_rules
        self.log = spec.log
        self.tags = dict(spec.tags)


class Compiled:
    """Everything of a Snapshot by the names that calls use."""

    __slots__ = ("_by_digest", "_by_name", "accounts", "alone", "bucket_keys", "buckets", "routes", "target_keys")

    def __init__(self, snapshot: Snapshot) -> None:
        providers = {one.name: one for one in snapshot.providers}
        self.routes: dict[str, CompiledRoute] = {one.name: CompiledRoute(one, providers) for one in snapshot.models}
        for route in self.routes.values():
            route.link(self.routes)
        intern: dict[str, Bucket] = {}
        consumers = [CompiledConsumer(one, intern) for one in snapshot.consumers]
        self.alone = len(consumers) <= 1
        """No consumer has another beside it."""
        self._by_digest = {digest: consumers[index] for digest, index in snapshot.keys}
        self._by_name = {one.name: one for one in consumers}
        self.buckets: tuple[Bucket, ...] = tuple(intern.values())
        self.bucket_keys: frozenset[str] = frozenset(intern)
        reached = {name for one in consumers for name in one.passthrough}
        self.accounts = {name: Account(providers[name], snapshot.models) for name in sorted(reached)}
        """The providers that some consumer may call past all Models."""
        self.target_keys: frozenset[tuple[str, str]] = frozenset(
            (
                *(target.key for route in self.routes.values() for target in route.targets),
                *(account.key for account in self.accounts.values()),
            )
        )

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Compiled":
        return cls(snapshot)

    def consumer_for(self, digest: bytes) -> CompiledConsumer | None:
        """By the SHA-256 digest of a key."""
        return self._by_digest.get(digest)

    def consumer(self, name: str) -> CompiledConsumer | None:
        return self._by_name.get(name)

    def route(self, name: str) -> CompiledRoute | None:
        return self.routes.get(name)


def _interned(buckets: Iterable[Bucket], intern: dict[str, Bucket]) -> tuple[Bucket, ...]:
    return tuple(intern.setdefault(one.key, one) for one in buckets)


def _with_kinds(buckets: tuple[Bucket, ...]) -> tuple[tuple[Bucket, ...], tuple[ClaimKind, ...]]:
    return buckets, tuple(one.kind for one in buckets)
